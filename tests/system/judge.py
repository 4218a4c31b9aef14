"""The judge: compares what the provider accepted with what rows, tries and audit lines say about it.

It knows nothing of how the worker works. A row is sent at most once for each of its claims, so each accept must be
covered by a claim that says that it sent, or may have sent. Everything else is a lie, and it names it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.system.ledger_server import Accept

ENDS = ("sent", "failed", "cancelled", "suppressed", "expired")
GRACE = 1.0
"""Seconds between the last look at the row and the first byte at the provider, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the queue says of a row; instants are seconds of the epoch, `at_rest`: finished or parked."""

    id: int
    key: str
    recipient: str
    status: str
    at_rest: bool = True
    on_uncertain: str = "retry"
    expires_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """One line of the attempts log."""

    id: int
    number: int
    claim: int
    status: str
    kind: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the audit log: the action without its prefix, and the number of the try that it tells of."""

    id: int
    action: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A worker was stopped from `began` to `ended`: what it had looked at before, it may send right after."""

    began: float
    ended: float


@dataclass(frozen=True)
class Case:
    """All that is known. `committed` are the ids that the application was told of as committed."""

    committed: frozenset[int]
    rows: Sequence[Row]
    tries: Sequence[Try]
    lines: Sequence[Line]
    accepts: Sequence[Accept]
    pauses: Sequence[Pause] = ()


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One lie: what kind, about which row, in which words."""

    what: str
    id: int | None
    detail: str = ""


@dataclass
class Judgement:
    """What the judge found; `repeats` counts the second and further accepts of rows by what explains them."""

    findings: list[Finding] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    accepts: int = 0
    excused: int = 0  # accepts that came late because their worker was stopped in between

    def table(self) -> str:
        """For a person."""
        rows = [
            ("rows", f"{self.statuses.total()}: " + _listed(self.statuses)),
            ("accepted by the provider", str(self.accepts)),
            ("repeats", f"{self.repeats.total()}" + (f": {_listed(self.repeats)}" if self.repeats else "")),
            ("late, their worker was stopped", str(self.excused)),
            ("lies", str(len(self.findings))),
        ]
        rows += [(f"  {finding.what}", f"row {finding.id} {finding.detail}") for finding in self.findings[:20]]
        return "\n".join(f"{name:<32} {value}" for name, value in rows)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))


def judge(case: Case) -> Judgement:
    """Compare; pure."""
    found = Judgement(accepts=len(case.accepts))
    rows = {row.id: row for row in case.rows}
    ids = {row.key: row.id for row in case.rows}
    accepts, tries, lines = defaultdict(list), defaultdict(list), defaultdict(list)
    by_recipient = {row.recipient: row.id for row in case.rows}
    for accept in case.accepts:
        id_ = ids.get(accept.key)
        if id_ is None:
            owner = by_recipient.get(accept.to)
            what = "sent, but nobody committed it" if owner is None else "more than one key for a row"
            found.findings.append(Finding(what, owner, f"{accept.to} {accept.key}"))
        else:
            accepts[id_].append(accept)
    for one in case.tries:
        tries[one.id].append(one)
    for line in case.lines:
        lines[line.id].append(line)
    for id_ in sorted(case.committed - rows.keys()):
        found.findings.append(Finding("committed and gone", id_))
    for row in case.rows:
        found.statuses[row.status] += 1
        judged = _Row(row, tries[row.id], lines[row.id], accepts[row.id], case.pauses, found)
        found.findings.extend(judged.lies())
    found.findings.sort(key=lambda finding: (finding.what, finding.id or 0))
    return found


class _Row:
    """One row and all that is said about it."""

    def __init__(
        self,
        row: Row,
        tries: Sequence[Try],
        lines: Sequence[Line],
        accepts: Sequence[Accept],
        pauses: Sequence[Pause],
        found: Judgement,
    ) -> None:
        self._row = row
        self._tries = tries
        self._lines = lines
        self._accepts = accepts
        self._pauses = pauses
        self._found = found

    def lies(self) -> Iterable[Finding]:
        yield from self._about_the_end()
        yield from self._about_the_accepts()
        yield from self._about_the_time()
        yield from self._about_the_audit()

    def _lie(self, what: str, detail: str = "") -> Finding:
        return Finding(what, self._row.id, detail)

    def _about_the_end(self) -> Iterable[Finding]:
        row = self._row
        if not row.at_rest:
            yield self._lie("still under way", row.status)
        if (row.finished_at is not None) != (row.status in ENDS):
            yield self._lie("finished_at and status disagree", row.status)
        if (row.status == "sent") != any(one.status == "sent" for one in self._tries):
            yield self._lie("row and tries disagree about the end", row.status)
        if any(accept.to != row.recipient for accept in self._accepts):
            yield self._lie("sent to somebody else")

    def _about_the_accepts(self) -> Iterable[Finding]:
        claims: dict[int, list[Try]] = defaultdict(list)
        for one in self._tries:
            claims[one.claim].append(one)
        for claim, tries in claims.items():
            if (results := sum(one.status != "stale" for one in tries)) > 1:
                yield self._lie("more than one result of one claim", f"claim {claim}: {results}")
        explained = [why for tries in claims.values() if (why := _may_have_sent(tries)) is not None]
        sure = sum(any(one.kind == "ok" for one in tries) for tries in claims.values())
        count = len(self._accepts)
        if count < sure:
            yield self._lie("said to be sent, and the provider does not know it", f"{sure} said, {count} accepted")
        if count > len(explained):
            yield self._lie("accepted, and no try explains it", f"{count} accepted, {len(explained)} explained")
        if count > 1 and self._row.on_uncertain != "retry":
            yield self._lie("accepted twice, although it may go out once at most", f"{count} accepted")
        if count > 1:
            explained.sort(key=_LEAST_REMARKABLE.index, reverse=True)
            self._found.repeats.update(explained[: count - 1])

    def _about_the_time(self) -> Iterable[Finding]:
        row = self._row
        cancelled_at = row.finished_at if row.status == "cancelled" else None
        for moment, what in ((row.expires_at, "its expiry"), (cancelled_at, "its acknowledged cancel")):
            if moment is None:
                continue
            for accept in self._accepts:
                late = accept.began - moment
                if late <= GRACE:
                    continue
                if any(one.began <= moment + GRACE and accept.began <= one.ended + GRACE for one in self._pauses):
                    self._found.excused += 1
                else:
                    yield self._lie(f"sent after {what}", f"{late:.1f} s late")

    def _about_the_audit(self) -> Iterable[Finding]:
        row = self._row
        actions = Counter(line.action for line in self._lines)
        if actions["triggered"] != 1:
            yield self._lie("not one audit line of its insert", str(actions["triggered"]))
        ends = {action: count for action, count in actions.items() if action in ENDS}
        if ends != ({row.status: 1} if row.status in ENDS else {}):
            yield self._lie("row and audit disagree about the end", f"{row.status}, audit {ends}")
        real = sorted(one.number for one in self._tries if one.status not in {"lost", "stale"})
        told = sorted(line.attempt for line in self._lines if line.attempt is not None)
        if real != told:
            yield self._lie("tries and audit lines disagree", f"tries {real}, audit {told}")


_LEAST_REMARKABLE = ("sent", "uncertain outcome", "lost claim", "late result")
"""What explains an accept; the first of them is no repeat."""


def _may_have_sent(tries: Sequence[Try]) -> str | None:
    """Why an accept may belong to the claim of these tries; None when it says that nothing was sent."""
    for one in tries:
        if one.kind == "ok":
            return "sent" if one.status == "sent" else "late result"
    known = [one for one in tries if one.status != "lost"]
    if any(one.kind == "uncertain" for one in known):
        return "uncertain outcome"
    return "lost claim" if not known else None


def gather(
    connection: psycopg.Connection[Any],
    committed: Iterable[int],
    accepts: Sequence[Accept],
    pauses: Sequence[Pause] = (),
) -> Case:
    """Read rows, tries and audit lines; the recipients are URLs of the ledger server."""

    rows = connection.execute(
        "SELECT notification_id, message_id::text, regexp_replace(recipient, '^https?://[^/]*/', ''), status,"
        " finished_at IS NOT NULL OR held_at IS NOT NULL, coalesce(on_uncertain, 'retry'),"
        " extract(epoch FROM expires_at)::float8, extract(epoch FROM finished_at)::float8"
        " FROM noti.notifications_log ORDER BY notification_id"
    ).fetchall()
    tries = connection.execute(
        "SELECT notification_id, attempt_number, claim_count, status, kind FROM noti.notification_attempts_log"
        " ORDER BY log_id"
    ).fetchall()
    lines = connection.execute(
        "SELECT entity_id::bigint, replace(action, 'notification_', ''), (metadata ->> 'attempt')::int"
        " FROM noti.audit_log WHERE entity_type = 'notification' ORDER BY audit_id"
    ).fetchall()
    return Case(
        frozenset(committed),
        [Row(*row) for row in rows],
        [Try(*one) for one in tries],
        [Line(*line) for line in lines],
        accepts,
        pauses,
    )
