"""The driver's errors in the house's words: SQLSTATE and class, never row content."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from noti_worker.domain.errors import BadNotification, DatabaseAway, DatabaseBusy, DatabaseRefused, TimedOut

_AWAY = re.compile(r"08...|53...|57...|58...|25006|25P03")
"""SQLSTATEs that pass by themselves: broken line, no resources, shut down, standby, idle too long."""

_BUSY = re.compile(r"40001|40P01|55P03|57014")
"""Those that a database in the best of health gives, too: another transaction was in the way, or somebody cancelled."""

LONG = 1.0
"""Seconds; a statement that ended earlier was not ended for its time: no limit is that short."""

_WHOLE = ("0A", "26", "28", "3D", "3F", "42")
"""Classes of a fault of the statement, of a right, of something that does not exist."""

_RAISED = re.compile(r"^PL/pgSQL function (?P<name>[^\s(]{1,100})\(", re.MULTILINE)
"""Where in the context of an error the function stands that raised it: at its start."""

_NAMED = {
    "42501": re.compile(
        r"^(?P<words>permission denied for [a-z]{1,20} [^\s@]{1,100}"
        r'|new row violates row-level security policy( \(USING expression\))? for table "[^"]{1,120}")$'
    ),
    "42P01": re.compile(r'^(?P<words>relation "[^"]{1,120}" does not exist)$'),
}
"""SQLSTATEs whose message names a thing of the schema and nothing else."""


class Refusal(DatabaseRefused):
    """DatabaseRefused with the SQLSTATE (None when the driver itself refused the value)."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message, whole=sqlstate is not None and sqlstate.startswith(_WHOLE))
        self.sqlstate = sqlstate


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into DatabaseAway and DatabaseRefused: SQLSTATE and class, never row content."""
    began = time.monotonic()
    try:
        yield
    except psycopg.Error as error:
        # The message of a violated CHECK holds the whole row: it must not even be the cause.
        raise _translate(error, time.monotonic() - began) from None
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


def _translate(error: psycopg.Error, seconds: float) -> DatabaseAway | Refusal:
    name = type(error).__name__
    if error.sqlstate is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return DatabaseAway(f"the connection is lost ({name})")
        return Refusal(f"the driver refused a value ({name})", None)
    if error.sqlstate in {"57014", "55P03"} and seconds >= LONG:  # 55P03: it waited for a lock as long as it may
        inside = f", in {found['name']}()" if (found := _RAISED.search(error.diag.context or "")) else ""
        return TimedOut(f"the statement took longer than it may ({error.sqlstate} {name}{inside})")
    if _BUSY.fullmatch(error.sqlstate):
        return DatabaseBusy(f"another transaction was in the way ({error.sqlstate} {name})")
    if _AWAY.fullmatch(error.sqlstate):
        return DatabaseAway(f"the database does not answer for now ({error.sqlstate} {name})")
    return Refusal(f"the database refused ({error.sqlstate} {name}{_where(error)})", error.sqlstate)


def _where(error: psycopg.Error) -> str:
    """What refused it: names of the schema only, no value."""
    said = error.diag
    table = f" of {said.schema_name}.{said.table_name}" if said.schema_name and said.table_name else ""
    if said.constraint_name:
        return f", constraint {said.constraint_name}{table}"
    if raised := _RAISED.match(said.context or ""):
        return f", raised by {raised['name']}()"
    if error.sqlstate in _NAMED and (named := _NAMED[error.sqlstate].match(said.message_primary or "")):
        return f", {named['words']}"
    return table.replace(" of ", ", ", 1)
