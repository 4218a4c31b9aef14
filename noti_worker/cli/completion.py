"""`completion`: what a shell needs to complete our commands, options and names."""

import click

from noti_worker.cli.place import Place, own_file
from noti_worker.domain.errors import ConfigurationError


def accounts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of the configured accounts, for the shell."""
    named = ctx.find_root().params.get("config")
    found = own_file(aloud=False) if named is None else None
    try:
        names = Place(named or found, None, found=found is not None).configured().accounts
    except ConfigurationError:
        return []
    return [name for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion of SHELL, to be read by it at its start."""
    from click.shell_completion import get_completion_class

    made_by = get_completion_class(shell)
    assert made_by is not None
    click.echo(made_by(ctx.find_root().command, {}, "noti-worker", "_NOTI_WORKER_COMPLETE").source())
