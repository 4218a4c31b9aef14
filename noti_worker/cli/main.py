"""The command `noti-worker`: its global options, its commands, and what an error looks like."""

from pathlib import Path
from typing import Any

import click

from noti_worker import __version__
from noti_worker.cli.docs import docs
from noti_worker.cli.moving import cancel, hold, release, requeue
from noti_worker.cli.pausing import pause, resume
from noti_worker.cli.place import Place
from noti_worker.cli.reading import list_, why
from noti_worker.cli.running import demo, migrate, run
from noti_worker.cli.sending import send
from noti_worker.cli.watching import status, top
from noti_worker.domain.errors import ConfigurationError, NotiError

_EPILOG = """\
Without a configured database an embedded PostgreSQL is used: started if it is not up, for the time of the command.

\b
Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 wrong configuration.
"""


class _Misconfigured(click.ClickException):
    exit_code = 78


class Commands(click.Group):
    """The commands in the order of a first day; errors raised on purpose become sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order of registration, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and translate our errors."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise _Misconfigured(str(error)) from None
        except NotiError as error:
            raise click.ClickException(_advised(error)) from None


def _advised(error: NotiError) -> str:
    """Say what to do, where the SQLSTATE tells it."""
    match getattr(error, "sqlstate", None):
        case "42P01" | "3F000" | "42883" | "42703":
            return "the schema of this database is missing or older than this program: run noti-worker migrate"
        case "42501":
            return f"{error}: the database role may not do this, use another one or grant it"
        case _:
            return str(error)


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; else NOTI_CONFIG, else /etc/noti-worker/noti-worker.toml if it exists.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="The database, instead of the configured one. Other users see it in the process list: "
    "a password belongs into NOTI_DATABASE_URL or the configuration.",
)
@click.version_option(__version__, "--version", prog_name="noti-worker", help="Print the version and end.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, database_url: str | None) -> None:
    """Insert a row into PostgreSQL, and the message is delivered."""
    ctx.obj = Place(config, database_url)


for _command in (
    demo,
    run,
    migrate,
    send,
    status,
    top,
    list_,
    why,
    requeue,
    cancel,
    hold,
    release,
    pause,
    resume,
    docs,
):
    main.add_command(_command)
