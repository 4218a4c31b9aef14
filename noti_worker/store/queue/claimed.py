"""A row as it was claimed, made of the columns of the statement."""

from datetime import UTC, datetime
from typing import Any

from noti_worker.domain.notification import Channel, Notification, OnUncertain, Priority, Status


def utc(instant: datetime) -> datetime:
    """The instant in UTC: behind a pooler the session may have another time zone."""
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def notification_of(row: tuple[Any, ...]) -> Notification:
    """A row of `claim`, whose columns stand in the order of the fields."""
    id_, claim_count, channel, priority, tenant_id, recipient, message_id = row[:7]
    created_at, due_at, claimed_at, first_due_at = map(utc, row[7:11])
    subject, body, long_body, template_id, has_data, locale, has_options, expires_at = row[11:19]
    retry_count, max_retries, attempt_count, lost_count, requested, on_uncertain = row[19:25]
    return Notification(
        id_,
        claim_count,
        _CHANNELS[channel],
        _PRIORITIES[priority],
        tenant_id,
        recipient,
        message_id,
        created_at,
        due_at,
        claimed_at,
        first_due_at,
        subject,
        body,
        bool(long_body),
        template_id,
        has_data,
        locale,
        has_options,
        None if expires_at is None else utc(expires_at),
        retry_count,
        max_retries,
        attempt_count,
        lost_count,
        None if requested is None else _wish(requested),
        None if on_uncertain is None else _on_uncertain(on_uncertain),
        *row[25:],
    )


# A look into a table costs a tenth of a call of the enumeration.
_CHANNELS = {channel.value: channel for channel in Channel}
_PRIORITIES = {priority.value: priority for priority in Priority}


# A newer version may have written a word that this one does not know. It must not stop the batch, and the
# row itself is treated with the most care there is: parked until somebody decides.


def _wish(word: str) -> Status:
    return Status.CANCELLED if word == Status.CANCELLED else Status.HELD


def _on_uncertain(word: str) -> OnUncertain:
    try:
        return OnUncertain(word)
    except ValueError:
        return OnUncertain.HOLD
