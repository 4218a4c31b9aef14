"""The queue of one worker, and the register of workers."""

from noti_worker.store.queue.postgres import PostgresQueue

__all__ = ["PostgresQueue"]
