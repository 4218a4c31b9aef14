"""Who may create in `public` cannot make our sessions run it: names are looked up where only the server's own are."""

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.migrations.test_databases import looks, works
from tests.store.rows import insert

Connection = psycopg.Connection[tuple[object, ...]]

FUNCTIONS = (
    "format(text, text)", "format(text, name)", "format(text, text, text)", "format(text, text, text, text)",
    "format(text, text, name)", "format(text, regclass)", "format(text, text, regclass)", "format(text, timestamptz)",
    "lower(name)", "lower(text)", "length(name)", "now()", "clock_timestamp()", "gen_random_uuid()",
    "pg_has_role(name, name, text)", "pg_has_role(text, text, text)", "to_regrole(name)", "to_regclass(varchar)",
    "set_config(text, text, boolean)", "concat_ws(text, text, text)", "concat(text, text)",
    "array_to_string(name[], text)", "array_to_string(text[], text)", "quote_ident(name)", "quote_ident(text)",
    "quote_literal(timestamptz)",
    "json_to_recordset(json)", "round(double precision, int)",
    "jsonb_build_object(text, text)", "jsonb_strip_nulls(jsonb)", "num_nulls(text, text)", "version()",
    "current_schema()", "current_database()", "pg_get_userbyid(int)", "to_json(timestamptz)",
    "to_char(timestamptz, varchar)", "replace(varchar, varchar, varchar)", "generate_series(int, bigint)",
    "pg_advisory_xact_lock(int)",
    "has_schema_privilege(text, text)", "has_table_privilege(text, text)",
)  # fmt: skip
"""What fits our calls better than PostgreSQL's own, or as well, which counts where the path begins with `public`."""

OPERATORS = (
    "*(bigint, interval)", "*(int, interval)", "*(interval, numeric)", "*(interval, int)", "/(interval, int)",
    "||(text, bigint)", "||(text, int)", "||(text, name)", "||(text, regprocedure)", "||(name, text)",
    "||(text, text)", "=(text, name)", "=(name, text)", "=(oid, int)", "=(oid, regclass)", "=(text, text)",
    "=(bigint, int)",
    "<>(name, text)", "+(timestamptz, interval)", "-(timestamptz, timestamptz)", "-(timestamptz, interval)",
    "<(timestamptz, timestamptz)", "<=(timestamptz, timestamptz)", ">=(timestamptz, timestamptz)", "~(name, text)",
    "->(jsonb, text)", "?(jsonb, text)",
)  # fmt: skip


def traps() -> Iterator[str]:
    """Functions and operators of a stranger; each leaves a mark that no rollback wipes off."""
    yield "CREATE SEQUENCE public.sprung; GRANT ALL ON public.sprung TO PUBLIC"
    body = "SETOF record LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.nextval('public.sprung'); RETURN; END $$"
    single = body.replace("SETOF record", "{}").replace("RETURN;", "RETURN NULL;")
    kinds = {"now()": "timestamptz", "clock_timestamp()": "timestamptz", "gen_random_uuid()": "uuid"}
    for name in FUNCTIONS:
        yield f"CREATE FUNCTION public.{name} RETURNS {single.format(kinds.get(name, 'text'))}"
    for number, operator in enumerate(OPERATORS):
        symbol, _, operands = operator.partition("(")
        left, right = operands.rstrip(")").split(", ")
        kind = "boolean" if symbol in {"=", "<>", "<", "<=", ">=", "~", "?"} else "text"
        kind = {"*": "interval", "/": "interval", "+": "timestamptz", "->": "jsonb"}.get(symbol, kind)
        yield f"CREATE FUNCTION public.trap{number}({left}, {right}) RETURNS {single.format(kind)}"
        yield (
            f"CREATE OPERATOR public.{symbol} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.trap{number})"
        )


@pytest.fixture(params=["", "ALTER DATABASE {} SET search_path = public, pg_catalog"], ids=["default", "public first"])
def trapped(request: pytest.FixtureRequest, empty_database_url: str) -> Iterator[Connection]:
    """A database in which somebody who may create in `public` has lain in wait."""
    with psycopg.connect(empty_database_url, autocommit=True) as administrator:
        administrator.execute("GRANT ALL ON SCHEMA public TO PUBLIC; CREATE ROLE noti_mallory")
        administrator.execute("SET ROLE noti_mallory")
        for trap in traps():
            administrator.execute(trap.encode())
        administrator.execute("RESET ROLE")
        administrator.execute("SET search_path = pg_catalog")
        if request.param:
            administrator.execute(request.param.format(f'"{administrator.info.dbname}"').encode())
        yield administrator
        administrator.execute("DROP OWNED BY noti_mallory CASCADE; DROP ROLE noti_mallory")


def sprung(administrator: Connection) -> object:
    found = administrator.execute("SELECT is_called FROM public.sprung").fetchone()
    administrator.execute("SELECT setval('public.sprung', 1, false)")
    assert found is not None
    return found[0]


def test_the_traps_would_spring(trapped: Connection, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as careless:
        for query in ("SELECT format('%s', 'x'::text)", "SELECT 5::bigint * interval '1 s'"):
            careless.execute(query.encode())
            assert sprung(trapped) is True


@pytest.mark.fault("F68")
def test_migrating_springs_none(trapped: Connection, empty_database_url: str) -> None:
    url = empty_database_url
    migrate.upgrade(url, "0002")
    migrate.upgrade(url)
    assert migrate.pending(url) == migrate.missing_roles(url) == []
    migrate.downgrade(url, "0006")
    migrate.upgrade(url)
    assert sprung(trapped) is False


@pytest.mark.fault("F68")
def test_the_printed_sql_springs_none(cluster: Server, trapped: Connection, empty_database_url: str) -> None:
    psql = [
        str(cluster.bin / "psql"),
        "--no-psqlrc",
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        empty_database_url,
    ]
    for statements in (migrate.roles_sql(), migrate.sql(), migrate.roles_sql()):
        done = subprocess.run(psql, input=statements.encode(), capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr.decode()) == (0, "")
    assert sprung(trapped) is False


@pytest.mark.fault("F68")
@pytest.mark.parametrize("pgbouncer", [False, True], ids=["direct", "as through a pooler"])
def test_workers_and_people_spring_none(trapped: Connection, empty_database_url: str, pgbouncer: bool) -> None:
    migrate.upgrade(empty_database_url)
    ids = insert(trapped, 5)
    trapped.execute("SELECT noti.hold(%s)", [ids[3]])
    assert sprung(trapped) is False
    works(empty_database_url, pgbouncer=pgbouncer)
    looks(empty_database_url, ids, pgbouncer=pgbouncer)
    assert sprung(trapped) is False
