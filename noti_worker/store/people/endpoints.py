"""What people see of endpoints, and what they do about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.errors import BadNotification, NotFound
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import Source, rows
from noti_worker.store.statements import Statement, statement

EVENTS = (
    "sent",
    "failed",
    "expired",
    "suppressed",
    "cancelled",
    "held",
    "unknown",
    "delivered",
    "read",
    "soft_bounced",
    "bounced",
    "complained",
    "unsubscribed",
)
"""All that an endpoint can hear of."""


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """An endpoint and how it is: empty `events` and `channels` are all.

    `error` is what was said when it was told last, in `notification_id`, which has a `status`; `waiting` are events
    that it is not told yet, counted to 10,000.
    """

    endpoint_id: int
    tenant_id: str
    name: str
    url: str
    events: Sequence[str]
    channels: Sequence[str]
    account: str | None
    owner_channel: str | None
    owner: str | None
    state: str
    state_since: datetime
    state_reason: str | None
    failing_since: datetime | None
    error: str | None
    notification_id: int | None
    status: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Given:
    """What is said of an endpoint; None is left as it is, or as the house has it. `owner` is channel and address."""

    url: str | None = None
    events: Sequence[str] | None = None
    channels: Sequence[str] | None = None
    account: str | None = None
    owner: tuple[str, str] | None = None
    state: str | None = None
    reason: str | None = None


def endpoints(source: Source, tenant: str | None = None, name: str | None = None) -> list[EndpointLine]:
    """The endpoints of a tenant, or of all."""
    return [EndpointLine(**row) for row in rows(source, statement("read_endpoints"), {"tenant": tenant, "name": name})]


def endpoint(source: Source, tenant: str, name: str) -> EndpointLine:
    """One endpoint; raises NotFound."""
    found = endpoints(source, tenant, name)
    if not found:
        raise _unknown(tenant, name)
    return found[0]


def add(connection: Connection, tenant: str, name: str, given: Given) -> EndpointLine:
    """Add an endpoint; raises BadNotification in the words of the database, and when there is one of that name."""
    asked = _asked(tenant, name, given)
    del asked["state"], asked["reason"]
    asked |= {part: asked[part] or [] for part in ("events", "channels")}
    if not _done(connection, statement("add_endpoint"), asked):
        raise BadNotification(f"tenant {tenant} has an endpoint {name} already")
    return endpoint(connection, tenant, name)


def change(connection: Connection, tenant: str, name: str, given: Given) -> EndpointLine:
    """Change what is given; raises NotFound, or BadNotification in the words of the database."""
    if not _done(connection, statement("set_endpoint"), _asked(tenant, name, given)):
        raise _unknown(tenant, name)
    return endpoint(connection, tenant, name)


def remove(connection: Connection, tenant: str, name: str) -> None:
    """Remove an endpoint, and take back what is on its way to it; raises NotFound."""
    if not _done(connection, statement("remove_endpoint"), {"tenant": tenant, "name": name}):
        raise _unknown(tenant, name)


def try_out(connection: Connection, tenant: str, name: str) -> int:
    """Queue a test event; gives its notification. Raises NotFound."""
    [row] = _done(connection, statement("test_endpoint"), {"tenant": tenant, "name": name})
    if row["notification_id"] is None:
        raise _unknown(tenant, name)
    return int(row["notification_id"])


def recover(connection: Connection, tenant: str, name: str, since: datetime | timedelta) -> int:
    """Tell it again what happened since then; gives how many events that are. Raises NotFound."""
    asked = {"at": None, "ago": since} if isinstance(since, timedelta) else {"at": since, "ago": None}
    [row] = _done(connection, statement("recover_endpoint"), {"tenant": tenant, "name": name} | asked)
    if row["events"] is None:
        raise _unknown(tenant, name)
    return int(row["events"])


def _asked(tenant: str, name: str, given: Given) -> dict[str, Any]:
    channel, address = given.owner or (None, None)
    return {
        "tenant": tenant,
        "name": name,
        "url": given.url,
        "events": None if given.events is None else list(given.events),
        "channels": None if given.channels is None else list(given.channels),
        "account": given.account,
        "owner_channel": channel,
        "owner": address,
        "state": given.state,
        "reason": given.reason,
    }


def _done(connection: Connection, what: Statement, asked: Mapping[str, Any]) -> list[Any]:
    with in_words():
        return connection.execute(what.sql, asked).fetchall()


def _unknown(tenant: str, name: str) -> NotFound:
    return NotFound(f"tenant {tenant} has no endpoint {name}: noti-worker endpoint list")
