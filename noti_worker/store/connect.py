"""Connections: limited in time, with settings of our own (`settings.py`), and plain errors."""

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory, dict_row, tuple_row

from noti_worker.domain.errors import ConfigurationError, DatabaseAway
from noti_worker.domain.secret import Secret
from noti_worker.store.errors import translated
from noti_worker.store.hosts import with_addresses
from noti_worker.store.settings import SETTINGS, local, of_environment, options
from noti_worker.store.statements import Statement

_LINE: Mapping[str, str] = {
    "connect_timeout": "5",
    # Keepalives find a dead peer on an idle line only; unacknowledged data needs the user timeout (ms).
    "tcp_user_timeout": "10000",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

RESOLVE_WITHIN = 5.0
"""Seconds to find the addresses of all hosts; then each of them has `connect_timeout`."""

ANSWER_WITHIN = 15.0
"""Seconds that a session of a worker waits for an answer, five more than any statement may take."""

_DRIVER = re.compile(r"^postgres(?:ql)?\+\w+://")

_URL = re.compile(r"\w+(\+\w+)?://(?P<rest>[^?]*)")

_FORM = "give postgresql://user:password@host:port/name or a libpq string"

_DROP = re.compile(r"08...|57P..|58...|25006|25P03|0A000|26000|42P05")
"""SQLSTATEs after which another connection may do better; the last three concern its prepared statements."""

Row = dict[str, Any]
R = TypeVar("R")
Connection = psycopg.Connection[Row]


class Patience:
    """How long the sessions of one database wait for an answer; `shorten` counts for calls under way, too."""

    def __init__(self) -> None:
        self._at_most = math.inf

    @property
    def seconds(self) -> float:
        """What a call may take in all."""
        return min(self._at_most, ANSWER_WITHIN)

    def shorten(self, seconds: float) -> None:
        """Wait no longer than `seconds` from now on: the worker is about to stop."""
        self._at_most = seconds


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is: a libpq URL or DSN; also SQLAlchemy's form `postgresql+psycopg://…`.

    With `pgbouncer` nothing outlives a transaction: no start-up options, no prepared statements.
    """

    url: Secret
    pgbouncer: bool = False
    patience: Patience = field(default_factory=Patience, compare=False, repr=False)

    def session(self, part: str, within: timedelta | None = None) -> "Session":
        """A session of its own for one part of the worker; it connects when first used.

        Its statements may take as long as any, or no longer than `within`.
        """
        return Session(self, part, within)


class _Own(psycopg.Connection[Row]):
    """Gives up a server that stays silent for longer than its patience; with `local`, sets that in each transaction.

    A frozen host or pooler answers keepalives for ever, and statement_timeout does not bound a COMMIT that
    waits for a standby.
    """

    patience: Patience | None = None
    local: str | None = None
    _inside = False

    def wait(self, gen: PQGen[RV], *arguments: Any, **named: Any) -> RV:
        """Wait for an answer, but not for ever."""
        if self.patience is not None:
            gen = _within(self.patience, gen)
        return super().wait(gen, *arguments, **named)

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """Open a transaction, or a savepoint within one."""
        if self.local is None or self._inside:
            with super().transaction(savepoint_name, force_rollback) as opened:
                yield opened
            return
        self._inside = True
        try:
            with super().transaction(savepoint_name, force_rollback) as opened:
                super().execute(self.local)
                yield opened
        finally:
            self._inside = False

    def execute(self, query: Any, params: Any = None, **named: Any) -> psycopg.Cursor[Row]:
        """Execute one statement, in a transaction of its own when none is open."""
        with nullcontext() if self.local is None or self._inside else self.transaction():
            return super().execute(query, params, **named)


def _within(patience: Patience, answer: PQGen[RV]) -> PQGen[RV]:
    """Pass everything through; psycopg looks in ten times a second, whether or not something arrived."""
    began = time.monotonic()
    try:
        awaited = next(answer)
        while True:
            ready = yield awaited
            if time.monotonic() - began > patience.seconds:
                raise psycopg.OperationalError("no answer")
            awaited = answer.send(ready)
    except StopIteration as end:
        result: RV = end.value
        return result


def connect(
    url: Secret | str,
    *,
    pgbouncer: bool = False,
    application_name: str = "noti-worker",
    patience: Patience | None = None,
    settings: Mapping[str, str] = SETTINGS,
) -> _Own:
    """Open an autocommit connection whose rows are dicts; silence longer than `patience` is an error there.

    With `pgbouncer` each transaction sets `settings`, and a statement outside of one has its own.
    Raises ConfigurationError for a URL that cannot be read, DatabaseAway when nobody answers.
    """
    parameters: dict[str, Any] = dict(_LINE) | {"application_name": application_name}
    named = named_in(url.reveal() if isinstance(url, Secret) else url)
    if not pgbouncer:
        named["options"] = options(named.get("options"))
    parameters |= named | {"client_encoding": "utf8"}
    at_most = patience.seconds if patience else math.inf
    parameters["connect_timeout"] = str(math.ceil(min(int(parameters["connect_timeout"]), at_most)))
    try:
        connection = _Own.connect(
            "",
            autocommit=True,
            row_factory=dict_row,
            prepare_threshold=None if pgbouncer else 5,
            **with_addresses(parameters, min(at_most, RESOLVE_WITHIN)),
        )
    except OSError as error:
        raise DatabaseAway(str(error)) from None
    except psycopg.Error as error:
        # The server's or libpq's own words about the connection: host and role, never a row or a password.
        raise DatabaseAway(" ".join(str(error).split())[:500] or type(error).__name__) from None
    connection.patience = patience
    connection.local = local(settings) if pgbouncer else None
    if not pgbouncer and any(name in os.environ for name in ("PGDATESTYLE", "PGTZ")):
        with translated():
            connection.execute(of_environment())
    return connection


def named_in(url: str) -> dict[str, Any]:
    """What a URL or DSN says, as libpq's parameters.

    Raises ConfigurationError when it cannot be read, and when it says nothing: libpq would then enter whatever
    server it finds on this machine.
    """
    try:
        named = {name: value for name, value in conninfo_to_dict(_DRIVER.sub("postgresql://", url)).items() if value}
    except psycopg.ProgrammingError:
        # Its message quotes what it could not read, and that may be the password.
        raise ConfigurationError(f"database.url cannot be read: {_FORM}") from None
    if not named:
        raise ConfigurationError(f"database.url names no database: {_FORM}")
    _check_parts(url, named)
    for name in ("connect_timeout", "tcp_user_timeout"):
        given = str(named.get(name, _LINE[name]))
        if re.fullmatch(r"-?\d{1,9}", given) is None:
            raise ConfigurationError(f"database.url: {name} is {given!r}; give a whole number, like {_LINE[name]}")
    return named


def _check_parts(url: str, named: Mapping[str, Any]) -> None:
    """Refuse a URL whose password was cut: its rest would be host, port or name, and stand in errors as such."""
    if (found := _URL.match(url)) is not None and (
        found["rest"].count("@") > 1
        or "@" in found["rest"].partition("/")[2]
        or any("@" in host[1:] for host in str(named.get("host", "")).split(","))
        or not re.fullmatch(r"[\d,]*", str(named.get("port", "")))
    ):
        raise ConfigurationError(
            "database.url: a @ or / of its user, password or name divides it in the wrong place; write %40 for @,"
            " %2F for /, and a port is a number"
        )


def called(url: str) -> str:
    """Name the database of a URL or DSN for a person: name, host and port, as libpq will take them; no secret."""
    given = named_in(url)
    defaults = {
        each.keyword.decode(): each.val.decode() for each in psycopg.pq.Conninfo.get_defaults() if each.val is not None
    }

    def part(name: str) -> str:
        return str(given.get(name) or defaults.get(name) or "")

    if service := part("service"):
        return f"the one of the service {service}"
    host, port = part("host") or part("hostaddr") or "a local socket", part("port")
    name = part("dbname") or part("user")
    return f"{name} on {host}" + (f":{port}" if port not in {"", "5432"} and not host.startswith("/") else "")


class Session:
    """One connection for one part of the worker, made when needed and made anew after it broke.

    Callers of several threads take turns. A call raises DatabaseAway or DatabaseRefused and never waits
    for a database that is away: that is the worker's decision.
    """

    def __init__(self, database: Database, part: str, within: timedelta | None = None) -> None:
        self._database = database
        self._within = within
        self._name = f"noti-worker {part}"
        self._lock = threading.Lock()
        self._connection: _Own | None = None

    def open(self) -> None:
        """Connect, if it is not connected."""
        with self._opened():
            pass

    def run(self, statement: Statement, parameters: Mapping[str, object]) -> list[Row]:
        """Run one statement in a transaction of its own and give its rows, if it has any."""
        return self._run(statement, parameters, dict_row)

    def tuples(
        self, statement: Statement, parameters: Mapping[str, object], within: timedelta | None = None
    ) -> list[tuple[Any, ...]]:
        """Do as `run` does, and no longer than `within`; the rows are tuples, which cost a fifth of dicts."""
        return self._run(statement, parameters, tuple_row, within)

    def within(self, statement: Statement, parameters: Mapping[str, object], limit: timedelta) -> list[Row]:
        """Do as `run` does, and no longer than `limit`."""
        return self._run(statement, parameters, dict_row, limit)

    def rehearse(self, statement: Statement, parameters: Mapping[str, object]) -> None:
        """Run one statement and take back what it did; raises as `run`."""
        with self._opened() as connection, connection.transaction(force_rollback=True):
            _rows(_execute(connection, statement, parameters, tuple_row))

    @contextmanager
    def transaction(self) -> Iterator[Callable[[Statement, Mapping[str, object]], list[Row]]]:
        """Give what runs statements in one transaction: all of them are done, or none."""
        with self._opened() as connection, connection.transaction():
            yield lambda statement, given: _rows(_execute(connection, statement, given, dict_row))

    def together(self, asked: Sequence[tuple[Statement, Mapping[str, object]]]) -> list[list[Row]]:
        """Run several statements in one round trip; gives the rows of each. The first error is raised."""
        if len(asked) == 1:
            return [self.run(*asked[0])]
        with self._opened() as connection:
            with _settled(connection), connection.pipeline():
                cursors = [_execute(connection, statement, given, dict_row) for statement, given in asked]
            return [_rows(cursor) for cursor in cursors]

    def close(self) -> None:
        """Close the connection; a later call opens another. One that hangs in a call is left to it."""
        if self._lock.acquire(timeout=self._database.patience.seconds):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _connected(self) -> _Own:
        if self._connection is None or self._connection.closed:
            made = self._connection = connect(
                self._database.url,
                pgbouncer=self._database.pgbouncer,
                application_name=self._name,
                patience=self._database.patience,
            )
            if self._within is not None and made.local is not None:
                made.local += f"; SET LOCAL {_limit(self._within)}"
            elif self._within is not None:
                made.execute(f"SET {_limit(self._within)}".encode())
        return self._connection

    def _run(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        rows: RowFactory[R],
        within: timedelta | None = None,
    ) -> list[R]:
        with self._opened() as connection, _settled(connection, within):
            return _rows(_execute(connection, statement, parameters, rows))

    @contextmanager
    def _opened(self) -> Iterator[_Own]:
        """Give the connection to one caller at a time, and close it after an error that it does not survive."""
        with self._lock, translated():
            connection = self._connected()
            try:
                yield connection
            except BaseException as error:
                if not _usable_after(error, connection):
                    self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _settled(connection: _Own, within: timedelta | None = None) -> AbstractContextManager[object]:
    if within is not None:
        return _limited(connection, within)
    return nullcontext() if connection.local is None else connection.transaction()


@contextmanager
def _limited(connection: _Own, within: timedelta) -> Iterator[None]:
    with connection.transaction():
        connection.execute(f"SET LOCAL {_limit(within)}".encode())
        yield


def _limit(within: timedelta) -> str:
    return f"statement_timeout = {math.ceil(1000 * within.total_seconds())}"


def _usable_after(error: BaseException, connection: Connection) -> bool:
    if isinstance(error, psycopg.Error) and error.sqlstate is not None and _DROP.fullmatch(error.sqlstate):
        return False
    return connection.info.transaction_status is TransactionStatus.IDLE


def _execute(
    connection: Connection, statement: Statement, parameters: Mapping[str, object], rows: RowFactory[R]
) -> psycopg.Cursor[R]:
    # Binary: instants do not depend on DateStyle, and attachments are not blown up to hexadecimal.
    cursor = connection.cursor(binary=True, row_factory=rows)
    return cursor.execute(statement.sql, parameters)


def _rows(cursor: psycopg.Cursor[R]) -> list[R]:
    with cursor:
        return cursor.fetchall() if cursor.description else []
