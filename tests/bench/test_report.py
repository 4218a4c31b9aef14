"""The pure parts of the benchmark: medians, verdicts, pages. Nothing is measured here."""

from dataclasses import replace

import pytest

from tests.bench import report
from tests.bench.figures import Book, percentile, shown
from tests.bench.parts import PARTS
from tests.bench.reasons import WHY
from tests.bench.report import Outcome, Result, lines, markdown, missed, table, verdict
from tests.bench.targets import FIGURES, Figure, least, most

RESULT = Result(
    {"cores": "2", "PostgreSQL": "18.6; fsync on"}, 1.0, 3, complete=True, samples={"drain.one.rate": [1.0, 3.0, 2.0]}
)


def test_a_figure_is_the_median_of_its_samples() -> None:
    book = Book()
    for value in (3.0, 1.0, 10.0):
        book.add("rate", value)
    assert book.median("rate") == 3.0
    assert book.median("other") is None


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (0.001, 1), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0285, "0.0285"), (0.5, "0.5"), (1.56, "1.56"), (16.04, "16"), (95.2, "95.2"), (12345.6, "12,346")],
)
def test_numbers_are_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "words"), [(9.0, "NOT met"), (10.0, "met"), (20.0, "aim met"), (None, "not measured")]
)
def test_a_figure_is_judged_by_target_and_aim(value: float | None, words: str) -> None:
    assert verdict(Figure("a", "a", target=least(10), aim=least(20)), value) == words


def test_what_should_be_low_is_judged_the_other_way_round() -> None:
    assert verdict(Figure("a", "a", target=most(10)), 11.0) == "NOT met"
    assert verdict(Figure("a", "a", aim=most(10)), 11.0) == "aim not met"
    assert verdict(Figure("a", "a"), 11.0) == ""


def test_every_figure_has_a_name_of_its_own() -> None:
    keys = [figure.key for figure in FIGURES]
    assert len(set(keys)) == len(keys)
    assert set(report.SCALING) <= set(keys)


def test_a_target_that_was_not_measured_is_shown_and_a_plain_figure_is_not() -> None:
    figures = [Figure("a", "with", target=least(1)), Figure("b", "without")]
    assert [line[0] for line in lines(RESULT, figures)] == ["with"]
    assert lines(replace(RESULT, complete=False), figures) == []


def test_a_part_that_failed_stands_in_the_table_and_on_the_page() -> None:
    failed = replace(RESULT, parts={"idle": Outcome(1.0, "RuntimeError: no")})
    assert table(failed).endswith("idle FAILED: RuntimeError: no")
    assert "| idle | 1 s | FAILED: RuntimeError: no |" in markdown(failed)


def test_a_result_is_read_back_as_it_was_written() -> None:
    result = replace(RESULT, parts={"idle": Outcome(1.0)})
    assert Result.load(result.dump()) == result


def test_a_part_that_was_measured_later_replaces_its_figures_and_says_so() -> None:
    before = replace(RESULT, parts={"drain": Outcome(9.0), "idle": Outcome(1.0)})
    machine = {"noti-worker": "0.2.0, commit abc"}
    later = Result(machine, 1.0, 2, complete=False, parts={"idle": Outcome(2.0)}, samples={"idle.statements": [1.0]})
    result = report.added(later, before, busy=3.14)
    assert result.samples == {**RESULT.samples, "idle.statements": [1.0]}
    page = markdown(result)
    assert "| drain | 9 s | ended |" in page
    assert "| idle | 2 s | ended; later and by itself: 0.2.0, commit abc, 2 rounds, load average before 3.1 |" in page


def test_a_small_run_says_so() -> None:
    assert "of the full size" in markdown(replace(RESULT, scale=0.1))
    assert "of the full size" not in markdown(RESULT)


def test_the_pages_show_the_last_full_run() -> None:
    if not report.RESULTS.exists():
        assert "No full run" in report.scaling_table()
        return
    result = Result.load(report.RESULTS.read_text(encoding="utf-8"))
    assert (report.HERE / "RESULTS.md").read_text(encoding="utf-8") == markdown(result)


def test_every_miss_of_the_last_full_run_is_explained() -> None:
    if report.RESULTS.exists():
        result = Result.load(report.RESULTS.read_text(encoding="utf-8"))
        assert [figure.key for figure in missed(result) if figure.key not in WHY] == []


def test_a_miss_that_nobody_explained_says_so() -> None:
    slow = replace(RESULT, samples={"idle.statements": [9.0]})
    assert "| idle worker, statements | not explained yet |" in markdown(slow)


def test_a_full_run_fits_into_its_time() -> None:
    assert sum(part.takes for part in PARTS) <= 25 * 60
    assert all(part.takes < part.at_most for part in PARTS)
