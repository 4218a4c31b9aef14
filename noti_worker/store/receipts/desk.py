"""Where kept requests are read: each by one worker, and what is in it counts once."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from noti_worker.domain.receipts import REPLIED, Posted, Receipt, Written
from noti_worker.store.connect import Session
from noti_worker.store.statements import statement
from noti_worker.store.storable import storable

_TAKE = statement("take_raw")
_RECEIVE = statement("receive")
_MARK = statement("mark_read")
_NEXT = statement("next_look")

LONGEST = {"reference": 250, "recipient": 1_000, "code": 100, "words": 1_000, "sender": 200}
"""Characters of what a provider says."""

_LONGEST_EVENT = 200
"""Bytes; of a longer one the digest stands for it, for it must stay unlike all others."""

_LONGEST_ERROR = 500
_LONGEST_REPLY = 200
"""Longer ones ask for nothing that is understood."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A kept request, and when it came."""

    raw_id: int
    account: str
    provider: str
    posted: Posted
    received_at: datetime


Said = Sequence[Receipt | Written]
Counts = Mapping[tuple[str, str, str], int]
"""By provider, kind, and what became of them: matched, parked, given up, known or heard."""


class ReceiptDesk:
    """Reads requests on one session; every call raises DatabaseAway or DatabaseRefused."""

    def __init__(self, session: Session) -> None:
        """Nothing is read before the first call."""
        self._session = session

    def read(self, after: int, read: Callable[[Raw], Said | str]) -> tuple[int | None, Counts]:
        """Read the next request behind the raw_id `after`; gives its id, None when there is none, and the counts.

        `read` gives what it says, or in words why it cannot be read. Parked receipts are looked at, too.
        """
        with self._session.transaction() as run:
            raw = next(map(_raw, run(_TAKE, {"after": after})), None)
            found = read(raw) if raw is not None else ()
            error = found if isinstance(found, str) else None
            lines = (
                [entry(one, raw.account, raw.provider, raw.received_at, raw.raw_id) for one in found]
                if raw is not None and not isinstance(found, str)
                else []
            )
            counts = run(_RECEIVE, {"document": json.dumps(lines)})
            if raw is not None:
                run(_MARK, {"raw_id": raw.raw_id, "error": storable(error, _LONGEST_ERROR)})
        return raw.raw_id if raw is not None else None, counted(counts)

    def give_up(self, raw_id: int, error: str) -> None:
        """Leave a request that the database refuses to take over; it is kept with the words."""
        self._session.run(_MARK, {"raw_id": raw_id, "error": storable(error, _LONGEST_ERROR)})

    def next_at(self) -> datetime | None:
        """When a parked receipt is due to be looked at again."""
        at: datetime | None = self._session.run(_NEXT, {})[0]["next_at"]
        return at


def counted(rows: Sequence[Mapping[str, Any]]) -> Counts:
    """What `receive` gave."""
    return {(row["provider"], row["kind"], row["fate"]): row["count"] for row in rows}


def _raw(row: Mapping[str, Any]) -> Raw:
    return Raw(
        row["raw_id"],
        row["account"],
        row["provider"],
        Posted(row["body"], row["headers"], row["query"]),
        row["received_at"],
    )


def entry(
    said: Receipt | Written, account: str, provider: str, told_at: datetime | None = None, raw_id: int | None = None
) -> dict[str, Any]:
    """One entry of the document of `receive`; what was said is cleaned and cut. `told_at` where it says no time."""
    at = said.at or told_at
    line: dict[str, Any] = {
        "account": account,
        "provider": provider,
        "raw_id": raw_id,
        "event": _event(said.event),
        "at": at.isoformat() if at is not None else None,
    }
    if isinstance(said, Written):
        named: dict[str, object] = {"sender": said.sender}
        line |= {"kind": REPLIED, "channel": said.channel, "reply": storable(said.text, _LONGEST_REPLY)}
    else:
        named = {name: getattr(said, name) for name in ("reference", "recipient", "code", "words")}
        line |= {
            "kind": said.kind,
            "notification_id": said.notification_id,
            "message_id": str(said.message_id) if said.message_id is not None else None,
        }
    return line | {name: storable(value, LONGEST[name]) for name, value in named.items()}


def _event(event: str) -> str:
    written = event.encode(errors="replace")
    return storable(event, None) or "" if len(written) <= _LONGEST_EVENT else sha256(written).hexdigest()


def waiting(session: Session) -> dict[str, float]:
    """How many requests are `unread` and receipts `parked`, and the age of the oldest of the former in seconds."""
    [row] = session.run(statement("count_waiting"), {})
    return row
