"""What one tenant may do at most. Pure; `noti.within_tenant` says the same of inserts, as far as the database knows it.

What waits is bounded where it is inserted alone: what stands in the table may go out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.limits import destination
from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.notification import Channel, Notification, Priority

ACTIVE, SUSPENDED, REMOVING = "active", "suspended", "removing"

_RANKS = (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.URGENT)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The channels, accounts or providers, senders and hosts that a tenant may use; None: all. From `noti.tenants`.

    A sender with an @ counts for e-mail, as an address or `*@domain`; any other for phones. A channel for which none is
    named is free. A host is one, or all below `*.domain`.
    """

    tenant_id: str
    highest_priority: str | None = None
    channels: Sequence[str] | None = None
    providers: Sequence[str] | None = None
    senders: Sequence[str] | None = None
    hosts: Sequence[str] | None = None
    waiting: bool = False  # so much may wait and no more: inserts are refused beyond it

    def refuses(self, row: Notification) -> str | None:
        """What the row may not do, in words; None when nothing of it is bounded."""
        if self.channels is not None and row.channel not in self.channels:
            return self._may_not(f"use the channel {row.channel}")
        if self.highest_priority is not None and _RANKS.index(row.priority) > _RANKS.index(
            Priority(self.highest_priority)
        ):
            return self._may_not(f"use the priority {row.priority}")
        if row.channel is Channel.WEBHOOK and self.hosts is not None:
            host = destination(row.channel, row.recipient)
            if host is None or not any(_is_host(host, allowed) for allowed in self.hosts):
                return self._may_not("send webhooks to that host")
        return None

    def route(self, route: Sequence[str], provider_of: Callable[[str], str]) -> Sequence[str]:
        """Those accounts of a route that the tenant may use."""
        if self.providers is None:
            return route
        return [account for account in route if account in self.providers or provider_of(account) in self.providers]

    def no_account(self, channel: Channel) -> str:
        """Say that none of a route is left."""
        return self._may_not(f"use any account of the channel {channel}")

    def sender(self, channel: Channel, options: Mapping[str, Any]) -> str | None:
        """From where the message goes: what the row asks for, else the first that is allowed; None: the account's own.

        Raises NotAllowed for any other.
        """
        ours = [one for one in self.senders or () if ("@" in one) is (channel is Channel.EMAIL)]
        asked: str | None = options.get("from")
        if not ours:
            return asked
        if asked is None:
            if ours[0].startswith("*@"):
                raise NotAllowed(self._may_not(f"send from anything but {ours[0]}, and the row names no sender"))
            return ours[0]
        if not any(_is_sender(channel, asked, allowed) for allowed in ours):
            raise NotAllowed(self._may_not("send from that address"))
        return asked

    def _may_not(self, what: str) -> str:
        return f"the tenant {self.tenant_id} may not {what}: allow it (noti-worker tenant set), then release it"


class NotAllowed(BadNotification):
    """What one row asks for is nothing that its tenant may do; somebody may allow it."""


def _is_host(host: str, allowed: str) -> bool:
    return host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]) and len(host) > len(allowed) - 1)


def _is_sender(channel: Channel, asked: str, allowed: str) -> bool:
    if channel is not Channel.EMAIL:
        return asked.strip() == allowed
    address = read_mailbox(asked, "options.from", intranet=True).address.lower()
    if allowed.startswith("*@"):
        return address.endswith(allowed[1:].lower())
    try:
        return address == read_mailbox(allowed, "senders", intranet=True).address.lower()
    except BadNotification:  # no fault of the row's
        return False
