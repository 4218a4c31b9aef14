"""The server and the schema: reach, pooler, version, encoding, clock, rights, triggers."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import psycopg

from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.domain.secret import Secret
from noti_worker.store import migrate
from noti_worker.store.connect import Connection, Patience, Row, connect
from noti_worker.store.errors import Refusal, translated
from noti_worker.store.people.doctor import ask
from noti_worker.store.settings import OF_PEOPLE

OLDEST = 15
SAFE = {15: 18, 16: 14, 17: 10, 18: 4}
"""The minor releases since which no hole is known that any SQL user can use; before them CVE-2026-6473 and others."""

SKEW = 2.0
"""Seconds by which the clocks of host and database may differ; one that is set by NTP differs by milliseconds."""


def open_plain(url: Secret) -> Connection:
    """A connection that a pooler takes too; raises ConfigurationError or DatabaseAway."""
    return connect(url, pgbouncer=True, application_name="noti-worker doctor", patience=Patience(), settings=OF_PEOPLE)


def reached(connection: Connection) -> Finding:
    """Say where we are."""
    info = connection.info
    return ok("database", f"reached {info.dbname} at {info.host or 'its socket'} port {info.port} as {info.user}")


def pooler(connection: Connection, url: Secret, *, configured: bool) -> Finding:
    """Tell whether `database.pgbouncer` says the truth.

    A pooler makes up the process number that it tells its clients, so it differs from the backend's own.
    """
    if _backend(connection) == connection.info.backend_pid:
        if configured:
            return warning(
                "pgbouncer",
                "database.pgbouncer is true, but there is no pooler in front of this database",
                "set database.pgbouncer = false: the worker then hears of new rows at once and prepares its statements",
            )
        return ok("pgbouncer", "no pooler is in between")
    if configured:
        return ok("pgbouncer", "a pooler is in between, as database.pgbouncer says")
    if _shared(connection, url):
        return problem(
            "pgbouncer",
            "a pooler that shares connections between transactions is in between, but database.pgbouncer is false",
            "set database.pgbouncer = true, and database.listen_url to a direct URL",
        )
    return warning(
        "pgbouncer",
        "a pooler is in between, but database.pgbouncer is false: fine only while it pools whole sessions",
        "connect to PostgreSQL directly, or set database.pgbouncer = true, and database.listen_url to a direct URL",
    )


def _backend(connection: Connection) -> int:
    with translated():
        row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row is not None
    return int(row["pid"])


def _shared(connection: Connection, url: Secret) -> bool:
    """Two open sessions on one backend, or one session on two: only a pooler of transactions does that."""
    with open_plain(url) as other:
        return _backend(other) == _backend(connection) or _backend(connection) != _backend(connection)


def listening(url: Secret) -> Finding:
    """Whether hints can arrive at `database.listen_url`."""
    try:
        with open_plain(url) as connection:
            direct = _backend(connection) == connection.info.backend_pid
    except DatabaseError as error:
        return problem("pgbouncer", f"database.listen_url is not reached: {error}", "mend it, or the worker only polls")
    if direct:
        return ok("pgbouncer", "database.listen_url leads to the database directly")
    return problem(
        "pgbouncer",
        "database.listen_url leads to a pooler, which does not pass on hints about new rows",
        "let it lead to PostgreSQL itself, or leave it out: then the worker polls",
    )


def server(connection: Connection) -> Iterator[Finding]:
    """Version, encoding, whether it can be written to and keeps what is written, clock."""
    before = _now()
    [row] = ask(connection, "doctor_server")
    host = before + (_now() - before) / 2
    yield _version(row["version_num"])
    if row["encoding"] == "UTF8":
        yield ok("encoding", "UTF8")
    else:
        yield problem(
            "encoding",
            f"the database's encoding is {row['encoding']}; it cannot hold every text",
            "make a database with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', and move there",
        )
    if row["read_only"]:
        yield problem(
            "database",
            "the database takes no writes: it is a standby, or read-only by default",
            "let database.url lead to the primary (with several hosts add target_session_attrs=read-write)",
        )
    if not row["autovacuum"]:
        yield problem(
            "autovacuum",
            "autovacuum is switched off for the whole server",
            "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
        )
    if row["unsafe"]:
        yield warning(
            "durability",
            f"{', '.join(row['unsafe'])}: off, so a crash of the server may take back what it said was committed",
            " ".join(f"ALTER SYSTEM SET {name} = on;" for name in row["unsafe"]) + " SELECT pg_reload_conf();",
        )
    yield _clock((row["now"] - host).total_seconds())


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the host's clock is what is looked at


def _version(number: int) -> Finding:
    major, minor = divmod(number, 10_000)
    shown = f"PostgreSQL {major}.{minor}"
    if major < OLDEST:
        return problem("version", f"{shown} is too old", f"upgrade the server to PostgreSQL {OLDEST} or newer")
    if minor < SAFE.get(major, 0):
        return warning(
            "version",
            f"{shown} has known security holes that any SQL user can use",
            f"update the server to {major}.{SAFE[major]} or newer: a new minor version needs only a restart",
        )
    return ok("version", shown)


def _clock(ahead: float) -> Finding:
    if abs(ahead) <= SKEW:
        return ok("clock", "host and database agree")
    which = "ahead of" if ahead > 0 else "behind"
    return warning(
        "clock",
        f"the database's clock is {abs(ahead):.1f} s {which} this host's",
        "set both by NTP; due times, leases and signatures of webhooks follow the database's",
    )


def schema(url: Secret, *, migrated: bool) -> Finding:
    """Missing, older, newer, or just right."""
    wanted = migrate.head()
    if not migrated:
        return problem("schema", "the schema noti is missing in this database", "run noti-worker migrate")
    now = migrate.current(url.reveal())
    try:
        pending = migrate.pending(url.reveal())
    except DatabaseError:
        return warning(
            "schema",
            f"the schema is at revision {now}, newer than this program, which knows {wanted}",
            "install the newer noti-worker here too; until then this one goes on working",
        )
    if pending:
        return problem(
            "schema",
            f"the schema is at revision {now or 'none'}, older than this program: {', '.join(pending)} is pending",
            "run noti-worker migrate; workers of the old version may run meanwhile",
        )
    return ok("schema", f"at revision {now}, the newest")


def rights(connection: Connection) -> Iterator[Finding]:
    """What the role may not do although a worker does it; and what our roles may not do although they should."""
    role = psycopg.sql.Identifier(ask(connection, "doctor_server")[0]["role"]).as_string(connection)
    lacking = [row["lacking"] for row in ask(connection, "doctor_entry") or _asked(connection, "doctor_rights")]
    roles = _asked(connection, "doctor_roles")
    if not lacking:
        yield ok("rights", f"the role {role} may do all that a worker does")
    elif mine := [row["role"] for row in roles if row["member"] and row["role"] != "noti_worker"]:
        yield ok("rights", f"the role {role} is a member of {', '.join(mine)}: it is no worker's")
    else:
        for each in lacking:
            todo = f"as the owner of the schema: GRANT {each} TO {role};"
            yield problem("rights", f"the role {role} lacks {each}", todo)
    yield from _groups(roles)
    for row in ask(connection, "doctor_triggers"):
        yield problem(
            "schema",
            f"the trigger {row['trigger']} of noti.{row['relation']} is switched off: rows are not guarded or audited",
            f"ALTER TABLE noti.{row['relation']} ENABLE TRIGGER {row['trigger']};",
        )


def places(connection: Connection) -> Iterator[Finding]:
    """Rows that nobody sees, lines that have no place: a worker would find nothing, or record nothing."""
    for row in ask(connection, "doctor_places"):
        if row["fault"] == "hidden":
            yield problem(
                "schema",
                f"row-level security is on for {row['relation']}, and no policy shows anybody a row of it",
                f"a policy for the worker's role, or: ALTER TABLE {row['relation']} DISABLE ROW LEVEL SECURITY;",
            )
        else:
            yield problem(
                "schema",
                f"{row['relation']} has no partition for today and no default one: nothing can be recorded, or sent",
                "as the owner of the schema: SELECT noti.add_log_partitions(now(), 1); and make a default one again",
            )


def _asked(connection: Connection, name: str) -> list[Row]:
    """What is found by our roles' rights; nothing in a schema older than they are, or where the role may not look."""
    try:
        with connection.transaction():  # its refusal must not end the transaction around it
            return ask(connection, name)
    except Refusal as refusal:
        if refusal.sqlstate not in _NO_ROLES:
            raise
        return []


_NO_ROLES = ("42501", "42883")  # SQLSTATE of a missing right and of a missing function
_MEND = "as an administrator, then as the owner of the schema: noti-worker migrate --roles-sql | psql"


def _groups(roles: Sequence[Row]) -> Iterator[Finding]:
    there = [row for row in roles if row["exists"]]
    if there and (missing := [row["role"] for row in roles if not row["exists"]]):
        yield warning("roles", f"{', '.join(missing)} are missing", _MEND)
    for row in there:
        if row["lacking"]:
            yield warning("roles", f"{row['role']} lacks {'; '.join(row['lacking'])}", _MEND)
        if row["powerful"]:
            todo = f"let people and programs log in as members: ALTER ROLE {row['role']} NOLOGIN NOSUPERUSER;"
            yield warning("roles", f"{row['role']} can log in, or is a superuser", todo)
    if there and not any(row["lacking"] or row["powerful"] for row in there) and len(there) == len(roles):
        yield ok("roles", f"{', '.join(row['role'] for row in there)} have just their rights")
