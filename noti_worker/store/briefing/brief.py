"""Everything that rows refer to: all needs of a batch in one round trip, none when there is no need.

What is large is left to `complete`, which looks up one row alone when its send begins: so a batch is small whatever
its rows hold, and a row that cannot be read harms only itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from noti_worker.domain.errors import BadNotification, TimedOut
from noti_worker.domain.notification import BY_PHONE, Briefing, Channel, Notification
from noti_worker.store.briefing import (
    attachments,
    body,
    documents,
    keeps,
    last_try,
    leaves,
    newer,
    replies,
    suppressions,
    templates,
)
from noti_worker.store.briefing.lookup import Asks, Fields, Lookup
from noti_worker.store.errors import Refusal

LOOKUPS: tuple[Lookup, ...] = (documents, templates, last_try, suppressions, replies, leaves, newer, keeps)

International = Callable[[Channel, str], str]
"""See the port Numbers."""

_THE_ROWS_FAULT = ("22", "54", "XX")
"""Classes of SQLSTATE that a value brings about: it breaks a limit, or it is damaged."""


def brief(
    session: Asks, notifications: Sequence[Notification], international: International | None = None
) -> dict[int, Briefing]:
    """A briefing for each row that needs anything. Raises DatabaseAway and DatabaseRefused.

    `international` reads the phone numbers of recipients, as whoever sends to them will.
    """
    if international is not None:
        notifications = [_dialled(n, international) for n in notifications]
    asked = [(lookup, needs) for lookup in LOOKUPS if (needs := lookup.needs(notifications)) is not None]
    try:
        fields = _gathered(session, notifications, asked)
    except (Refusal, TimedOut):
        others = [(lookup, needs) for lookup, needs in asked if lookup is not documents]
        if len(others) == len(asked):
            raise
        # One of the documents cannot be read, and nobody knows which.
        fields = _gathered(session, notifications, others)
        _add(fields, documents.refused(notifications))
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
    if notification.channel not in BY_PHONE or notification.recipient.startswith("+"):
        return notification
    try:
        return replace(notification, recipient=international(notification.channel, notification.recipient))
    except BadNotification:  # the row fails by it, in words
        return notification


def _gathered(
    session: Asks, notifications: Sequence[Notification], asked: Sequence[tuple[Lookup, Mapping[str, object]]]
) -> dict[int, dict[str, Any]]:
    fields: dict[int, dict[str, Any]] = {}
    if asked:
        answers = session.together([(lookup.STATEMENT, needs) for lookup, needs in asked])
        for (lookup, _), rows in zip(asked, answers, strict=True):
            _add(fields, lookup.met(notifications, rows))
    return fields


def _add(fields: dict[int, dict[str, Any]], met: Iterable[tuple[int, Fields]]) -> None:
    for id_, known in met:
        fields.setdefault(id_, {}).update(known)
