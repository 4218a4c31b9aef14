"""What the store is told of a row that was not sent, and what follows one that was."""

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import Follow, InboxLine
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Channel, Drop, Message, Notification, Status, Stop, Wait


def not_sent(row: Notification, stop: Stop) -> Result:
    """A decision without a try; nothing is charged."""
    if isinstance(stop, Wait):
        return Result(row, Verdict(Status.RETRYING, stop.reason, wait=stop.delay))
    return Result(row, Verdict(stop.status, stop.reason), kind=stop.kind if isinstance(stop, Drop) else None)


def follows(message: Message) -> tuple[Follow, ...]:
    """What is written together with a message that went out."""
    if message.channel is not Channel.IN_APP:
        return ()
    return (InboxLine(message.tenant_id, message.recipient, message.subject, message.text, message.html),)
