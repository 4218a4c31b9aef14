"""Insert a row, and the message is delivered: a notification delivery worker for PostgreSQL.

What applications use stands here: `enqueue`, `enqueue_many`, `enqueue_each`, and `insert` for async drivers and Django.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noti_worker.store.client import enqueue, enqueue_each, enqueue_many, insert

__version__ = "0.1.0"

__all__ = ["__version__", "enqueue", "enqueue_each", "enqueue_many", "insert"]

if not TYPE_CHECKING:  # a type checker would take any name for given

    def __getattr__(name: str) -> Any:
        # Loaded when first asked for: the worker and `noti-worker --help` do not pay for it.
        if name in {"enqueue", "enqueue_each", "enqueue_many", "insert"}:
            from noti_worker.store import client

            return getattr(client, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
