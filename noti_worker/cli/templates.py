"""`template`: texts by name, looked at, checked and published, with all that they ever said."""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.kinds import json_object
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment as shown_moment
from noti_worker.cli.show import plain, show, show_json, table
from noti_worker.cli.template_files import Folder, Key, Text, chosen, load
from noti_worker.cli.template_lint import ERROR, lint
from noti_worker.cli.template_publishing import (
    NAME,
    PATHS,
    ROOT,
    TENANT,
    by_key,
    of,
    publish,
    published,
    rollback,
    tell,
)
from noti_worker.domain.errors import BadNotification, NotFound
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.store.people.templates import Kept

# Marks of direction and joiners, which texts in Arabic or Hindi have and a terminal does not show.
_MARKS = dict.fromkeys(map(ord, "\u200c\u200d\u200e\u200f\u061c"))
CHANNELS = click.Choice([channel.value for channel in Channel])
_FROM = click.option(
    "--from", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Of this folder, not what is published."
)
_ZONE = click.option("--zone", metavar="ZONE", help="Whose clock dates go by, like Europe/Berlin; else UTC.")
_LOCALE = click.option("--locale", metavar="TAG", help="The language, like de or pt-BR.")


_TEMPLATE = """Look after templates: check and preview them in a folder, publish them, go back.

In a folder, order-shipped.html and order-shipped.txt are the HTML and the text of one template,
order-shipped.de.html is its HTML in German, order-shipped.sms.txt what it says as an SMS, and order-shipped.json
data to try it with. The subject stands at the top, between two lines of ---, as `subject: Your order`."""


@click.group(help=_TEMPLATE)
def template() -> None:
    """Look after templates: check and preview them in a folder, publish them, go back."""


def _data(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any] | None:
    if value is not None and value.startswith("@"):
        try:
            value = Path(value[1:]).read_bytes().decode()
        except (OSError, UnicodeError) as error:
            raise click.BadParameter(f"{value} cannot be read: {type(error).__name__}") from None
    return json_object(ctx, param, value)


_DATA = click.option(
    "--data", metavar="JSON|@FILE", callback=_data, help="What is filled in; else NAME.json of the folder."
)


@template.command("list")
@click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_templates(place: Place, tenant: tuple[str, ...], as_json: bool) -> None:
    """List the templates that are published, with their newest version, languages and channels."""
    from noti_worker.store.people import templates

    with place.connection() as connection:
        found = templates.listed(connection, tenant)
    if as_json:
        show_json([asdict(line) for line in found])
        return
    if not found:
        click.echo("no template is published", err=True)
        return
    columns = ("tenant", "template", "version", "texts", "published", "by")
    show(
        table(
            columns,
            [
                (
                    line.tenant_id,
                    line.template_id,
                    line.version,
                    ", ".join(of(channel, locale) for channel, locale in line.texts),
                    shown_moment(line.published_at),
                    line.published_by,
                )
                for line in found
            ],
        )
    )


@template.command("show")
@NAME
@TENANT
@click.option("--version", type=click.IntRange(1), metavar="N", help="As of this version, not the newest.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the texts, and every version.")
@click.pass_obj
def show_template(place: Place, name: str, tenant: str, version: int | None, as_json: bool) -> None:
    """Print the texts of a template, and who published which version when."""
    from noti_worker.store.people import templates

    with place.connection() as connection:
        found = published(connection, tenant, name, version)
        past = templates.history(connection, tenant, name)
    if as_json:
        show_json({"texts": [asdict(text) for text in found], "versions": [_line(one) for one in past]})
        return
    for text in found:
        click.echo(f"== {plain(name)} {of(text.channel, text.locale)}, version {text.version}")
        for part in ("subject", "body", "html"):
            if (words := getattr(text, part)) is not None:
                click.echo(f"-- {part}\n" + "\n".join(plain(line) for line in words.splitlines()))
    click.echo("== versions")
    for one in past:
        gone = ", withdrawn" if one.body is None and one.html is None else ""
        by = f"{shown_moment(one.published_at)} by {plain(one.published_by)}"
        click.echo(f"{one.version:>4}  {of(one.channel, one.locale):<12} {by}{gone}")


def _line(one: "Kept") -> dict[str, Any]:
    names = ("version", "channel", "locale", "published_at", "published_by")
    return {name: getattr(one, name) for name in names} | {"withdrawn": one.body is None and one.html is None}


_DIFF = """Tell how version B of a template differs from A; B is the newest unless said, or what lies in a folder.

Exit code 1 says that they differ."""


@template.command("diff", help=_DIFF)
@NAME
@click.argument("old", metavar="[A]", type=click.IntRange(1), required=False)
@click.argument("new", metavar="[B]", type=click.IntRange(1), required=False)
@TENANT
@_FROM
@click.pass_obj
def diff_template(place: Place, name: str, old: int | None, new: int | None, tenant: str, folder: Path | None) -> None:
    """Tell how version B of a template differs from A; B is the newest unless said, or what lies in a folder."""
    from noti_worker.store.people import templates

    with place.connection() as connection:
        newest = templates.history(connection, tenant, name)
        if not newest:
            published(connection, tenant, name)
        if old is None:
            old = newest[0].version if folder else max(newest[0].version - 1, 1)
        before = by_key(templates.texts(connection, tenant, name, old))
        after = by_key(templates.texts(connection, tenant, name, new))
    if folder is not None:
        after = {key: text for key, text in load(folder).texts.items() if key[0] == name}
    lines = list(_differences(before, after, f"version {old}", str(folder) if folder else f"version {new or 'newest'}"))
    for line in lines:
        click.echo(plain(line))
    if lines:
        sys.exit(1)


def _differences(before: Mapping[Key, Text], after: Mapping[Key, Text], old: str, new: str) -> Any:
    for key in sorted({*before, *after}):
        for part in ("subject", "body", "html"):
            sides = [texts[key].parts.get(part, "").splitlines() if key in texts else [] for texts in (before, after)]
            label = f"{' '.join(filter(None, key))} {part}"
            yield from unified_diff(sides[0], sides[1], f"{label}, {old}", f"{label}, {new}", lineterm="")


_LINT = """Check templates in files or a folder, without any database: what no message could be made of.

Exit code 1 says that there are errors. A template that is used by others, or has a _ in front of its name, is
checked where it is used."""


@template.command("lint", help=_LINT)
@PATHS
@ROOT
@_DATA
@click.option("--strict", is_flag=True, help="Warnings are errors, too.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of what is wrong.")
def lint_templates(
    paths: tuple[Path, ...], root: Path | None, data: dict[str, Any] | None, strict: bool, as_json: bool
) -> None:
    """Check templates in files or a folder, without any database: what no message could be made of."""
    from noti_worker.cli.template_rendering import renderer

    folder, texts = chosen(paths, root)
    with renderer() as opened:
        faults = lint(opened, folder, texts, data)
    if as_json:
        show_json([asdict(fault) for fault in faults])
    else:
        tell(faults)
        click.echo(f"{len(texts)} texts checked, {len(faults)} faults found", err=True)
    if any(strict or fault.level == ERROR for fault in faults):
        sys.exit(1)


@template.command("preview")
@NAME
@_DATA
@_LOCALE
@_ZONE
@click.option("--channel", type=CHANNELS, default="email", show_default=True, help="The channel.")
@_FROM
@TENANT
@click.option("--version", type=click.IntRange(1), metavar="N", help="As of this version, not the newest.")
@click.option("--open", "browser", is_flag=True, help="Show it in a browser, as wide as a window and as a telephone.")
@click.option("--html", "only_html", is_flag=True, help="Print the HTML and nothing else.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the page of --open to a file.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the parts as they would be sent.")
@click.pass_obj
def preview_template(
    place: Place,
    name: str,
    data: dict[str, Any] | None,
    locale: str | None,
    zone: str | None,
    channel: str,
    folder: Path | None,
    tenant: str,
    version: int | None,
    browser: bool,
    only_html: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Fill a template in and show what would be sent: a mail, an SMS in its parts, or what else. Nothing is sent."""
    from noti_worker.cli.template_page import page
    from noti_worker.cli.template_rendering import fill, renderer
    from noti_worker.cli.template_shelf import find

    shelf = load(folder) if folder is not None else _shelf(place, tenant, name, version)
    text = find(shelf.texts, name, channel, locale)
    if text is None:
        where = f"in {folder}" if folder else f"published for tenant {tenant!r}"
        raise NotFound(f"there is no template {name!r} {where} for {channel} in {locale or 'no language'}")
    own = data if data is not None else shelf.data_for(name, locale)
    try:
        with renderer() as opened:
            shown = fill(opened, shelf.texts, text, channel, locale, own or {}, tenant, zone)
    except BadNotification as bad:
        raise BadNotification(f"{bad}" + ("" if own is not None else "; give it data with --data")) from None
    about = f"{text} for {channel}" + (f", asked for in {locale}" if locale else "")
    if as_json:
        names = ("channel", "subject", "text", "html", "parts")
        show_json({each: getattr(shown, each) for each in names} | {"locale": text.locale or None})
    elif only_html:
        if shown.html is None:
            raise click.ClickException("it has no HTML for this channel")
        click.echo(shown.html)
    elif out is not None or browser:
        path = out or Path(tempfile.mkdtemp(prefix="noti-preview-")) / "preview.html"
        path.write_text(page(shown, about), encoding="utf-8")
        click.echo(path)
        if browser:
            click.launch(path.resolve().as_uri())
    else:
        _print(shown, about)


def _print(shown: Any, about: str) -> None:
    click.echo(plain(about))
    if shown.subject is not None:
        click.echo(f"subject: {plain(shown.subject)}")
    for number, part in enumerate(shown.parts, 1):
        click.echo(f"-- part {number} of {len(shown.parts)} ({shown.encoding}, {len(part)} characters)\n{_lines(part)}")
    if not shown.parts and shown.text is not None:
        click.echo(f"-- text{', made from the HTML' if shown.made else ''}\n{_lines(shown.text)}")
    if shown.html is not None:
        click.echo(f"-- HTML of {len(shown.html.encode()) / 1024:.1f} kB: --open shows it, --html prints it")


def _lines(text: str) -> str:
    return "\n".join(plain(line.translate(_MARKS)) for line in text.rstrip("\n").split("\n"))


def _shelf(place: Place, tenant: str, name: str, version: int | None) -> Folder:
    from noti_worker.store.people import templates

    with place.connection() as connection:
        own = published(connection, tenant, name, version)
        others = [text for text in templates.texts(connection, tenant) if text.template_id != name]
    return Folder(by_key([*own, *others]))


@template.command("test")
@NAME
@click.option("--to", required=True, metavar="ADDRESS", help="Whom it goes to: you.")
@_DATA
@_LOCALE
@click.option("--channel", type=CHANNELS, default="email", show_default=True, help="The channel.")
@click.option("--version", type=click.IntRange(1), metavar="N", help="As of this version, not the newest.")
@TENANT
@click.pass_obj
def test_template(
    place: Place,
    name: str,
    to: str,
    data: dict[str, Any] | None,
    locale: str | None,
    channel: str,
    version: int | None,
    tenant: str,
) -> None:
    """Send a published template for real, to an address of yours; prints the id of the notification."""
    from noti_worker.store.people import moves

    fields = {
        "channel": channel,
        "recipient": to,
        "template_id": name,
        "template_data": data,
        "template_version": version,
        "locale": locale,
        "tenant_id": tenant,
        "priority": "high",
        "metadata": {"test": True},
    }
    with place.connection() as connection:
        published(connection, tenant, name, version)
        line = moves.send(connection, {key: value for key, value in fields.items() if value is not None})
    click.echo(line.notification_id)
    click.echo(f"noti-worker why {line.notification_id} tells what becomes of it", err=True)


template.add_command(publish)
template.add_command(rollback)
