"""Which quotas and bounds of tenants refuse inserts."""

from noti_worker.store.connect import Session
from noti_worker.store.statements import statement

_WATCH = statement("watch_quotas")


def watch_quotas(session: Session) -> int:
    """Write down which quotas and bounds will be used up by what waits; gives how many."""
    return int(session.run(_WATCH, {})[0]["full"])
