"""`tail`: what happens to notifications, as it happens."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from noti_worker.cli.filters import filter_options
from noti_worker.cli.place import Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import moment, plain, show_json

if TYPE_CHECKING:
    from noti_worker.store.people.filters import Filter
    from noti_worker.store.people.tail import News

_EVERY = 1.0
"""Seconds between two looks."""


@click.command()
@filter_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="End after so many.")
@click.option("--json", "as_json", is_flag=True, help="JSON: one line for each event.")
@click.pass_obj
def tail(place: Place, chosen: "Callable[[], Filter]", limit: int | None, as_json: bool) -> None:
    """Follow what happens to notifications that fit, from now on, until Ctrl-C."""
    from noti_worker.store.people.tail import Tail

    shown = 0
    with suppress(KeyboardInterrupt), place.connection() as connection:
        following = Tail(connection, chosen())
        click.echo("following", err=True)
        while True:
            for news in following.look():
                if as_json:
                    show_json(asdict(news), compact=True)
                else:
                    click.echo(_words(news))
                shown += 1
                if shown == limit:
                    return
            rest(_EVERY)


def _words(news: "News") -> str:
    line = news.notification
    about = f"{line.channel} to {line.recipient}" + (f" of {line.tenant_id}" if line.tenant_id != "default" else "")
    detail = f" ({news.detail})" if news.detail else ""
    return plain(f"{moment(news.at)}  {line.notification_id}  {news.event}  {about}{detail}")
