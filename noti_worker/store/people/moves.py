"""What operators do to notifications: send one, requeue, cancel, hold, release; by id or by filter, in batches.

Each batch is one transaction of plain UPDATEs, so that the guard of the table keeps watch and writes the audit lines.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, literal_column, select, update

from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.notification import Status
from noti_worker.store.client import enqueue
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words, translated
from noti_worker.store.people.filters import Filter, where
from noti_worker.store.people.listing import Line, compiled, list_notifications
from noti_worker.store.people.source import rows
from noti_worker.store.people.tables import notifications_log as log
from noti_worker.store.statements import Statement

ERASED = "[erased]"
"""The recipient of a notification whose content is gone for good."""

_ERASED = log.c.recipient == literal_column(f"'{ERASED}'")

BATCH = 500
"""Rows per transaction: short enough that no worker waits long for a row lock."""


class Move(StrEnum):
    """What is to become of notifications."""

    REQUEUE = "requeue"  # a finished one that was not sent is sent again
    CANCEL = "cancel"  # an unfinished one is not sent
    HOLD = "hold"  # a waiting one stays until released
    RELEASE = "release"  # a held one waits again


@dataclass(frozen=True, slots=True)
class _Rule:
    """`moves` are the statuses that move to `to`; `usual` those that a filter without status means."""

    to: Status
    moves: frozenset[Status]
    usual: tuple[Status, ...]


_UNFINISHED = (Status.PENDING, Status.RETRYING, Status.SENDING, Status.HELD, Status.UNKNOWN)
_RULES = {
    Move.REQUEUE: _Rule(
        to=Status.PENDING,
        moves=frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.SUPPRESSED}),
        usual=(Status.FAILED,),
    ),
    Move.CANCEL: _Rule(
        to=Status.CANCELLED,
        moves=frozenset({Status.PENDING, Status.RETRYING, Status.HELD, Status.UNKNOWN}),
        usual=_UNFINISHED,
    ),
    Move.HOLD: _Rule(
        to=Status.HELD,
        moves=frozenset({Status.PENDING, Status.RETRYING}),
        usual=(Status.PENDING, Status.RETRYING, Status.SENDING),
    ),
    # `unknown` may have been sent: whoever releases such a row names it.
    Move.RELEASE: _Rule(
        to=Status.PENDING, moves=frozenset({Status.HELD, Status.UNKNOWN}), usual=(Status.HELD, Status.SENDING)
    ),
}


@dataclass(frozen=True, slots=True)
class Moved:
    """How many moved at once, for how many it was noted (a try is in flight), and why the others did not move."""

    done: int = 0
    noted: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(
            self.done + other.done, self.noted + other.noted, dict(Counter(self.refused) + Counter(other.refused))
        )

    @property
    def total(self) -> int:
        """All that were looked at."""
        return self.done + self.noted + sum(self.refused.values())


class Interrupted(DatabaseError):
    """The database stopped a move half way; `moved` is what is committed."""

    def __init__(self, moved: Moved, cause: DatabaseError) -> None:
        super().__init__(f"{cause}; {moved.done + moved.noted} were moved before that")
        self.moved = moved


def send(connection: Connection, fields: Mapping[str, Any], *, dry_run: bool = False) -> Line:
    """Queue one notification and give its line; with `dry_run` the database checks it and takes it back.

    `fields` are those of `enqueue`; `send_at` and `expires_at` may also be a timedelta from the database's now.
    Raises BadNotification in the words of the database.
    """
    with in_words(), connection.transaction(force_rollback=dry_run):
        now = rows(connection, Statement("now", "SELECT clock_timestamp() AS now", frozenset()), {})[0]["now"]
        instants = {name: now + value for name, value in fields.items() if isinstance(value, timedelta)}
        given: Any = {**fields, **instants}
        return list_notifications(connection, Filter(ids=(enqueue(connection, **given),)))[0]


def meant(move: Move, chosen: Filter) -> Filter:
    """The filter with the statuses that the move usually means, unless it names ids or statuses itself."""
    return chosen if chosen.ids or chosen.status else replace(chosen, status=_RULES[move].usual)


def preview(connection: Connection, move: Move, chosen: Filter, sample: int = 10) -> tuple[Moved, list[Line]]:
    """Tell what `carry_out` would do, and show the newest few that would move; changes nothing."""
    chosen = meant(move, chosen)
    groups = (
        select(log.c.status, log.c.requested, _ERASED.label("erased"), func.count().label("rows"))
        .where(where(chosen))
        .group_by(log.c.status, log.c.requested, _ERASED)
    )
    moved = Moved()
    for row in rows(connection, *compiled("preview", groups)):
        moved += _judged(move, Status(row["status"]), row["requested"], row["rows"], erased=row["erased"])
    fitting = [
        line
        for line in list_notifications(connection, chosen, 20 * sample)
        if not _judged(move, Status(line.status), line.requested, 1, erased=line.recipient == ERASED).refused
    ]
    return _with_missing(moved, chosen), fitting[:sample]


def carry_out(
    connection: Connection,
    move: Move,
    chosen: Filter,
    progress: Callable[[int, int], None] = lambda seen, total: None,
) -> Moved:
    """Move what fits, the oldest first; `progress` hears after each batch how many of all were looked at.

    Rows that came to fit after the start are not touched. Raises Interrupted when the database stops it between;
    what was committed until then stays, and calling again goes on.
    """
    chosen = meant(move, chosen)
    moved = Moved()
    try:
        fitting = select(log.c.notification_id).where(where(chosen)).order_by(log.c.notification_id)
        ids = [row["notification_id"] for row in rows(connection, *compiled("fitting", fitting))]
        for batch in _batches(ids):
            moved += _move(connection, move, batch)
            progress(moved.total, len(ids))
    except DatabaseError as error:
        if not moved.total:
            raise
        raise Interrupted(moved, error) from None
    return _with_missing(moved, chosen)


def _move(connection: Connection, move: Move, ids: Sequence[int]) -> Moved:
    """One batch: lock in the order of the ids, see what each row is now, move those that may."""
    rule = _RULES[move]
    lock = (
        select(log.c.notification_id, log.c.status, log.c.requested, _ERASED.label("erased"))
        .where(log.c.notification_id.in_(ids))
        .order_by(log.c.notification_id)
        .with_for_update(key_share=True)
    )
    moved = Moved()
    now: list[int] = []
    later: list[int] = []
    with translated(), connection.transaction():
        for row in rows(connection, *compiled("lock", lock)):
            status = Status(row["status"])
            judged = _judged(move, status, row["requested"], 1, erased=row["erased"])
            moved += judged
            if judged.done:
                now.append(row["notification_id"])
            elif judged.noted:
                later.append(row["notification_id"])
        _update(connection, now, status=rule.to.value)
        if move is Move.RELEASE:
            _update(connection, later, requested=None)
        else:
            _update(connection, later, status=rule.to.value)  # the guard turns it into a request
    return moved


def _update(connection: Connection, ids: Sequence[int], **values: Any) -> None:
    if ids:
        question, parameters = compiled("move", update(log).where(log.c.notification_id.in_(ids)).values(**values))
        connection.execute(question.sql, parameters)


def _judged(move: Move, status: Status, requested: str | None, count: int, *, erased: bool) -> Moved:
    """What a move makes of rows of this status: move, note, or refuse with a reason."""
    rule = _RULES[move]
    if move is Move.REQUEUE and erased:
        return Moved(refused={"it was erased and cannot be sent again": count})
    if status in rule.moves:
        return Moved(done=count)
    if status is not Status.SENDING:
        return Moved(refused={_REFUSALS.get((move, status)) or f"it is {status.value}": count})
    match move:
        case Move.REQUEUE:
            return Moved(refused={"it is being sent": count})
        case Move.RELEASE if requested != Status.HELD:
            return Moved(refused={"it is being sent and nobody asked to hold it": count})
        case Move.CANCEL | Move.HOLD if requested in {rule.to, Status.CANCELLED}:
            return Moved(refused={f"it is being sent and will be {requested} unless it succeeds": count})
        case _:
            return Moved(noted=count)


_REFUSALS = {
    (Move.REQUEUE, Status.SENT): "it was sent",
    (Move.REQUEUE, Status.PENDING): "it waits already",
    (Move.REQUEUE, Status.RETRYING): "it waits for its next try already",
    (Move.REQUEUE, Status.HELD): "it is held: release it",
    (Move.REQUEUE, Status.UNKNOWN): "it may have been sent: release it to send it again, or cancel it",
    (Move.RELEASE, Status.PENDING): "it is not held",
    (Move.RELEASE, Status.RETRYING): "it is not held",
    (Move.HOLD, Status.HELD): "it is held already",
    (Move.HOLD, Status.UNKNOWN): "it is parked already",
}


def _with_missing(moved: Moved, chosen: Filter) -> Moved:
    missing = len(set(chosen.ids)) - moved.total if chosen.ids else 0
    return moved + Moved(refused={"there is no such notification": missing}) if missing > 0 else moved


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
