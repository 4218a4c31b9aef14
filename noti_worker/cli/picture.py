"""How `status` and `top` look: the overview as lines, which fit a width when one is given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from noti_worker.cli.circuits import circuit_words
from noti_worker.cli.limits import limit_words
from noti_worker.cli.pausing import pause_words, suspension_words
from noti_worker.cli.safety import refused_reloads, warnings
from noti_worker.cli.show import plain
from noti_worker.domain.counts import counted
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.spans import span

if TYPE_CHECKING:
    from noti_worker.store.people.gauges import ChannelLine, WorkerLine
    from noti_worker.store.people.overview import Failures, Overview, Refusing, Waiting

_NARROWEST = 12
"""Characters that a cell keeps when its line is too long."""

_INDENT = "    "

_SUSPENDED = 10
"""Tenants that are named; there may be thousands."""

_NUMBERS: Mapping[str, int] = {
    "due": 5,
    "in flight": 9,
    "paused": 6,
    "waiting": 7,
    "scheduled": 9,
    "held": 5,
    "failed 1h": 9,
    "failed": 6,
    "rows": 6,
    "tries": 6,
    "of all": 6,
    "oldest": 6,
}
"""Columns that stand to the right, and how wide at least, so that they stay where they are when a number grows."""

_WIDEST = {"channel": max(map(len, Channel)), "priority": max(map(len, Priority))}


@dataclass(frozen=True, slots=True)
class Row:
    """Cells under the columns of its block, and a sentence that stands below them."""

    cells: Sequence[object]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line, with the style that click and rich both know as a colour's name."""

    text: str
    colour: str | None = None


def picture(
    now: "Overview", width: int | None = None, sentence: int | None = None, heading: str | None = None
) -> list[TextLine]:
    """All blocks that have anything to tell, but for the workers.

    No line is longer than `width`, no sentence has more than `sentence` lines. `heading` stands above them.
    """
    paper = _Paper(width, sentence)
    if heading is not None:
        paper.say(plain(heading))
    for pause in now.pauses:
        paper.say("PAUSED " + pause_words(pause), "red")
    for circuit in now.circuits:
        paper.say("IN TROUBLE " + circuit_words(circuit), "red")
    for limit in now.limits:
        paper.say("LIMITED " + limit_words(limit), "yellow")
    for account in now.refusing:
        paper.say(_refusing(account), "red")
    told = (*_suspended(now), *warnings(now.workers), *refused_reloads(now.workers), *_refused(now.workers))
    for line in told:
        paper.say(plain(line), "red")
    rates, in_flight = now.rates, sum(channel.in_flight for channel in now.channels)
    paper.say(
        f"a minute: {rates.sent:.1f} sent, {rates.retried:.1f} retried, {rates.failed:.1f} failed"
        + (f", {rates.untried:.1f} written off without a try" if rates.untried else "")
        + f" (last {span(rates.seconds)}); in flight: {in_flight}"
    )
    alive = sum(worker.alive for worker in now.workers)
    if alive:
        dead = len(now.workers) - alive
        paper.say(f"workers: {alive} running" + (f", {dead} dead" if dead else ""))
    elif now.standby:
        paper.say("workers: not known here, for this is a standby and their register is on the primary alone")
    else:
        paper.say("no worker is running: start one with noti-worker run", "red")
    if now.channels:
        columns = ("channel", "due", "in flight", "paused", "waiting", "scheduled", "held", "failed 1h", "oldest")
        paper.block(None, columns, map(_channel, now.channels))
        if gathering := [f"{_count(c.gathering, c.bounded)} {c.channel}" for c in now.channels if c.gathering]:
            paper.say(f"gathering for digests: {', '.join(gathering)}")
    else:
        paper.lines.append(TextLine(""))
        everything = not now.failures
        paper.say("nothing waits" + (", and nothing failed or expired within the hour" if everything else ""), "green")
    paper.block(
        "waits longest",
        ("channel", "priority", "tenant", "rows", "oldest", "id of the oldest"),
        _waiting(now.waiting, repeat=sentence is None),
    )
    paper.block(
        f"tries not accepted (last {span(rates.seconds)}), by account",
        ("tries", "of all", "account", "kind", "newest"),
        (
            Row((a.tries, _share(a.tries, a.of), a.account or "-", a.kind or "-", a.example_id), a.error)
            for a in now.answers
        ),
        brief=True,
    )
    paper.block(
        "waits for a person",
        ("held", "channel", "status", "oldest", "for example"),
        (
            Row((_count(h.rows, h.bounded), h.channel, h.status, span(h.oldest_seconds), h.example_id), h.reason)
            for h in now.held
        ),
    )
    paper.block(
        "not sent within the hour, by cause",
        ("rows", "channel", "status", "kind", "account", "newest"),
        map(_failures, now.failures),
        brief=True,
    )
    return paper.lines


def workers(now: "Overview", width: int | None = None) -> list[TextLine]:
    """The block of the workers, for the end of the picture."""
    paper = _Paper(width, None)
    columns = ("worker", "host", "pid", "version", "heartbeat", "in flight", "up", "channels")
    paper.block(None, columns, map(_worker, now.workers))
    return paper.lines


class _Paper:
    """Lines, one below the other."""

    def __init__(self, width: int | None, sentence: int | None) -> None:
        self.lines: list[TextLine] = []
        self._width = width
        self._sentence = sentence

    def say(self, text: str, colour: str | None = None, indent: str = "", *, brief: bool = False) -> None:
        """A sentence in as many lines as it needs and may have (`brief`: one), the others indented."""
        lines = [indent + text]
        sentence = 1 if brief and self._sentence is not None else self._sentence
        if self._width is not None and len(lines[0]) > self._width:
            lines = wrap(text, max(self._width, 2 * len(_INDENT)), initial_indent=indent, subsequent_indent=_INDENT)
            if sentence is not None and len(lines) > sentence:
                lines = [*lines[: sentence - 1], lines[sentence - 1] + "…"]
        self.lines += [TextLine(_cut(line, self._width), colour) for line in lines]

    def block(self, title: str | None, columns: Sequence[str], rows: Iterable[Row], *, brief: bool = False) -> None:
        """Aligned cells under their columns; without any row nothing at all."""
        found = [([plain(cell) for cell in row.cells], row.note) for row in rows]
        if not found:
            return
        cells = [list(columns), *(cells for cells, _ in found)]
        widths = [
            max(_NUMBERS.get(name, 0), _WIDEST.get(name, 0), *(len(line[number]) for line in cells))
            for number, name in enumerate(columns)
        ]
        # Too long: the longest cells give way first.
        while self._width is not None and sum(widths) + 2 * len(widths) - 2 > self._width and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1

        def aligned(line: Sequence[str]) -> str:
            placed = (
                _cut(cell, size).rjust(size) if name in _NUMBERS else _cut(cell, size).ljust(size)
                for cell, size, name in zip(line, widths, columns, strict=True)
            )
            return _cut("  ".join(placed).rstrip(), self._width)

        self.lines.append(TextLine(""))
        if title:
            self.lines.append(TextLine(_cut(title, self._width), "yellow"))
        self.lines.append(TextLine(aligned(columns), "cyan"))
        for line, note in found:
            self.lines.append(TextLine(aligned(line)))
            if note:
                self.say(plain(note), indent=_INDENT, brief=brief)


def _suspended(now: "Overview") -> Iterable[str]:
    """The tenants of whom nothing is sent."""
    yield from (f"SUSPENDED {suspension_words(one)}" for one in now.suspended[:_SUSPENDED])
    if (more := len(now.suspended) - _SUSPENDED) > 0:
        yield f"SUSPENDED {counted(more, 'other tenant', 'other tenants')}: noti-worker tenant list"


def _refused(workers: "Iterable[WorkerLine]") -> Iterable[str]:
    """What the database refuses to workers: all of one kind, or single rows."""
    from noti_worker.store.people.refused import refused

    for worker in workers:
        told = refused(worker)
        for what, why in told.unable.items():
            yield f"NOT READY: worker {worker.worker_id} cannot {what}: {why}"
        if told.count:
            yield f"REFUSED to worker {worker.worker_id}, {counted(told.count, 'row', 'rows')}: {told.named}"


def _waiting(lanes: "Iterable[Waiting]", *, repeat: bool) -> Iterable[Row]:
    """The lanes; unless `repeat`, one that waits for the same reason as the lane above does not say so again."""
    above = None
    for lane in lanes:
        reason = lane.why.partition(": ")[2].partition("; due ")[0]  # without the try and its time
        cells = (
            lane.channel,
            lane.priority,
            lane.tenant_id,
            _count(lane.rows, lane.bounded),
            span(lane.oldest_due_seconds),
            lane.oldest_id,
        )
        yield Row(cells, lane.why if repeat or reason != above else None)
        above = reason


def _failures(f: "Failures") -> Row:
    account = f.account or ("no try" if f.status else "-")
    cells = (_count(f.rows, f.bounded), f.channel or "-", f.status or "-", f.kind or "-", account, f.example_id or "-")
    return Row(cells, f.error)


def _refusing(account: "Refusing") -> str:
    least = "" if account.answered_before else " at least"
    error = f": {account.error}" if account.error else ""
    return plain(
        f"NOTHING ACCEPTED by account {account.account} for {span(account.seconds)}{least},"
        f" {account.tries} tries in a row ({account.kind}, the newest of notification {account.example_id}){error}"
    )


def _count(count: int, bounded: bool) -> str:
    if count >= (10_000 if bounded else 100_000):  # five characters at most
        return f"{count // 1000}k" + "+" * bounded
    return f"{count}+" if bounded and count else str(count)


def _share(part: int, of: int) -> str:
    return "<1 %" if 100 * part < of else f"{100 * part / of:.0f} %"


def _channel(c: "ChannelLine") -> Row:
    counts = (_count(count, c.bounded) for count in (c.due, c.in_flight, c.paused, c.waiting, c.scheduled, c.held))
    return Row((c.channel, *counts, c.failed_last_hour, span(c.oldest_due_seconds)))


def _worker(worker: "WorkerLine") -> Row:
    channels = worker.state.get("channels", [])
    how = "" if worker.alive else " (dead)"
    if worker.alive and worker.state.get("stopping"):
        how = " (stopping)"
    return Row(
        (
            worker.worker_id,
            worker.host,
            worker.pid,
            worker.version,
            span(worker.heartbeat_seconds) + how,
            worker.state.get("in_flight"),
            span(worker.up_seconds),
            " ".join(map(str, channels)) if isinstance(channels, list) else channels,
        )
    )


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"
