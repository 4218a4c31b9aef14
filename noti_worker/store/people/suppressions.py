"""The suppression list, for people: what is on it and why, added to and taken from by hand, many at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement

PAGE = 1000
"""Entries that one statement reads or adds: a list of millions is never held as a whole."""

_ADD = (
    "SELECT noti.suppress(%(tenant_id)s::text, %(channel)s::text, %(address)s::text, %(reason)s::text,"
    " %(category)s::text, 'cli', NULL, %(note)s::text,"
    " coalesce(%(until)s::timestamptz, clock_timestamp() + %(span)s::interval), NULL, %(by)s::text) AS id"
)
_LIFT = "SELECT noti.lift(%(id)s::bigint, %(by)s::text, %(requested_by)s::text) AS lifted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `address` is None once it was erased; `category` is empty when it holds whatever the category.

    `tenant_id` is empty when it holds for every tenant; `hits` counts how often it was reported, `reported_at` is the
    last time. `requested_by` says who asked for the lifting.
    """

    suppression_id: int
    tenant_id: str
    channel: str
    address: str | None
    address_hash: str
    category: str
    reason: str
    source: str
    notification_id: int | None
    note: str | None
    hits: int
    created_at: datetime
    reported_at: datetime
    expires_at: datetime | None
    added_by: str
    lifted_at: datetime | None
    lifted_by: str | None
    requested_by: str | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an entry: added, reported or lifted."""

    suppression_id: int
    at: datetime
    event: str
    by: str
    source: str | None
    notification_id: int | None
    requested_by: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which entries; what is not set asks for nothing. With `past` also those that ended."""

    tenants: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    address: str | None = None
    past: bool = False


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One entry to add, from the line `place` of a file; `at` is when it was said."""

    place: int
    tenant_id: str
    channel: str
    address: str
    reason: str
    category: str = ""
    note: str = ""
    expires_at: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one line: a `fault` in words; else whether its entry was `known` before, or `over`: lifted since."""

    place: int
    fault: str | None
    known: bool
    over: bool


def entries(source: Source, chosen: Chosen, limit: int, before: int = 2**63 - 1) -> list[Entry]:
    """At most `limit` entries made before the one of this id, the newest first."""
    asked = {
        "before": before,
        "past": chosen.past,
        "tenants": list(chosen.tenants) or None,
        "channels": list(chosen.channels) or None,
        "reasons": list(chosen.reasons) or None,
        "categories": list(chosen.categories) or None,
        "address": chosen.address,
        "limit": limit,
    }
    return [Entry(**row) for row in rows(source, statement("read_suppressions"), asked)]


def every(source: Source, chosen: Chosen) -> Iterator[Entry]:
    """All of them, the newest first, read in pages; no transaction is open in between."""
    page = entries(source, chosen, PAGE)
    while page:
        yield from page
        page = entries(source, chosen, PAGE, page[-1].suppression_id) if len(page) == PAGE else []


def events(source: Source, found: Sequence[Entry]) -> Mapping[int, list[Event]]:
    """What happened to each, in order, as far as the audit log reaches."""
    story: dict[int, list[Event]] = {entry.suppression_id: [] for entry in found}
    for row in rows(source, statement("read_suppression_events"), {"ids": list(story)}):
        story[row["suppression_id"]].append(Event(**row))
    return story


def add(
    connection: Connection,
    channel: str,
    address: str,
    *,
    tenant_id: str,
    reason: str,
    category: str | None = None,
    until: datetime | timedelta | None = None,
    note: str | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> Entry:
    """Add an entry, or count up the one that is there. Raises BadNotification in the words of the database."""
    given = {
        "channel": channel,
        "address": address,
        "tenant_id": tenant_id,
        "reason": reason,
        "category": category,
        "until": until if isinstance(until, datetime) else None,
        "span": until if isinstance(until, timedelta) else None,
        "note": note,
        "by": by,
    }
    with in_words(), connection.transaction(force_rollback=dry_run):
        (answer,) = connection.execute(_ADD, given).fetchall()
        if answer["id"] is None:
            raise BadNotification("nobody is meant: the address was erased")
        return entries(connection, Chosen(), 1, answer["id"] + 1)[0]


def lift(
    connection: Connection,
    found: Sequence[Entry],
    *,
    by: str | None,
    requested_by: str | None,
    dry_run: bool = False,
) -> None:
    """Lift all of them or none. Raises BadNotification for what only the person may ask for, without `requested_by`."""
    with in_words(), connection.transaction(force_rollback=dry_run):
        for entry in sorted(found, key=lambda each: (each.address_hash, each.tenant_id, each.channel)):
            connection.execute(_LIFT, {"id": entry.suppression_id, "by": by, "requested_by": requested_by})


def take(connection: Connection, lines: Sequence[NewEntry], *, by: str | None, dry_run: bool) -> list[Taken]:
    """Add these in one transaction; what is wrong with one harms no other."""
    given: dict[str, Any] = {
        "places": [line.place for line in lines],
        "tenants": [line.tenant_id for line in lines],
        "channels": [line.channel for line in lines],
        "addresses": [line.address for line in lines],
        "reasons": [line.reason for line in lines],
        "categories": [line.category for line in lines],
        "notes": [line.note for line in lines],
        "ends": [line.expires_at for line in lines],
        "ats": [line.at for line in lines],
        "source": "import",
        "added_by": by,
    }
    with in_words(), connection.transaction(force_rollback=dry_run):
        found = connection.execute(statement("suppress_lines").sql, given).fetchall()
    return [
        Taken(row["place"], row["fault"], row["known"], over=row["fault"] is None and row["suppression_id"] is None)
        for row in sorted(found, key=lambda row: row["place"])
    ]
