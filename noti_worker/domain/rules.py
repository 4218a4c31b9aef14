"""What is said, judged: error rules as data, an ordered table in each provider's file, first match wins.

`judge` reads the account's rules first. What they have no opinion of is judged by the house: a line that broke by
whether the message may have gone out, any other answer by its status.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache

from noti_worker.domain.notification import Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.said import Said
from noti_worker.domain.words import blanked, copies

LONGEST_ERROR = 500
_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class Rule:
    """Judges what was said when every pattern it names matches.

    `name` is stable and unique among the rules of a provider ("smtp.greylisted"): it is recorded with the try.
    `status`, `code` and `stage` are regular expressions for the whole value, `text` is searched in the
    words, case ignored. `wait` is a floor for the next try in seconds. A `last_resort` goes by the status where a code
    would say more, and is the sign of a code that no rule names. What an `unverified` rule says was not found in its
    service's own words. Hits of both are counted and logged (`Outcome.unclassified`).
    """

    name: str
    kind: Kind
    scope: Scope = Scope.MESSAGE
    _: KW_ONLY
    status: str | None = None
    code: str | None = None
    text: str | None = None
    stage: str | None = None
    wait: float | None = None
    last_resort: bool = False
    unverified: bool = False

    def fits(self, said: Said) -> bool:
        """Tell whether every pattern that this rule names fits, but for the words."""
        return (
            (self.status is None or _whole(self.status, said.status))
            and (self.stage is None or _whole(self.stage, said.stage))
            and (self.code is None or _whole(self.code, said.code))
        )


# Where nobody answered, the message surely did not go out before these stages were over.
_BEFORE_IT_WENT_OUT = "proxy|connect|tls|greeting|ehlo|starttls|auth|check|mail|rcpt|data"
_NOT_OFFERED = frozenset(
    {"build", "machine", "proxy", "connect", "tls", "greeting", "ehlo", "starttls", "auth", "check"}
)
_BEGUN = frozenset({"mail", "rcpt"})  # a line that broke here without an answer says nothing of the message either

HOUSE = (
    Rule("house.cannot_be_built", Kind.CONFIG, Scope.ACCOUNT, stage="build"),
    Rule("house.cannot_be_sent", Kind.PERMANENT, stage="compose"),
    Rule("house.may_not_go_there", Kind.PERMANENT, Scope.RECIPIENT, stage="guard"),
    Rule("house.no_socket", Kind.TRANSIENT, stage="machine"),
    Rule("house.proxy_login", Kind.CONFIG, Scope.ACCOUNT, stage="proxy", code="proxy_login"),
    Rule("house.not_sent", Kind.TRANSIENT, Scope.PROVIDER, status="", stage=_BEFORE_IT_WENT_OUT),
    Rule("house.answer_lost", Kind.UNCERTAIN, Scope.PROVIDER, status=""),
    Rule("house.accepted", Kind.OK, status="2..", stage="answer|dot"),
    Rule("house.unknown_answer", Kind.TRANSIENT, last_resort=True),
)
"""The last word, with an opinion of everything."""


def classify(rules: Sequence[Rule], said: Said, words: Callable[[], str] | None = None) -> Rule | None:
    """The first rule that matches, or None when the table has no opinion; `words` instead of those that were said."""
    for rule in _fitting(rules, said):
        if rule.text is None or _compiled(rule.text).search(words() if words else said.words) is not None:
            return rule
    return None


_known: dict[tuple[int, str, str, str], tuple[Sequence[Rule], tuple[Rule, ...]]] = {}


def _fitting(rules: Sequence[Rule], said: Said) -> tuple[Rule, ...]:
    """The rules that match if their words do, up to the first that asks for none; most answers are alike."""
    # Remembered: it depends on three short values, and what they are matched with is dear.
    key = (id(rules), said.status, said.stage, said.code)
    known = _known.get(key)
    if known is not None and known[0] is rules:
        return known[1]
    fitting = [rule for rule in rules if rule.fits(said)]
    end = next((number for number, rule in enumerate(fitting, 1) if rule.text is None), len(fitting))
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = rules, tuple(fitting[:end])
    return _known[key][1]


def judge(said: Said, rules: Sequence[Rule], message: Message | None) -> Outcome:
    """What `said` means for `message`, by the account's `rules`, then by those of the house.

    The rules read the words without what we sent ourselves (`words.blanked`); the outcome keeps them as they are.
    Without a message (a look at an account) there is nothing to blank but addresses, URLs and host names as such.
    """
    read: list[str] = []  # only the words of a refusal are read, and once

    def words() -> str:
        if not read:
            read.append(blanked(said.words, message))
        return read[0]

    rule = classify(rules, said, words) or classify(HOUSE, said, words)
    assert rule is not None  # the last one of the house takes everything
    kind = rule.kind
    code = f"{said.status} {said.code}".strip() or None
    if kind is Kind.OK:
        return Outcome(kind, rule.scope, code, said.error, said.response, said.id, stage=said.stage, rule=rule.name)
    if kind is Kind.DEAD and said.stage != "rcpt" and message is not None and copies(message):
        kind = Kind.PERMANENT  # a refusal of the whole does not say which of several addresses it means
    return Outcome(
        kind,
        rule.scope,
        code=code,
        error=(said.error or _sentence(said))[:LONGEST_ERROR],
        response=said.response,
        provider_message_id=said.id,
        retry_after=max(filter(None, (said.hint, rule.wait)), default=None),
        stage=said.stage,
        rule=rule.name,
        offered=said.stage not in _NOT_OFFERED and not (said.stage in _BEGUN and not said.status),
        asked=said.hint is not None and said.hint >= (rule.wait or 0.0),
        unclassified=rule.unverified or (rule.last_resort and (bool(said.code) or rule is HOUSE[-1])),
    )


def _sentence(said: Said) -> str:
    answer = f"{said.status} {said.code}".strip()
    told = f"the provider answered {answer}" if said.status else f"no answer, it ended at {said.stage}: {said.code}"
    return " ".join(f"{told}: {said.words}".split()).strip(" :")


def _whole(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
