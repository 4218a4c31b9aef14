"""A claim touches no index: the update is HOT, and no index names what a claim writes."""

from collections.abc import Callable
from typing import Any

import pytest

from noti_worker.domain.lanes import Share
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import LEASE, NORMAL, Connection, claim

BACKLOG = (
    "INSERT INTO noti.notifications_log (channel, recipient, subject, body)"
    " SELECT 'email', 'ann@example.com', 'Hello', repeat('x', %s) FROM generate_series(1, %s)"
)


def _updates(connection: Connection) -> tuple[int, int]:
    found = connection.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'noti.notifications_log'::regclass"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


@pytest.mark.parametrize("size", [100, 1500])
def test_every_claim_of_a_bulk_backlog_is_hot(
    queue: PostgresQueue, connection: Connection, wait_for: Callable[..., Any], size: int
) -> None:
    connection.execute(BACKLOG, [size, 5000])
    for _ in range(10):
        assert len(queue.claim(1, [Share(NORMAL, 500)], 500, LEASE, [], solo=False)) == 500
    queue.close()  # a backend reports its counts at the latest when it ends
    updated, hot = wait_for(lambda: (seen := _updates(connection))[0] >= 5000 and seen)
    assert (updated, hot) == (5000, 5000)


def test_extensions_and_dispatch_marks_are_hot_too(
    queue: PostgresQueue, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    connection.execute(BACKLOG, [100, 200])
    rows = claim(queue, 200)
    queue.extend(1, rows, LEASE * 2)
    for notification in rows[:20]:
        queue.dispatch(1, notification)
    queue.close()
    updated, hot = wait_for(lambda: (seen := _updates(connection))[0] >= 420 and seen)
    # A third copy may find its page full; a claim's copy never does.
    assert updated == 420
    assert hot >= 400


def test_no_index_names_what_a_claim_writes(connection: Connection) -> None:
    written = {"status", "lease_until", "claimed_by", "claim_count", "retry_count", "lost_count", "attempt_count"}
    written |= {"dispatched_at", "requested"}
    definitions = connection.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'noti.notifications_log'::regclass"
    ).fetchall()
    named = {column for (definition,) in definitions for column in written if column in definition}
    assert named == set()


def test_the_budget_of_indexes_is_kept(connection: Connection) -> None:
    names = connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'noti.notifications_log'::regclass"
    ).fetchall()
    # Every index makes each recorded result dearer: think before this list grows.
    assert {name.removeprefix("noti.") for (name,) in names} == {
        "notifications_log_pkey",
        "notifications_log_hot",
        "notifications_log_idempotency",
        "notifications_log_entity",
        "notifications_log_created",
        "notifications_log_finished",
        "notifications_log_held",
        "notifications_log_failed",
        "notifications_log_attachments",  # only rows that name some are in it
        "notifications_log_collapse",  # only rows with a collapse key
        "notifications_log_digest_due",  # only what gathers
        "notifications_log_digest",
        "notifications_log_copies",  # only copies that were refused for now
    }
