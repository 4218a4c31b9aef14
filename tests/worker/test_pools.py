import threading
from collections.abc import Callable
from typing import Any

from noti_worker.domain.facts import Trouble
from noti_worker.domain.notification import Channel
from noti_worker.worker.inflight import Claim
from noti_worker.worker.pools import PATIENCE, WINDOW, Pool
from tests.domain.rows import claimed
from tests.worker.fakes import FakeClock, Witness


def opened(gate: threading.Event) -> None:
    assert gate.wait(10)


def tasks(count: int, tenant: str = "default") -> list[Claim]:
    return [Claim(claimed(notification_id=number, tenant_id=tenant), 1e9) for number in range(count)]


def test_a_pool_wants_what_its_free_threads_can_start() -> None:
    gate = threading.Event()
    pool = Pool(Channel.EMAIL, 3, 500, lambda claim: opened(gate), lambda: None, FakeClock(), Witness())
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
            lambda claim: done.append(claim.notification.notification_id),
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

    def work(claim: Claim) -> None:
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

    def work(claim: Claim) -> None:
        begun.set()
        opened(gate)

    pool = Pool(Channel.EMAIL, 1, 500, work, lambda: None, FakeClock(), Witness())
    pool.submit(tasks(5))
    assert begun.wait(10)
    assert [claim.notification.notification_id for claim in pool.take_back()] == [1, 2, 3, 4]
    gate.set()
    wait_for(lambda: pool.want >= 1)
    pool.close()


def test_a_bug_in_one_row_costs_the_pool_no_thread(wait_for: Callable[..., Any]) -> None:
    witness = Witness()
    done: list[int] = []

    def work(claim: Claim) -> None:
        if claim.notification.notification_id == 0:
            raise GeneratorExit("alice@example.com")
        done.append(claim.notification.notification_id)

    pool = Pool(Channel.EMAIL, 1, 500, work, lambda: None, FakeClock(), witness)
    pool.submit(tasks(3))
    wait_for(lambda: done == [1, 2])
    assert [fact.error for fact in witness.of(Trouble)] == ["GeneratorExit"]
    pool.close()


def test_the_loop_is_called_when_there_is_room_again() -> None:
    freed = threading.Event()
    pool = Pool(Channel.EMAIL, 1, 500, lambda claim: None, freed.set, FakeClock(), Witness())
    pool.submit(tasks(1))
    assert freed.wait(10)
    pool.close()


class Bank:
    """A pool of 20 threads whose sends take as long as the test says: at most 20 of them at a time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.pool = Pool(Channel.EMAIL, 20, 500, self.work, lambda: None, self.clock, Witness())

    def work(self, claim: Claim) -> None:
        self.begun.release()
        assert self.gate.acquire(timeout=10)

    def send(self, tenant: str, rows: int, seconds: float, wait_for: Callable[..., Any]) -> None:
        """Send so many rows at once, after a while in which nothing ended."""
        self.clock.tick(WINDOW + 0.01)
        self.pool.submit(tasks(rows, tenant))
        for _ in range(rows):
            assert self.begun.acquire(timeout=10)
        self.clock.tick(seconds)
        self.gate.release(rows)
        wait_for(lambda: self.pool.free == 20 + rows)

    def hold(self, tenant: str, rows: int) -> None:
        """Begin sends that do not end."""
        self.pool.submit(tasks(rows, tenant))

    def close(self) -> None:
        self.gate.release(100)
        self.pool.close()


def test_a_tenant_alone_has_all_the_threads_and_several_have_a_part_each() -> None:
    bank = Bank()
    assert bank.pool.room({"a"}) == {}
    assert bank.pool.room({"a", "b"}) == {"a": 10, "b": 10}
    assert bank.pool.room({"a", "b", "c"}) == {"a": 6, "b": 6, "c": 6}
    assert bank.pool.room({f"t{number}" for number in range(30)}) == {f"t{number}": 5 for number in range(30)}
    bank.hold("slow", 4)
    assert bank.pool.room({"slow"}) == {}
    assert bank.pool.room({"slow", "a", "b", "c"}) == {"slow": 1, "a": 5, "b": 5, "c": 5}
    assert bank.pool.room({"a", "b"}) == {"a": 6, "b": 6}  # who has rows in hand counts, too
    bank.close()


def test_a_brisk_tenant_asks_ahead_beside_others_and_a_slow_one_does_not(wait_for: Callable[..., Any]) -> None:
    bank = Bank()
    others = {"a", "b", "c"}
    bank.send("brisk", 20, 0.002, wait_for)
    assert bank.pool.room({"brisk", *others})["brisk"] == 5 + 20
    bank.send("slow", 10, 1.0, wait_for)  # as many at once as it never had in 100 ms
    assert bank.pool.room({"slow", *others})["slow"] == 5
    bank.send("fair", 5, 0.05, wait_for)  # its part of the threads would send 10 in 100 ms
    assert bank.pool.room({"fair", *others})["fair"] == 5 + 5
    bank.close()


def test_little_room_of_tenants_waits_a_moment_for_more_and_then_counts(wait_for: Callable[..., Any]) -> None:
    bank = Bank()
    bank.send("brisk", 20, 0.002, wait_for)
    bank.hold("other", 1)
    bank.hold("brisk", 26)
    assert bank.pool.room({"brisk"}) == {"brisk": 0}
    assert bank.pool.room({"brisk", "a"}) == {"brisk": 0, "a": 0}
    assert bank.pool.room({"brisk", "a", "b"}) == {"brisk": -1, "a": 5, "b": 5}  # ten are worth a claim
    bank.clock.tick(PATIENCE + 0.01)
    assert bank.pool.room({"brisk"}) == {"brisk": 4}
    bank.close()


def test_what_a_pool_knows_of_a_tenant_ends_with_its_rows(wait_for: Callable[..., Any]) -> None:
    bank = Bank()
    bank.send("brisk", 20, 0.002, wait_for)
    bank.send("slow", 20, 1.0, wait_for)
    bank.hold("held", 20)
    for _ in range(20):
        assert bank.begun.acquire(timeout=10)
    bank.hold("queued", 20)
    bank.pool.take_back()
    assert bank.pool.room({"a"}) == {"a": 6}  # beside the one that is held, and the slow one
    bank.clock.tick(WINDOW + 0.01)
    assert bank.pool.room({"a"}) == {"a": 10}
    bank.gate.release(20)
    wait_for(lambda: bank.pool.free == 40)
    bank.clock.tick(WINDOW + 0.01)
    assert bank.pool.room({"a"}) == {}
    bank.close()
