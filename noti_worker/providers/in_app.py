"""Messages inside the application: the row is recorded together with its line in `noti.inbox`.

Nothing is sent here. The record statement writes the inbox in the transaction that marks the row as sent,
so the application sees the message exactly when the notification counts as delivered.
"""

from dataclasses import dataclass

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import IN_APP_OPTIONS
from noti_worker.domain.outcome import Kind
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit

CHANNELS = frozenset({Channel.IN_APP})
OPTIONS = IN_APP_OPTIONS

RULES = (Rule("in_app.written", Kind.OK, code="written"),)


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of the inbox."""
    return kit.blocking(_written)


def _written(message: Message, limit: float) -> Said:
    return Said("answer", code="written", id=str(message.message_id))
