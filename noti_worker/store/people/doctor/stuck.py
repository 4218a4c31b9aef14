"""What should move and does not: rows that are stuck, and the workers that should move them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain

from noti_worker.domain.counts import counted
from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.domain.limits import ACCOUNT
from noti_worker.domain.spans import span
from noti_worker.store.connect import Connection
from noti_worker.store.people.doctor import ask
from noti_worker.store.people.gauges import BOUND, Status, WorkerLine, routes, status
from noti_worker.store.people.limits import limits
from noti_worker.store.people.pausing import closed
from noti_worker.store.people.refused import refused

LAPSED = timedelta(minutes=1)
"""A lease that ran out is taken over at the next sweep; after this long something is wrong."""

MANY_DEAD = {"span": timedelta(days=1), "bound": 5_000, "fewest": 50, "share": 0.1}
"""Of the newest tries so many, and such a share, that were answered dead are worth a word."""

OVER = timedelta(minutes=10)
"""A digest goes out within a second or two of its window's end; after this long something is wrong."""

BEHIND = 300.0
"""Seconds that a due row may wait before it is worth a word."""


def work(connection: Connection, version: str) -> Iterator[Finding]:
    """Workers, accounts in trouble, limits that are felt, unserved channels, lapsed leases, held rows, digests."""
    now = status(connection)
    living = [worker for worker in now.workers if worker.alive]
    yield from _workers(now, living, version)
    stuck = list(
        chain(
            _refused(living),
            _troubled(connection),
            _limited(connection),
            _channels(now, living),
            _lapsed(connection, living),
            _held(connection),
            _gathering(connection, living),
        )
    )
    yield from stuck
    yield from _dead(connection)
    if not stuck:
        yield ok("rows", f"none is stuck; {counted(sum(channel.due for channel in now.channels), 'is', 'are')} due")


def _workers(now: Status, living: list[WorkerLine], version: str) -> Iterator[Finding]:
    waiting = sum(channel.due for channel in now.channels)
    if now.standby:
        yield ok("workers", "not looked at: a standby has no register of them")
    elif not living and waiting:
        yield problem(
            "workers",
            f"no worker is running, and {counted(waiting, 'row is', 'rows are')} due",
            "start one: noti-worker run",
        )
    elif not living:
        yield warning("workers", "no worker is running", "start one: noti-worker run")
    else:
        versions = sorted({worker.version or "unknown" for worker in living})
        yield ok("workers", f"{len(living)} running, version {' and '.join(versions)}")
        if versions != [version]:
            yield warning(
                "workers",
                f"workers run version {' and '.join(versions)}, this program is {version}",
                "finish the upgrade: migrate, then restart the workers one after the other",
            )
    for worker in now.workers:
        if not worker.alive:
            yield warning(
                "workers",
                f"worker {worker.worker_id} (process {worker.pid} on {worker.host}) was last heard of"
                f" {worker.heartbeat_seconds:.0f} s ago; its rows are taken over",
                "look into its log; an entry without heartbeat is forgotten after a day",
            )


def _refused(living: list[WorkerLine]) -> Iterator[Finding]:
    """What the database refuses: all of one kind, so that the worker is not ready, or single rows."""
    for worker in living:
        told = refused(worker)
        for what, why in told.unable.items():
            yield problem(
                "workers",
                f"worker {worker.worker_id} (process {worker.pid} on {worker.host}) is not ready,"
                f" it cannot {what}: {why}",
                "mend what refuses it (a right, a trigger or CHECK of yours, a policy); it goes on by itself",
            )
        if told.count:
            yield problem(
                "rows",
                f"{counted(told.count, 'row is', 'rows are')} refused to worker {worker.worker_id}, the others go on:"
                f" {told.named}",
                "mend the trigger, the CHECK or the value; each is tried again after 10 minutes at most",
            )


def _troubled(connection: Connection) -> Iterator[Finding]:
    for circuit in closed(connection)[1]:
        why = f": {circuit.reason}" if circuit.reason else ""
        yield problem(
            "accounts",
            f"the account {circuit.account} is in trouble since {circuit.opened_at:%Y-%m-%d %H:%M:%S}{why}",
            f"mend it; it is tried again at {circuit.retry_at:%H:%M:%S}, or at once after"
            f" noti-worker circuits close {circuit.account}",
        )


def _limited(connection: Connection) -> Iterator[Finding]:
    accounts = {account for route in routes(connection).values() for account in route}
    for line in limits(connection):
        if line.scope == ACCOUNT and line.set_by is not None and accounts and line.name not in accounts:
            yield warning(
                "limits",
                f"the account {line.name} is limited, and no running worker has it",
                f"noti-worker limit remove account {line.name}, or give its right name",
            )
        elif line.slowed_at is not None and line.pace is not None:
            yield warning(
                "limits",
                f"{line.scope} {line.name} has {line.pace:.0%} of its rate:"
                f" it found us too fast at {line.slowed_at:%Y-%m-%d %H:%M:%S}",
                "if that comes again and again, set what the provider allows: noti-worker limit set",
            )
        elif line.amount is not None and line.waiting:
            yield warning(
                "limits",
                f"the {line.amount} of this {line.period} of the {line.scope} {line.name} are used up,"
                f" and {counted(line.waiting, 'due message waits', 'due messages wait')}",
                "if that is not meant, give more: noti-worker limit set",
            )


def _channels(now: Status, living: list[WorkerLine]) -> Iterator[Finding]:
    served = {str(channel) for worker in living for channel in worker.state.get("channels", ())}
    for line in now.channels:
        unfinished = line.due + line.waiting
        if living and unfinished and line.channel not in served:
            yield problem(
                "rows",
                f"{_rows(unfinished, line.channel, 'waits', 'wait')}, and no living worker serves {line.channel}",
                f"configure an account that serves {line.channel} (noti-worker provider list), restart the worker",
            )
        elif living and (line.oldest_due_seconds or 0) > BEHIND:
            yield warning(
                "rows",
                f"{_rows(line.due, line.channel, 'is', 'are')} due, the oldest for {line.oldest_due_seconds:.0f} s",
                f"run more workers, or raise channels.{line.channel}.concurrency",
            )


def _lapsed(connection: Connection, living: list[WorkerLine]) -> Iterator[Finding]:
    for row in ask(connection, "doctor_lapsed", since=LAPSED, bound=BOUND):
        what = (
            f"{_rows(row['rows'], row['channel'], 'is', 'are')} in the hands of a worker that is gone;"
            f" the first lease ran out {row['seconds']:.0f} s ago"
        )
        if living:
            todo = "a living worker should have taken them over: look into its log, see noti-worker status"
            yield problem("rows", what, todo)
        else:
            yield problem("rows", what, "start a worker, it takes them over: noti-worker run")


def _held(connection: Connection) -> Iterator[Finding]:
    for row in ask(connection, "doctor_held", bound=BOUND):
        where = f"--channel {row['channel']} --status {row['status']}"
        reason = f": {row['reason'][:120]}" if row["reason"] else ""
        if row["status"] == "unknown":
            yield warning(
                "rows",
                f"{_rows(row['rows'], row['channel'], 'may', 'may')} have been sent or not{reason}",
                f"decide: noti-worker list {where}, then release (send again) or cancel them",
            )
        else:
            yield warning(
                "rows",
                f"{_rows(row['rows'], row['channel'], 'is', 'are')} held{reason}",
                f"mend the cause, then: noti-worker release {where}",
            )


def _gathering(connection: Connection, living: list[WorkerLine]) -> Iterator[Finding]:
    for row in ask(connection, "doctor_digests", since=OVER, bound=BOUND):
        rows = counted(row["rows"], "row gathers", "rows gather")
        yield problem(
            "rows",
            f"{rows} although the first digest was due {span(row['seconds'])} ago: nobody closes digests",
            f"look into the logs of the workers, then at noti-worker why {row['example_id']}"
            if living
            else "start a worker: noti-worker run",
        )


def _dead(connection: Connection) -> Iterator[Finding]:
    """Nobody has so many dead addresses, unless the list is old, or an answer is misread."""
    for row in ask(connection, "doctor_dead", **MANY_DEAD):
        yield warning(
            "rows",
            f"{row['dead']} of the last {row['tries']} {row['channel']} tries of the account {row['account']} were"
            " answered dead: their addresses are on the suppression list now",
            "an old list of addresses harms the sender: clean it; if they exist, a rule misreads the answer"
            " (noti-worker rules replay), and noti-worker suppression lift ADDRESS lets messages through",
        )


def _rows(count: int, channel: str, one: str, many: str) -> str:
    return counted(count, f"{channel} row {one}", f"{channel} rows {many}")
