"""Runs the migrations: in one transaction, one migration at a time per database, versions in noti.alembic_version.

The database is `-x url=…`, else NOTI_DATABASE_URL, else sqlalchemy.url of alembic.ini: a URL or DSN of libpq.
"""

import os
from logging.config import fileConfig

import psycopg
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

SCHEMA = "noti"

# A member of noti_migrator makes everything that group's, so that any other member can migrate next time.
# Two migrations at once: the second waits here and then finds nothing left to do. After that, waiting for a table
# lock is short, because everybody who wants the table queues behind us; the work itself may take its time.
PREPARE = """\
SET LOCAL lock_timeout = '60s';
DO $$ BEGIN PERFORM pg_advisory_xact_lock(7700150); END $$;
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = 0;
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


def online() -> None:
    """Migrate the database."""
    # READ COMMITTED whatever the database's default: after the advisory lock the other's commit must be visible.
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url(), application_name="noti-worker migrate"),
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
    )
    with engine.connect() as connection:
        context.configure(connection=connection, version_table_schema=SCHEMA)
        with context.begin_transaction():
            connection.exec_driver_sql(PREPARE, execution_options={"no_parameters": True})
            context.run_migrations()


def offline() -> None:
    """Print the SQL instead (`--sql`)."""
    context.configure(dialect_name="postgresql", literal_binds=True, version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.get_context().impl.static_output(PREPARE)
        context.run_migrations()


if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
if context.is_offline_mode():
    offline()
else:
    online()
