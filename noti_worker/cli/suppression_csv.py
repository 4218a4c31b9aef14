"""`suppression import` and `export`: the list as CSV, one entry a line, read and written as it comes."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from noti_worker.cli.pausing import person
from noti_worker.cli.place import Place
from noti_worker.cli.show import plain, show_json
from noti_worker.domain.notification import Channel
from noti_worker.domain.suppression import Reason

if TYPE_CHECKING:
    from noti_worker.store.people.suppressions import NewEntry

LONGEST_LINE = 64 * 1024
"""Bytes: an address, a note and a dozen short fields have at most a sixth of it."""

_TAKEN = ("address", "channel", "tenant_id", "reason", "category", "note", "expires_at", "reported_at")
_TOLD = ("suppression_id", "address_hash", "source", "notification_id", "hits", "created_at", "added_by", "lifted_at",
         "lifted_by", "requested_by", "in_force")  # fmt: skip
"""What an export tells besides; an import does not take it over."""

COLUMNS = (*_TAKEN, *_TOLD)


class _Fault(Exception):
    """What is wrong with one line."""


_HELP = """Add entries from a CSV FILE (- is standard input), whose first line names the columns.

Of these: address, channel, tenant_id, reason, category, note, expires_at, reported_at; only the address must be there.
One entry a line. A bad line is told with its number and harms no other."""


@click.command("import", help=_HELP)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--channel", type=click.Choice([c.value for c in Channel]), help="Of lines that name none.")
@click.option("--tenant", default="default", show_default=True, metavar="ID", help="Of lines that name none.")
@click.option(
    "--reason",
    type=click.Choice([r.value for r in Reason]),
    default=Reason.MANUAL.value,
    show_default=True,
    help="Of lines that name none.",
)
@click.option("--dry-run", is_flag=True, help="Check every line, and tell what would come of it; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the counts, and what is wrong with which line.")
@click.pass_obj
def import_(
    place: Place, file: str, channel: str | None, tenant: str, reason: str, dry_run: bool, as_json: bool
) -> None:
    """Take the file line by line, a page at a time, and tell what came of it."""
    from noti_worker.store.people import suppressions

    counts: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []

    def refuse(number: int, fault: str) -> None:
        counts["refused"] += 1
        if as_json:
            faults.append({"line": number, "fault": fault})
        else:
            click.echo(plain(f"line {number}: {fault}"), err=True)

    defaults = {"channel": channel or "", "tenant_id": tenant, "reason": reason}
    with place.connection() as connection, _read(file) as stream:
        lines = _entries(stream, defaults, refuse, counts)
        while some := list(islice(lines, suppressions.PAGE)):
            for taken in suppressions.take(connection, some, by=person(), dry_run=dry_run):
                if taken.fault is not None:
                    refuse(taken.place, taken.fault)
                else:
                    counts["lifted" if taken.over else "known" if taken.known else "added"] += 1
    if as_json:
        names = ("added", "known", "lifted", "erased", "refused")
        show_json({"dry_run": dry_run, **{name: counts[name] for name in names}, "faults": faults})
    else:
        _tell(counts, dry_run=dry_run)
    if counts["refused"]:
        raise SystemExit(1)


@contextmanager
def _read(file: str) -> Iterator[BinaryIO]:
    try:
        opened = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None
    with opened as stream:
        yield stream


def _tell(counts: Mapping[str, int], *, dry_run: bool) -> None:
    click.echo(f"{counts['added']} entries {'would be ' if dry_run else ''}added")
    for name, words in (
        ("known", "were there already"),
        ("lifted", "were lifted after they had been reported: left out"),
        ("erased", "have no address any more: left out"),
        ("refused", "lines are wrong: left out"),
    ):
        if counts[name]:
            click.echo(f"{counts[name]} {words}")


def _entries(file: BinaryIO, defaults: Mapping[str, str], refuse: Any, counts: Counter[str]) -> "Iterator[NewEntry]":
    """The lines that can be read; what is wrong with the others goes to `refuse`."""
    lines = _lines(file)
    columns, delimiter = _header(lines)
    for number, raw in lines:
        try:
            named = _named(raw, columns, delimiter)
            if named is not None and not named["address"] and named.get("address_hash"):
                counts["erased"] += 1
            elif named is not None:
                yield _entry(number, named, defaults)
        except _Fault as fault:
            refuse(number, str(fault))


def _named(raw: bytes, columns: Sequence[str], delimiter: str) -> Mapping[str, str] | None:
    """The fields of a line by their columns; None when it is empty."""
    given = _fields(raw, delimiter)
    if not any(given):
        return None
    if len(given) != len(columns):
        raise _Fault(
            f"it has {len(given)} fields, and the first line names {len(columns)}. Put quotes around fields that hold"
            " the separator."
        )
    return {name: value.strip() for name, value in zip(columns, given, strict=True)}


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines by number, from 1; of one that is too long as much as shows it."""
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        yield number, raw
        while not raw.endswith(b"\n") and (raw := file.readline(LONGEST_LINE)):
            pass


def _header(lines: Iterator[tuple[int, bytes]]) -> tuple[Sequence[str], str]:
    """The columns that the first line names, and what stands between them: a comma, or a semicolon."""
    try:
        _, raw = next(lines, (1, b""))
        text = raw.removeprefix(b"\xef\xbb\xbf")
        delimiter = ";" if text.count(b";") > text.count(b",") else ","
        columns = [name.strip().lower() for name in _fields(text, delimiter)]
    except _Fault as fault:
        raise click.ClickException(f"line 1: {fault}") from None
    strange = [name for name in columns if name not in COLUMNS]
    if "address" not in columns or strange or len(set(columns)) < len(columns):
        found = f"{plain(strange[0])[:40]!r} is none of them" if strange and "address" in columns else "it does not"
        raise click.ClickException(
            f"line 1 must name the columns, each once, among them address: {found}. They are {', '.join(_TAKEN)}"
        )
    return columns, delimiter


def _fields(raw: bytes, delimiter: str) -> list[str]:
    if len(raw) > LONGEST_LINE:
        raise _Fault(f"it is longer than {LONGEST_LINE // 1024} kB. Each entry is one line.")
    try:
        # Each line for itself: a quote that is never closed must not swallow the lines after it.
        return next(csv.reader([raw.decode().rstrip("\r\n")], delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError:
        raise _Fault("it is not UTF-8. Save the file as UTF-8.") from None
    except csv.Error as error:
        raise _Fault(f"it is no CSV: {error}. Each entry is one line, and a quote inside a field is doubled.") from None


def _entry(number: int, named: Mapping[str, str], defaults: Mapping[str, str]) -> "NewEntry":
    from noti_worker.store.people.suppressions import NewEntry

    if any("\0" in value for value in named.values()):
        raise _Fault("it holds a NUL character. Remove it.")
    if named.get("lifted_at"):
        raise _Fault("it was lifted. Leave it out, or empty lifted_at to suppress it again.")
    value = {name: named.get(name) or defaults.get(name, "") for name in _TAKEN}
    if not value["channel"]:
        raise _Fault("the channel is missing. Name it in a column channel, or with --channel.")
    return NewEntry(
        number,
        value["tenant_id"] if named.get("tenant_id") != "(all)" else "",
        value["channel"],
        value["address"],
        value["reason"],
        value["category"],
        value["note"],
        _instant(value["expires_at"], "expires_at"),
        _instant(value["reported_at"], "reported_at"),
    )


def _instant(text: str, name: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _Fault(f"{name} is no instant. Write it like 2026-03-01T12:00:00Z.") from None
    if at.utcoffset() is None:
        raise _Fault(f"{name} has no time zone. Add Z or an offset like +01:00.")
    return at


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option("--channel", multiple=True, type=click.Choice([c.value for c in Channel]), help="Of this channel.")
@click.option("--tenant", multiple=True, metavar="ID", help="Of this tenant; '' is what holds for all of them.")
@click.option("--reason", multiple=True, type=click.Choice([r.value for r in Reason]), help="For this reason.")
@click.option("--past", is_flag=True, help="Also what was lifted or has expired.")
@click.pass_obj
def export_(
    place: Place, file: str, channel: tuple[str, ...], tenant: tuple[str, ...], reason: tuple[str, ...], past: bool
) -> None:
    """Write the entries in force as CSV to FILE, or to standard output; `suppression import` reads it."""
    from noti_worker.store.people import suppressions

    count = 0
    with place.connection() as connection, _opened(file) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entry in suppressions.every(connection, suppressions.Chosen(tenant, channel, reason, past=past)):
            told = asdict(entry)
            writer.writerow([_written(name, told[name]) for name in COLUMNS])
            count += 1
    click.echo(f"{count} entries", err=True)


def _written(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if name == "tenant_id" and value == "":
        return "(all)"
    return "" if value is None else " ".join(str(value).splitlines())


@contextmanager
def _opened(file: str) -> Iterator[IO[str]]:
    """A file for its owner's eyes: it is full of addresses."""
    if file == "-":
        yield sys.stdout
        return
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    with open(made, "w", encoding="utf-8", newline="") as out:
        yield out
