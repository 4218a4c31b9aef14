"""Everything that rows refer to: all needs of a batch in one round trip, none when there is no need.

What is large is left to `complete`, which looks up one row alone when its send begins: so a batch is small whatever
its rows hold, and a row that cannot be read harms only itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from noti_worker.domain.contact import USER, People
from noti_worker.domain.errors import BadNotification, TimedOut
from noti_worker.domain.notification import BY_PHONE, Briefing, Channel, Notification, addressed
from noti_worker.store.briefing import (
    attachments,
    body,
    choices,
    contacts,
    documents,
    elders,
    hours,
    keeps,
    last_try,
    leaves,
    newer,
    replies,
    suppressions,
    templates,
    zones,
)
from noti_worker.store.briefing.lookup import Asks, Fields, Lookup
from noti_worker.store.errors import Refusal

LOOKUPS: tuple[Lookup, ...] = (
    documents,
    templates,
    last_try,
    suppressions,
    replies,
    leaves,
    newer,
    elders,
    choices,
    keeps,
    zones,
)

BY_ADDRESS: tuple[Lookup, ...] = (templates, suppressions, replies, leaves)
"""Those of them that ask by the address and language of the person whom a row names; the others get the row itself."""

HERE = People()
"""Addresses stand in noti.contacts."""

International = Callable[[Channel, str], str]
"""See the port Numbers."""

_THE_ROWS_FAULT = ("22", "54", "XX")
"""Classes of SQLSTATE that a value brings about: it breaks a limit, or it is damaged."""


def brief(
    session: Asks,
    notifications: Sequence[Notification],
    international: International | None = None,
    people: People = HERE,
    *,
    timed: bool = False,
) -> dict[int, Briefing]:
    """A briefing for each row that needs anything. Raises DatabaseAway and DatabaseRefused.

    `international` reads the phone numbers of recipients, as whoever sends to them will; `people` tells where the
    addresses of persons stand. With `timed` it is asked whether the hour suits them, and a row that is under a cap
    takes its place among the messages that count.
    """
    reached = contacts.found(session, notifications, people)
    if international is not None:
        notifications = [_dialled(n, international) for n in notifications]
    there = notifications
    if reached:
        there = [_there(n, reached.get(n.notification_id), international) for n in notifications]
    asked = [
        _Asked(lookup, rows, needs)
        for lookup, rows in ((lookup, there if lookup in BY_ADDRESS else notifications) for lookup in LOOKUPS)
        if (needs := lookup.needs(rows)) is not None
    ]
    clocks = {id_: known["contact"] for id_, known in reached.items() if "contact" in known}
    if (timed or any(one.quiet_from for one in clocks.values())) and (needs := hours.needs(notifications, clocks)):
        asked.append(_Asked(hours, notifications, needs))
    try:
        fields = _gathered(session, asked)
    except (Refusal, TimedOut):
        others = [one for one in asked if one.lookup is not documents]
        if len(others) == len(asked):
            raise
        # One of the documents cannot be read, and nobody knows which.
        fields = _gathered(session, others)
        _add(fields, documents.refused(notifications))
    _add(fields, reached.items())
    _add(fields, ((n.notification_id, {"incomplete": True}) for n in notifications if n.long_body))
    return {id_: Briefing(**known) for id_, known in fields.items()}


def complete(session: Asks, notification: Notification, briefing: Briefing) -> Briefing:
    """The briefing with what is large. Raises DatabaseAway, and DatabaseRefused for what is not the row's fault."""
    parts = [
        part
        for part, wanted in (
            (body, notification.long_body),
            (documents, notification.has_data or notification.has_options),
            (attachments, notification.has_options),
        )
        if wanted
    ]
    try:
        answers = session.together([(part.STATEMENT, part.alone(notification)) for part in parts])
    except Refusal as refusal:
        if refusal.sqlstate is None or not refusal.sqlstate.startswith(_THE_ROWS_FAULT):
            raise
        return replace(briefing, incomplete=False, unreadable=f"its content cannot be read: {refusal}")
    known: dict[str, Any] = {}
    for part, rows in zip(parts, answers, strict=True):
        known |= part.read(rows)
    return replace(briefing, incomplete=False, **known)


def _dialled(notification: Notification, international: International) -> Notification:
    recipient = notification.recipient
    if notification.channel not in BY_PHONE or recipient.startswith(("+", USER)):
        return notification
    try:
        return replace(notification, recipient=international(notification.channel, recipient))
    except BadNotification:  # the row fails by it, in words
        return notification


def _there(notification: Notification, known: Fields | None, international: International | None) -> Notification:
    """The row at the address of the person that it names."""
    there = addressed(notification, None if known is None else known.get("contact"))
    return there if there is notification or international is None else _dialled(there, international)


class _Asked(NamedTuple):
    lookup: Lookup
    rows: Sequence[Notification]
    needs: Mapping[str, object]


def _gathered(session: Asks, asked: Sequence[_Asked]) -> dict[int, dict[str, Any]]:
    fields: dict[int, dict[str, Any]] = {}
    if asked:
        answers = session.together([(one.lookup.STATEMENT, one.needs) for one in asked])
        for one, rows in zip(asked, answers, strict=True):
            _add(fields, one.lookup.met(one.rows, rows))
    return fields


def _add(fields: dict[int, dict[str, Any]], met: Iterable[tuple[int, Fields]]) -> None:
    for id_, known in met:
        fields.setdefault(id_, {}).update(known)
