"""Runs the migrations: in one transaction, one migration at a time per database, versions in noti.alembic_version.

The database is `-x url=…`, else NOTI_DATABASE_URL, else sqlalchemy.url of alembic.ini: a URL or DSN of libpq.
"""

import os
from logging.config import fileConfig
from pathlib import Path
from typing import Any

import psycopg
from alembic import context
from alembic.util import load_python_file
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

SCHEMA = "noti"

steps = load_python_file(str(Path(__file__).parent), "steps.py")
mended = load_python_file(str(Path(__file__).parent), "mended.py").mended

# First of all, names are looked up where nobody else can put something. Then what the texts rely on, whatever the
# database or the role has set: no function is read before it is called (a cast of somebody's makes an old text
# ambiguous, and a newer file mends it), and what is good enough for PL/pgSQL by default is good enough.
# A member of noti_migrator makes everything that group's, so that any other member can migrate next time.
# Two migrations at once: the second waits here and then finds nothing left to do. After that, waiting for a table
# lock is short, because everybody who wants the table queues behind us (`noti-worker migrate` tries again, and again);
# the work itself may take its time.
PREPARE = f"""\
{steps.PINNED}
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL jit = off;
DO $$ BEGIN
  IF current_setting('transaction_timeout', true) IS NOT NULL THEN
    PERFORM set_config('transaction_timeout', '0', true);
  END IF;
END $$;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL transform_null_equals = off;
SET LOCAL array_nulls = on;
SET LOCAL datestyle = 'ISO';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL check_function_bodies = off;
SET LOCAL plpgsql.extra_errors = 'none';
SET LOCAL plpgsql.extra_warnings = 'none';
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(7700150); END $$;
SET LOCAL lock_timeout = '2s';
DO $$ BEGIN
  IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
     AND pg_has_role(current_user, to_regrole('noti_migrator'), 'USAGE')
     AND NOT EXISTS (SELECT FROM pg_namespace n
                      WHERE n.nspname = 'noti' AND n.nspowner <> to_regrole('noti_migrator')) THEN
    SET LOCAL ROLE noti_migrator;
  END IF;
  IF to_regnamespace('noti') IS NULL THEN CREATE SCHEMA noti; END IF;
END $$;
"""


def url() -> str:
    """The libpq URL or DSN of the database; alembic.util.CommandError's text says how to name one."""
    found = (
        context.config.attributes.get("url")
        or context.get_x_argument(as_dictionary=True).get("url")
        or os.environ.get("NOTI_DATABASE_URL")
        or context.config.get_main_option("sqlalchemy.url")
    )
    if not found:
        raise SystemExit("no database: use alembic -x url=postgresql://… or set NOTI_DATABASE_URL")
    return str(found).replace("postgresql+psycopg://", "postgresql://", 1)


def connected() -> psycopg.Connection[Any]:
    """Connect; a transaction is open, which lasts while SQLAlchemy looks around, so that it is pinned as well."""
    # Through a pooler a prepared statement would stay behind for others.
    connection = psycopg.connect(
        url(), application_name="noti-worker migrate", client_encoding="utf8", prepare_threshold=None
    )
    # READ COMMITTED whatever the database's default: after the advisory lock the other's commit must be visible.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.execute(f"{steps.PINNED} SET LOCAL statement_timeout = 0;")
    return connection


def online() -> None:
    """Migrate the database."""
    engine = create_engine("postgresql+psycopg://", creator=connected, poolclass=NullPool)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def mend(_1: Any, _2: Any, statement: str, parameters: Any, _3: Any, _4: Any) -> tuple[str, Any]:
        return mended(statement), parameters

    with engine.connect() as connection:
        context.configure(connection=connection, version_table_schema=SCHEMA)
        with context.begin_transaction():
            connection.exec_driver_sql(PREPARE, execution_options={"no_parameters": True})
            context.run_migrations()


def offline() -> None:
    """Print the SQL instead (`--sql`)."""
    context.configure(dialect_name="postgresql", literal_binds=True, version_table_schema=SCHEMA)
    output = context.get_context().impl.static_output
    context.get_context().impl.static_output = lambda text: output(mended(text))  # type: ignore[method-assign]
    with context.begin_transaction():
        context.get_context().impl.static_output(f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n{PREPARE}")
        context.run_migrations()


if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
if context.is_offline_mode():
    offline()
else:
    online()
