"""What providers told afterwards, for people: the receipts, how many of each kind, and the requests as kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import statement

Since = datetime | timedelta
"""An aware instant, or so long before the database's now."""


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One thing that was told. `recipient` None: the notification's own.

    `state`: matched; parked, looked for `looks` times and again at `look_at`; given up; or heard, for what a person
    wrote.
    """

    receipt_id: int
    account: str
    provider: str
    kind: str
    at: datetime
    created_at: datetime
    notification_id: int | None
    tenant_id: str | None
    recipient: str | None
    reference: str | None
    code: str | None
    words: str | None
    looks: int
    look_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class Told:
    """How often a provider told one kind of thing, and how many of those have no notification."""

    provider: str
    kind: str
    receipts: int
    parked: int
    given_up: int
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request that is kept; `read_at` None: nobody has read it; `error` says why it could not be."""

    raw_id: int
    account: str
    provider: str
    received_at: datetime
    read_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which receipts; what is not set asks for nothing."""

    notification_id: int | None = None
    kinds: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    parked: bool = False
    since: Since | None = None


def receipts(source: Source, chosen: Chosen, limit: int) -> list[ReceiptLine]:
    """At most `limit`, those that came last first."""
    asked = {
        "notification": chosen.notification_id,
        "kinds": list(chosen.kinds) or None,
        "accounts": list(chosen.accounts) or None,
        "providers": list(chosen.providers) or None,
        "tenants": list(chosen.tenants) or None,
        "parked": chosen.parked,
        "limit": limit,
        **_since(chosen.since),
    }
    return [ReceiptLine(**row) for row in rows(source, statement("read_receipts"), asked)]


def counts(source: Source, since: Since | None) -> list[Told]:
    """By provider and kind."""
    return [Told(**row) for row in rows(source, statement("count_receipts"), _since(since))]


def requests(source: Source, state: str | None, accounts: tuple[str, ...], limit: int) -> list[RequestLine]:
    """At most `limit`, the newest first; `state` unread or unreadable asks for those alone."""
    asked = {"state": state, "accounts": list(accounts) or None, "limit": limit}
    return [RequestLine(**row) for row in rows(source, statement("read_requests"), asked)]


def _since(since: Since | None) -> dict[str, Any]:
    return {
        "since": since if isinstance(since, datetime) else None,
        "span": since if isinstance(since, timedelta) else None,
    }
