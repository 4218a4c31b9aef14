"""The result of a run as a table, as Markdown and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.bench.figures import Book, shown
from tests.bench.reasons import WHY
from tests.bench.targets import FIGURES, Bound, Figure

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
"""The last full run; RESULTS.md and the table of the scaling page are made from it."""

_HOW = """\
Made by `python -m tests.bench`; do not edit. Each figure is the median of its samples, with the least and the
greatest where there are several. Ratios were taken within one round: limit, one worker, each peer, two workers, and
again. All share the same two cores: server, workers and producers.

PostgreSQL is the benchmark's own, with normal durability. Before each drain the tables are vacuumed, analyzed and a
checkpoint is made, so a drain pays for full page images, except where the WAL is measured. A drain counts only when
every row was sent once and the three tables say so. The clock runs from the first recorded row to the last (peers:
from the first call of the handler until nothing is left); starting a process is not in it. Memory counts shared pages
once (PSS).
"""


@dataclass
class Outcome:
    """One part: the seconds that it took, why it did not end well, and how it was measured when not in the full run."""

    seconds: float
    error: str | None = None
    apart: str = ""


@dataclass
class Result:
    """One run."""

    machine: Mapping[str, str]
    scale: float
    rounds: int
    complete: bool
    seconds: float = 0.0
    parts: dict[str, Outcome] = field(default_factory=dict)
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def book(self) -> Book:
        """The samples."""
        book = Book()
        book.samples.update({key: list(values) for key, values in self.samples.items()})
        return book

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str) -> "Result":
        """From JSON."""
        fields = json.loads(text)
        return cls(**fields | {"parts": {name: Outcome(**part) for name, part in fields["parts"].items()}})


def verdict(figure: Figure, value: float | None) -> str:
    """What the figure is to its target and its aim."""
    if figure.target is None and figure.aim is None:
        return ""
    if value is None:
        return "not measured"
    if figure.aim is not None and figure.aim.holds(value):
        return "aim met"
    if figure.target is not None:
        return "met" if figure.target.holds(value) else "NOT met"
    return "aim not met"


def lines(result: Result, figures: Iterable[Figure] = FIGURES) -> list[tuple[str, ...]]:
    """Figure, median, spread, target, aim, verdict; of a complete run all that have a target, else the measured."""
    book = result.book()
    found: list[tuple[str, ...]] = []
    for figure in figures:
        value = book.median(figure.key)
        judged = verdict(figure, value)
        if value is None and not (judged and result.complete):
            continue
        samples = book.samples.get(figure.key, [])
        spread = f"{shown(min(samples))} to {shown(max(samples))}" if len(samples) > 1 else ""
        median = "" if value is None else shown(value, figure.of)
        found.append((figure.what, median, spread, _bound(figure.target), _bound(figure.aim), judged))
    return found


def table(result: Result) -> str:
    """For a terminal."""
    rows = [("figure", "median", "spread", "target", "aim", ""), *lines(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    failed = [f"{name} FAILED: {part.error}" for name, part in result.parts.items() if part.error]
    return "\n".join([text, *failed])


def markdown(result: Result) -> str:
    """The whole page."""
    with_targets = [figure for figure in FIGURES if figure.target or figure.aim]
    others = [figure for figure in FIGURES if not (figure.target or figure.aim)]
    parts = [
        (name, shown(part.seconds, "s"), f"FAILED: {part.error}" if part.error else f"ended{part.apart}")
        for name, part in result.parts.items()
    ]
    note = (
        ""
        if result.scale >= 1
        else f"\n**A run of {shown(100 * result.scale)} % of the full size: it only shows that all works.**\n"
    )
    return "\n".join(
        [
            "# Results of the benchmark\n",
            _HOW + note,
            "## Targets\n",
            _markdown(("figure", "median", "spread", "target", "aim", "verdict"), lines(result, with_targets)),
            *_missed(result, with_targets),
            "## Other figures\n",
            _markdown(("figure", "median", "spread"), [line[:3] for line in lines(result, others)]),
            "## Machine\n",
            _markdown(("what", "is"), list(result.machine.items())),
            "## Run\n",
            f"{result.rounds} rounds, {shown(result.seconds / 60, 'minutes')} in all.\n",
            _markdown(("part", "took", ""), parts),
        ]
    )


def missed(result: Result, figures: Iterable[Figure] = FIGURES) -> list[Figure]:
    """The figures that miss their target."""
    book = result.book()
    return [figure for figure in figures if verdict(figure, book.median(figure.key)) == "NOT met"]


def _missed(result: Result, figures: Iterable[Figure]) -> list[str]:
    rows = [(figure.what, WHY.get(figure.key, "not explained yet")) for figure in missed(result, figures)]
    return ["## Not met, and why\n", _markdown(("figure", "why, and what was tried"), rows)] if rows else []


SCALING = (
    "drain.one.rate",
    "drain.two.rate",
    "drain.one.worker_us",
    "drain.one.server_us",
    "mail.rate",
    "webhook.rate",
    "slow.rate",
    "latency.at_500.p50",
    "latency.at_500.p99",
    "latency.poll_only.p99",
    "enqueue.single16.attached_rate",
    "enqueue.bulk.attached_rate",
    "cost.wal",
    "claim.waiting",
    "claim.finished",
    "holder.last_of_first",
    "fairness.last",
    "holder.peak_mb",
    "idle.statements",
    "rescue.seconds",
)
"""What the scaling page shows."""


def scaling_table() -> str:
    """The table of the scaling page, from the last full run."""
    if not RESULTS.exists():
        return "No full run has been recorded yet: `python -m tests.bench` writes its figures here.\n"
    result = Result.load(RESULTS.read_text(encoding="utf-8"))
    by_key = {figure.key: figure for figure in FIGURES}
    measured = [line[:2] for line in lines(result, [by_key[key] for key in SCALING]) if line[1]]
    where = f"Measured on {result.machine['cores']}, PostgreSQL {result.machine['PostgreSQL'].split(';')[0]}:\n\n"
    return where + _markdown(("figure", "median"), measured)


def added(result: Result, to: Result, busy: float) -> Result:
    """The recorded run with the figures of a later one of some parts, which began at a load average of `busy`."""
    which = f"{result.machine['noti-worker']}, {result.rounds} rounds"
    note = f"; later and by itself: {which}, load average before {busy:.1f}"
    parts = {name: replace(part, apart=note) for name, part in result.parts.items()}
    return replace(to, parts=to.parts | parts, samples={**to.samples, **result.samples})


def write(result: Result, directory: Path) -> None:
    """Write `results.json` and `RESULTS.md`."""
    (directory / RESULTS.name).write_text(result.dump(), encoding="utf-8")
    (directory / "RESULTS.md").write_text(markdown(result), encoding="utf-8")


def _bound(bound: Bound | None) -> str:
    return "" if bound is None else f"{'≥' if bound.at_least else '≤'} {shown(bound.value)}"


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    all_rows = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in all_rows)
