"""Whom the questions of people and gauges are put to: a person's connection, or a worker's session."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Connection, Row, Session, connect
from noti_worker.store.errors import translated
from noti_worker.store.settings import OF_PEOPLE
from noti_worker.store.statements import Statement

Source = Connection | Session


def for_people(url: Secret | str, *, pgbouncer: bool = False) -> Connection:
    """Open a connection for a person's questions: any plan, and a minute for a statement.

    Raises ConfigurationError for a URL that cannot be read, DatabaseAway when nobody answers.
    """
    connection = connect(url, pgbouncer=pgbouncer, application_name="noti-worker cli", settings=OF_PEOPLE)
    if not pgbouncer:
        with translated():
            connection.execute(
                "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s';"
                "SET enable_seqscan = on; SET enable_bitmapscan = on; SET enable_sort = on"
            )
    return connection


@contextmanager
def by_index(source: Source) -> Iterator[None]:
    """Plan as a worker does: the planner does not see that a loose index scan touches a row per tenant only."""
    if isinstance(source, Session):
        yield
        return
    with translated(), source.transaction():
        source.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        yield


def rows(source: Source, question: Statement, parameters: Mapping[str, Any]) -> list[Row]:
    """Run a statement that reads."""
    if isinstance(source, Session):
        return source.run(question, parameters)
    with translated():
        return source.execute(question.sql, parameters).fetchall()
