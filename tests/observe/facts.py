"""Facts to tell the observers of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Notification, Priority, Status
from noti_worker.domain.outcome import Kind, Outcome

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def notification(
    *,
    channel: Channel = Channel.EMAIL,
    tenant: str = "acme",
    recipient: str = "ann@example.com",
    body: str = "the body",
    lost: int = 0,
    rescued: bool = False,
    waited: float = 2.0,
) -> Notification:
    """One claimed row."""
    return Notification(
        notification_id=17,
        claim_count=1,
        channel=channel,
        priority=Priority.NORMAL,
        tenant_id=tenant,
        recipient=recipient,
        message_id=UUID(int=1),
        created_at=NOON,
        due_at=NOON,
        claimed_at=NOON + timedelta(seconds=waited),
        first_due_at=NOON,
        subject="the subject",
        body=body,
        attempt_count=1,
        lost_count=lost,
        rescued=rescued,
    )


def tried(
    kind: Kind,
    status: Status,
    *,
    error: str | None = None,
    code: str | None = None,
    wait: timedelta | None = None,
    row: Notification | None = None,
    unclassified: bool = False,
) -> Result:
    """A try of `relay` over smtp that took a second and a half."""
    return Result(
        row or notification(),
        Verdict(status, "a reason", wait),
        Outcome(kind, code=code, error=error, response={"said": error}, unclassified=unclassified),
        account="relay",
        provider="smtp",
        seconds=1.5,
    )


def decided(status: Status, reason: str = "it expired", kind: str | None = None) -> Result:
    """A decision without a try."""
    return Result(notification(), Verdict(status, reason), kind=kind)
