"""What operators do to notifications: send one, requeue, retry, cancel, hold, release; by id or by filter, in batches.

Each batch is one transaction of plain UPDATEs, so that the guard of the table keeps watch and writes the audit lines.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, LiteralString

from sqlalchemy import ColumnElement, false, func, select, update

from noti_worker.domain.errors import BadNotification, DatabaseError
from noti_worker.domain.notification import Status
from noti_worker.store.client import enqueue
from noti_worker.store.connect import Connection, Row
from noti_worker.store.errors import in_words, translated
from noti_worker.store.people.filters import Filter, where
from noti_worker.store.people.listing import Line, compiled, list_notifications
from noti_worker.store.people.source import rows
from noti_worker.store.people.tables import notifications_log as log
from noti_worker.store.statements import Statement

BATCH = 500
"""Rows per transaction: short enough that no worker waits long for a row lock."""

ERASED = "[erased]"
"""The recipient of a notification whose content is gone."""

CORRECTABLE = ("recipient", "subject", "body", "options")
"""The columns that a requeue may correct."""

_CORRECT: LiteralString = (
    "SELECT noti.correct(%(id)s::bigint, %(recipient)s::text, %(subject)s::text, %(body)s::text, %(options)s::jsonb)"
)


class Move(StrEnum):
    """What is to become of notifications."""

    REQUEUE = "requeue"  # a finished one that was not sent is sent again
    RETRY = "retry"  # one that waits for its next try is due at once
    CANCEL = "cancel"  # an unfinished one is not sent
    HOLD = "hold"  # a waiting one stays until released
    RELEASE = "release"  # a held one waits again


@dataclass(frozen=True, slots=True)
class _Rule:
    """`moves` are the statuses that move to `to`; `usual` those that a filter without status means.

    What `repeats` may bring a second message to somebody whom an earlier try reached.
    """

    to: Status
    moves: frozenset[Status]
    usual: tuple[Status, ...]
    repeats: bool = False


_UNFINISHED = (Status.PENDING, Status.RETRYING, Status.SENDING, Status.HELD, Status.UNKNOWN, Status.GATHERING)
_RULES = {
    Move.REQUEUE: _Rule(
        to=Status.PENDING,
        moves=frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.SUPPRESSED}),
        usual=(Status.FAILED,),
        repeats=True,
    ),
    Move.RETRY: _Rule(to=Status.RETRYING, moves=frozenset({Status.RETRYING}), usual=(Status.RETRYING,)),
    Move.CANCEL: _Rule(
        to=Status.CANCELLED,
        moves=frozenset({Status.PENDING, Status.RETRYING, Status.HELD, Status.UNKNOWN, Status.GATHERING}),
        usual=_UNFINISHED,
    ),
    Move.HOLD: _Rule(
        to=Status.HELD,
        moves=frozenset({Status.PENDING, Status.RETRYING, Status.GATHERING}),
        usual=(Status.PENDING, Status.RETRYING, Status.SENDING),
    ),
    # `unknown` may have been sent, and what gathers goes out by itself: whoever releases such a row names it.
    Move.RELEASE: _Rule(
        to=Status.PENDING,
        moves=frozenset({Status.HELD, Status.UNKNOWN, Status.GATHERING}),
        usual=(Status.HELD, Status.SENDING),
        repeats=True,
    ),
}


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for."""

    move: Move
    chosen: Filter
    may_repeat: bool = False
    correction: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def meant(self) -> Filter:
        """The filter with the statuses that the move usually means, unless it names ids or statuses itself."""
        return self.chosen if self.chosen.ids or self.chosen.status else replace(self.chosen, status=self.rule.usual)

    @property
    def rule(self) -> _Rule:
        """What the move does."""
        return _RULES[self.move]

    @property
    def repeats(self) -> bool:
        """Whether it takes what may have arrived."""
        return self.may_repeat or bool(self.chosen.ids)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a move asks of a row."""

    status: Status
    requested: str | None
    perhaps: bool
    erased: bool
    due: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How many moved at once, for how many it was noted (a try is in flight), and why the others did not move.

    `perhaps` of those that moved may be a second message to their recipient.
    """

    done: int = 0
    noted: int = 0
    perhaps: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(
            self.done + other.done,
            self.noted + other.noted,
            self.perhaps + other.perhaps,
            dict(Counter(self.refused) + Counter(other.refused)),
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


def send(connection: Connection, fields: Mapping[str, Any]) -> Line:
    """Queue one notification and give its line.

    `fields` are those of `enqueue`; `send_at` and `expires_at` may also be a timedelta from the database's now.
    Raises BadNotification in the words of the database.
    """
    with in_words(), connection.transaction():
        now = rows(connection, Statement("now", "SELECT clock_timestamp() AS now", frozenset()), {})[0]["now"]
        instants = {name: now + value for name, value in fields.items() if isinstance(value, timedelta)}
        given: Any = {**fields, **instants}
        send_at, expires_at = given.get("send_at"), given.get("expires_at")
        if send_at is not None and expires_at is not None and expires_at <= send_at:
            raise BadNotification("expires_at is not after send_at: it would expire before it may be sent")
        return list_notifications(connection, Filter(ids=(enqueue(connection, **given),)))[0]


def preview(
    connection: Connection, move: Move, chosen: Filter, sample: int = 10, *, may_repeat: bool = False
) -> tuple[Moved, list[Line]]:
    """Tell what `carry_out` would do, and show the newest few that would move; changes nothing."""
    order = _Order(move, chosen, may_repeat)
    chosen = order.meant
    each = select(*_facts(order)).where(where(chosen)).subquery()
    groups = select(*each.c, func.count().label("rows")).group_by(*each.c)
    moved = Moved()
    for row in rows(connection, *compiled("preview", groups)):
        count = row.pop("rows")
        moved += _judged(order, _seen(row), count)
    lines = list_notifications(connection, chosen, 20 * sample) if sample else []
    ids = [line.notification_id for line in lines]
    seen = {row.pop("notification_id"): row for row in _read(connection, order, ids)} if ids else {}
    fitting = [
        line
        for line in lines
        if line.notification_id in seen and not _judged(order, _seen(seen[line.notification_id]), 1).refused
    ]
    return _with_missing(moved, chosen), fitting[:sample]


def carry_out(
    connection: Connection,
    move: Move,
    chosen: Filter,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    *,
    may_repeat: bool = False,
    correction: Mapping[str, Any] | None = None,
) -> Moved:
    """Move what fits, the oldest first; `progress` hears after each batch how many of all were looked at.

    Without `may_repeat` a requeue or release by conditions leaves out what an earlier try may have brought to its
    recipient; whoever names ids has decided. A requeue changes the columns of `correction` (CORRECTABLE) on its way.
    Rows that came to fit after the start are not touched. Raises Interrupted when the database stops it between;
    what was committed until then stays, and calling again goes on.
    """
    order = _Order(move, chosen, may_repeat, correction or {})
    chosen = order.meant
    moved = Moved()
    try:
        fitting = select(log.c.notification_id).where(where(chosen)).order_by(log.c.notification_id)
        ids = [row["notification_id"] for row in rows(connection, *compiled("fitting", fitting))]
        for batch in _batches(ids):
            moved += _move(connection, order, batch)
            progress(moved.total, len(ids))
    except DatabaseError as error:
        if not moved.total:
            raise
        raise Interrupted(moved, error) from None
    return _with_missing(moved, chosen)


def _facts(order: _Order) -> list[ColumnElement[Any]]:
    perhaps = func.noti.may_have_arrived(log.c.notification_id) if order.rule.repeats else false()
    return [
        log.c.status,
        log.c.requested,
        perhaps.label("perhaps"),
        (log.c.recipient == ERASED).label("erased"),
        (log.c.due_at <= func.now()).label("due"),
    ]


def _seen(row: Row) -> _Seen:
    return _Seen(**(row | {"status": Status(row["status"])}))


def _read(connection: Connection, order: _Order, ids: Sequence[int], *, lock: bool = False) -> list[Row]:
    question = (
        select(log.c.notification_id, *_facts(order))
        .where(log.c.notification_id.in_(ids))
        .order_by(log.c.notification_id)
    )
    return rows(connection, *compiled("seen", question.with_for_update(key_share=True) if lock else question))


def _move(connection: Connection, order: _Order, ids: Sequence[int]) -> Moved:
    """One batch: lock in the order of the ids, see what each row is now, move those that may."""
    moved = Moved()
    now: list[int] = []
    later: list[int] = []
    with translated(), connection.transaction():
        for row in _read(connection, order, ids, lock=True):
            number = row.pop("notification_id")
            judged = _judged(order, _seen(row), 1)
            moved += judged
            if judged.done:
                now.append(number)
            elif judged.noted:
                later.append(number)
        if order.correction:
            _correct(connection, now, order.correction)
        elif order.move is Move.RETRY:
            _update(connection, now, next_retry_at=func.clock_timestamp())
        else:
            _update(connection, now, status=order.rule.to.value)
        if order.move is Move.RELEASE:
            _update(connection, later, requested=None)
        else:
            _update(connection, later, status=order.rule.to.value)  # the guard turns it into a request
    return moved


def _update(connection: Connection, ids: Sequence[int], **values: Any) -> None:
    if ids:
        question, parameters = compiled("move", update(log).where(log.c.notification_id.in_(ids)).values(**values))
        connection.execute(question.sql, parameters)


def _correct(connection: Connection, ids: Sequence[int], correction: Mapping[str, Any]) -> None:
    given = {name: correction.get(name) for name in CORRECTABLE}
    given["options"] = None if given["options"] is None else json.dumps(given["options"])
    for number in ids:
        with in_words():
            connection.execute(_CORRECT, {**given, "id": number})


def _judged(order: _Order, seen: _Seen, count: int) -> Moved:
    """What a move makes of rows like this: move, note, or refuse with a reason."""
    rule, status = order.rule, seen.status
    if status in rule.moves:
        if reason := _kept(order, seen):
            return Moved(refused={reason: count})
        return Moved(done=count, perhaps=count if seen.perhaps else 0)
    if status is not Status.SENDING:
        return Moved(refused={_REFUSALS.get((order.move, status)) or f"it is {status.value}": count})
    match order.move:
        case Move.REQUEUE | Move.RETRY:
            return Moved(refused={"it is being sent": count})
        case Move.RELEASE if seen.requested != Status.HELD:
            return Moved(refused={"it is being sent and nobody asked to hold it": count})
        case Move.CANCEL | Move.HOLD if seen.requested in {rule.to, Status.CANCELLED}:
            return Moved(refused={f"it is being sent and will be {seen.requested} unless it succeeds": count})
        case _:
            return Moved(noted=count)


def _kept(order: _Order, seen: _Seen) -> str | None:
    """Why a row that could move does not."""
    if order.move is Move.RETRY and seen.due:
        return "it is due already"
    if order.move is Move.REQUEUE and seen.erased:
        return "it was erased and cannot be sent again"
    if order.rule.repeats and seen.perhaps and not order.repeats:
        return "an earlier try may have arrived; --may-repeat sends it all the same"
    return None


_REFUSALS = {
    (Move.REQUEUE, Status.SENT): "it was sent",
    (Move.REQUEUE, Status.PENDING): "it waits already",
    (Move.REQUEUE, Status.RETRYING): "it waits for its next try already",
    (Move.REQUEUE, Status.HELD): "it is held: release it",
    (Move.REQUEUE, Status.UNKNOWN): "it may have been sent: release it to send it again, or cancel it",
    (Move.REQUEUE, Status.GATHERING): "it gathers with others: release sends it now",
    (Move.RETRY, Status.GATHERING): "it gathers with others: release sends it now",
    (Move.RETRY, Status.PENDING): "it waits for its first try: its send_at says when",
    (Move.RETRY, Status.HELD): "it is held: release it",
    (Move.RETRY, Status.UNKNOWN): "it may have been sent: release it to send it again, or cancel it",
    (Move.RETRY, Status.SENT): "it was sent",
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
