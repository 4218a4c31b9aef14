"""The command `noti-worker`: its global options, its commands, and what an error looks like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from noti_worker import __version__
from noti_worker.cli.account import account
from noti_worker.cli.account_secrets import rotate, route, secret, test
from noti_worker.cli.categories import category
from noti_worker.cli.circuits import circuits
from noti_worker.cli.completion import completion
from noti_worker.cli.config import config
from noti_worker.cli.docs import docs
from noti_worker.cli.doctor import doctor
from noti_worker.cli.endpoint import endpoint
from noti_worker.cli.erasing import erase
from noti_worker.cli.examples import PROGRAM, epilog
from noti_worker.cli.fleet import fleet
from noti_worker.cli.limits import limit
from noti_worker.cli.moving import cancel, hold, release, requeue, retry
from noti_worker.cli.pausing import pause, resume
from noti_worker.cli.place import Place, own_file
from noti_worker.cli.provider import provider
from noti_worker.cli.reading import list_, why
from noti_worker.cli.receipts import receipts
from noti_worker.cli.retention import retention
from noti_worker.cli.rules import rules
from noti_worker.cli.running import demo, migrate, run
from noti_worker.cli.sending import send
from noti_worker.cli.suppression import suppression
from noti_worker.cli.tail import tail
from noti_worker.cli.templates import template
from noti_worker.cli.tenant import tenant
from noti_worker.cli.user import user
from noti_worker.cli.watching import status, top
from noti_worker.cli.web import web
from noti_worker.cli.webhook import webhook
from noti_worker.domain.errors import ConfigurationError, DatabaseAway, NotFound, NotiError


class _Misconfigured(click.ClickException):
    exit_code = 78


_HINTS: Mapping[type[NotiError], str] = {
    ConfigurationError: "noti-worker docs configuration has all settings",
    DatabaseAway: "noti-worker doctor looks into it",
    NotFound: "noti-worker list shows the newest notifications",
}
"""The next command after an error, where its own words do not name one."""


_SENTENCE = 500
"""Characters that a command may take to say what it does."""


class Commands(click.Group):
    """The commands in the order of a first day; errors raised on purpose become sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order of registration, not of the alphabet."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say of each command in a whole sentence what it does; click would cut it at the end of the line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_SENTENCE)) for name, each in self.commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and translate our errors."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise _Misconfigured(_advised(error)) from None
        except NotiError as error:
            raise click.ClickException(_advised(error)) from None


def _advised(error: NotiError) -> str:
    """Say what to do, where the SQLSTATE tells it."""
    match getattr(error, "sqlstate", None):
        case "42P01" | "3F000" | "42883" | "42703":
            return "the schema of this database is missing or older than this program: run noti-worker migrate"
        case "42501" if "row-level security" in str(error):
            return (
                f"{error}: the database role is bound to tenants, and this is none of its own\n"
                "Next: noti-worker tenant members"
            )
        case "42501":
            return f"{error}: the database role may not do this; noti-worker doctor tells what to grant"
        case _:
            hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
            return str(error) if not hint or "noti-worker " in str(error) else f"{error}\nNext: {hint}"


_WITHOUT_CONFIGURATION = {"demo", "docs", "completion", "fleet"}


@click.group(cls=Commands, epilog=PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; else NOTI_CONFIG, else /etc/noti-worker/noti-worker.toml if it exists, "
    "else ./noti-worker.toml if it is yours.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="The database, instead of the configured one. Other users see it in the process list: "
    "a password belongs into NOTI_DATABASE_URL or the configuration.",
)
@click.option(
    "--embedded",
    is_flag=True,
    help="Make the embedded database when there is none and none is configured; only run does so unasked.",
)
@click.version_option(__version__, "--version", prog_name="noti-worker", help="Print the version and end.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, database_url: str | None, embedded: bool) -> None:
    """Insert a row into PostgreSQL, and the message is delivered."""
    found = own_file(aloud=True) if config is None and ctx.invoked_subcommand not in _WITHOUT_CONFIGURATION else None
    ctx.obj = Place(config or found, database_url, embedded, found=found is not None)


_ORDER = (
    demo,
    run,
    web,
    migrate,
    send,
    status,
    top,
    list_,
    why,
    tail,
    requeue,
    retry,
    cancel,
    hold,
    release,
    pause,
    resume,
    circuits,
    category,
    limit,
    suppression,
    endpoint,
    receipts,
    tenant,
    template,
    retention,
    erase,
    user,
    doctor,
    config,
    provider,
    account,
    rules,
    webhook,
    fleet,
)
for _part in (secret, route, rotate, test):
    account.add_command(_part)
for _command in (*_ORDER, docs, completion):
    main.add_command(_command)
    _command.epilog = epilog(_command.name or "")
    if isinstance(_command, click.Group):
        for _name, _part in _command.commands.items():
            _part.epilog = epilog(f"{_command.name} {_name}")
