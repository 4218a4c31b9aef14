"""Threads that wait for the render process: they share its trips, take turns by tenant, and leave bad templates be."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from noti_worker.delivery.render import Renderer, RendererAway, TemplateRests
from noti_worker.delivery.render_pace import Pace
from noti_worker.delivery.render_process import Answer, Process, Request
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.facts import RendererKilled
from noti_worker.domain.notification import Template
from tests.delivery.fakes import Witness
from tests.delivery.test_render import ABOUT, DATA, POISON, filled, pid_of, wait_until


@pytest.fixture
def own() -> Iterator[Renderer]:
    """A renderer for one test, which may harm it."""
    renderer = Renderer(Witness())
    yield renderer
    renderer.close()


def together(
    renderer: Renderer,
    bodies: Sequence[str],
    before: Callable[[], None] = lambda: None,
    tenants: Sequence[str] | None = None,
    name: str = "t{}",
) -> list[str]:
    """What becomes of rows that came while the line was taken, all on the same trip; `before` it begins."""

    def tried(number: int, body: str) -> str:
        template = Template(name.format(number), body=body)
        tenant_id = tenants[number] if tenants else "default"
        try:
            return renderer.render(template, json.dumps(DATA), ABOUT, tenant_id).text or ""
        except (BadNotification, RendererAway, TemplateRests) as wrong:
            return str(wrong)

    line = renderer._quick
    with ThreadPoolExecutor(len(bodies) + 1) as threads:
        with line._talking:
            first = threads.submit(filled, renderer, "x")
            wait_until(lambda: line._under_way and not len(line))
            others: list[Future[str]] = []
            for number, body in enumerate(bodies):
                others.append(threads.submit(tried, number, body))
                wait_until(lambda: len(line) == len(others))  # in this order
            before()
        assert first.result(30) == "x"
        return [other.result(30) for other in others]


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[list[Request]]:
    """The requests of each trip."""
    ask: Callable[[Process, Sequence[Request]], Iterator[Answer]] = Process.ask
    seen: list[list[Request]] = []

    def noted(process: Process, requests: Sequence[Request]) -> Iterator[Answer]:
        seen.append(list(requests))
        return ask(process, requests)

    monkeypatch.setattr(Process, "ask", noted)
    return seen


def test_rows_that_wait_share_a_trip(own: Renderer, trips: list[list[Request]]) -> None:
    assert together(own, [f"{n} {{{{ name }}}}" for n in range(7)]) == [f"{n} <Ada>" for n in range(7)]
    assert [len(trip) for trip in trips] == [1, 7]


def test_a_trip_is_bounded_in_rows_and_bytes(
    own: Renderer, trips: list[list[Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noti_worker.delivery.render_line._MOST_TOGETHER", 3)
    assert together(own, ["a"] * 7) == ["a"] * 7
    assert [len(trip) for trip in trips] == [1, 3, 3, 1]
    trips.clear()
    monkeypatch.setattr("noti_worker.delivery.render_line._LARGEST_TRIP", 10)
    assert together(own, ["a"] * 3) == ["a"] * 3
    assert [len(trip) for trip in trips] == [1, 1, 1, 1], "one row goes, however large"


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize(
    ("poison", "said"),
    [
        ("three loops", "did not end within 0.3 s"),
        ("nothing", "'nothing' is undefined"),
    ],
)
def test_a_poisonous_template_harms_no_row_of_its_trip(poison: str, said: str, place: int) -> None:
    witness = Witness()
    renderer = Renderer(witness, timeout=0.3)
    bodies = [f"{n} {{{{ name }}}}" for n in range(5)]
    bodies[place] = POISON.get(poison, "{{ nothing }}")
    answers = together(renderer, bodies)
    renderer.close()
    assert said in answers[place]
    assert f"'t{place}'" in answers[place]
    assert [answer for n, answer in enumerate(answers) if n != place] == [f"{n} <Ada>" for n in range(5) if n != place]
    killed = [fact.template_id for fact in witness.facts if isinstance(fact, RendererKilled)]
    assert killed == ([f"t{place}"] if poison in POISON else [])


def test_several_poisonous_templates_on_one_trip_are_each_told(own: Renderer) -> None:
    hog = "{% set ns = namespace(x='y') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    answers = together(own, ["a", hog, "b", hog, "c"])
    assert [answers[n] for n in (0, 2, 4)] == ["a", "b", "c"]
    assert all("memory" in answers[n] or "MemoryError" in answers[n] for n in (1, 3)), answers


def test_a_child_that_is_killed_on_a_shared_trip_harms_nobody(own: Renderer) -> None:
    filled(own, "x")
    assert together(own, ["a", "b", "c"], before=lambda: os.kill(pid_of(own), signal.SIGKILL)) == ["a", "b", "c"]


def test_a_child_that_cannot_start_is_told_to_all_who_wait(own: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with ThreadPoolExecutor(6) as threads:
        rows = [threads.submit(filled, own, "x") for _ in range(30)]
        assert all(isinstance(row.exception(30), RendererAway) for row in rows)
    monkeypatch.undo()
    assert together(own, ["a", "b"]) == ["a", "b"]


def test_a_bug_on_the_way_leaves_nobody_waiting(own: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[Answer]:
        raise ZeroDivisionError

    monkeypatch.setattr(Process, "ask", broken)
    with ThreadPoolExecutor(6) as threads:
        rows = [threads.submit(filled, own, "x") for _ in range(30)]
        assert {type(row.exception(30)) for row in rows} <= {ZeroDivisionError, RendererAway}
    monkeypatch.undo()
    assert together(own, ["a", "b"]) == ["a", "b"]


# Tenants take turns


def test_tenants_take_turns(own: Renderer, trips: list[list[Request]]) -> None:
    together(own, ["x"] * 8, tenants=["a", "a", "a", "b", "a", "a", "c", "b"])
    assert [request.tenant_id for request in trips[1]] == ["a", "b", "c", "a", "b", "a", "a", "a"]


def loops(millions: int) -> str:
    """A template that takes about 0.03 s of CPU time for each million."""
    return f"{{% for a in range({millions}) %}}" + "{% for b in range(1000) %}" * 2 + "{% endfor %}" * 3 + "{{ name }}"


def test_a_slow_template_keeps_nobody_waiting_but_its_like(own: Renderer, trips: list[list[Request]]) -> None:
    bodies = [loops(12)] * 4 + ["quick"] * 3
    answers = together(own, bodies, tenants=["a"] * 4 + ["b"] * 3, name="t")
    assert answers == ["<Ada>"] * 4 + ["quick"] * 3
    assert [request.tenant_id for request in trips[1]] == ["a", "b", "a", "b", "a", "b", "a"]
    assert [request.tenant_id for request in trips[2]] == ["b", "b", "b"], "it was over after the first, and others go"
    quick, slow = own._quick._child, own._slow._child
    assert quick is not slow
    trips.clear()
    assert filled(own, "quick") == "quick"
    assert len(trips) == 1


def test_a_template_that_became_quick_joins_the_quick_ones_again(own: Renderer) -> None:
    assert filled(own, loops(12)) == "<Ada>"
    request = Request(Template("t", body=loops(12)), None, ABOUT, "default")
    assert own._pace.is_slow(request)
    for _ in range(100):
        own._pace.took(request, 0.001)
    assert not own._pace.is_slow(request)


# A template that was killed rests


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `Pace` reads as monotonic seconds."""
    now = [1000.0]
    monkeypatch.setattr("noti_worker.delivery.render_pace.monotonic", lambda: now[0])
    return now


def requests(number: int, tenant_id: str = "a", body: str = "x") -> Request:
    return Request(Template(f"t{number}", body=body), None, ABOUT, tenant_id)


def test_a_template_that_was_killed_waits_longer_each_time(clock: list[float]) -> None:
    pace = Pace()
    one = requests(1)
    waits = []
    for kills in range(1, 15):
        assert pace.rests(one) is None
        pace.killed(one, "did not end within 1 s", 1.0)
        rests = pace.rests(one)
        assert rests is not None
        waits.append(rests.wait)
        assert ("in a row" in str(rests)) == (kills > 1)
        clock[0] += rests.wait
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600]
    assert str(rests) == (
        "template 't1' did not end within 1 s, 14 times in a row: its rows are tried one by one, further apart each"
        " time, until it is corrected"
    )


def test_one_row_at_a_time_tries_a_template_that_rested(clock: list[float]) -> None:
    pace = Pace()
    pace.killed(requests(1), "did not end within 1 s", 1.0)
    clock[0] += 1
    assert pace.rests(requests(1)) is None
    beside = pace.rests(requests(1))
    assert beside is not None
    assert beside.wait == 2


@pytest.mark.parametrize(
    "other", [requests(1, tenant_id="b"), requests(1, body="y"), requests(2)], ids=["tenant", "version", "template"]
)
def test_another_template_does_not_rest(clock: list[float], other: Request) -> None:
    pace = Pace()
    pace.killed(requests(1), "did not end within 1 s", 1.0)
    assert pace.rests(other) is None
    assert not pace.is_slow(other)


def test_a_rendering_that_ends_well_ends_the_rest(clock: list[float]) -> None:
    pace = Pace()
    pace.killed(requests(1), "did not end within 1 s", 1.0)
    pace.killed(requests(1), "did not end within 1 s", 1.0)
    pace.took(requests(1), 0.001)
    assert pace.rests(requests(1)) is None
    pace.killed(requests(1), "did not end within 1 s", 1.0)
    rests = pace.rests(requests(1))
    assert rests is not None
    assert rests.wait == 1


def test_what_is_remembered_is_bounded(clock: list[float]) -> None:
    pace = Pace()
    for number in range(1500):
        pace.killed(requests(number), "did not end within 1 s", 1.0)
    assert len(pace._known) == 1000
    assert pace.rests(requests(0)) is None
    assert pace.rests(requests(1499)) is not None


def test_of_a_tenant_with_many_slow_templates_none_is_taken_for_quick() -> None:
    """Else each new one would keep the others waiting once."""
    pace = Pace()
    for number in range(5):
        assert not pace.is_slow(requests(99))
        pace.took(requests(number), 0.9)
        pace.took(requests(number), 0.9)
    assert pace.is_slow(requests(99))
    assert not pace.is_slow(requests(99, tenant_id="b"))
    for _ in range(100):
        pace.took(requests(1), 0.001)
    assert not pace.is_slow(requests(99))


def test_rows_that_wait_beside_one_that_was_killed_are_not_tried() -> None:
    witness = Witness()
    renderer = Renderer(witness, timeout=0.3)
    answers = together(renderer, [POISON["three loops"]] * 5 + ["x"], tenants=["a"] * 5 + ["b"], name="t")
    renderer.close()
    assert sum("did not end within 0.3 s: its rows are tried one by one" in answer for answer in answers) == 4
    assert answers[0] == "template 't' did not end within 0.3 s"
    assert answers[5] == "x"
    assert sum(isinstance(fact, RendererKilled) for fact in witness.facts) == 1


def test_the_corrected_template_is_tried_at_once() -> None:
    renderer = Renderer(Witness(), timeout=0.3)
    with pytest.raises(BadNotification, match="did not end"):
        filled(renderer, POISON["three loops"])
    with pytest.raises(TemplateRests, match="'t' did not end"):
        filled(renderer, POISON["three loops"])
    assert filled(renderer, "corrected") == "corrected"
    renderer.close()
