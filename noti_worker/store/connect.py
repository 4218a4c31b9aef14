"""Connections for a worker: limited in time, with plans that do not hang on statistics, and plain errors."""

import math
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory, dict_row, tuple_row

from noti_worker.domain.errors import BadNotification, ConfigurationError, DatabaseAway, DatabaseBusy, DatabaseRefused
from noti_worker.domain.secret import Secret
from noti_worker.store.names import with_addresses
from noti_worker.store.statements import Statement

SETTINGS: Mapping[str, str] = {
    # Nothing waits for ever: not a statement, not for a lock, not an open transaction.
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    # The hot statements find their rows by index whether or not the table was ever analyzed.
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "jit": "off",
    # What the driver reads must not depend on the settings of a role or database.
    "datestyle": "ISO",
    "timezone": "UTC",
    # Who may create in `public` could slip in a function or operator that fits better than PostgreSQL's own.
    "search_path": "pg_catalog,pg_temp",
}
"""What every session (behind PgBouncer: every transaction) of a worker sets."""

_LINE: Mapping[str, str] = {
    "connect_timeout": "5",
    # Keepalives find a dead peer on an idle line only; unacknowledged data needs the user timeout (ms).
    "tcp_user_timeout": "10000",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "client_encoding": "utf8",
}

RESOLVE_WITHIN = 5.0
"""Seconds to find the addresses of all hosts; then each of them has `connect_timeout`."""

ANSWER_WITHIN = 15.0
"""Seconds that a session of a worker waits for an answer, five more than any statement may take."""

_DRIVER = re.compile(r"^postgres(?:ql)?\+\w+://")

_FORM = "give postgresql://user:password@host:port/name or a libpq string"

_AWAY = re.compile(r"08...|53...|57...|58...|25006|25P03")
"""SQLSTATEs that pass by themselves: broken line, no resources, shut down, standby, idle too long."""

_BUSY = re.compile(r"40001|40P01|55P03|57014")
"""Those that a database in the best of health gives, too: another transaction was in the way."""

_DROP = re.compile(r"08...|57P..|58...|25006|25P03|0A000|26000|42P05")
"""Those after which another connection may do better; the last three concern its prepared statements."""

_PINNED = f"SET LOCAL search_path = {SETTINGS['search_path']}; SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'"
"""For people behind a pooler; not by SELECT, because SET TRANSACTION may follow."""
_SET_LOCAL = "SELECT " + ", ".join(f"pg_catalog.set_config('{n}', '{value}', true)" for n, value in SETTINGS.items())

Row = dict[str, Any]
R = TypeVar("R")
Connection = psycopg.Connection[Row]


class Refusal(DatabaseRefused):
    """DatabaseRefused with the SQLSTATE (None when the driver itself refused the value)."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


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

    def session(self, part: str) -> "Session":
        """A session of its own for one part of the worker; it connects when first used."""
        return Session(self, part)


class _Impatient(psycopg.Connection[Row]):
    """Gives up a server that stays silent for longer than its patience.

    A frozen host or pooler answers keepalives for ever, and statement_timeout does not bound a COMMIT that
    waits for a standby.
    """

    patience: Patience | None = None

    def wait(self, gen: PQGen[RV], *arguments: Any, **named: Any) -> RV:
        if self.patience is not None:
            gen = _within(self.patience, gen)
        return super().wait(gen, *arguments, **named)


class _Pooled(_Impatient):
    """Behind a pooler nothing outlives a transaction: each sets anew what it relies on."""

    @contextmanager
    def transaction(self, *arguments: Any, **named: Any) -> Iterator[psycopg.Transaction]:
        outermost = self.info.transaction_status is TransactionStatus.IDLE
        with super().transaction(*arguments, **named) as transaction:
            if outermost:
                super().execute(_PINNED)
            yield transaction

    def execute(self, *arguments: Any, **named: Any) -> psycopg.Cursor[Row]:
        if self.info.transaction_status is not TransactionStatus.IDLE:
            return super().execute(*arguments, **named)
        with self.transaction():
            return super().execute(*arguments, **named)


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
) -> Connection:
    """Open an autocommit connection whose rows are dicts; silence longer than `patience` is an error there.

    Raises ConfigurationError for a URL that cannot be read, DatabaseAway when nobody answers.
    """
    parameters: dict[str, Any] = dict(_LINE) | {"application_name": application_name}
    named = named_in(url.reveal() if isinstance(url, Secret) else url)
    if not pgbouncer:
        ours = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        # The options of the URL win over ours, but for the search path: an application's may be in the same URL.
        named["options"] = f"{ours} {named.get('options') or ''} -c search_path={SETTINGS['search_path']}"
    parameters |= named
    at_most = patience.seconds if patience else math.inf
    parameters["connect_timeout"] = str(math.ceil(min(int(parameters["connect_timeout"]), at_most)))
    try:
        connection = (_Pooled if pgbouncer else _Impatient).connect(
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
    for name in ("connect_timeout", "tcp_user_timeout"):
        given = str(named.get(name, _LINE[name]))
        if re.fullmatch(r"-?\d{1,9}", given) is None:
            raise ConfigurationError(f"database.url: {name} is {given!r}; give a whole number, like {_LINE[name]}")
    return named


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into DatabaseAway and DatabaseRefused: SQLSTATE and class, never row content."""
    try:
        yield
    except psycopg.Error as error:
        # The message of a violated CHECK holds the whole row: it must not even be the cause.
        raise _translate(error) from None
    except (UnicodeError, OverflowError) as error:
        raise Refusal(f"the driver refused a value ({type(error).__name__})", None) from None


@contextmanager
def in_words() -> Iterator[None]:
    """Let the words of our own checks and triggers through, which never show content; else as `translated`."""
    with translated():
        try:
            yield
        except psycopg.Error as error:
            words = error.diag.message_primary or ""
            if words.startswith("noti: "):
                raise BadNotification(words.removeprefix("noti: ")) from None
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise BadNotification(str(error)) from None


def _translate(error: psycopg.Error) -> DatabaseAway | Refusal:
    name = type(error).__name__
    if error.sqlstate is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return DatabaseAway(f"the connection is lost ({name})")
        return Refusal(f"the driver refused a value ({name})", None)
    if _BUSY.fullmatch(error.sqlstate):
        return DatabaseBusy(f"another transaction was in the way ({error.sqlstate} {name})")
    if _AWAY.fullmatch(error.sqlstate):
        return DatabaseAway(f"the database does not answer for now ({error.sqlstate} {name})")
    return Refusal(f"the database refused ({error.sqlstate} {name})", error.sqlstate)


class Session:
    """One connection for one part of the worker, made when needed and made anew after it broke.

    Callers of several threads take turns. A call raises DatabaseAway or DatabaseRefused and never waits
    for a database that is away: that is the worker's decision.
    """

    def __init__(self, database: Database, part: str) -> None:
        self._database = database
        self._name = f"noti-worker {part}"
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def run(self, statement: Statement, parameters: Mapping[str, object]) -> list[Row]:
        """Run one statement in a transaction of its own and give its rows, if it has any."""
        return self._run(statement, parameters, dict_row)

    def tuples(self, statement: Statement, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Do as `run` does; the rows are tuples, which cost a fifth of dicts."""
        return self._run(statement, parameters, tuple_row)

    def close(self) -> None:
        """Close the connection; a later call opens another. One that hangs in a call is left to it."""
        if self._lock.acquire(timeout=self._database.patience.seconds):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._database.url,
                pgbouncer=self._database.pgbouncer,
                application_name=self._name,
                patience=self._database.patience,
            )
        return self._connection

    def _run(self, statement: Statement, parameters: Mapping[str, object], rows: RowFactory[R]) -> list[R]:
        with self._lock, translated():
            connection = self._connected()
            try:
                if not self._database.pgbouncer:
                    return _fetch(connection, statement, parameters, rows)
                # Settings of a session would leak to other clients of the pooler.
                with connection.transaction():
                    connection.execute(_SET_LOCAL)
                    return _fetch(connection, statement, parameters, rows)
            except BaseException as error:
                if not _usable_after(error, connection):
                    self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _usable_after(error: BaseException, connection: Connection) -> bool:
    if isinstance(error, psycopg.Error) and error.sqlstate is not None and _DROP.fullmatch(error.sqlstate):
        return False
    return connection.info.transaction_status is TransactionStatus.IDLE


def _fetch(
    connection: Connection, statement: Statement, parameters: Mapping[str, object], rows: RowFactory[R]
) -> list[R]:
    # Binary: instants do not depend on DateStyle, and attachments are not blown up to hexadecimal.
    with connection.cursor(binary=True, row_factory=rows) as cursor:
        cursor.execute(statement.sql, parameters)
        return cursor.fetchall() if cursor.description else []
