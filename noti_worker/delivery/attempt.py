"""One try: the only I/O besides the store, and the place where a bug of a sender ends."""

from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Message
from noti_worker.domain.ports import Sender
from noti_worker.domain.said import Said


def attempt(message: Message, sender: Sender, limit: float) -> Said:
    """Send within `limit` seconds; never raises."""
    answer: Any
    try:
        answer = sender.send(message, limit)
    except BadNotification as bad:
        return Said("compose", error=str(bad))
    except ConfigurationError as wrong:  # the sender could not be built again
        return Said("build", error=str(wrong))
    except (Exception, SystemExit) as broken:  # noqa: BLE001 - the one broad except of the house: a bug harms one row
        # Whether the payload went out nobody knows. Only the class: its text may hold content and secrets. In a
        # sender's thread sys.exit would end the thread alone, and cost its channel a slot for good.
        return Said("answer", code="bug", error=type(broken).__name__)
    if not isinstance(answer, Said):
        return Said("answer", code="bug", error=f"the sender gave no Said but {type(answer).__name__}")
    return answer
