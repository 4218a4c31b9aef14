"""Workers that crash, pause and flush late, beside an application that interferes: nothing is lost or told twice."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg

from noti_worker.domain.facts import Result
from noti_worker.domain.lifecycle import Policy, Verdict
from noti_worker.domain.notification import Briefing, Drop, Gather, Leave, Notification, Status, Wait
from noti_worker.domain.permits import permit
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, claim, decided, insert, tried

ROWS = 400
SECONDS = 2.5
STATUSES = [Status.SENT] * 6 + [Status.RETRYING] * 3 + [Status.FAILED, Status.HELD, Status.UNKNOWN]


def _judged(n: Notification, status: Status) -> Result:
    """What a worker makes of a claim: it asks the permits first, and retries at once."""
    if (no := permit(n, Briefing(), Policy(), n.claimed_at)) is not None:
        assert not isinstance(no, Wait | Leave | Gather)
        return decided(n, no.status, kind=no.kind if isinstance(no, Drop) else None)
    if status is Status.RETRYING and n.retry_count >= Policy().retries(n):
        return tried(n, Status.FAILED)
    if status is Status.RETRYING:
        return tried(n, status, verdict=Verdict(status, "again", wait=timedelta(0), charge=True))
    return tried(n, status)


def _work(queue: PostgresQueue, worker_id: int, dice: random.Random, until: float) -> None:
    late: list[Result] = []
    while time.monotonic() < until:
        solo = dice.random() < 0.3
        lease = timedelta(milliseconds=dice.choice([1, 20, 60_000]))
        rows = claim(queue, 1 if solo else dice.randint(1, 20), worker_id=worker_id, lease=lease, solo=solo)
        results = [_judged(n, dice.choice(STATUSES)) for n in rows]
        match dice.randint(0, 5):
            case 0 if lease < timedelta(seconds=1):
                continue  # crashed
            case 1:
                late += results  # paused
                continue
            case 2:
                queue.release(worker_id, rows[::2])
                results = results[1::2]
            case 3:
                queue.extend(worker_id, rows, timedelta(milliseconds=50))
        flushed = results + late
        late = []
        if dice.random() < 0.2:
            queue.record(worker_id, flushed)  # and the answer was lost
        fates = queue.record(worker_id, flushed)
        late += [result for result in flushed if fates[result.notification.notification_id] == "busy"]
    queue.record(worker_id, late)


def _interfere(database_url: str, dice: random.Random, until: float) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        while time.monotonic() < until:
            move = dice.choice(["cancel", "hold", "release", "requeue", "release", "requeue"])
            try:
                if dice.random() < 0.1:
                    with connection.transaction():
                        query = "SELECT FROM noti.notifications_log WHERE notification_id = %s FOR UPDATE"
                        connection.execute(query, [dice.randint(1, ROWS)])
                        threading.Event().wait(0.02)
                connection.execute(f"SELECT noti.{move}(%s)".encode(), [dice.randint(1, ROWS)])
            except psycopg.errors.ObjectInUse:
                continue  # refused politely: it is being sent


def _run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_storm_leaves_every_row_finished_parked_or_waiting_and_every_invariant_whole(
    database: Database, database_url: str, connection: Connection
) -> None:
    insert(connection, ROWS, max_retries=3)
    failures: list[BaseException] = []

    def guarded(work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            failures.append(error)

    until = time.monotonic() + SECONDS
    queues = [PostgresQueue(database) for _ in range(3)]
    crowd: list[tuple[Any, ...]] = [
        (_work, queue, number, random.Random(number), until) for number, queue in enumerate(queues, 1)
    ]
    crowd += [(_interfere, database_url, random.Random(10 + number), until) for number in range(2)]
    _run([threading.Thread(target=guarded, args=one) for one in crowd])
    assert failures == []

    # Calm: everybody is gone, and one worker puts things in order.
    last = queues[0]
    for _ in range(40):
        for solo in (False, True):
            rows = claim(last, 500, worker_id=9, dead=[1, 2, 3], solo=solo)
            assert set(last.record(9, [_judged(n, Status.SENT) for n in rows]).values()) <= {"applied"}
    for queue in queues:
        queue.close()

    left = connection.execute(
        "SELECT status, count(*) FROM noti.notifications_log WHERE finished_at IS NULL AND held_at IS NULL GROUP BY 1"
    ).fetchall()
    assert left == []
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
    told = (
        "SELECT notification_id, claim_count FROM noti.notification_attempts_log WHERE status NOT IN ('stale', 'lost')"
    )
    twice = connection.execute(
        f"SELECT FROM ({told}) t GROUP BY notification_id, claim_count HAVING count(*) > 1".encode()
    )
    assert twice.fetchall() == []
    kinds = connection.execute("SELECT status, count(*) FROM noti.notification_attempts_log GROUP BY 1").fetchall()
    assert {"sent", "retrying", "failed", "lost", "stale"} <= {status for status, _ in kinds}
