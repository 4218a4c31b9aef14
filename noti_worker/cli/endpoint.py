"""`endpoint`: URLs of tenants that hear what became of messages."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli import completion
from noti_worker.cli.kinds import MOMENT, SPAN, moment, span
from noti_worker.cli.place import Place
from noti_worker.cli.rest import rest
from noti_worker.cli.show import moment as shown
from noti_worker.cli.show import plain, show_json
from noti_worker.domain.notification import Channel
from noti_worker.domain.spans import span as in_words

if TYPE_CHECKING:
    from noti_worker.store.people.endpoints import EndpointLine
    from noti_worker.store.people.listing import Story

ALL = "all"
_LOOK_EVERY = 0.1


def _owner(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    channel, _, address = (value or "").partition(":")
    if value is None:
        return None
    if channel not in set(Channel) or not address:
        raise click.BadParameter("write CHANNEL:ADDRESS, like email:ops@example.com")
    return channel, address


def _several(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    return () if ALL in value else value or None


def _events(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    from noti_worker.store.people.endpoints import EVENTS

    for one in value:
        if one not in {*EVENTS, ALL}:
            raise click.BadParameter(f"{one!r} is none of {', '.join(EVENTS)}, {ALL}")
    return _several(ctx, param, value)


_NAME = click.argument("name", metavar="NAME")
_TENANT = click.option("--tenant", metavar="TENANT", default="default", show_default=True, help="Whose endpoint.")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON: the endpoint.")
_OPTIONS = (
    click.option("--event", "events", multiple=True, metavar="EVENT", callback=_events, help="What it hears of; all."),
    click.option(
        "--channel",
        "channels",
        multiple=True,
        type=click.Choice([*(channel.value for channel in Channel), ALL]),
        callback=_several,
        help="Of messages of this channel.",
    ),
    click.option(
        "--account", metavar="NAME", shell_complete=completion.accounts, help="Who sends; else as webhooks are routed."
    ),
    click.option(
        "--owner", metavar="CHANNEL:ADDRESS", callback=_owner, help="Who is told when it fails for five days."
    ),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def endpoint_words(line: "EndpointLine") -> str:
    """An endpoint in one line, with how it is."""
    what = ", ".join(line.events) or "all events"
    of = f" of {', '.join(line.channels)}" if line.channels else ""
    waiting = f"; {line.waiting} events wait" if line.waiting else ""
    state = f"{line.state} since {shown(line.state_since)}" if line.state != "enabled" else line.state
    reason = f": {line.state_reason}" if line.state_reason and line.state != "enabled" else ""
    failing = f"; it fails since {shown(line.failing_since)}" if line.failing_since else ""
    error = f": {line.error}" if line.failing_since and line.error else ""
    return plain(
        f"{line.name} of tenant {line.tenant_id} ({line.url}): {what}{of}; {state}{reason}{failing}{error}{waiting}"
    )


@click.group()
def endpoint() -> None:
    """Look after the URLs that hear what became of messages."""


@endpoint.command("list")
@click.option("--tenant", metavar="TENANT", help="Of this tenant; else of all.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the endpoints.")
@click.pass_obj
def list_endpoints(place: Place, tenant: str | None, as_json: bool) -> None:
    """List the endpoints: what they hear of, how they are, and how much waits for them."""
    from noti_worker.store.people.endpoints import endpoints

    with place.connection() as connection:
        lines = endpoints(connection, tenant)
    if as_json:
        show_json({"endpoints": [asdict(line) for line in lines]})
        return
    for line in lines:
        click.echo(endpoint_words(line))
    if not lines:
        click.echo("there is no endpoint", err=True)


@endpoint.command()
@_NAME
@click.argument("url", metavar="URL")
@_TENANT
@_options
@_JSON
@click.pass_obj
def add(place: Place, /, name: str, url: str, tenant: str, as_json: bool, **given: Any) -> None:
    """Add an endpoint NAME: what happens from now on is posted to URL, signed as webhooks are."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        line = endpoints.add(connection, tenant, name, endpoints.Given(url=url, **given))
    _tell("added", line, as_json=as_json)
    if not as_json:
        click.echo(f"its receiver's secret: noti-worker webhook secret {plain(url)} --tenant {plain(tenant)}", err=True)


@endpoint.command("set")
@_NAME
@_TENANT
@click.option("--url", metavar="URL", help="Where to; what is on its way to the old one is taken back and sent again.")
@_options
@_JSON
@click.pass_obj
def set_(place: Place, /, name: str, tenant: str, as_json: bool, **given: Any) -> None:
    """Change what is said of the endpoint NAME, and nothing else of it."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        line = endpoints.change(connection, tenant, name, endpoints.Given(**given))
    _tell("changed", line, as_json=as_json)


@endpoint.command()
@_NAME
@_TENANT
@_JSON
@click.pass_obj
def enable(place: Place, name: str, tenant: str, as_json: bool) -> None:
    """Let the endpoint NAME hear again; one that failed goes on with the first event that it did not get."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        line = endpoints.change(connection, tenant, name, endpoints.Given(state="enabled"))
    _tell("enabled", line, as_json=as_json)


@endpoint.command()
@_NAME
@_TENANT
@click.option("--reason", metavar="TEXT", help="Why, for those who look at it.")
@_JSON
@click.pass_obj
def disable(place: Place, name: str, tenant: str, reason: str | None, as_json: bool) -> None:
    """Let the endpoint NAME hear nothing more; what happens meanwhile is not kept for it."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        line = endpoints.change(connection, tenant, name, endpoints.Given(state="disabled", reason=reason))
    _tell("disabled", line, as_json=as_json)


@endpoint.command()
@_NAME
@_TENANT
@click.pass_obj
def remove(place: Place, name: str, tenant: str) -> None:
    """Remove the endpoint NAME; what is on its way to it is cancelled."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        endpoints.remove(connection, tenant, name)
    click.echo(f"removed: {plain(name)} of tenant {plain(tenant)}")


@endpoint.command()
@_NAME
@_TENANT
@click.option(
    "--since", metavar=MOMENT, required=True, callback=moment, help="From then on: 2d ago, or an instant with a zone."
)
@click.option("--json", "as_json", is_flag=True, help="JSON: how many events.")
@click.pass_obj
def recover(place: Place, name: str, tenant: str, since: timedelta | datetime, as_json: bool) -> None:
    """Tell the endpoint NAME again, in order, all that happened since then; events are kept for 14 days."""
    from noti_worker.store.people import endpoints

    with place.connection() as connection:
        events = endpoints.recover(connection, tenant, name, since)
    if as_json:
        show_json({"events": events})
    else:
        click.echo(f"{plain(name)} of tenant {plain(tenant)} is told again: {events} events")


@endpoint.command("test")
@_NAME
@_TENANT
@click.option("--timeout", metavar=SPAN, callback=span, default="30s", show_default=True, help="Wait so long for it.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the notification and its try.")
@click.pass_obj
def test_(place: Place, name: str, tenant: str, timeout: timedelta, as_json: bool) -> None:
    """Let a worker send a test event to the endpoint NAME, and show what it answered."""
    from noti_worker.store.people import endpoints, listing

    with place.connection() as connection:
        number = endpoints.try_out(connection, tenant, name)
        for _ in range(int(timeout.total_seconds() / _LOOK_EVERY)):
            story = listing.why(connection, number)
            if story.tries or story.line is None or story.line.finished_at is not None:
                break
            rest(_LOOK_EVERY)
        story = listing.why(connection, number)  # once more: its events may have been read before its tries
    if as_json:
        show_json({"notification_id": number, "tries": [asdict(one) for one in story.tries]})
    else:
        click.echo(plain(_answer(story, timeout)))
    if not any(one.status == "sent" for one in story.tries):
        sys.exit(1)


def _answer(story: "Story", timeout: timedelta) -> str:
    told = [event for event in story.events if event.event.startswith("try ") or event.event in {"failed", "next"}]
    if story.tries:
        return f"notification {story.notification_id}: {told[0].detail}"
    waited = f"nothing was sent within {in_words(timeout.total_seconds())}"
    return f"notification {story.notification_id}: {waited}; {told[-1].detail if told else 'nobody knows why'}"


def _tell(what: str, line: "EndpointLine", *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(line))
    else:
        click.echo(f"{what}: {endpoint_words(line)}")
