"""Everything that may happen to a few notifications, in any order: to the real store and to the model at once."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from noti_worker.domain.facts import Result
from noti_worker.domain.lanes import Lane, Share
from noti_worker.domain.lifecycle import Backoff, Policy, Verdict, decide
from noti_worker.domain.notification import (
    Briefing,
    Channel,
    Drop,
    Gather,
    Leave,
    Notification,
    OnUncertain,
    Priority,
    Status,
    Wait,
)
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.permits import permit
from tests.store.model import ACCOUNTS, FINISHED, PARKED, Claim, End, Row
from tests.store.rows import silence
from tests.store.world import AUDIT, CHANGE, DUE, MEDDLING, ROWS, SEND, TRIES, World, shown

LANES = (
    Lane(Channel.EMAIL, Priority.HIGH, "default"),
    Lane(Channel.EMAIL, Priority.NORMAL, "default"),
    Lane(Channel.SMS, Priority.NORMAL, "other"),
)
ROUTE = dict.fromkeys(ACCOUNTS, "smtp")
HOUR = timedelta(hours=1)
# A retry is not due by itself, and never too late.
POLICY = Policy(Backoff(initial=HOUR / 4, maximum=HOUR / 4, jitter=0.0))
PAUSES = (
    ("everything", ""),
    ("channel", "sms"),
    ("tenant", "other"),
    ("template", "t1"),
    *(("account", a) for a in ACCOUNTS),
)


MOST_ROWS = 4
MOVES = ["cancel", "hold", "release", "requeue"]
PICK = st.integers(0, 11)
KIND = st.sampled_from(list(Kind))
DEED = st.sampled_from(["finish", "finish", "extend", "extend locked", "give back", "dispatch", "finish locked"])
ROW = st.fixed_dictionaries(
    {
        "lane": st.sampled_from(LANES),
        "max_retries": st.integers(0, 2),
        "on_uncertain": st.sampled_from([None, *OnUncertain]),
        "asks": st.sampled_from([(None, None), (None, None), ("t1", None), (None, "relay")]),
        "due": st.sampled_from([True, True, True, False]),
        "expires": st.booleans(),
        "key": st.sampled_from([None, None, "k"]),
    }
)


class Life(RuleBasedStateMachine):
    """Applications, operators, three workers of which any may die or wake up late, and the clock.

    Few rows, so that everybody meets on them. `open` are claims whose result is not told yet, by whomever.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model: dict[int, Row] = {}
        self.keys: dict[str, Row] = {}
        self.corrected: set[Row] = set()
        self.open: list[Claim] = []
        self.tokens: set[tuple[int, int]] = set()
        self.registered: set[int] = set()
        self.dead: set[int] = set()
        self.paused: set[tuple[str, str]] = set()

    @initialize(rows=st.lists(ROW, min_size=2, max_size=3))
    def begin(self, rows: list[dict[str, Any]]) -> None:
        self.world.outside.execute(
            "TRUNCATE noti.notifications_log, noti.notification_attempts_log, noti.audit_log, noti.pauses, noti.workers"
        )
        self.ids = [self.world.workers.register("model") for _ in range(3)]
        self.registered = set(self.ids)
        for given in rows:
            self.enqueue(**given)

    def row(self, pick: int) -> Row:
        return list(self.model.values())[pick % len(self.model)]

    # ------------------------------------------------------------------ applications

    @precondition(lambda self: len(self.model) < MOST_ROWS)
    @rule(given=ROW)
    def insert(self, given: dict[str, Any]) -> None:
        self.enqueue(**given)

    def enqueue(
        self,
        lane: Lane,
        max_retries: int,
        on_uncertain: OnUncertain | None,
        asks: tuple[str | None, str | None],
        due: bool,
        expires: bool,
        key: str | None,
    ) -> None:
        """By `noti.send`; the same key and content give the row that there is."""
        if key is not None:
            lane, asks = LANES[0], (None, None)
        given = [lane.channel, lane.tenant_id, lane.priority, *asks, max_retries, on_uncertain, key, due, expires]
        if key is not None and self.keys.get(key) in self.corrected:
            with pytest.raises(psycopg.errors.UniqueViolation):
                self.world.application.execute(SEND, given)
            return
        [(number,)] = self.world.application.execute(SEND, given).fetchall()
        if key in self.keys:
            assert self.keys[key].id == number
            return
        [told] = self.world.read(f"SELECT message_id FROM noti.notifications_log WHERE notification_id = {number}")
        expiry = "ahead" if expires else "none"
        row = Row(number, str(told["message_id"]), lane, max_retries, on_uncertain, *asks, due=due, expiry=expiry)
        self.model[number] = row
        if key is not None:
            self.keys[key] = row

    @precondition(lambda self: self.model)
    @rule(pick=PICK, act=st.sampled_from([*(MOVES * 2), *(["correct"] * 5), *MEDDLING]))
    def change(self, pick: int, act: str) -> None:
        row = self.row(pick)
        if act in MOVES:
            self._operate(row, act)
        elif act == "correct":
            self._correct(row)
        else:
            self._meddle(row, act)

    def _operate(self, row: Row, move: str) -> None:
        [(answer,)] = self.world.application.execute(f"SELECT noti.{move}({row.id})".encode()).fetchall()
        assert answer == getattr(row, move)()

    def _correct(self, row: Row) -> None:
        """The content changes while it waits, and only then; what was tried becomes another message."""
        edit = CHANGE.format("body = body || '!'", row.id) + " RETURNING message_id"
        if row.owner is not None or row.status in FINISHED:
            with pytest.raises((psycopg.errors.ObjectInUse, psycopg.errors.CheckViolation)):
                self.world.application.execute(edit.encode())
            return
        [(message_id,)] = self.world.application.execute(edit.encode()).fetchall()
        assert (str(message_id) != row.message_id) == (row.attempt_count > 0)
        row.message_id = str(message_id)
        row.audit.append("changed")
        self.corrected.add(row)

    def _meddle(self, row: Row, write: str) -> None:
        """An ORM writes an old copy back, somebody forges or deletes: never past the guard."""
        harmless = {"stale": row.owner is None, "sent": row.status is Status.SENT, "deleted": row.status in FINISHED}
        if harmless.get(write):
            return
        statement = CHANGE.format(MEDDLING[write], row.id)
        if write == "deleted":
            statement = f"DELETE FROM noti.notifications_log WHERE notification_id = {row.id}"
        with pytest.raises((psycopg.errors.ObjectInUse, psycopg.errors.CheckViolation)):
            self.world.application.execute(statement.encode())

    @rule(what=st.sampled_from([*PAUSES, 0, 1, 2, None]))
    def around(self, what: tuple[str, str] | int | None) -> None:
        """Somebody pauses or resumes; a worker's heart stops, or the register of them is lost."""
        if isinstance(what, tuple):
            self._pause_or_resume(what)
        else:
            self._heart_stops(what)

    def _pause_or_resume(self, pause: tuple[str, str]) -> None:
        """Few at a time, else nothing moves."""
        for scope, name in [*self.paused, pause] if len(self.paused) > 1 else [pause]:
            on = (scope, name) not in self.paused
            self.world.application.execute(
                f"SELECT noti.{'pause' if on else 'resume'}(%s, nullif(%s, ''))".encode(), [scope, name]
            )
            (self.paused.add if on else self.paused.discard)((scope, name))

    # ------------------------------------------------------------------ workers

    @precondition(lambda self: self.model)
    @rule(
        worker=st.integers(0, 2),
        limit=st.sampled_from([1, 20, 20]),
        solo=st.booleans(),
        calm=st.sampled_from([True, True, True, False]),
        locked=st.none() | PICK,
        mode=st.sampled_from(["UPDATE", "KEY SHARE"]),
        wishes=st.lists(st.sampled_from(["cancel", "hold", "release"]), max_size=2),
        deeds=st.lists(st.tuples(st.none() | DEED, KIND), max_size=2),
    )
    def work(
        self,
        worker: int,
        limit: int,
        solo: bool,
        calm: bool,
        locked: int | None,
        mode: str,
        wishes: list[str],
        deeds: list[tuple[str | None, Kind]],
    ) -> None:
        """A worker claims and does this or that; an application may have a row locked, or refer to it."""
        held = None if locked is None else self.row(locked)
        claims = self._claim(worker, limit, solo, calm=calm, held=held, mode=mode)
        self.open += claims
        for wish in wishes if claims else ():  # somebody asks while it is in hand
            self._operate(claims[0].row, wish)
        for claim, (deed, kind) in zip(claims, deeds, strict=False):
            if deed is not None:
                self._do(claim, deed, kind)

    def _claim(
        self, worker: int, limit: int, solo: bool, calm: bool = True, held: Row | None = None, mode: str = ""
    ) -> list[Claim]:
        worker_id, dead = self.ids[worker], self._beat(self.ids[worker])
        claimed_from = dead if calm else None
        closures = self.world.queue.closures()
        assert {(closure.scope, closure.name) for closure in closures.all} == self.paused
        shares = [Share(lane, limit) for lane in LANES if not closures.closes_lane(lane, ROUTE)]
        # The answer to the claim of the first one did not come.
        in_hand = None if calm else sorted({claim.row.id for claim in self.open if claim.worker == worker_id})[1:]
        unanswered = [row for row in self.model.values() if row.owner == worker_id and row.id not in (in_hand or ())]
        expected = self._next(limit, claimed_from, [] if calm else unanswered, solo, held if mode == "UPDATE" else None)
        with self.world.application.transaction():
            if held is not None:
                self._lock(held, mode)
            taken = self.world.queue.claim(
                worker_id, shares, limit, HOUR, claimed_from, in_hand=in_hand, solo=solo, skip=closures.skips(ROUTE)
            )
        assert [n.notification_id for n in taken] == [row.id for row in expected]
        return [self._taken(worker_id, n) for n in taken]

    def _next(
        self, limit: int, dead: list[int] | None, unanswered: list[Row], solo: bool, locked: Row | None
    ) -> list[Row]:
        """Lane by lane, the oldest first."""
        order = {one["id"]: one["due_at"] for one in self.world.read(DUE)}
        able = [
            row
            for row in self.model.values()
            if row is not locked and row.claimable(dead, row in unanswered, solo=solo) and not row.paused(self.paused)
        ]
        able.sort(key=lambda row: (LANES.index(row.lane), order[row.id], row.id))
        return able[:limit]

    def _taken(self, worker_id: int, n: Notification) -> Claim:
        row = self.model[n.notification_id]
        row.claim(worker_id)
        token = (n.notification_id, n.claim_count)
        assert token not in self.tokens, "a token was given out twice"
        self.tokens.add(token)
        assert str(n.message_id) == row.message_id
        seen = (n.claim_count, n.lost_count, n.attempt_count, n.retry_count, n.requested, n.dispatched)
        told = (row.claim_count, row.lost_count, row.attempt_count, row.retry_count, row.requested, row.dispatched)
        assert seen == told
        return Claim(worker_id, row, n.claim_count, n, row.expiry)

    @precondition(lambda self: self.open)
    @rule(
        picks=st.lists(st.tuples(PICK, KIND, st.booleans()), min_size=1, max_size=3, unique_by=lambda one: one[0]),
        lost_answer=st.booleans(),
    )
    def finish(self, picks: list[tuple[int, Kind, bool]], lost_answer: bool) -> None:
        """A worker, also one that is thought dead, writes what became of claims, and again if no answer came."""
        chosen = {self.open[pick % len(self.open)]: (kind, failover) for pick, kind, failover in picks}
        worker_id = next(iter(chosen)).worker
        told = [(claim, *how) for claim, how in chosen.items() if claim.worker == worker_id]
        self._finish(told, times=1 + lost_answer)

    def _finish(self, told: list[tuple[Claim, Kind, bool]], times: int = 1) -> None:
        told.sort(key=lambda one: (one[0].row.id, one[0].token))
        judged = [(claim, *self._judge(claim, kind, failover)) for claim, kind, failover in told]
        for _ in range(times):
            fates = self.world.queue.record(told[0][0].worker, [result for _, result, _ in judged])
            expected = [(claim.row.id, claim.row.record(claim, end)) for claim, _, end in judged]
            if len(dict(expected)) == len(expected):  # the answer is by row: of two claims of one row it tells one
                assert fates == dict(expected)
        done = [claim for claim, _, _ in told]
        self.open = [claim for claim in self.open if claim not in done]

    def _judge(self, claim: Claim, kind: Kind, failover: bool = False) -> tuple[Result, End]:
        """What the worker's own rules make of it, and what the model says they must."""
        n, end = claim.seen, claim.end(kind, failover=failover)
        no = permit(n, Briefing(), POLICY, n.claimed_at)
        if no is not None:
            assert not isinstance(no, Wait | Leave | Gather)
            result = Result(n, Verdict(no.status, no.reason), kind=no.kind if isinstance(no, Drop) else None)
        else:
            outcome = Outcome(kind, error=None if kind is Kind.OK else "as the test wants it")
            verdict = decide(n, outcome, n.claimed_at, POLICY, 0.5, failover=failover)
            result = Result(n, verdict, outcome, account="relay", provider="smtp")
        assert (result.verdict.status, result.verdict.charge) == (end.status, end.charge)
        assert (result.outcome is not None) == end.tried
        return result, end

    @precondition(lambda self: self.open)
    @rule(pick=PICK, deed=DEED, kind=KIND)
    def go_on(self, pick: int, deed: str, kind: Kind) -> None:
        """With a claim that is still held, or not any more."""
        self._do(self.open[pick % len(self.open)], deed, kind)

    def _do(self, claim: Claim, deed: str, kind: Kind) -> None:
        """After giving back the claim stays in `open`: a worker that errs may finish it all the same."""
        match deed:
            case "finish":
                self._finish([(claim, kind, False)])
            case "finish locked":
                self._finish_while_locked(claim, kind)
            case "give back":
                self._give_back(claim)
            case "dispatch":
                self._dispatch(claim)
            case _:
                self._extend(claim, locked=deed != "extend")

    def _finish_while_locked(self, claim: Claim, kind: Kind) -> None:
        """A row that an application has locked keeps nobody waiting: its result comes back and is kept."""
        result, end = self._judge(claim, kind)
        with self.world.application.transaction():
            self._lock(claim.row, "UPDATE")
            fates = self.world.queue.record(claim.worker, [result])
        assert fates == {claim.row.id: "busy" if claim.holds else claim.row.record(claim, end)}

    def _give_back(self, claim: Claim) -> None:
        ours = claim.holds
        token = (claim.row.id, claim.token)
        assert self.world.queue.release(claim.worker, [claim.seen]) == {token: "released" if ours else "stale"}
        if ours:
            claim.row.give_back()

    def _extend(self, claim: Claim, *, locked: bool) -> None:
        """A row that somebody has locked is still ours; it keeps the lease that it has."""
        with self.world.application.transaction():
            if locked:
                self._lock(claim.row, "UPDATE")
            left_out = self.world.queue.extend(claim.worker, [claim.seen], 2 * HOUR)
        fate = "gone" if not claim.holds else "busy" if locked else None
        assert left_out == ({} if fate is None else {(claim.row.id, claim.token): fate})
        if claim.holds and not locked:
            claim.row.lease_over, claim.row.extended = False, True

    def _dispatch(self, claim: Claim) -> None:
        assert self.world.queue.dispatch(claim.worker, claim.seen) == claim.holds
        claim.row.dispatched |= claim.holds

    # ------------------------------------------------------------------ the clock, and what dies

    @precondition(lambda self: self.model)
    @rule(pick=PICK, what=st.sampled_from(["lease", "due", "due", "expiry"]))
    def time_passes(self, pick: int, what: str) -> None:
        row = self.row(pick)
        if what == "due":
            for one in self.model.values():
                self._due(one)
        elif what == "lease":
            self._lease_over(row)
        elif row.expiry == "ahead":
            self.world.shift(row, "expires_at = now() - interval '1 second'")
            row.expiry = "past"

    @precondition(lambda self: self.open)
    @rule(pick=PICK, by=st.integers(0, 2), deed=DEED, kind=KIND)
    def wake_up_late(self, pick: int, by: int, deed: str, kind: Kind) -> None:
        """A lease runs out, another worker (or the same) takes the row, and who lost it goes on as if nothing were."""
        late = self.open[pick % len(self.open)]
        self._lease_over(late.row)
        self.open += self._claim(by, 20, late.row.lost_count + (late.row.owner is not None) >= 2)
        self._do(late, deed, kind)

    def _lease_over(self, row: Row) -> None:
        if row.owner is not None:
            self.world.shift(row, "lease_until = now() - interval '1 second'")
            row.lease_over, row.extended = True, False

    def _due(self, row: Row) -> None:
        if not row.due:
            which = "next_retry_at" if row.waited else "send_at"
            self.world.shift(row, f"{which} = now() - interval '1 second'")
            row.due = True

    def _heart_stops(self, worker: int | None) -> None:
        """Or the server crashed: the unlogged register is empty, and who is not in it is not dead."""
        if worker is None:
            self.world.outside.execute("DELETE FROM noti.workers")
            self.registered.clear()
            self.dead.clear()
            return
        silence(self.world.outside, self.ids[worker], 20)
        self.dead |= {self.ids[worker]} & self.registered

    def _beat(self, worker_id: int) -> list[int]:
        beat = self.world.workers.beat(worker_id, {})
        self.dead.discard(worker_id)
        assert (beat.known, set(beat.dead)) == (worker_id in self.registered, self.dead)
        self.registered.add(worker_id)
        return list(beat.dead)

    def _lock(self, row: Row, mode: str) -> None:
        self.world.application.execute(
            f"SELECT FROM noti.notifications_log WHERE notification_id = {row.id} FOR {mode}".encode()
        )

    # Rules are drawn by name: what matters most happens most often.
    work_2 = work_3 = work_4 = work
    finish_2 = finish_3 = finish
    go_on_2 = go_on
    wake_up_late_2 = wake_up_late_3 = wake_up_late
    change_2 = change

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def nothing_is_violated(self) -> None:
        assert self.world.read("SELECT * FROM noti.assert_invariants()") == []

    @invariant()
    def the_table_tells_what_the_model_tells(self) -> None:
        told = {
            one["id"]: {name: value for name, value in one.items() if name != "id"} for one in self.world.read(ROWS)
        }
        assert told == {row.id: shown(row) for row in self.model.values()}

    @invariant()
    def every_try_and_every_move_is_written_down_once(self) -> None:
        tries: dict[int, list[tuple[int, int, str]]] = {number: [] for number in self.model}
        for one in self.world.read(TRIES):
            tries[one["id"]].append((one["claim_count"], one["attempt_number"], one["status"]))
        assert tries == {row.id: row.tries for row in self.model.values()}
        audit: dict[int, list[str]] = {number: [] for number in self.model}
        for one in self.world.read(AUDIT):
            audit[one["id"]].append(one["action"])
        assert audit == {row.id: row.audit for row in self.model.values()}

    def teardown(self) -> None:
        """Calm: everything is due, all others are gone, and one worker brings every row to an end."""
        self.world.application.execute("DELETE FROM noti.pauses")
        self.paused.clear()
        for row in self.model.values():
            self._lease_over(row)
            self._due(row)
        for solo in (False, True) if self.model else ():
            for claim in self._claim(0, 500, solo):
                result, end = self._judge(claim, Kind.OK)
                assert self.world.queue.record(claim.worker, [result]) == {claim.row.id: "applied"}
                assert claim.row.record(claim, end) == "applied"
        self.the_table_tells_what_the_model_tells()
        self.every_try_and_every_move_is_written_down_once()
        self.nothing_is_violated()
        assert all(row.status in FINISHED | PARKED for row in self.model.values())
