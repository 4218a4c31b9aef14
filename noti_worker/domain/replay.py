"""Recorded tries judged again: what was said is rebuilt from what the log keeps of it, and read by other rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import Rule, judge
from noti_worker.domain.said import Said

_STATUS = re.compile(r"[0-9]{3}")
_REDIRECTED = re.compile(r"(?:^| \()redirected to delivery\.redirect_to\.\w+\)?$")
_SOFTER = {Kind.DEAD: Kind.PERMANENT}
"""What a rule's kind becomes where a refusal may mean one of several addresses."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One try as the log keeps it; `code` holds status and code, `error` the words in a sentence."""

    notification_id: int
    at: datetime
    account: str | None
    provider: str | None
    kind: str | None
    rule: str | None
    stage: str | None
    code: str | None
    error: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Who judges what an account of `provider` is told: the account's own `answers`, then the provider's `rules`."""

    provider: str
    answers: Sequence[Rule]
    rules: Sequence[Rule]

    @property
    def all(self) -> tuple[Rule, ...]:
        """Both in their order."""
        return (*self.answers, *self.rules)


class Replay:
    """Judges recorded tries by the table of their account, by name."""

    def __init__(self, tables: dict[str, Table]) -> None:
        self._tables = {name: (table, table.all) for name, table in tables.items()}

    def judge(self, tried: Recorded) -> tuple[str, str] | str:
        """Kind and rule as they would be, or why nobody can tell (a key of REASONS).

        The words are known as far as the error has them. Of an answer without an error they are not kept: then it is
        taken that no words of the provider's rules were in it, and nothing is taken of the account's own.
        """
        found = self._tables.get(tried.account or "")
        if tried.stage is None or tried.kind is None:
            return "not_recorded"
        if found is None:
            return "account_missing"
        table, rules = found
        if tried.provider != table.provider:
            return "provider_changed"
        said, known = _said(tried)
        if not known and _asks_for_words(table.answers, said):
            return "words_missing"
        outcome = judge(said, rules, None)
        kind, rule = outcome.kind, outcome.rule or ""
        if _REDIRECTED.search(tried.error or "") and kind in {Kind.DEAD, Kind.OPTOUT}:
            kind = Kind.CONFIG
        if rule == tried.rule and _SOFTER.get(kind) == tried.kind and said.stage != "rcpt":
            kind = _SOFTER[kind]  # the mail had copies, as far as the log tells
        return kind.value, rule


REASONS = {
    "not_recorded": "without a stage: an older version recorded them",
    "account_missing": "of accounts that are not configured",
    "provider_changed": "of accounts that have another provider now",
    "words_missing": "whose words an answer of the account asks for, and the log does not keep",
}
"""Why a try cannot be judged again, in words that follow a count of tries."""


def _said(tried: Recorded) -> tuple[Said, bool]:
    """What was said, and whether its words are known. Where nobody answered, there were none."""
    first, _, rest = (tried.code or "").partition(" ")
    status, code = (first, rest) if _STATUS.fullmatch(first) else ("", tried.code or "")
    error = _REDIRECTED.sub("", tried.error or "")
    known = not status or (bool(error) and tried.kind != Kind.OK)
    words = _words(tried.code or "", status, error) if status and known else ""
    return Said(tried.stage or "", status, code, words), known


def _words(answer: str, status: str, error: str) -> str:
    """The provider's words in the sentence that was made of them; the whole of one that the provider made itself."""
    found = re.search(rf"\banswered {re.escape(answer)}(?::(.*))?$|: {status} (.*)$", error, re.DOTALL)
    return error if found is None else (found[1] or found[2] or "").strip()


def _asks_for_words(answers: Sequence[Rule], said: Said) -> bool:
    """Tell whether the words decide about one of the rules."""
    for rule in answers:
        if rule.fits(said):
            return rule.text is not None
    return False
