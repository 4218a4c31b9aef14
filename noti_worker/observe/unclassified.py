"""Answers that no verified rule names: their codes, bounded in length and number, and without anything personal."""

from noti_worker.domain.facts import Result
from noti_worker.observe.redact import code as plain_code

OTHER = "other"
"""The label of everything that has none of its own."""

MOST = 100
"""Different codes of all providers that are told apart; a server that makes up codes gets no more."""

LONGEST = 80

SAID_EVERY = 3600.0
"""Seconds between two lines about the same code of the same provider."""


class Unclassified:
    """Knows which codes were met, by provider. Thread-safe."""

    def __init__(self) -> None:
        self._met: dict[tuple[str | None, str], str] = {}
        self._said: dict[tuple[str | None, str], float] = {}

    def code(self, result: Result) -> str:
        """The status and code of an unclassified answer, or `other`: one too many, long, or with words of the row."""
        row, told = result.notification, (result.outcome.code if result.outcome is not None else None) or ""
        if len(told) > LONGEST:
            return OTHER
        about = result.provider, told
        if about not in self._met and len(self._met) < MOST:
            personal = (row.recipient, row.subject, row.body)
            if told and plain_code(told, *personal, content=(*personal, *result.texts)) == told:
                # Two threads may both find room for the last one: one code more does no harm.
                self._met[about] = told
        return self._met.get(about, OTHER)

    def due(self, result: Result, now: float) -> str | None:
        """The code, when nothing was said of it for an hour; None when something was. `now` is monotonic."""
        code = self.code(result)
        about = result.provider, code
        if now - self._said.get(about, -SAID_EVERY) < SAID_EVERY:
            return None
        self._said[about] = now
        return code
