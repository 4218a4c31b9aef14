"""What is known of a person, 42 of `user:42`: addresses, choices, and what was sent to them.

Notifications are found along their primary key, as an erasure finds them: no index knows recipients, because it would
make every insert dearer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from noti_worker.domain.contact import USER
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import spellings
from noti_worker.store.connect import Connection
from noti_worker.store.errors import translated
from noti_worker.store.people.obstacles import obstacles
from noti_worker.store.people.source import rows
from noti_worker.store.statements import statement

STEP = 10_000
"""Notifications that one statement looks at."""

_BY_PHONE = ("sms", "whatsapp", "voice")
_ALONE = (
    "SELECT NOT noti.isolated() AND NOT EXISTS (SELECT FROM noti.notifications_log n WHERE n.tenant_id < %(tenant)s)"
    " AND NOT EXISTS (SELECT FROM noti.notifications_log n WHERE n.tenant_id > %(tenant)s) AS alone"
)

_WRITTEN = (
    "SELECT DISTINCT n.recipient FROM noti.notifications_log n"
    " WHERE n.notification_id = ANY (%(ids)s) AND n.channel = ANY (%(channels)s)"
)


@dataclass(frozen=True, slots=True)
class Contact:
    """One address of a person; `normal` is its one writing, None for what can be none. Left: nothing goes there."""

    contact_id: int
    channel: str
    address: str
    place: int
    label: str | None
    verified_at: datetime | None
    locale: str | None
    zone: str | None
    quiet_from: time | None
    quiet_to: time | None
    left_at: datetime | None
    left_because: str | None
    normal: str | None
    address_hash: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose; an empty category or channel means every one."""

    category: str
    channel: str
    allowed: bool
    frequency: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the suppression list for one of the addresses; an empty tenant or category means every one."""

    suppression_id: int
    tenant_id: str
    channel: str
    address: str | None
    category: str
    reason: str
    source: str
    note: str | None
    created_at: datetime
    expires_at: datetime | None
    lifted_at: datetime | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """One notification to a person. `reason` says why it was not sent, or not yet; None for what was, or goes next."""

    notification_id: int
    channel: str
    recipient: str
    status: str
    category: str | None
    template_id: str | None
    created_at: datetime
    since: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, in one tenant, and what is known of them but for their messages."""

    tenant_id: str
    user_ref: str
    contacts: tuple[Contact, ...]
    choices: tuple[Choice, ...]
    suppressions: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """The recipient that means all their addresses."""
        return f"user:{self.user_ref}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each once, those that were left, too."""
        return tuple(dict.fromkeys(contact.address for contact in self.contacts))


def person(connection: Connection, user_ref: str, tenant_id: str | None = None) -> Person:
    """What is known of a person; with no tenant, of the one that knows them, else of `default`.

    Raises BadNotification when several tenants do: the same id may be somebody else there.
    """
    ref = user_ref.removeprefix(USER)
    if not ref.strip():
        raise BadNotification("there is nobody without an id. Give it as it stands in noti.contacts, like 42")
    if tenant_id is None:
        known = [row["tenant_id"] for row in rows(connection, statement("read_person_tenants"), {"user_ref": ref})]
        if len(known) > 1:
            raise BadNotification(
                f"several tenants know a user {ref}, who may be different people. Say which by --tenant:"
                f" {', '.join(known)}"
            )
        tenant_id = known[0] if known else "default"
    asked = {"tenant": tenant_id, "user_ref": ref}
    contacts = tuple(Contact(**row) for row in rows(connection, statement("read_person_contacts"), asked))
    hashes = sorted({contact.address_hash for contact in contacts if contact.address_hash is not None})
    listed = {"tenant": tenant_id, "hashes": hashes}
    return Person(
        tenant_id,
        ref,
        contacts,
        tuple(Choice(**row) for row in rows(connection, statement("read_person_choices"), asked)),
        tuple(Entry(**row) for row in rows(connection, statement("read_person_suppressions"), listed)),
    )


def alone(connection: Connection, tenant_id: str) -> bool:
    """Tell whether the installation has notifications of this tenant alone, and whoever asks sees them all."""
    with translated():
        (row,) = connection.execute(_ALONE, {"tenant": tenant_id}).fetchall()
    return bool(row["alone"])


def ids(connection: Connection, who: Person) -> Iterator[int]:
    """The notifications to a person, by name or by one of their addresses, the newest first."""
    addresses = sorted({contact.normal for contact in who.contacts if contact.normal is not None})
    asked: dict[str, Any] = {
        "tenant": who.tenant_id,
        "names": [who.name, *who.addresses],
        "addresses": addresses,
        "clues": sorted(
            {
                name.lower()
                for contact in who.contacts
                if contact.channel == "email"
                for name in spellings(contact.address)
            }
            | {address for address in addresses if "@" in address}
        ),
        "phones": any(contact.channel in _BY_PHONE for contact in who.contacts),
        "step": STEP,
    }
    before = 2**63 - 1
    while True:
        (row,) = rows(connection, statement("read_person_step"), asked | {"before": before})
        yield from row["ids"]
        if row["last"] is None:
            return
        before = row["last"]


def spelled(connection: Connection, who: Person) -> tuple[str, ...]:
    """Their addresses in every writing that rows have of them: an erasure takes a phone number as it stands."""
    phones = [contact for contact in who.contacts if contact.channel in _BY_PHONE]
    names = dict.fromkeys((*who.addresses, *(phone.normal for phone in phones if phone.normal is not None)))
    if phones:
        with translated():
            found = connection.execute(_WRITTEN, {"ids": list(ids(connection, who)), "channels": list(_BY_PHONE)})
            names |= dict.fromkeys(row["recipient"] for row in found.fetchall() if row["recipient"] != who.name)
    return tuple(names)


def sent(connection: Connection, numbers: Sequence[int]) -> list[Sent]:
    """What became of these notifications, the newest first, and why."""
    found = rows(connection, statement("read_person_sent"), {"ids": list(numbers)})
    waiting = [row["notification_id"] for row in found if row["status"] in ("pending", "retrying")]
    stopped = obstacles(connection, waiting) if waiting else {}
    for row in found:
        causes = dict.fromkeys(obstacle.cause.replace("_", " ") for obstacle in stopped.get(row["notification_id"], ()))
        row["reason"] = "; ".join(filter(None, (row["reason"], *causes))) or None
    return [Sent(**row) for row in found]
