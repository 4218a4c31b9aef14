"""How `status` and `top` look: the overview as lines, which fit a width when one is given."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from noti_worker.cli.pausing import pause_words
from noti_worker.cli.safety import warnings
from noti_worker.cli.show import plain, span

if TYPE_CHECKING:
    from noti_worker.store.overview import Overview
    from noti_worker.store.reading import ChannelLine, WorkerLine

_NARROWEST = 12
"""Characters that a cell keeps when its line is too long."""


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


def picture(now: "Overview", width: int | None = None) -> list[TextLine]:
    """All blocks that have anything to tell; no line is longer than `width`."""
    lines = [TextLine("PAUSED " + pause_words(pause), "red") for pause in now.pauses]
    lines += [TextLine(plain(warning), "red") for warning in warnings(now.workers)]
    rates, in_flight = now.rates, sum(channel.in_flight for channel in now.channels)
    lines.append(
        TextLine(
            f"a minute: {rates.sent:.1f} sent, {rates.retried:.1f} retried, {rates.failed:.1f} failed"
            f" (last {span(rates.seconds)}); in flight: {in_flight}"
        )
    )
    if now.channels:
        columns = ("channel", "due", "in flight", "waiting", "scheduled", "held", "failed 1h", "oldest due")
        lines += _block(None, columns, map(_channel, now.channels), width)
    else:
        lines += [TextLine(""), TextLine("nothing waits, and nothing failed within the hour", "green")]
    lines += _block(
        "waits longest",
        ("channel", "priority", "tenant", "due", "oldest", "id of the oldest"),
        (
            Row(
                (
                    w.channel,
                    w.priority,
                    w.tenant_id,
                    _count(w.rows, w.bounded),
                    span(w.oldest_due_seconds),
                    w.oldest_id,
                ),
                w.why,
            )
            for w in now.waiting
        ),
        width,
    )
    lines += _block(
        "waits for a person",
        ("held", "channel", "status", "oldest", "for example"),
        (
            Row((_count(h.rows, h.bounded), h.channel, h.status, span(h.oldest_seconds), h.example_id), h.reason)
            for h in now.held
        ),
        width,
    )
    lines += _block(
        "failed within the hour, by cause",
        ("failed", "channel", "kind", "account", "newest"),
        (
            Row((_count(f.rows, f.bounded), f.channel, f.kind or "-", f.account or "no try", f.example_id), f.error)
            for f in now.failures
        ),
        width,
    )
    columns = ("worker", "host", "pid", "version", "heartbeat", "in flight", "channels", "up since")
    lines += _block(None, columns, map(_worker, now.workers), width)
    if not any(worker.alive for worker in now.workers):
        lines += [TextLine(""), TextLine("no worker is running: start one with noti-worker run", "red")]
    return [TextLine(_cut(line.text, width), line.colour) for line in lines]


def _count(count: int, bounded: bool) -> str:
    return f"{count}+" if bounded and count else str(count)


def _channel(c: "ChannelLine") -> Row:
    counts = (_count(count, c.bounded) for count in (c.due, c.in_flight, c.waiting, c.scheduled, c.held))
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
            " ".join(map(str, channels)) if isinstance(channels, list) else channels,
            worker.started_at,
        )
    )


def _block(title: str | None, columns: Sequence[str], rows: Iterable[Row], width: int | None) -> list[TextLine]:
    found = [([plain(cell) for cell in row.cells], row.note) for row in rows]
    if not found:
        return []
    cells = [list(columns), *(cells for cells, _ in found)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    # Too long: the longest cells give way first.
    while width is not None and sum(widths) + 2 * len(widths) - 2 > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1

    def aligned(line: Sequence[str]) -> str:
        return "  ".join(_cut(cell, size).ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip()

    lines = [TextLine(""), *([TextLine(title, "yellow")] if title else []), TextLine(aligned(columns), "cyan")]
    for line, note in found:
        lines.append(TextLine(aligned(line)))
        if note:
            lines.append(TextLine(f"    {plain(note)}"))
    return lines


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"
