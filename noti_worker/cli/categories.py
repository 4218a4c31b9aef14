"""`category`: what messages are about, who may refuse them, and how long they are worth sending."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.kinds import SPAN, span
from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show, show_json, table
from noti_worker.domain.notification import Channel
from noti_worker.domain.spans import span as spanned

if TYPE_CHECKING:
    from noti_worker.store.people.categories import CategoryLine

_TENANT = click.option(
    "--tenant", metavar="ID", default="", help="Of this tenant alone; else of all that have none of their own."
)


def _channels(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    named = [word.strip() for word in value.split(",") if word.strip()]
    known = [channel.value for channel in Channel]
    if wrong := [word for word in named if word not in known]:
        raise click.BadParameter(f"{wrong[0]!r} is no channel. Name some of {', '.join(known)}, with commas between.")
    return named


def _titles(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    titles = {}
    for one in value:
        tag, found, text = one.partition("=")
        if not found or not tag.strip():
            raise click.BadParameter(f"{one!r} names no language. Write it like de=Neuigkeiten.")
        titles[tag.strip()] = text.strip()
    return titles


def _span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """None: nothing was said; nothing at all: forget it."""
    return timedelta(0) if value == "" else span(ctx, param, value)


def _cap(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, timedelta] | tuple[()] | None:
    if not value:
        return None if value is None else ()
    amount, found, every = value.partition("/")
    if not found or not amount.strip().isdecimal():
        raise click.BadParameter(f"{value!r} is no cap. Write how many in how long, like 3/7d.")
    return int(amount), span(ctx, param, every.strip()) or timedelta(0)


@click.group()
def category() -> None:
    """Look after categories: what must go out, what needs a yes, and how people read their names."""


@category.command("list")
@click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant; '' is what holds for all of them.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the categories.")
@click.pass_obj
def list_categories(place: Place, tenant: tuple[str, ...], as_json: bool) -> None:
    """Tell what is said of each category, and how many people chose it or refused it."""
    from noti_worker.store.people.categories import categories

    with place.connection() as connection:
        lines = categories(connection, tenant or None)
    if as_json:
        show_json({"categories": [asdict(line) for line in lines]})
    elif lines:
        show(_table(lines))
    else:
        click.echo("nothing is said of any category (noti-worker category set)", err=True)


def _table(lines: "Sequence[CategoryLine]") -> Any:
    columns = ("category", "tenant", "kind", "channels", "expires after", "title", "yes", "no")
    return table(
        columns,
        [
            (
                line.category,
                line.tenant_id or "(all)",
                _kind(line) or "-",
                ", ".join(line.channels or ()) or "the person's",
                spanned(line.expires_after_seconds) or "as rows say",
                line.title or "-",
                line.chosen_by,
                line.refused_by,
            )
            for line in lines
        ],
    )


def _kind(line: "CategoryLine") -> str:
    words = (("mandatory", line.mandatory), ("opt-in", line.opt_in), ("can be left", line.can_be_left))
    return ", ".join(word for word, holds in words if holds)


def category_words(line: "CategoryLine") -> str:
    """A category in one line."""
    parts = [_kind(line) or "goes to who does not refuse it"]
    parts += ["by " + ", ".join(line.channels)] if line.channels else []
    parts += [f"worth sending for {spanned(line.expires_after_seconds)}"] if line.expires_after_seconds else []
    parts += [] if line.quiet else ["in quiet hours, too"]
    parts += [f"goes out {line.send_window}"] if line.send_window else []
    over = "the rest waits" if line.cap_over == "wait" else "the rest is dropped"
    parts += (
        [f"at most {line.cap_amount} to a person in {spanned(line.cap_seconds)}, {over}"] if line.cap_amount else []
    )
    parts += [f"what they say is kept for {spanned(line.keep_seconds)}"] if line.keep_seconds else []
    parts += [f'called "{line.title}"'] if line.title else []
    parts += ["in " + ", ".join(sorted(line.titles))] if line.titles else []
    of = f" of tenant {line.tenant_id}" if line.tenant_id else ""
    return plain(f"{line.category}{of}: {'; '.join(parts)}")


@category.command("set")
@click.argument("name", metavar="NAME")
@_TENANT
@click.option("--mandatory/--no-mandatory", default=None, help="Goes out whatever people choose.")
@click.option("--opt-in/--no-opt-in", default=None, help="Goes only to who said yes to it.")
@click.option("--can-be-left/--no-can-be-left", default=None, help="Its messages carry a link that unsubscribes.")
@click.option(
    "--channels", metavar="LIST", callback=_channels, help="By which it goes, as email,push; '' forgets them."
)
@click.option(
    "--expires-after",
    metavar=SPAN,
    callback=_span,
    help="How long it is worth sending, where a row does not say; '' forgets it.",
)
@click.option("--title", metavar="TEXT", help="How people read its name; '' forgets it.")
@click.option(
    "--title-in",
    "titles",
    metavar="TAG=TEXT",
    multiple=True,
    callback=_titles,
    help="The same in a language: de=Neuigkeiten; more of them are added, de= forgets it.",
)
@click.option("--quiet/--no-quiet", default=None, help="Waits for the end of people's quiet hours, unless --no-quiet.")
@click.option("--window", "send_window", metavar="TEXT", help="Goes out then alone, as 'weekdays 9-18'; '' forgets it.")
@click.option("--cap", metavar="N/SPAN", callback=_cap, help="At most so many to a person, as 3/7d; '' forgets it.")
@click.option("--over", "cap_over", type=click.Choice(["wait", "drop"]), help="What becomes of those over the cap.")
@click.option(
    "--keep",
    "keep_content",
    metavar=SPAN,
    callback=_span,
    help="Keep what its messages say for so long; '' forgets it.",
)
@click.option("--dry-run", is_flag=True, help="Only see whether it may be set; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: what is said of it then.")
@click.pass_obj
def set_(
    place: Place,
    name: str,
    tenant: str,
    mandatory: bool | None,
    opt_in: bool | None,
    can_be_left: bool | None,
    channels: list[str] | None,
    expires_after: timedelta | None,
    title: str | None,
    titles: dict[str, str],
    quiet: bool | None,
    send_window: str | None,
    cap: tuple[int, timedelta] | tuple[()] | None,
    cap_over: str | None,
    keep_content: timedelta | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say something of the category NAME; what is not given stays as it is."""
    from noti_worker.store.people import categories

    given: dict[str, Any] = {
        "mandatory": mandatory,
        "opt_in": opt_in,
        "can_be_left": can_be_left,
        "channels": channels,
        "expires_after": expires_after,
        "title": title,
        "quiet": quiet,
        "send_window": send_window,
        "cap_over": cap_over,
        "keep_content": keep_content,
    }
    said = {key: value for key, value in given.items() if value is not None}
    forgettable = ("channels", "expires_after", "title", "send_window", "keep_content")
    said |= {key: said[key] or None for key in forgettable if key in said}
    if cap is not None:
        said["cap_amount"], said["cap_every"] = cap or (None, None)
    with place.connection() as connection:
        if titles:
            before = [line for line in categories.categories(connection, [tenant]) if line.category == name]
            merged = (before[0].titles or {} if before else {}) | titles
            said["titles"] = {tag: text for tag, text in merged.items() if text} or None
        line = categories.set_category(connection, tenant, name, said, by=person(), dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, **asdict(line)})
    else:
        click.echo(f"{'would be set' if dry_run else 'set'}: {category_words(line)}")


@category.command("remove")
@click.argument("name", metavar="NAME")
@_TENANT
@click.option("--dry-run", is_flag=True, help="Only tell whether there is something to remove; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: whether something was removed.")
@click.pass_obj
def remove(place: Place, name: str, tenant: str, dry_run: bool, as_json: bool) -> None:
    """Say nothing of the category NAME any more; what people chose of it stays, and holds."""
    from noti_worker.store.people import categories

    with place.connection() as connection:
        removed = categories.remove_category(connection, tenant, name, by=person(), dry_run=dry_run)
    of = f" of tenant {plain(tenant)}" if tenant else ""
    if as_json:
        show_json({"dry_run": dry_run, "removed": removed})
    elif removed:
        click.echo(f"{'would be removed' if dry_run else 'removed'}: {plain(name)}{of}")
    else:
        click.echo(f"nothing is said of the category {plain(name)}{of}", err=True)
    if not removed:
        raise SystemExit(1)
