"""The last line of `why`: what happens next, when, and what it waits for."""

import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, claim, decided, insert, tried

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
    assert following(connection) == "try 1 is due since <time>; but no worker is running: start one"
    lives(connection, age=16)
    silent = "no worker was heard of since <time>: see that one runs and reaches the database"
    assert following(connection) == f"try 1 is due since <time>; but {silent}"
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


def test_what_the_database_refuses_to_workers_is_not_promised_to_the_next(connection: Connection) -> None:
    insert(connection, 2)
    lives(connection, state='{"refused_rows": [{"id": 2, "what": "claim", "why": "the database refused (23514)"}]}')
    lives(connection, worker_id=2)
    second = "SELECT noti.next_step(noti.facts(2))"
    told = connection.execute(second).fetchone()
    assert told is not None
    assert told[0].endswith(": worker 1 cannot claim it: the database refused (23514)")
    free = "the next free worker takes it"
    lives(connection, state='{"unable": {"record": "the database refused (42501)"}}')
    assert following(connection).endswith(free), "the other one is able"
    lives(connection, worker_id=2, state='{"unable": {"claim": "the database refused (42501)"}}')
    unable = "no running worker is able to: worker 1 cannot record, the database refused (42501)"
    assert following(connection) == f"try 1 is due since <time>; but {unable}"
    elsewhere = (
        '{"unable": {"claim chat": "no", "look up content of sms": "no", "record": "the database refused (42501)"}}'
    )
    for worker_id in (1, 2):
        lives(connection, worker_id=worker_id, state=elsewhere)
    assert following(connection) == f"try 1 is due since <time>; but {unable}"
    lives(connection, worker_id=2, state='{"unable": {"claim chat": "no"}}')
    assert following(connection).endswith(free), "the other one is able to send e-mail"
    for odd in ('{"unable": 1, "refused_rows": {}}', '{"unable": {}, "refused_rows": [1, null]}'):
        lives(connection, state=odd)
        assert following(connection).endswith(free)


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


def test_a_worker_that_lives_has_not_lost_a_row_whose_lease_is_over(
    connection: Connection, queue: PostgresQueue, database_url: str
) -> None:
    insert(connection)
    lives(connection)
    claim(queue, lease=AT_ONCE)
    over = "worker 1 is sending it; its lease ended at <time>"
    assert following(connection) == over
    lives(connection, state='{"unable": {"prolong leases": "the database refused (42501)"}}')
    unable = "no running worker is able to: worker 1 cannot prolong leases, the database refused (42501)"
    assert following(connection) == f"{over}; but {unable}"
    lives(connection, state="{}")
    with psycopg.connect(database_url, application_name="shop") as shop:
        shop.execute("SELECT 1 FROM noti.notifications_log FOR UPDATE")
        assert following(connection) == (
            f"{over}; the process {shop.info.backend_pid} of shop holds its row locked, idle in transaction,"
            " since <time>: what became of it is recorded when that transaction ends"
        )


TAKEN_OVER = "worker 1 was lost: another worker takes it over"
PERHAPS = "because it may have been sent"
TWICE = "and sends it; if the one before did, too, it arrives twice"


@pytest.mark.parametrize("by", ["lease", "heartbeat"])
def test_a_lost_claim_is_taken_over(connection: Connection, queue: PostgresQueue, by: str) -> None:
    insert(connection)
    lives(connection, worker_id=2)
    if by == "lease":
        claim(queue, lease=AT_ONCE)
    else:
        claim(queue)
        lives(connection, age=16)
    assert following(connection) == f"{TAKEN_OVER} {TWICE}"
    connection.execute("SELECT noti.hold(1)")
    assert following(connection) == f"{TAKEN_OVER} and holds it, as requested"
    connection.execute("SELECT noti.cancel(1)")
    assert following(connection) == f"{TAKEN_OVER} and cancels it, as requested"
    connection.execute("DELETE FROM noti.workers WHERE worker_id = 2")
    nobody = "no worker is running" if by == "lease" else "no worker was heard of since"
    assert f"as requested; but {nobody}" in following(connection)


@pytest.mark.parametrize(
    ("columns", "dispatched", "then"),
    [
        ({"on_uncertain": "fail"}, True, f"and writes it off as failed, {PERHAPS} (on_uncertain = fail)"),
        ({"on_uncertain": "hold"}, True, f"and parks it as unknown, {PERHAPS} (on_uncertain = hold)"),
        ({}, True, f"and does as its channel says, parks it or writes it off, {PERHAPS}"),
        ({"on_uncertain": "hold"}, False, "and sends it; it was surely not sent before"),
        ({"on_uncertain": "retry"}, False, TWICE),
        ({"expires_at": "2001-01-01 00:00+00"}, False, "and writes it off, because it expired"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_lost_claim_is_foretold(
    connection: Connection, queue: PostgresQueue, columns: dict[str, Any], dispatched: bool, then: str
) -> None:
    insert(connection, **columns)
    lives(connection, worker_id=2)
    [taken] = claim(queue, lease=timedelta(seconds=1))
    if dispatched:
        assert queue.dispatch(1, taken)
    lives(connection, age=16)
    assert following(connection) == f"{TAKEN_OVER} {then}"


def test_the_fifth_loss_in_a_row_is_the_last(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    lives(connection, worker_id=2)
    for losses in range(5):
        claim(queue, lease=AT_ONCE, solo=losses >= 2)
    assert following(connection) == (
        f"{TAKEN_OVER} and writes it off as failed, because it was lost with five workers in a row"
    )


def test_what_waits_behind_a_pause_and_has_expired_is_not_promised_a_try(connection: Connection) -> None:
    insert(connection, expires_at="2001-01-01 00:00+00")
    lives(connection)
    connection.execute("SELECT noti.pause('everything', paused_by => 'ada')")
    assert following(connection) == (
        "it expired at 2001-01-01 00:00:00 UTC and is written off, not sent, once this is over:"
        " everything is paused by ada since <time> until it is resumed"
    )


def test_after_an_uncertain_try_only_its_own_account_tells(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    lives(connection, state=with_modes('{"relay": "smtp", "spare": "ses"}', "{}"))
    uncertain = Outcome(Kind.UNCERTAIN, error="the line broke")
    queue.record(1, [tried(one, Status.RETRYING, outcome=uncertain) for one in claim(queue)])
    twice = "an earlier try may have arrived, then this is a second message"
    assert following(connection) == f"try 2 at <time> (retry 1); {twice}"
    connection.execute("SELECT noti.pause('account', 'spare', paused_by => 'ada')")
    assert following(connection) == f"try 2 at <time> (retry 1); {twice}"
    connection.execute("SELECT noti.resume('account', 'spare'), noti.pause('account', 'relay', paused_by => 'ada')")
    words = "only that account can tell whether it took the message already"
    assert f"the account relay is paused by ada since <time> until it is resumed, and {words}; due at <time>" in (
        following(connection)
    )
    [obstacle, *_] = connection.execute("SELECT cause, name, code FROM noti.obstacles(noti.facts(1))").fetchall()
    assert obstacle == ("pause", "relay", "witness")


def test_others_that_go_first_are_counted(connection: Connection) -> None:
    lives(connection)
    first, second, third = insert(connection, 3)
    assert first == 1
    insert(connection, 2, priority="urgent", tenant_id="other")
    insert(connection, 1, priority="low")
    insert(connection, 1, priority="urgent", send_at="2100-01-01 00:00+00")
    insert(connection, 4, priority="high", template_id="news")

    def told(number: int) -> str:
        row = connection.execute("SELECT noti.next_step(noti.facts(%s))", [number]).fetchone()
        assert row is not None
        return str(row[0]).partition(": ")[2]

    assert told(third) == "8 others go first"
    assert told(first) == "6 others go first"
    connection.execute("SELECT noti.pause('template', 'news'), noti.pause('tenant', 'other')")
    assert told(second) == "1 other goes first"
    assert told(first) == "the next free worker takes it"
    fields = connection.execute("SELECT cause, scope, name, code FROM noti.obstacles(noti.facts(3))").fetchall()
    assert fields == [("ahead", "lane", "email normal default", "2")]


@pytest.mark.parametrize("how", ["FOR UPDATE", "savepoint", "several"])
def test_whoever_holds_a_row_locked_is_named(connection: Connection, database_url: str, how: str) -> None:
    insert(connection)
    lives(connection)
    lock = "SELECT 1 FROM noti.notifications_log "
    with (
        psycopg.connect(database_url, application_name="shop") as shop,
        psycopg.connect(database_url, application_name="crm") as crm,
        psycopg.connect(database_url, application_name="crm") as reader,
    ):
        if how == "savepoint":
            shop.execute("SAVEPOINT a")
        elif how == "several":
            reader.execute((lock + "FOR KEY SHARE").encode())
            crm.execute((lock + "FOR SHARE").encode())
        shop.execute((lock + ("FOR SHARE" if how == "several" else "FOR UPDATE")).encode())
        pid = shop.info.backend_pid
        found = following(connection)
        connection.execute("SET ROLE noti_operator")  # who may see neither locks nor marks
        assert following(connection) == found
        connection.execute("RESET ROLE")
        row = connection.execute("SELECT pid, application FROM noti.locked_by(1) ORDER BY application").fetchall()
        several = [(crm.info.backend_pid, "crm"), (pid, "shop")]
        assert row == (several if how == "several" else [(pid, "shop")])
        if how != "several":
            assert found == (
                f"try 1 is due since <time>: the process {pid} of shop holds its row locked, idle in transaction,"
                " since <time>: a worker takes it when that transaction ends"
            )
        assert following(shop) == "try 1 is due since <time>: the next free worker takes it" or how == "several"
        shop.rollback()
        crm.rollback()
        reader.rollback()
    assert following(connection) == "try 1 is due since <time>: the next free worker takes it"


def test_an_old_mark_of_many_lockers_is_no_lock(connection: Connection, database_url: str) -> None:
    insert(connection)
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as other:
        for session in (one, other):
            session.execute("SELECT 1 FROM noti.notifications_log FOR KEY SHARE")
        assert connection.execute("SELECT * FROM noti.locked_by(1)").fetchall() == []
    assert connection.execute("SELECT * FROM noti.locked_by(1)").fetchall() == []
    assert connection.execute("SELECT * FROM noti.locked_by(99)").fetchall() == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("sent", "nothing: it was sent at <time>"),
        ("failed", "nothing: it failed; when the fault is mended, requeue it to send it after all"),
        ("expired", "nothing: it expired; requeue sends it after all, and without an expiry"),
        ("cancelled", "nothing: it was cancelled; requeue it to send it after all"),
        ("suppressed", "nothing: it was suppressed; when what kept it back is over, requeue it to send it after all"),
        ("held", "waits for a person: release sends it, cancel does not"),
    ],
)
def test_a_row_that_rests_says_what_would_move_it(connection: Connection, status: str, words: str) -> None:
    insert(connection, status=status)
    assert following(connection) == words


AGAIN = (
    "as it stands it is refused again, so correct first what the answer names: noti-worker requeue 1 --help tells how"
)
ASK = "an earlier try may have arrived: ask the provider by the message id before you requeue it"


@pytest.mark.parametrize(
    ("outcome", "advice"),
    [
        (Outcome(Kind.DEAD), "correct its address first: noti-worker requeue 1 --recipient ADDRESS"),
        (
            Outcome(Kind.PERMANENT),
            AGAIN,
        ),
        (Outcome(Kind.OPTOUT), "its recipient does not want it: do not send it again"),
        (Outcome(Kind.TRANSIENT), "when the fault is mended, requeue it to send it after all"),
        (Outcome(Kind.UNCERTAIN), ASK),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)  # fmt: skip
def test_a_failed_row_says_what_to_do_before_it_is_requeued(
    connection: Connection, queue: PostgresQueue, outcome: Outcome, advice: str
) -> None:
    insert(connection)
    queue.record(1, [tried(one, Status.FAILED, outcome=outcome) for one in claim(queue)])
    assert following(connection) == f"nothing: it failed; {advice}"


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("permanent", "it cannot be sent as it stands, so correct first what the reason names: noti-worker requeue 1"),
        ("lost", f"{ASK}, and look into the logs of the workers that it was lost with"),
        ("uncertain", ASK),
    ],
)  # fmt: skip
def test_a_row_that_failed_without_a_try_does_so_too(
    connection: Connection, queue: PostgresQueue, kind: str, advice: str
) -> None:
    insert(connection)
    if kind != "permanent":
        claim(queue, lease=AT_ONCE)
    queue.record(1, [decided(one, Status.FAILED, kind) for one in claim(queue)])
    assert following(connection).startswith(f"nothing: it failed; {advice}")


def test_what_may_have_arrived_once_is_warned_of_whatever_came_later(
    connection: Connection, queue: PostgresQueue
) -> None:
    insert(connection)
    zombie = claim(queue, lease=AT_ONCE)
    dead = Outcome(Kind.DEAD)
    queue.record(1, [tried(one, Status.FAILED, outcome=dead) for one in claim(queue)])
    queue.record(1, [tried(one) for one in zombie])
    assert following(connection) == f"nothing: it failed; {ASK}, and correct what the last answer names"
    connection.execute("DELETE FROM noti.notification_attempts_log")  # as retention does
    assert following(connection).startswith(f"nothing: it failed; {ASK}")
    connection.execute("SELECT noti.requeue(1), noti.hold(1)")
    assert following(connection) == (
        "waits for a person: it may have been sent, so ask the provider by the message id;"
        " release sends it again, cancel does not"
    )


def test_an_erased_row_is_not_invited_to_be_sent(connection: Connection) -> None:
    insert(connection, status="failed")
    connection.execute("SELECT noti.erase('ann@example.com', NULL, 0, 100, false)")
    assert following(connection) == "nothing: it failed; it was erased, and cannot be sent again"


def test_what_staging_got_is_not_told_as_sent(connection: Connection, queue: PostgresQueue) -> None:
    insert(connection)
    verdict = Verdict(Status.SENT, "safe mode: it was sent to delivery.redirect_to.email instead of its recipient")
    queue.record(1, [tried(one, verdict=verdict) for one in claim(queue)])
    assert following(connection) == "nothing: it was sent to staging instead of its recipient at <time>"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ("0", "0 ms"), ("0.031", "31 ms"), ("1", "1 s"), ("9.96", "10 s"), ("59.94", "59.9 s"), ("59.96", "1m"),
        ("96.071", "1m36s"), ("3600", "1h"), ("7500", "2h5m"), ("86400", "1d"), ("604800", "7d"), ("100000", "1d3h"),
    ],
)  # fmt: skip
def test_durations_are_for_people(connection: Connection, seconds: str, words: str) -> None:
    assert connection.execute("SELECT noti.span(%s::numeric)", [seconds]).fetchone() == (words,)


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


@pytest.mark.parametrize(
    ("recipient", "words", "masked"),
    [
        ("+491511234567", "to 491511234567, 00491511234567 and +49 151 1234567", "to …, … and …"),
        ("+491511234567", "message 4915112345670 is another", "message 4915112345670 is another"),
        ("-1001234567890", "chat 1001234567890 not found", "chat … not found"),
        ("@shop_news", "no @shop_news, no shop_news", "no …, no …"),
        ("#orders", "the channel orders is archived, reorders not", "the channel … is archived, reorders not"),
        ("ada@example.com", "ada%40example.com is unknown", "… is unknown"),
        ("2026", "2026 is closed since 2026-11-30", "… is closed since 2026-11-30"),
        ("[erased]", "to 491511234567", "to 491511234567"),
    ],
)
def test_a_recipient_is_masked_in_every_spelling(
    connection: Connection, recipient: str, words: str, masked: str
) -> None:
    assert connection.execute("SELECT noti.masked(%s, %s)", [words, recipient]).fetchone() == (masked,)


def test_the_functions_do_not_hang_on_how_an_application_reads_strings(connection: Connection) -> None:
    connection.execute("SET standard_conforming_strings = off")
    words = connection.execute(
        "SELECT noti.masked('call +49 170 1234567, or see https://x.example/y', NULL)"
    ).fetchone()
    assert words == ("call …, or see …",)
