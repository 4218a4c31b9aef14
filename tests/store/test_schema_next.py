"""The last line of `why`: what happens next, when, and what it waits for."""

import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.notification import Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, claim, insert, tried

Connection = psycopg.Connection[Any]

HEARTBEAT = """
INSERT INTO noti.workers (worker_id, heartbeat, state) VALUES (%s, clock_timestamp() - %s, %s)
ON CONFLICT (worker_id) DO UPDATE SET heartbeat = excluded.heartbeat, state = excluded.state
"""


def lives(
    connection: Connection, worker_id: int = 1, state: str | None = '{"channels": ["email"]}', age: int = 0
) -> None:
    """A worker whose heart beat `age` seconds ago."""
    connection.execute(HEARTBEAT, [worker_id, timedelta(seconds=age), state])


def following(connection: Connection) -> str:
    lines = connection.execute("SELECT event, detail FROM noti.why(1)").fetchall()
    event, detail = lines[-1]
    assert event == "next"
    return re.sub(r"\b20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<time>", detail)


def test_a_due_row_waits_for_a_free_worker(connection: Connection) -> None:
    insert(connection)
    lives(connection)
    assert following(connection) == "try 1 is due since <time>: the next free worker takes it"


def test_a_worker_that_has_not_said_what_it_serves_may_serve_it(connection: Connection) -> None:
    insert(connection)
    lives(connection, state=None)
    assert following(connection) == "try 1 is due since <time>: the next free worker takes it"


def test_a_row_that_no_worker_serves_says_so(connection: Connection) -> None:
    insert(connection)
    assert following(connection).endswith("the next free worker takes it; but no worker is running: start one")
    lives(connection, age=16)
    assert following(connection).endswith("; but no worker is running: start one")
    lives(connection, state='{"channels": ["sms"]}')
    assert following(connection).endswith("; but no running worker serves email: configure an account for it")
    lives(connection, worker_id=2)
    assert following(connection).endswith("the next free worker takes it")


def with_modes(routes: str, modes: str) -> str:
    return f'{{"channels": ["email"], "routes": {{"email": {routes}}}, "modes": {modes}}}'


def test_a_row_that_safe_mode_keeps_from_its_recipient_says_so(connection: Connection) -> None:
    insert(connection)
    free = "the next free worker takes it"
    lives(connection, state=with_modes('{"relay": "smtp", "spare": "ses"}', '{"relay": "dry", "spare": "redirect"}'))
    words = f"{free}; but safe mode is on (dry, redirect): it does not reach its recipient"
    assert following(connection).endswith(words)
    lives(connection, state=with_modes('{"relay": "smtp", "spare": "ses"}', '{"relay": "dry"}'))
    assert following(connection).endswith(free)  # the spare one sends
    connection.execute("UPDATE noti.notifications_log SET provider = 'smtp'")
    assert following(connection).endswith(f"{free}; but safe mode is on (dry): it does not reach its recipient")
    lives(connection, worker_id=2, state=with_modes('{"relay": "smtp"}', "{}"))
    assert following(connection).endswith(free)  # another worker is live
    for odd in ('{"routes": "odd", "modes": "odd"}', '{"routes": {"email": []}, "modes": 1}', with_modes("{}", '"x"')):
        for worker in (1, 2):
            lives(connection, worker, state=odd)
        assert free in following(connection)


def test_a_scheduled_row_says_when(connection: Connection) -> None:
    insert(connection, send_at="2100-01-01 08:00+01")
    lives(connection)
    found = connection.execute("SELECT at, detail FROM noti.why(1) WHERE event = 'next'").fetchone()
    assert found is not None
    assert found[0].isoformat().startswith("2100-01-01T07:00:00")
    assert found[1] == "try 1 at 2100-01-01 07:00:00 UTC"


def test_a_retry_says_which_one_it_is(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    lives(connection)
    queue.record(1, [tried(one, Status.RETRYING) for one in claim(queue)])
    assert following(connection) == "try 2 at <time> (retry 1)"  # how many there may be is the channel's matter
    connection.execute("UPDATE noti.notifications_log SET max_retries = 5")
    assert following(connection) == "try 2 at <time> (retry 1 of 5)"


def test_a_row_past_its_expiry_is_written_off(connection: Connection) -> None:
    insert(connection, expires_at="2001-01-01 00:00+00")
    lives(connection)
    assert following(connection) == (
        "it expired at 2001-01-01 00:00:00 UTC: the next worker that takes it writes it off"
    )


def test_a_row_in_flight_says_who_sends_it_and_what_was_requested(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    lives(connection)
    claim(queue)
    sending = "worker 1 is sending it; its lease ends at <time>"
    assert following(connection) == sending
    connection.execute("SELECT noti.hold(1)")
    assert following(connection) == f"{sending}; unless this try settles it, it is held"
    connection.execute("SELECT noti.cancel(1)")
    assert following(connection) == f"{sending}; unless this try settles it, it is cancelled"


@pytest.mark.parametrize("by", ["lease", "heartbeat"])
def test_a_lost_claim_is_taken_over(connection: Connection, queue: PostgresQueue, by: str) -> None:
    insert(connection)
    lives(connection, worker_id=2)
    if by == "lease":
        claim(queue, lease=AT_ONCE)
    else:
        claim(queue)
        lives(connection, age=16)
    assert following(connection) == "worker 1 was lost: another worker takes it over"
    connection.execute("SELECT noti.hold(1)")
    assert following(connection) == "worker 1 was lost: another worker takes it over and holds it, as requested"
    connection.execute("SELECT noti.cancel(1)")
    assert following(connection) == "worker 1 was lost: another worker takes it over and cancels it, as requested"
    connection.execute("DELETE FROM noti.workers WHERE worker_id = 2")
    assert following(connection).endswith("as requested; but no worker is running: start one")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("sent", "nothing: it was sent at <time>"),
        ("failed", "nothing: it failed; requeue it to send it after all"),
        ("expired", "nothing: it expired; requeue it to send it after all"),
        ("cancelled", "nothing: it was cancelled; requeue it to send it after all"),
        ("suppressed", "nothing: it was suppressed; requeue it to send it after all"),
        ("held", "waits for a person: release sends it, cancel does not"),
    ],
)
def test_a_row_that_rests_says_what_would_move_it(connection: Connection, status: str, words: str) -> None:
    insert(connection, status=status)
    assert following(connection) == words


@pytest.mark.parametrize(
    ("words", "masked"),
    [
        ("<bob@example.com>: no such user", "<…>: no such user"),
        ("550 bob.o'neil@example.com unknown", "550 … unknown"),
        ("user 'ann@example.com' is gone", "user … is gone"),
        ("user ann%lists@host.example, relay denied", "user …, relay denied"),
        ("POST https://hooks.example.com/T0/secret?x=1 gave 410", "POST … gave 410"),
        ("no route to +49 (170) 123-4567 today", "no route to … today"),
        ("device abcdef0123456789 is gone", "device … is gone"),
        ("451 4.7.1 try again in 300 s", "451 4.7.1 try again in 300 s"),
        (None, None),
    ],
)
def test_addresses_are_masked(connection: Connection, words: str | None, masked: str | None) -> None:
    found = connection.execute(
        "SELECT noti.masked(%s, 'abcdef0123456789'), noti.masked(%s, NULL) IS NULL", [words, words]
    )
    assert found.fetchone() == (masked, words is None)


def test_the_functions_do_not_hang_on_how_an_application_reads_strings(connection: Connection) -> None:
    connection.execute("SET standard_conforming_strings = off")
    words = connection.execute(
        "SELECT noti.masked('call +49 170 1234567, or see https://x.example/y', NULL)"
    ).fetchone()
    assert words == ("call …, or see …",)
