"""As fast as each may, however many workers there are: rates and quotas, kept by real workers."""

import signal
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from tests.system.scene import BRISK, Scene
from tests.verdict import Verdict

LATE = 1.0
"""Seconds that a message may take on its way on a busy machine, after it was granted."""


def most_within(arrivals: Sequence[float], seconds: float) -> int:
    """How many came at most in any time of so many seconds."""
    return max(number - bisect_left(arrivals, at - seconds) for number, at in enumerate(arrivals, 1))


def limited(scene: Scene, **settings: Any) -> None:
    scene.house.configure(scene.ledger.account(**settings) + BRISK + "[channels.email]\nconcurrency = 10\n")


@pytest.mark.fault("F77")
@pytest.mark.parametrize("rows", [300, pytest.param(3000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_four_workers_share_the_rate_of_an_account_and_one_of_them_is_killed(
    scene: Scene, rows: int, verdict: Verdict
) -> None:
    rate, burst = 50, 10
    limited(scene, rate=f"{rate}/s", burst=burst)
    daemons = [scene.house.start_ready() for _ in range(4)]
    scene.insert("user#@example.com", rows)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= rows // 3, timeout=60)
    daemons[0].signal(signal.SIGKILL)
    scene.finished(60 + 2 * rows / rate)
    arrivals = scene.ledger.arrivals()
    # What was taken a moment before it was sent comes on top.
    for seconds in (0.2, 1.0, 5.0):
        assert most_within(arrivals, seconds) <= burst + rate * (seconds + LATE)
    assert arrivals[-1] - arrivals[0] <= 1.5 * rows / rate + 60.0
    assert scene.count("status = 'sent' AND retry_count = 0") == rows
    assert scene.sound()
    verdict.say(
        f"{rows} rows at {rate}/s with a burst of {burst}: at most {most_within(arrivals, 1.0)} in any second",
        repeats=scene.repeats(),
    )


def test_a_limit_that_is_set_while_workers_send_holds_within_a_second_and_ends_as_soon(scene: Scene) -> None:
    limited(scene)
    daemons = [scene.house.start_ready() for _ in range(2)]
    scene.connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, amount, every, burst)"
        " VALUES ('tenant channel', 'default', 'email', 20, '1 s', 2)"
    )
    threading.Event().wait(1.5)
    scene.insert("user#@example.com", 2000)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= 60, timeout=60)
    slow = scene.ledger.arrivals()
    for seconds in (0.5, 1.0, 2.0):
        assert most_within(slow, seconds) <= 2 + 20 * (seconds + LATE)
    scene.connection.execute("DELETE FROM noti.limits")
    scene.finished(60)  # at the rate it would take 97 s
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert scene.count("status = 'sent' AND retry_count = 0 AND attempt_count = 1") == 2000


def test_a_provider_that_is_pushed_too_hard_slows_its_account_and_the_messages_get_through(scene: Scene) -> None:
    """The provider takes 30 a second, and we believe that it takes 60."""
    retry = 'retry = { initial_delay = "500ms", max_delay = "1s", jitter = 0.5 }'
    scene.house.configure(scene.ledger.account(rate="60/s", most_a_second=30) + BRISK + f"[channels.email]\n{retry}\n")
    daemons = [scene.house.start_ready() for _ in range(2)]
    scene.insert("user#@example.com", 600)
    scene.finished(120)
    arrivals = scene.ledger.arrivals()
    slowed = [line for daemon in daemons for line in daemon.said("limit_slowed")]
    assert slowed != []
    assert scene.count("status = 'sent' AND retry_count = 0") == 600  # being too fast costs no try
    refused = len(arrivals) - 600
    assert refused < 300  # at full rate one of two
    assert {daemon.stop() for daemon in daemons} == {0}


def test_a_quota_lets_so_many_go_and_the_rest_wait_untouched_until_there_is_more(scene: Scene) -> None:
    limited(scene)
    daemons = [scene.house.start_ready() for _ in range(2)]
    quota = (
        "INSERT INTO noti.limits (scope, tenant_id, name, period, amount) VALUES ('tenant channel', 'acme', 'email',"
        " 'day', %s) ON CONFLICT ON CONSTRAINT limits_pkey DO UPDATE SET amount = EXCLUDED.amount"
    )
    scene.connection.execute(quota, [50])
    threading.Event().wait(1.5)
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
        " SELECT 'email', tenant || n || '@example.com', 'x', tenant"
        " FROM generate_series(1, 200) n, unnest(ARRAY['acme', 'other']) tenant"
    )
    scene.wait_for(lambda: len(scene.ledger.accepted()) >= 250, timeout=60)
    scene.wait_for(lambda: scene.ask("SELECT 1 FROM noti.closures WHERE cause = 'quota'"), timeout=60)
    threading.Event().wait(2.0)
    assert scene.count("tenant_id = 'acme' AND status = 'sent'") == 50
    assert scene.count("tenant_id = 'other' AND status = 'sent'") == 200
    waiting = "tenant_id = 'acme' AND status = 'pending' AND attempt_count + retry_count = 0 AND claimed_by IS NULL"
    assert scene.count(waiting) == 150
    [words] = scene.ask(f"SELECT DISTINCT noti.next_step(n) FROM noti.notifications_log n WHERE {waiting} LIMIT 1")[:1]
    assert "all 50 of this day are used" in words
    assert sum(len(daemon.said("quota_spent")) for daemon in daemons) == 1
    scene.connection.execute(quota, [120])
    scene.wait_for(lambda: scene.count("tenant_id = 'acme' AND status = 'sent'") >= 120, timeout=60)
    threading.Event().wait(2.0)
    assert scene.count("tenant_id = 'acme' AND status = 'sent'") == 120
    assert {daemon.stop() for daemon in daemons} == {0}
    assert scene.ask("SELECT taken FROM noti.usage") == [120]
    assert scene.sound()


def test_beyond_a_quota_that_refuses_inserts_are_refused_and_nothing_is_sent_twice(scene: Scene) -> None:
    limited(scene)
    scene.house.start_ready()
    scene.connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, period, amount, when_spent)"
        " VALUES ('tenant channel', 'default', 'email', 'month', 20, 'refuse')"
    )
    threading.Event().wait(1.5)
    refused = None
    inserted = 0
    ends = time.monotonic() + 60
    while refused is None and time.monotonic() < ends:
        try:
            scene.insert("user@example.com")
            inserted += 1
        except psycopg.errors.CheckViolation as error:
            refused = str(error)
    assert refused is not None
    assert "the 20 email of this month for the tenant default are used up" in refused
    scene.wait_for(lambda: scene.count("status = 'sent'") >= 20, timeout=60)
    threading.Event().wait(1.5)
    assert scene.count("status = 'sent'") == 20
    assert scene.count("true") == inserted


def test_an_account_that_warms_up_sends_its_part_and_the_next_one_the_rest(scene: Scene) -> None:
    def configure(start: int) -> None:
        scene.house.configure(
            scene.ledger.account("fresh")
            + f'channels = ["email", "sms"]\nwarmup = {{ start = {start}, double_every = "2d" }}\n'
            + scene.ledger.account("old")
            + 'channels = ["email"]\n[routes]\nemail = ["fresh", "old"]\n'
            + BRISK
        )

    def sent(account: str) -> int:
        [count] = scene.ask(f"SELECT count(*) FROM noti.notification_attempts_log WHERE account = '{account}'")
        return int(count)

    configure(20)
    daemon = scene.house.start_ready()
    scene.insert("user#@example.com", 100)
    scene.finished(60)
    assert (sent("fresh"), sent("old")) == (20, 80)
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'sms', '+491511234' || n, 'x' FROM generate_series(1001, 1010) n"
    )
    scene.wait_for(lambda: scene.ask("SELECT 1 FROM noti.closures WHERE cause = 'quota'"), timeout=60)
    threading.Event().wait(1.5)
    assert scene.count("channel = 'sms' AND status = 'pending' AND attempt_count = 0") == 10
    configure(26)
    daemon.signal(signal.SIGHUP)
    scene.wait_for(lambda: scene.count("channel = 'sms' AND status = 'sent'") == 6, timeout=60)
    threading.Event().wait(1.5)
    assert (sent("fresh"), sent("old")) == (26, 80)
    assert daemon.stop() == 0
    assert scene.sound()


def test_two_hundred_destinations_do_not_wait_for_one_that_may_get_few(scene: Scene) -> None:
    limited(scene)
    scene.connection.execute(
        "INSERT INTO noti.limits (scope, name, amount, every, burst)"
        " VALUES ('destination', 'domain7.example', 5, '1 s', 1)"
    )
    daemons = [scene.house.start_ready() for _ in range(2)]
    threading.Event().wait(1.5)
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'email', n || '@domain' || d || '.example', 'x'"
        " FROM generate_series(1, 20) n, generate_series(1, 200) d ORDER BY n"
    )
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body)"
        " SELECT 'email', 'more' || n || '@domain7.example', 'x' FROM generate_series(1, 60) n"
    )
    slow = "recipient LIKE '%@domain7.example'"
    scene.wait_for(lambda: scene.count(f"NOT {slow} AND status = 'sent'") == 199 * 20, timeout=60)
    waiting = scene.count(f"{slow} AND status = 'pending'")
    assert waiting > 20  # the others did not wait for them
    claimed = scene.ask(f"SELECT max(claim_count) FROM noti.notifications_log WHERE {slow} AND status = 'pending'")
    scene.finished(60)
    arrivals = scene.ledger.arrivals_at("domain7.example")
    assert len(arrivals) == 80
    for seconds in (1.0, 4.0):
        assert most_within(arrivals, seconds) <= 1 + 5 * (seconds + LATE)
    assert claimed[0] is None or claimed[0] < 20  # most of them nobody touched meanwhile
    assert {daemon.stop() for daemon in daemons} == {0}
    assert scene.sound()
