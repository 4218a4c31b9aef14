"""Where the persons are reached that rows name: asked before everything else, which depends on the address.

It is a round trip of its own, for batches with such rows alone. What the suppression list says, which language a
template is in, all that follows from the address; and a view of the application may fail, which must not take the
rest of the batch with it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache

from noti_worker.domain.contact import MOST_ADDRESSES, Address, Contact, People, Unreached
from noti_worker.domain.errors import DatabaseBusy, DatabaseRefused
from noti_worker.domain.language import languages
from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Asks, Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import Statement, parse, places, statement

STATEMENT = statement("contacts")

NOBODY: Mapping[str, object] = {"ids": "{}", "tenants": "{}", "users": "{}", "channels": "{}", "most": MOST_ADDRESSES}
"""The parameters that ask for nobody's address: whether the statement is understood."""

VIEW_WITHIN = timedelta(seconds=3)
"""For a view of the application: whoever waits for it keeps all other rows waiting."""

_LONGEST = 4096


@cache
def statement_for(view: str | None) -> Statement:
    """The look-up in a view, SCHEMA.NAME exactly as it is written; None: in noti.contacts."""
    if view is None:
        return STATEMENT
    quoted = ".".join(f'"{part}"' for part in view.split("."))
    source = places()["contacts"].read_text(encoding="utf-8")
    return parse("contacts", source.replace("FROM noti.contacts AS", f"FROM {quoted} AS"))


def asked(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The parameters; None when no row names a person."""
    wanted = [(n, user) for n in notifications if (user := n.user)]
    if not wanted:
        return None
    return {
        "ids": array(n.notification_id for n, _ in wanted),
        "tenants": texts(n.tenant_id for n, _ in wanted),
        "users": texts(user for _, user in wanted),
        "channels": texts(n.channel.value for n, _ in wanted),
        "most": MOST_ADDRESSES,
    }


def found(session: Asks, notifications: Sequence[Notification], people: People) -> dict[int, Fields]:
    """Fields of the briefings of rows that name a person: `contact`, or `unreached`. Raises as `brief`.

    A view that cannot be read, for a missing column, a right or its time, is the misfortune of these rows alone.
    """
    wanted = asked(notifications)
    if wanted is None:
        return {n.notification_id: _none(n, people) for n in notifications if n.user == ""}
    if people.view is None:
        [rows] = session.together([(STATEMENT, wanted)])
    else:
        try:
            rows = session.within(statement_for(people.view), wanted, VIEW_WITHIN)
        except (DatabaseRefused, DatabaseBusy) as error:
            fault = Unreached(f"the addresses of users cannot be read from {people.view}: {error}", asked=False)
            return {n.notification_id: {"unreached": fault} for n in notifications if n.user is not None}
    known: dict[int, list[Row]] = {}
    for row in rows:
        known.setdefault(row["id"], []).append(row)
    return {
        n.notification_id: _met(n, known.get(n.notification_id, ()), people)
        for n in notifications
        if n.user is not None
    }


def _met(n: Notification, rows: Sequence[Row], people: People) -> Fields:
    here = [row for row in rows if row["left_at"] is None]
    usable = [row for row in here if row["verified_at"] is not None] if people.verified_only else here
    if not usable:
        gone = rows[0] if rows and not here else None
        return _none(n, people, gone, unverified=bool(here))
    if (fault := _fault(usable[0])) is not None:
        words = f"the address {usable[0]['contact']} of the person {fault}: correct it, then requeue the notification"
        return {"unreached": Unreached(words)}
    first = usable[0]
    others = usable[1:] if n.channel in people.every and n.copy_of is None else ()
    contact = Contact(
        first["contact"] or "",
        first["address"],
        _language(first["locale"]),
        first["zone"],
        first["verified_at"],
        first["quiet_from"],
        first["quiet_to"],
        tuple(Address(row["address"], _language(row["locale"])) for row in others if _fault(row) is None),
    )
    return {"contact": contact}


def _none(n: Notification, people: People, gone: Row | None = None, *, unverified: bool = False) -> Fields:
    """Why there is no address, and what to do."""
    if not n.user:
        return {"unreached": Unreached("the recipient is user: without a name: write user:42, then requeue it")}
    who, where = "the person whom it names", people.view or "noti.contacts"
    if gone is not None:
        because = f": {gone['left_because']}" if gone["left_because"] else ""
        words = f"{who} has no address for {n.channel} any more, the last left on {gone['left_at']:%Y-%m-%d}{because}"
        return {"unreached": Unreached(words, left=True)}
    if unverified:
        return {
            "unreached": Unreached(
                f"{who} has no verified address for {n.channel} in {where}: have it verified,"
                " then requeue the notification"
            )
        }
    return {
        "unreached": Unreached(
            f"{who} has no address for {n.channel}: add it to {where}, then requeue the notification"
        )
    }


def _fault(row: Row) -> str | None:
    """What is wrong with an address that a view gives; noti.contacts has none of these."""
    address = row["address"]
    if not address:
        return "is empty"
    return "is longer than 4096 characters" if len(address) > _LONGEST else None


def _language(locale: str | None) -> str | None:
    """As far as it can be one: it chooses a template, and must not break the look-up."""
    return locale if languages(locale) else None
