"""What `noti-worker doctor` asks the database; every look gives findings and changes nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.finding import Finding, warning
from noti_worker.store.connect import Connection, Row
from noti_worker.store.errors import translated
from noti_worker.store.people.source import rows
from noti_worker.store.statements import statement

PATIENCE = "12s"
"""How long one look may take: a big queue is no reason to wait for ever. Less than the silence that ends a session."""

Look = Callable[[Connection], Iterable[Finding]]


def ask(connection: Connection, name: str, **parameters: object) -> list[Row]:
    """The rows of a named statement."""
    return rows(connection, statement(name), parameters)


def look(connection: Connection, area: str, check: Look) -> list[Finding]:
    """What `check` finds; that it could not look is a finding too."""
    try:
        with _limited(connection):
            return list(check(connection))
    except DatabaseError as error:
        return [warning(area, f"could not be looked at: {error}", "look at the findings above first, then again")]


@contextmanager
def _limited(connection: Connection) -> Iterator[None]:
    """Settings of one transaction: behind a pooler those of a session would be handed to others."""
    with translated(), connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'; SET LOCAL lock_timeout = '2s'")
        yield
