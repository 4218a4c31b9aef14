"""`config show`: every setting as it stands, and where it comes from."""

import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show_json

if TYPE_CHECKING:
    from noti_worker.settings.shown import Shown


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from: default, file and line, or variable.")
@click.option("--json", "as_json", is_flag=True, help="JSON: an array of key, value and origin.")
@click.pass_obj
def show(place: Place, origin: bool, as_json: bool) -> None:
    """Print every setting as a line of TOML; secrets are shown as *** and not even read."""
    from noti_worker.accounts import provider_of
    from noti_worker.settings import shown

    settings = list(shown.show(place.config, os.environ, lambda account: provider_of(account).Settings))
    if place.database_url is not None:
        settings = [
            replace(each, value="***", origin="--database-url") if each.key == "database.url" else each
            for each in settings
        ]
    if as_json:
        show_json([asdict(each) for each in settings])
        return
    lines = [(_line(each), each.origin) for each in settings]
    width = min(60, max(len(line) for line, _ in lines))
    for line, where in lines:
        click.echo(plain(f"{line:<{width}}  # {where}" if origin else line))


def _line(setting: "Shown") -> str:
    if setting.value is None:
        return f"# {setting.key} is not set"
    return f"{setting.key} = {json.dumps(setting.value, ensure_ascii=False)}"
