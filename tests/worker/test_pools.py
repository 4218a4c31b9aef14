import threading
from collections.abc import Callable
from typing import Any

from noti_worker.domain.facts import Trouble
from noti_worker.domain.notification import Channel
from noti_worker.worker.leases import Held
from noti_worker.worker.pools import PATIENCE, WINDOW, Pool
from tests.domain.rows import claimed
from tests.worker.fakes import FakeClock, Witness


def opened(gate: threading.Event) -> None:
    assert gate.wait(10)


def tasks(count: int) -> list[Held]:
    return [Held(claimed(notification_id=number), 1e9) for number in range(count)]


def test_a_pool_wants_what_its_free_threads_can_start() -> None:
    gate = threading.Event()
    pool = Pool(Channel.EMAIL, 3, 500, lambda held: opened(gate), lambda: None, FakeClock(), Witness())
    assert (pool.free, pool.want) == (3, 3)
    pool.submit(tasks(2))
    assert (pool.free, pool.want) == (1, 1)
    pool.submit(tasks(2))
    assert (pool.free, pool.want) == (-1, 0)
    gate.set()
    pool.close()


def test_a_fast_pool_asks_ahead_for_what_the_last_moment_finished(wait_for: Callable[..., Any]) -> None:
    clock = FakeClock()
    done: list[int] = []
    for batch_size in (500, 30):
        pool = Pool(
            Channel.EMAIL,
            2,
            batch_size,
            lambda held: done.append(held.notification.notification_id),
            lambda: None,
            clock,
            Witness(),
        )
        pool.submit(tasks(40))
        wait_for(lambda pool=pool, most=batch_size: pool.free == min(42, most))
        clock.tick(WINDOW + 0.01)
        assert pool.free == 2
        pool.close()


def test_little_room_waits_a_moment_for_more_and_then_counts(wait_for: Callable[..., Any]) -> None:
    gate, clock, freed = threading.Semaphore(0), FakeClock(), threading.Event()

    def work(held: Held) -> None:
        assert gate.acquire(timeout=10)

    pool = Pool(Channel.WEBHOOK, 20, 500, work, freed.set, clock, Witness())
    pool.submit(tasks(20))
    gate.release(2)
    wait_for(lambda: pool.free == 4)  # two slots, and two that the last moment finished
    assert pool.want == 0
    assert not freed.is_set()
    clock.tick(PATIENCE + 0.01)
    assert pool.want == 4
    gate.release(1)
    assert freed.wait(10)  # six of 23 are worth a claim at once
    pool.submit(tasks(1))
    assert (pool.free, pool.want) == (5, 5)
    gate.release(30)
    pool.close()


def test_rows_that_no_thread_began_can_be_taken_back(wait_for: Callable[..., Any]) -> None:
    gate, begun = threading.Event(), threading.Event()

    def work(held: Held) -> None:
        begun.set()
        opened(gate)

    pool = Pool(Channel.EMAIL, 1, 500, work, lambda: None, FakeClock(), Witness())
    pool.submit(tasks(5))
    assert begun.wait(10)
    assert [held.notification.notification_id for held in pool.take_back()] == [1, 2, 3, 4]
    gate.set()
    wait_for(lambda: pool.want >= 1)
    pool.close()


def test_a_bug_in_one_row_costs_the_pool_no_thread(wait_for: Callable[..., Any]) -> None:
    witness = Witness()
    done: list[int] = []

    def work(held: Held) -> None:
        if held.notification.notification_id == 0:
            raise GeneratorExit("alice@example.com")
        done.append(held.notification.notification_id)

    pool = Pool(Channel.EMAIL, 1, 500, work, lambda: None, FakeClock(), witness)
    pool.submit(tasks(3))
    wait_for(lambda: done == [1, 2])
    assert [fact.error for fact in witness.of(Trouble)] == ["GeneratorExit"]
    pool.close()


def test_the_loop_is_called_when_there_is_room_again() -> None:
    freed = threading.Event()
    pool = Pool(Channel.EMAIL, 1, 500, lambda held: None, freed.set, FakeClock(), Witness())
    pool.submit(tasks(1))
    assert freed.wait(10)
    pool.close()
