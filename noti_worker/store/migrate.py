"""Migrates the database by alembic, from the source tree and from an installed wheel."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg.conninfo import make_conninfo
from sqlalchemy.exc import DBAPIError

from noti_worker.domain.errors import DatabaseAway, DatabaseBusy, DatabaseError, DatabaseRefused
from noti_worker.store import revisions
from noti_worker.store.connect import named_in
from noti_worker.store.settings import OF_PEOPLE, RELIED_ON, local

TRIES = 60
PAUSE = 5.0
"""Seconds between them. A table that a dump reads is locked for a while; whoever inserts waits behind us no longer than
for the lock time-out of one try."""


_DEADLOCKS = 5
"""How often it is begun again at once when the server ended it so that somebody else could go on."""


class _Deadlock(DatabaseBusy):
    """We waited for somebody who waited for us; now they do not."""


def upgrade(url: str, revision: str = "head", rest: Callable[[float], None] | None = None) -> None:
    """Bring the database at the libpq `url` to `revision`; nothing to do is no error.

    With `rest`, which waits so many seconds, a migration that a lock was in the way of is begun again, up to 60 times.
    Raises DatabaseAway when it does not answer or is busy, DatabaseRefused when it says no (its first line is told),
    ConfigurationError for a URL that cannot be read.
    """
    for _ in range(TRIES - 1):
        try:
            return _run(command.upgrade, url, revision)
        except DatabaseBusy:
            if rest is None:
                raise
            rest(PAUSE)
    return _run(command.upgrade, url, revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision` (`base`: nothing left); errors as in `upgrade`."""
    _run(command.downgrade, url, revision)


def sql() -> str:
    """The statements that bring an empty database to the newest revision, for psql."""
    out = io.StringIO()
    command.upgrade(_config(output_buffer=out), "head", sql=True)
    return out.getvalue()


def roles_sql() -> str:
    """The script that makes the roles and grants their rights, for psql; it can be run again at any time."""
    script = (revisions.place() / "versions" / "0006_roles.sql").read_text(encoding="utf-8")
    # An administrator runs it: nothing that somebody put into another schema may stand in for what it calls.
    return f"SET search_path = {RELIED_ON['search_path']};\n{script}"


def missing_roles(url: str) -> list[str]:
    """The roles of ours that the server lacks; errors as in `upgrade`."""
    with _connected(url) as connection:
        found = connection.execute(
            "SELECT DISTINCT r.role FROM noti.rights_of_roles() r WHERE to_regrole(r.role) IS NULL ORDER BY 1"
        )
        return [row[0] for row in found]


def current(url: str) -> str | None:
    """The revision of the database, None before the first migration; errors as in `upgrade`."""
    with _connected(url) as connection:
        known = connection.execute("SELECT to_regclass('noti.alembic_version') IS NOT NULL").fetchone()
        if known != (True,):
            return None
        row = connection.execute("SELECT version_num FROM noti.alembic_version").fetchone()
        return None if row is None else str(row[0])


def head() -> str:
    """The newest revision that this version of noti-worker brings."""
    return revisions.known()[-1]


def pending(url: str) -> list[str]:
    """The revisions that the database still lacks, the next one first.

    Raises DatabaseRefused when the database is at a revision that this version does not know; else as `upgrade`.
    """
    now, known = current(url), revisions.known()
    if now is None:
        return known
    if now not in known:
        raise _unknown(now)
    return known[known.index(now) + 1 :]


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        # In one transaction: through a pooler nothing else is ours for longer.
        with psycopg.connect(
            _conninfo(url), application_name="noti-worker migrate", prepare_threshold=None
        ) as connection:
            connection.execute(local(OF_PEOPLE))
            yield connection
    except psycopg.Error as error:
        raise _translated(error) from None


def _run(command_: Callable[[Config, str], None], url: str, revision: str) -> None:
    """Migrate in one transaction; one that the server ended in a deadlock is begun again at once."""
    for _ in range(_DEADLOCKS):
        with suppress(_Deadlock):
            return _once(command_, url, revision)
    return _once(command_, url, revision)


def _once(command_: Callable[[Config, str], None], url: str, revision: str) -> None:
    config = _config()
    config.attributes["url"] = _conninfo(url)
    try:
        command_(config, revision)
    except DBAPIError as error:
        cause = error.orig
        assert isinstance(cause, psycopg.Error)
        raise _translated(cause) from None
    except psycopg.Error as error:
        raise _translated(error) from None
    except CommandError as error:
        pending(url)  # a newer database is the likely cause, and deserves its own words
        raise DatabaseRefused(str(error)) from None


def _conninfo(url: str) -> str:
    # The texts of migrations are UTF-8, whatever an environment variable says.
    return make_conninfo(**named_in(url) | {"client_encoding": "utf8"})


def _unknown(revision: str) -> DatabaseRefused:
    return DatabaseRefused(
        f"the database is at revision {revision}, which this version does not know: install a newer noti-worker"
    )


def _translated(error: psycopg.Error) -> DatabaseError:
    """The error with its SQLSTATE and first line: migrations put no row content there, nor does a connection."""
    text = f"{error.sqlstate or 'no answer'}: {error.diag.message_primary or ' '.join(str(error).split())[:500]}"
    if error.sqlstate == "40P01":
        return _Deadlock(text)
    if error.sqlstate == "55P03":
        return DatabaseBusy(text)
    away = isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:2] in {"08", "53", "55", "57"}
    return DatabaseAway(text) if away else DatabaseRefused(text)


def _config(output_buffer: io.StringIO | None = None) -> Config:
    """A configuration without a file."""
    config = Config(output_buffer=output_buffer)
    config.set_main_option("script_location", str(revisions.place()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
