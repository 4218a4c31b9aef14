"""The queue of one worker: claim, brief, record and give back rows of `noti.notifications_log`."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

from noti_worker.domain.closures import NOTHING, Closure, Closures, Skip
from noti_worker.domain.contact import People
from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import NOWHERE, Floor, Lane, LaneHead, Share, Spot
from noti_worker.domain.notification import Briefing, Channel, Notification, Priority
from noti_worker.domain.ports import Fate
from noti_worker.store import briefing as briefings
from noti_worker.store.arrays import array, instants, texts
from noti_worker.store.connect import Database, Session
from noti_worker.store.queue.asked import asked_of, turns
from noti_worker.store.queue.claimed import notification_of, utc
from noti_worker.store.queue.portions import Portion
from noti_worker.store.queue.record import documented, of_the_address, record
from noti_worker.store.queue.successes import Columns, Token, record_alike
from noti_worker.store.statements import statement

_HEADS = statement("heads")
_NEWCOMERS = statement("newcomers")
_STRIDES = statement("strides")
_CLAIM, _CLAIM_SOME = statement("claim"), statement("claim", more=True)
_PEEK, _PEEK_SOME = statement("peek"), statement("peek", more=True)
_STEER = statement("steer")
_RECORD, _RECORD_TOLD = statement("record"), statement("record", more=True)
_SUPPRESS_ANSWERS, _KEEP = statement("suppress_answers"), statement("keep")
_RECORD_SENT, _RECORD_SENT_TOLD = statement("record_sent"), statement("record_sent", more=True)
_RELEASE = statement("release")
_EXTEND = statement("extend")
_DISPATCH = statement("dispatch")

QUICKLY = timedelta(seconds=3)
"""For leases and marks, which take milliseconds: who waits for one of them keeps the heart from beating."""

ENDPOINTS = "endpoints"
"""Stands among what is closed while an endpoint hears what becomes of messages: nothing else is asked for it."""

ACCOUNTS = "accounts"
"""Stands there with the version of the tenants' own accounts, where there are any."""

HOURS = "hours"
"""Stands there where somebody has quiet hours, or a category a send window or a cap."""

_NO_CLOSURES = frozenset({ENDPOINTS, ACCOUNTS, HOURS})

NEWEST = 2000
"""Rows that are looked at in search of newcomers."""

AT_A_GLANCE = timedelta(milliseconds=50)
"""For that search, which takes two: rows by the million that are not committed yet may lie before them."""

_BEHIND_ALL = chr(0x10FFFF) * 33
"""Longer than the table admits a tenant to be, and of its last letter only."""


class PostgresQueue:
    """Ports Lanes, ClosureReader, Claims, Records and Leases.

    Connections of their own, so that a slow record holds up neither claims nor leases; for results as many as threads
    record at a time.
    """

    def __init__(
        self,
        database: Database,
        international: briefings.International | None = None,
        people: Callable[[], People] = People,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._international = international
        self._people = people
        self._monotonic = monotonic
        self._database = database
        self.claims = self._claims = database.session("claims")
        self.accounts_version = 0
        """Of the tenants' own accounts, as it came with the closures that were read last."""
        self._portion = Portion()
        self._results = deque[Session]()  # those that nobody uses
        self._numbers = count(1)
        self._connected = False
        self.told = False  # whether an endpoint hears what becomes of messages, as `closures` saw it last
        self.timed = False  # whether anybody has quiet hours, or a category its own; likewise
        self._leases = database.session("leases", QUICKLY)
        self._contents = database.session("contents")

    def heads(
        self, channels: Sequence[Channel], after: Lane | None, window: int, floors: Mapping[Lane, Floor] = NOWHERE
    ) -> Sequence[LaneHead]:
        """Up to `window` lanes with unfinished rows, following `after` in lane order.

        Lanes of `floors` are looked at from there on, and for rows that are not in flight; without one they are not
        found.
        """
        starts = [
            # The empty tenant stands before every tenant; a lane order is one of bytes, as in the index.
            Lane(
                channel,
                priority,
                after.tenant_id if after and (channel, priority) == (after.channel, after.priority) else "",
            )
            for channel in sorted(channels)
            for priority in sorted(Priority)
            if after is None or (channel, priority) >= (after.channel, after.priority)
        ]
        if not starts:
            return []
        known = sorted(lane for lane in floors if lane > starts[0])
        parameters = {
            "channels": texts(start.channel.value for start in starts),
            "priorities": texts(start.priority.value for start in starts),
            "tenants": texts(start.tenant_id for start in starts),
            # Arrays are counted from 1. No tenant stands behind the one that stands behind all.
            "firsts": array([bisect_right(known, start) + 1 for start in starts]),
            "lasts": array([bisect_right(known, replace(start, tenant_id=_BEHIND_ALL)) for start in starts]),
            "known": texts(lane.tenant_id for lane in known),
            "floors_at": instants(floors[lane].due_at for lane in known),
            "floors_id": array([floors[lane].notification_id for lane in known]),
            "window": window,
        }
        return [
            LaneHead(
                Lane(Channel(row["channel"]), Priority(row["priority"]), row["tenant_id"]),
                utc(row["due_at"]),
                utc(row["next_at"]) if row["next_at"] else None,
            )
            for row in self._claims.run(_HEADS, parameters)
        ]

    def newcomers(self, channels: Sequence[Channel], window: int) -> Sequence[LaneHead]:
        """Up to `window` lanes of the newest due rows that nobody has in hand, the newest first.

        Raises DatabaseBusy when that takes long.
        """
        asked = {"channels": texts(channel.value for channel in channels), "rows": NEWEST, "window": window}
        return [
            LaneHead(Lane(Channel(channel), Priority(priority), tenant_id), utc(due_at))
            for channel, priority, tenant_id, due_at in self._claims.tuples(_NEWCOMERS, asked, AT_A_GLANCE)
        ]

    def closures(self) -> Closures:
        """What is not sent now; notes besides whether endpoints hear and hours count, and the version of accounts."""
        rows = self._claims.run(_STEER, {})
        self.told = any(row["cause"] == ENDPOINTS for row in rows)
        self.timed = any(row["cause"] == HOURS for row in rows)
        self.accounts_version = next((int(row["name"]) for row in rows if row["cause"] == ACCOUNTS), 0)
        return Closures(
            Closure(row["scope"], row["name"], row["tenant_id"], row["cause"], row["until"])
            for row in rows
            if row["cause"] not in _NO_CLOSURES
        )

    def strides(self, shares: Sequence[Share], rows: int) -> Mapping[Lane, Floor]:
        """Where the walk of each share ends after `rows` due rows; lanes with fewer are not named."""
        found = self._claims.run(
            _STRIDES,
            {
                "channels": texts(share.lane.channel.value for share in shares),
                "priorities": texts(share.lane.priority.value for share in shares),
                "tenants": texts(share.lane.tenant_id for share in shares),
                "floors_at": instants(share.floor.due_at for share in shares),
                "floors_id": array(share.floor.notification_id for share in shares),
                "rows": rows,
            },
        )
        return {
            Lane(Channel(row["channel"]), Priority(row["priority"]), row["tenant_id"]): Floor(
                utc(row["due_at"]), row["notification_id"]
            )
            for row in found
        }

    def claim(
        self,
        worker_id: int,
        shares: Sequence[Share],
        limit: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        *,
        in_hand: Sequence[int] | None = None,
        solo: bool = False,
        skip: Skip = NOTHING,
        living: Sequence[int] = (),
        within: timedelta | None = None,
    ) -> Sequence[Notification]:
        """Take at most `limit` due rows of the lanes, in the order of the shares, then by due_at and id.

        `dead` None: no claim of another worker is taken, not even an expired one. With the ids `in_hand` our own
        claims of other rows are. The rows of `skip` stay. Raises TimedOut when it takes longer than `within`.
        """
        if not shares or limit <= 0:
            return []
        if not self._connected:
            self._connect()
        asked = asked_of(worker_id, shares, limit, lease, dead, in_hand, solo, skip, living)
        rows = self._claims.tuples(_CLAIM_SOME if skip.destinations else _CLAIM, asked, within)
        turn = turns(shares)
        claimed = [notification_of(row) for row in rows]
        claimed.sort(key=lambda n: (turn[n.channel, n.priority, n.tenant_id], n.due_at, n.notification_id))
        return claimed

    def peek(
        self,
        worker_id: int,
        shares: Sequence[Share],
        limit: int,
        lease: timedelta,
        dead: Sequence[int] | None,
        *,
        in_hand: Sequence[int] | None = None,
        solo: bool = False,
        skip: Skip = NOTHING,
        living: Sequence[int] = (),
    ) -> Sequence[Spot]:
        """Where the rows stand that such a claim would take now, in its order."""
        if not shares or limit <= 0:
            return []
        asked = asked_of(worker_id, shares, limit, lease, dead, in_hand, solo, skip, living)
        rows = self._claims.run(_PEEK_SOME if skip.destinations else _PEEK, asked)
        turn = turns(shares)
        spots = [
            Spot(
                Lane(Channel(row["channel"]), Priority(row["priority"]), row["tenant_id"]),
                Floor(utc(row["due_at"]), row["notification_id"]),
                solo,
            )
            for row in rows
        ]
        spots.sort(key=lambda s: (turn[s.lane.channel, s.lane.priority, s.lane.tenant_id], s.place))
        return spots

    def brief(self, notifications: Sequence[Notification]) -> Mapping[int, Briefing]:
        """What the rows refer to, by notification_id; nothing, and no round trip, for those that refer to nothing."""
        return briefings.brief(self._claims, notifications, self._international, self._people(), timed=self.timed)

    def complete(self, notification: Notification, briefing: Briefing) -> Briefing:
        """Add the content of one row that was too large for the batch.

        All threads share one connection, so that what is large is loaded by one at a time.
        """
        return briefings.complete(self._contents, notification, briefing)

    def record(self, worker_id: int, results: Sequence[Result]) -> Mapping[int, Fate]:
        """Write what became of the claims, fenced; gives each id's fate: applied, busy, again, stale or a refusal."""

        def write(document: str) -> Mapping[int, str]:
            fates, asked = dict[int, str](), {"worker_id": worker_id, "document": document}
            with self._recording() as session:
                also = [(_SUPPRESS_ANSWERS, {"ids": array(refusing)})] if refusing else []
                also += [(_KEEP, {"document": document})] if any(result.kept for result in results) else []
                if also:  # one transaction: a pipeline is one
                    found, *_ = session.together([(of_all, asked), *also])
                    rows = [tuple(row.values()) for row in found]
                else:
                    rows = session.tuples(of_all, asked)
            for notification_id, fate, _ in rows:
                # Two claims of one row may end in one flush (we lost it and took it again): busy must be seen.
                if fates.get(notification_id) != "busy":
                    fates[notification_id] = fate
            return fates

        def write_alike(columns: Columns) -> Sequence[Token]:
            with self._recording() as session:
                return session.tuples(of_sent, {"worker_id": worker_id, **columns})

        # Most installations have neither endpoints nor such accounts, and pay for neither.
        more = self.told or any(result.referenced or result.verdict.gathers for result in results)
        of_all, of_sent = (_RECORD_TOLD, _RECORD_SENT_TOLD) if more else (_RECORD, _RECORD_SENT)
        refusing = of_the_address(results)
        now = self._monotonic()
        written, rest = record_alike(results, now, write_alike) if self._portion.whole else ((), results)
        fates: dict[int, Fate] = dict.fromkeys((result.notification.notification_id for result in written), "applied")
        return fates | record(rest, now, write, self._portion) if rest else fates

    def rehearse(self, worker_id: int, result: Result | None) -> None:
        """Write a result and take it back, with None nothing at all; raises what `record` would."""
        document = documented([] if result is None else [result], self._monotonic())
        with self._recording() as session:
            more = self.told or (result is not None and (result.referenced or result.verdict.gathers is not None))
            session.rehearse(_RECORD_TOLD if more else _RECORD, {"worker_id": worker_id, "document": document})

    def release(self, worker_id: int, notifications: Sequence[Notification]) -> Mapping[tuple[int, int], str]:
        """Give back rows that were not started, uncharged; each token's fate: released, busy (locked) or stale.

        A token is (notification_id, claim_count).
        """
        if not notifications:
            return {}
        with self._recording() as session:
            rows = session.run(_RELEASE, {"worker_id": worker_id, **_tokens(notifications)})
        return {(row["id"], row["claim_count"]): row["fate"] for row in rows}

    def extend(
        self, worker_id: int, notifications: Sequence[Notification], lease: timedelta
    ) -> Mapping[tuple[int, int], str]:
        """Prolong the leases; gives the tokens that were not: gone, no longer ours, or busy, ours but locked."""
        if not notifications:
            return {}
        rows = self._leases.run(_EXTEND, {"worker_id": worker_id, "lease": lease, **_tokens(notifications)})
        return {(row["id"], row["claim_count"]): row["fate"] for row in rows}

    def dispatch(self, worker_id: int, notification: Notification) -> bool:
        """Write the dispatch mark before the send; False when the row is no longer ours."""
        token = {"id": notification.notification_id, "claim_count": notification.claim_count}
        return bool(self._leases.run(_DISPATCH, {"worker_id": worker_id, **token}))

    def close(self) -> None:
        """Close the connections."""
        for session in (self._claims, self._leases, self._contents, *self._results):
            session.close()

    def _connect(self) -> None:
        """Have what is claimed be recorded and kept: connections to providers may leave no descriptor for it later."""
        self._leases.open()
        with self._recording() as session:
            session.open()
        self._connected = True

    @contextmanager
    def _recording(self) -> Iterator[Session]:
        """Give a session for results that nobody uses."""
        try:
            session = self._results.pop()
        except IndexError:
            session = self._database.session(f"results {next(self._numbers)}")
        try:
            yield session
        finally:
            self._results.append(session)


def _tokens(notifications: Sequence[Notification]) -> dict[str, object]:
    """The fencing tokens, sorted by id: two statements that meet on the same rows lock them in one order."""
    tokens = sorted((n.notification_id, n.claim_count) for n in notifications)
    return {"ids": array(token[0] for token in tokens), "claim_counts": array(token[1] for token in tokens)}
