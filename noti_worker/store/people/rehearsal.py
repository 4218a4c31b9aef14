"""A notification queued for a moment: what the database says, and what a worker would find; then it is taken back."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from noti_worker.domain.contact import People
from noti_worker.domain.notification import Briefing, Notification
from noti_worker.store import briefing as briefings
from noti_worker.store.connect import Connection, Row
from noti_worker.store.people import moves
from noti_worker.store.people.listing import Line
from noti_worker.store.people.source import rows
from noti_worker.store.queue.claimed import notification_of
from noti_worker.store.statements import Statement, statement


def rehearse(
    connection: Connection,
    fields: Mapping[str, Any],
    international: briefings.International | None = None,
    people: People = briefings.HERE,
) -> tuple[Line, Notification, Briefing]:
    """The line, the row as a claim would give it, and its briefing; nothing of it stays. Errors as in `moves.send`."""
    with connection.transaction(force_rollback=True):
        line = moves.send(connection, fields)
        asked = {"notification_id": line.notification_id}
        [found] = rows(connection, statement("read_as_claimed"), asked)
        row = notification_of(tuple(found.values()))
        here = _Here(connection)
        briefing = briefings.brief(here, [row], international, people).get(row.notification_id, Briefing())
        return line, row, briefings.complete(here, row, briefing) if briefing.incomplete else briefing


class _Here:
    """Looks a batch up within the transaction of a person, each refusal for itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def together(self, asked: Sequence[tuple[Statement, Mapping[str, object]]]) -> list[list[Row]]:
        with self._connection.transaction():
            return [rows(self._connection, question, parameters) for question, parameters in asked]

    def within(self, statement: Statement, parameters: Mapping[str, object], limit: timedelta) -> list[Row]:
        with self._connection.transaction():
            self._connection.execute(f"SET LOCAL statement_timeout = {round(1000 * limit.total_seconds())}".encode())
            found = rows(self._connection, statement, parameters)
            self._connection.execute(b"SET LOCAL statement_timeout = DEFAULT")
            return found
