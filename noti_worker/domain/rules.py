"""Error rules as data: an ordered table in each provider's file, first match wins."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from noti_worker.domain.outcome import Kind, Scope


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said: at which stage, with which status and code, in which words."""

    status: str = ""
    code: str = ""
    text: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Judges an answer when every pattern it names matches.

    `status`, `code` and `stage` are regular expressions for the whole value, `text` is searched in the
    words, case ignored. `wait` is a floor for the next try in seconds.
    """

    kind: Kind
    scope: Scope = Scope.MESSAGE
    status: str | None = None
    code: str | None = None
    text: str | None = None
    stage: str | None = None
    wait: float | None = None

    def matches(self, answer: Answer) -> bool:
        """Tell whether every pattern that this rule names fits the answer."""
        return (
            _whole(self.status, answer.status)
            and _whole(self.code, answer.code)
            and _whole(self.stage, answer.stage)
            and (self.text is None or _compiled(self.text).search(answer.text) is not None)
        )


def classify(rules: Iterable[Rule], answer: Answer) -> Rule | None:
    """The first rule that matches, or None when the table has no opinion."""
    return next((rule for rule in rules if rule.matches(answer)), None)


def _whole(pattern: str | None, value: str) -> bool:
    return pattern is None or _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
