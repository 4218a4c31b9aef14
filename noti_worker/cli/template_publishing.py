"""`template publish` and `rollback`: what differs becomes a version; and what the other commands find published."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show_json
from noti_worker.cli.template_files import Key, Text, chosen
from noti_worker.cli.template_lint import ERROR, Fault, lint
from noti_worker.domain.errors import BadNotification, NotFound

if TYPE_CHECKING:
    from noti_worker.store.connect import Connection
    from noti_worker.store.people.templates import Kept

PATHS = click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
NAME = click.argument("name", metavar="NAME")
TENANT = click.option("--tenant", default="default", show_default=True, metavar="ID", help="Whose template.")
ROOT = click.option(
    "--root", type=click.Path(path_type=Path), help="The folder that names begin in; else that of the files."
)


def of(channel: str, locale: str) -> str:
    """What a text is for, in words."""
    return " ".join(filter(None, (channel, locale))) or "all"


def published(connection: "Connection", tenant: str, name: str, version: int | None = None) -> "list[Kept]":
    """The texts of a template as of a version; raises NotFound without any."""
    from noti_worker.store.people import templates

    found = templates.texts(connection, tenant, name, version)
    if not found:
        as_of = f" as of version {version}" if version is not None else ""
        raise NotFound(f"there is no template {name!r} of tenant {tenant!r}{as_of}; noti-worker template list has all")
    return found


def by_key(kept: "Sequence[Kept]") -> dict[Key, Text]:
    """What is published, as texts."""
    texts = (Text(one.template_id, one.channel, one.locale, one.subject, one.body, one.html) for one in kept)
    return {text.key: text for text in texts}


def tell(faults: Sequence[Fault]) -> None:
    """Print faults, a line each."""
    for fault in faults:
        click.echo(plain(f"{fault.file}: {fault.level}: {fault.what}"))


def _publishing(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON: the versions."),
        click.option("--dry-run", is_flag=True, help="Only tell what would be published."),
        TENANT,
    ):
        command = option(command)
    return command


@click.command("publish")
@PATHS
@ROOT
@click.option("--withdraw", is_flag=True, help="Take published texts of these templates away that have no file.")
@click.option("--no-lint", is_flag=True, help="Publish in spite of errors.")
@_publishing
@click.pass_obj
def publish(
    place: Place,
    paths: tuple[Path, ...],
    root: Path | None,
    withdraw: bool,
    no_lint: bool,
    tenant: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Publish templates from files or a folder: what differs becomes a new version, for later messages."""
    from noti_worker.cli.template_rendering import renderer
    from noti_worker.store.people import templates

    folder, texts = chosen(paths, root)
    with renderer() as opened:
        faults = [fault for fault in lint(opened, folder, texts) if fault.level == ERROR]
    tell(faults)
    if faults and not no_lint:
        raise click.ClickException("nothing is published: mend the errors, or say --no-lint")
    told = []
    with place.connection() as connection, connection.transaction():
        for name in sorted({text.template_id for text in texts}):
            before = by_key(templates.texts(connection, tenant, name))
            after = {text.key: text for text in texts if text.template_id == name}
            if not withdraw:
                after = before | after
            told.append(_publish(connection, tenant, name, before, after, dry_run))
    _told(told, dry_run, as_json, "publish")


@click.command("rollback")
@NAME
@click.option("--to", "version", type=click.IntRange(1), metavar="N", help="To this version; else the one before.")
@_publishing
@click.pass_obj
def rollback(place: Place, name: str, version: int | None, tenant: str, dry_run: bool, as_json: bool) -> None:
    """Publish once more what a template said as of an earlier version, in all languages and for all channels."""
    from noti_worker.store.people import templates

    with place.connection() as connection, connection.transaction():
        past = templates.history(connection, tenant, name)
        if not past:
            published(connection, tenant, name)
        version = version or past[0].version - 1
        if not 1 <= version < past[0].version:
            raise BadNotification(f"there is no version before {past[0].version} to go back to, or not {version}")
        before = by_key(templates.texts(connection, tenant, name))
        after = by_key(templates.texts(connection, tenant, name, version))
        told = [_publish(connection, tenant, name, before, after, dry_run)]
    _told(told, dry_run, as_json, f"go back to version {version}, publish")


def _publish(
    connection: "Connection",
    tenant: str,
    name: str,
    before: Mapping[Key, Text],
    after: Mapping[Key, Text],
    dry_run: bool,
) -> dict[str, Any]:
    """Publish what differs, as one version; gives what was published."""
    from noti_worker.store.people import templates

    changed: list[dict[str, Any]] = []
    for key in sorted({*before, *after}):
        place = {"channel": key[1], "locale": key[2]}
        if key not in after:
            changed.append({**place, "withdrawn": True})
        elif key not in before or before[key].parts != after[key].parts:
            changed.append({**place, **after[key].parts})
    version = None
    if changed and not dry_run:
        version = templates.publish(connection, tenant, name, changed, person())
    texts = [{each: one.get(each) for each in ("channel", "locale", "withdrawn")} for one in changed]
    return {"template_id": name, "tenant_id": tenant, "version": version, "texts": texts}


def _told(told: Sequence[Mapping[str, Any]], dry_run: bool, as_json: bool, doing: str) -> None:
    if as_json:
        show_json({"dry_run": dry_run, "published": told})
        return
    for one in told:
        said = ", ".join(
            of(text["channel"], text["locale"]) + (" (withdrawn)" if text["withdrawn"] else "") for text in one["texts"]
        )
        if not one["texts"]:
            click.echo(plain(f"{one['template_id']}: nothing differs"))
        elif dry_run:
            click.echo(plain(f"{one['template_id']}: would {doing} {said}"))
        else:
            click.echo(plain(f"{one['template_id']} version {one['version']}: {said}"))
