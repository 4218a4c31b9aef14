"""What a file of this wing says: what the rows of a batch need of it, and what they got."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from noti_worker.domain.notification import Notification
from noti_worker.store.connect import Row
from noti_worker.store.statements import Statement

Fields = Mapping[str, Any]
"""Fields of a Briefing by name."""


class Asks(Protocol):
    """Whom a batch is looked up through; a Session is one."""

    def together(self, asked: Sequence[tuple[Statement, Mapping[str, object]]], /) -> list[list[Row]]:
        """Run several statements; gives the rows of each. The first error is raised."""
        ...

    def within(self, statement: Statement, parameters: Mapping[str, object], limit: timedelta, /) -> list[Row]:
        """Run one statement, no longer than `limit`."""
        ...


class Lookup(Protocol):
    """One need, with its own statement; a module can be one."""

    @property
    def STATEMENT(self) -> Statement:  # noqa: N802 - a constant of the module
        """How it is looked up."""
        ...

    def needs(self, notifications: Sequence[Notification], /) -> Mapping[str, object] | None:
        """The parameters of the statement; None when none of the rows needs it."""
        ...

    def met(self, notifications: Sequence[Notification], rows: Sequence[Row], /) -> Iterable[tuple[int, Fields]]:
        """What each row that needs it got, by notification_id."""
        ...
