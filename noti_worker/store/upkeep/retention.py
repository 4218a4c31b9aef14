"""Old things go: months of the two logs as whole partitions, finished notifications and what hangs on them in batches.

Partitions are the business of the role that owns the logs (or of a member of it); rows that of any role that may
delete them. A batch is looked for without locks, then deleted by id with SKIP LOCKED; its size follows the clock.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from noti_worker.domain.ages import Ages
from noti_worker.domain.errors import DatabaseAway
from noti_worker.store.connect import Session
from noti_worker.store.errors import Refusal
from noti_worker.store.statements import Statement, statement

AHEAD = 4
"""Months for which the logs have partitions before they begin."""

GRACE = timedelta(days=7)
"""For so long a worker that may not drop partitions says nothing about those that are due: somebody else may do it."""

TARGET = 0.050
"""Seconds that one batch should take; a longer one is followed by smaller ones, and none holds up anybody for long."""

DUTY_CYCLE = 0.2
"""The share of the time that the deleting works; the rest is the workers'."""

SMALLEST, FIRST, LARGEST = 20, 500, 5000
"""Rows that one batch looks at."""

STRAY_BOUND = 100_000
"""Lines in a default partition are counted up to here."""

NOT_OURS = (
    "this role does not own the logs: run noti-worker retention now and then with --database-url as the role that "
    "migrates, or make this role a member of it"
)
NOT_DELETED = (
    "this role may not delete old rows: grant it DELETE on noti.notifications_log, noti.inbox, noti.attachments, "
    "noti.suppressions, noti.receipts, noti.receipts_raw, noti.provider_references, noti.cap_places, noti.events, "
    "noti.envelopes and noti.kept_contents, or run noti-worker retention with --database-url as the role that migrates"
)

_POINTED_AT, _FORBIDDEN = "23503", "42501"  # SQLSTATE of a foreign key of somebody else, and of a missing right
_FINISHED = ["sent", "failed", "cancelled", "suppressed", "expired"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM_FIRST_ID: Mapping[str, Any] = {"after": 0}

POSTED = timedelta(days=7)
"""For so long what a provider posted is kept as it came, after it was read: somebody may ask what it said."""

TOLD = timedelta(days=14)
"""For so long an endpoint can hear again what happened; one that fails is disabled after five days."""

REFERRED = timedelta(days=90)
"""For so long a receipt finds a message that its provider knows by an id of its own; providers tell within days."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did, or with a dry run would do.

    `deleted` counts rows by status, and by what else is deleted. `made`, `settled` and `dropped` name
    partitions; `postponed` those things that somebody else's lock prevented. `referenced` notifications stay because a
    foreign key of an application points at them. `stray` counts the lines in default partitions by log, those there
    after the run. `refusal` says what has to be done and this role may not do; partitions that it may not make (not
    `ours`) are no matter as long as somebody else sees to them. Not `complete`: the time was over.
    """

    deleted: Mapping[str, int] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    referenced: int = 0
    stray: Mapping[str, int] = field(default_factory=dict)
    refusal: str | None = None
    ours: bool = True
    complete: bool = True

    @property
    def count(self) -> int:
        """Rows deleted and partitions dropped, made and settled."""
        return sum(self.deleted.values()) + len(self.dropped) + len(self.made) + len(self.settled)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One sort of rows: how the old ones are found and deleted. `parameters` both, `start` the first position."""

    look: Statement
    delete: Statement
    parameters: Mapping[str, Any]
    start: Mapping[str, Any]
    name: str | None = None  # of what is deleted; None: as each row's status says
    ends_early: bool = False  # rows come by age: the first batch without an old one is the last


def run(session: Session, ages: Ages, *, wait: Callable[[float], bool], seconds: float, dry_run: bool = False) -> Done:
    """See to the partitions, then delete what is old, for about `seconds` at most.

    `wait` pauses for so many seconds and tells whether to stop. With `dry_run` nothing changes. Raises DatabaseAway,
    and DatabaseRefused for what is no matter of rights.
    """
    done = _see_to_partitions(session, ages.logs, dry_run=dry_run)
    sweep = _Sweep(session, wait, seconds, dry_run=dry_run)
    try:
        own = {row["tenant_id"]: row["age"] for row in session.run(statement("retention_tenants"), {})}
        for kind in (*_of_tenants(own), *_kinds(ages, list(own))):
            sweep.through(kind)
    except Refusal as error:
        if error.sqlstate != _FORBIDDEN:
            raise
        done = replace(done, refusal="; ".join(filter(None, (done.refusal, NOT_DELETED))))
    return replace(done, deleted=dict(sweep.deleted), referenced=sweep.referenced, complete=not sweep.over)


# ------------------------------------------------------------------------------------ partitions


def _see_to_partitions(session: Session, age: timedelta | None, *, dry_run: bool) -> Done:
    found = session.run(statement("retention_partitions"), {"age": age})
    ours = all(row["ours"] for row in found)
    old = [row["partition"] for row in found if row["old"]]
    if dry_run:
        return Done(dropped=tuple(old), stray=_stray(session) if ours else {}, ours=ours)
    if not ours:
        return Done(refusal=_urgent(session, age), ours=False)
    postponed: list[str] = []
    settled: list[str] = []
    made: list[str] = []
    dropped: list[str] = []
    # First what stands in the default partition: its months cannot be made before.
    for log in [row["log"] for row in found if row["stray"]]:
        with _unless_locked(postponed, f"settling the default partition of {log}"):
            name = session.run(statement("retention_settle"), {"log": log})[0]["made"]
            settled += [name] if name else []
    with _unless_locked(postponed, "making partitions"):
        made = [row["made"] for row in session.run(statement("retention_add"), {"ahead": AHEAD})]
    for name in old:
        with _unless_locked(postponed, f"dropping {name}"):
            if session.run(statement("retention_drop"), {"partition": name, "age": age})[0]["gone"]:
                dropped.append(name)
    if made or dropped or settled:
        with suppress(DatabaseAway):  # it takes too long for a worker: the numbers of before will do
            session.run(statement("retention_analyze"), {})
    return Done(
        settled=tuple(settled),
        made=tuple(made),
        dropped=tuple(dropped),
        postponed=tuple(postponed),
        stray=_stray(session),
    )


@contextmanager
def _unless_locked(postponed: list[str], what: str) -> Iterator[None]:
    """Go on when a log is in use for longer than a moment, and note what was left."""
    try:
        yield
    except DatabaseAway:
        postponed.append(what)


def _urgent(session: Session, age: timedelta | None) -> str | None:
    """What has to be done by somebody else, if it is urgent: the owner's own runs may see to it in time."""
    ready = session.run(statement("retention_ahead"), {"months": 2})
    urgent = [f"{row['log']} has no partition for next month" for row in ready if row["ready"] < 2]
    overdue = session.run(statement("retention_partitions"), {"age": None if age is None else age + GRACE})
    months = Counter(row["log"] for row in overdue if row["old"])
    urgent += [f"{log} has {count} old partitions to drop" for log, count in months.items()]
    urgent += [f"{row['log']} has lines in its default partition" for row in overdue if row["stray"]]
    return f"{'; '.join(urgent)}; but {NOT_OURS}" if urgent else None


def _stray(session: Session) -> dict[str, int]:
    return {
        row["log"]: row["lines"]
        for row in session.run(statement("retention_stray"), {"bound": STRAY_BOUND})
        if row["lines"]
    }


# ------------------------------------------------------------------------------------ rows


def _of_tenants(own: Mapping[str, timedelta]) -> Iterator[_Kind]:
    """One after the other, each along its own rows: no run walks through those of others that are kept for longer."""
    for tenant_id, age in own.items():
        yield _Kind(
            statement("retention_look_tenant"),
            statement("retention_delete"),
            {"tenant": tenant_id, "age": age, "statuses": _FINISHED, "ages": [age] * len(_FINISHED)},
            {"after_at": EPOCH, "after_id": 0},
        )


def _kinds(ages: Ages, apart: Sequence[str]) -> list[_Kind]:
    """What goes for all alike but, of finished notifications, for the tenants `apart`."""
    kinds = []
    if ages.finished:
        parameters = {"statuses": list(ages.finished), "ages": list(ages.finished.values()), "tenants": apart}
        kinds.append(
            _Kind(
                statement("retention_look"),
                statement("retention_delete"),
                parameters | {"youngest": min(ages.finished.values())},
                {"after_at": EPOCH, "after_id": 0},
            )
        )
    # The others come by age: the first batch without an old one is the last.
    kinds += _by_age("attachments", ages.attachments, {"after_at": EPOCH, "after_id": UUID(int=0)}, ends_early=False)
    kinds += _by_age("suppressions", ages.suppressions, ends_early=False)
    kinds += _by_age("inbox", ages.inbox)
    kinds += _by_age("receipts", ages.receipts)
    kinds += _by_age("receipts_raw", POSTED)
    kinds += _by_age("provider_references", REFERRED)
    kinds += _by_age("cap_places", timedelta(0), ends_early=False)  # the caps themselves say how long
    kinds += _by_age("events", TOLD)
    kinds += _by_age("envelopes", TOLD, ends_early=False)
    look, delete = statement("retention_look_kept_contents"), statement("retention_delete_kept_contents")
    kinds.append(_Kind(look, delete, {}, {"after_at": EPOCH, "after_id": 0}, name="kept_contents", ends_early=True))
    return kinds


def _by_age(
    name: str, age: timedelta | None, start: Mapping[str, Any] = FROM_FIRST_ID, *, ends_early: bool = True
) -> list[_Kind]:
    if age is None:
        return []
    look, delete = statement(f"retention_look_{name}"), statement(f"retention_delete_{name}")
    return [_Kind(look, delete, {"age": age}, start, name=name, ends_early=ends_early)]


class _Sweep:
    """Walks through one sort of rows after the other, in batches of about TARGET, with pauses between."""

    def __init__(self, session: Session, wait: Callable[[float], bool], seconds: float, *, dry_run: bool) -> None:
        self.deleted: Counter[str] = Counter()
        self.referenced = 0
        self.over = False
        self._session = session
        self._wait = wait
        self._until = time.monotonic() + seconds
        self._dry_run = dry_run
        self._size = FIRST

    def through(self, kind: _Kind) -> None:
        """Delete what is old of this kind, the oldest first."""
        position = dict(kind.start)
        while not self.over:
            began = time.monotonic()
            size = self._size
            try:
                row = self._session.run(kind.look, self._for(kind.look, kind) | position | {"limit": size})[0]
                if row["ids"]:
                    self._delete(kind, row["ids"], row.get("kinds"))
            except DatabaseAway:
                # Too slow or too contended for so many, or really away: then the smallest fails as well.
                if size == SMALLEST:
                    raise
                self._size = max(SMALLEST, size // 2)
            else:
                if row["seen"] < size or (kind.ends_early and not row["ids"]):
                    return
                position = {name: row[name.replace("after", "last")] for name in position}
                self._adapt(time.monotonic() - began)
            self._pause(time.monotonic() - began)

    def _delete(self, kind: _Kind, ids: Sequence[Any], kinds: Sequence[str] | None) -> None:
        if self._dry_run:
            self.deleted.update(kinds if kinds is not None else {kind.name or "": len(ids)})
            return
        try:
            rows = self._session.run(kind.delete, self._for(kind.delete, kind) | {"ids": list(ids)})
        except Refusal as error:
            if error.sqlstate != _POINTED_AT:
                raise
            if len(ids) == 1:
                self.referenced += 1
                return
            half = len(ids) // 2
            self._delete(kind, ids[:half], None)
            self._delete(kind, ids[half:], None)
        else:
            self.deleted.update({row["kind"]: row["rows"] for row in rows})

    def _adapt(self, took: float) -> None:
        if took > TARGET:
            self._size = max(SMALLEST, self._size // 2)
        elif took < TARGET / 2:
            self._size = min(LARGEST, self._size * 3 // 2)

    def _pause(self, took: float) -> None:
        if self._wait(0.0 if self._dry_run else took * (1 / DUTY_CYCLE - 1)) or time.monotonic() > self._until:
            self.over = True

    @staticmethod
    def _for(wanted: Statement, kind: _Kind) -> dict[str, Any]:
        return {name: value for name, value in kind.parameters.items() if name in wanted.parameters}
