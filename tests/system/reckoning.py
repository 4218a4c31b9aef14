"""The second judge: compares what was told of mails afterwards with receipts, rows and the suppression list.

It knows nothing of how the worker works. What was told is one receipt, however often it is told; the worst of it stands
in the row; who bounced, complained or left is on the list, counted as often as it was told, and nobody else is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.system.judge import Finding

BAD = ("unsubscribed", "failed", "bounced", "complained")
"""What stands in the row, the worst last."""

REASONS: Mapping[str, str] = {"bounced": "dead", "complained": "complaint"}
"""What makes an entry of the list, and for what reason."""


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody told of a message; `event` is the same however often it is told, `key` the message_id."""

    account: str
    event: str
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a mail goes to."""

    tenant_id: str
    address: str


@dataclass(frozen=True, slots=True)
class Mailed:
    """A row of a campaign; `next`: of the second one, to the same people."""

    id: int
    key: str
    person: Person
    status: str
    receipt: str | None
    error: str | None = None
    next: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of `noti.receipts`; `parked` while its message is looked for."""

    account: str
    kind: str
    id: int | None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the suppression list that holds; `category` is empty where it stops all."""

    person: Person
    reason: str
    category: str
    hits: int


@dataclass(frozen=True)
class Books:
    """All that is known. `left` are those who left the `category` of the campaigns by their link."""

    told: Collection[Told]
    left: Collection[Person]
    category: str
    rows: Sequence[Mailed]
    kept: Sequence[Kept]
    entries: Sequence[Entry]

    def should_hold(self) -> Mapping[tuple[Person, str, str], int]:
        """The entries that there must be, and how often each was told."""
        whom = {row.key: row.person for row in self.rows}
        told = Counter((whom[one.key], REASONS[one.kind], "") for one in set(self.told) if one.kind in REASONS)
        return told + Counter((person, "optout", self.category) for person in set(self.left))


def reckon(books: Books) -> list[Finding]:
    """Compare; pure."""
    return [*_receipts(books), *_rows(books), *_entries(books), *_next(books)]


def _receipts(books: Books) -> Iterable[Finding]:
    ids = {row.key: row.id for row in books.rows}
    told = Counter((one.account, one.kind, ids.get(one.key)) for one in set(books.told))
    kept = Counter((one.account, one.kind, one.id) for one in books.kept)
    yield from (Finding("told, and not there", id_, f"{what} by {who}") for who, what, id_ in told - kept)
    yield from (Finding("there more often than told", id_, f"{what} by {who}") for who, what, id_ in kept - told)
    yield from (Finding("its message is still looked for", one.id, one.kind) for one in books.kept if one.parked)


def _rows(books: Books) -> Iterable[Finding]:
    worst: dict[str, str] = {}
    for one in books.told:
        if one.kind in BAD:
            worst[one.key] = max(one.kind, worst.get(one.key, one.kind), key=BAD.index)
    for row in books.rows:
        if row.receipt != worst.get(row.key):
            yield Finding("its row does not say the worst", row.id, f"{row.receipt}, told {worst.get(row.key)}")


def _entries(books: Books) -> Iterable[Finding]:
    should = books.should_hold()
    holds = {(entry.person, entry.reason, entry.category): entry.hits for entry in books.entries}
    for entry in should.keys() - holds.keys():
        yield Finding("not on the list", None, f"{entry}")
    for entry in holds.keys() - should.keys():
        yield Finding("on the list, and nobody said so", None, f"{entry}")
    for entry in should.keys() & holds.keys():
        if holds[entry] != should[entry]:
            yield Finding("not counted as often as it was told", None, f"{entry}: {holds[entry]} for {should[entry]}")


def _next(books: Books) -> Iterable[Finding]:
    out = {person for person, _, _ in books.should_hold()}
    for row in books.rows:
        if row.next and row.person in out and row.status != "suppressed":
            yield Finding("written to again", row.id, row.status)
        if not (row.status == "sent" or (row.person in out and row.status == "suppressed")):
            yield Finding("not sent, and nobody said so", row.id, f"{row.status}: {row.error}")


def read(
    connection: psycopg.Connection[Any], told: Collection[Told], left: Collection[Person], category: str, after: int
) -> Books:
    """The books of a database; rows behind the id `after` are of the second campaign."""
    rows = connection.execute(
        "SELECT notification_id, message_id::text, tenant_id, recipient, status, receipt, error_message"
        " FROM noti.notifications_log WHERE category = %s ORDER BY 1",
        [category],
    ).fetchall()
    kept = connection.execute("SELECT account, kind, notification_id, look_at IS NOT NULL FROM noti.receipts")
    entries = connection.execute(
        "SELECT tenant_id, address, reason, category, hits FROM noti.suppressions WHERE lifted_at IS NULL"
    )
    return Books(
        told,
        left,
        category,
        [Mailed(row[0], row[1], Person(row[2], row[3]), row[4], row[5], row[6], row[0] > after) for row in rows],
        [Kept(*one) for one in kept.fetchall()],
        [Entry(Person(who, to), *more) for who, to, *more in entries.fetchall()],
    )
