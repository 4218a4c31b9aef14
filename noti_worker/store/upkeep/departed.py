"""Entries of the register whose workers are long gone."""

from datetime import timedelta

from noti_worker.store.connect import Session
from noti_worker.store.statements import statement

_FORGET = statement("forget_workers")


def forget_departed(session: Session, after: timedelta) -> int:
    """Delete register rows without a heartbeat for `after`; gives how many."""
    return len(session.run(_FORGET, {"after": after}))
