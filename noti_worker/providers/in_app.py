"""Messages inside the application: the row is recorded together with its line in `noti.inbox`.

Nothing is sent here. The record statement writes the inbox in the transaction that marks the row as sent,
so the application sees the message exactly when the notification counts as delivered.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import IN_APP_OPTIONS
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Sender

if TYPE_CHECKING:
    from noti_worker.transport import Http

CHANNELS = frozenset({Channel.IN_APP})
OPTIONS = IN_APP_OPTIONS


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""


def build(settings: Settings, http: "Http") -> Sender:
    """The sender of the inbox."""
    return _Inbox()


class _Inbox:
    def send(self, message: Message, limit: float) -> Outcome:
        return Outcome(Kind.OK, provider_message_id=str(message.message_id))

    def close(self) -> None:
        pass
