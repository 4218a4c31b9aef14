"""What comes back by mail: of which notification it speaks, and what it says told to it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from noti_worker.domain.receipts import Receipt
from noti_worker.store.connect import Session
from noti_worker.store.receipts.desk import Counts, counted, entry
from noti_worker.store.statements import statement

_MAILED = statement("mailed")
_RECEIVE = statement("receive")


@dataclass(frozen=True, slots=True)
class Mailed:
    """An e-mail of ours, and whom it went to; `copies` are its cc and bcc."""

    notification_id: int
    message_id: UUID
    recipient: str = field(repr=False)
    copies: tuple[str, ...] = field(default=(), repr=False)


class MailDesk:
    """Asks and tells on one session; every call raises DatabaseAway or DatabaseRefused."""

    def __init__(self, session: Session) -> None:
        """Nothing is asked before the first call."""
        self._session = session

    def mailed(self, notification_id: int) -> Mailed | None:
        """The e-mail of that id; None when there is none, or no more."""
        rows = self._session.run(_MAILED, {"notification_id": notification_id})
        for row in rows:
            given = [row[key] if isinstance(row[key], list) else [row[key]] for key in ("cc", "bcc")]
            copies = tuple(one for some in given for one in some if isinstance(one, str))
            return Mailed(notification_id, row["message_id"], row["recipient"], copies)
        return None

    def take_over(self, account: str, provider: str, receipts: Sequence[Receipt]) -> Counts:
        """Tell the notifications what came; committed when it returns."""
        lines = [entry(one, account, provider) for one in receipts]
        return counted(self._session.run(_RECEIVE, {"document": json.dumps(lines)}))
