"""The line between the worker and its database breaks, hangs, trickles or lies: a proxy of our own stands in it."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.fault_proxy import FaultProxy, socket_of, through
from tests.providers.misbehaving_http import MisbehavingServer
from tests.system.scene import BRISK, SOON, Scene
from tests.verdict import Verdict

RECORDS = b'"claim_count"'  # what every document of results holds
BEATS = b'"in_flight"'  # what the state of a worker holds that each heartbeat writes
CLAIMS = b"WITH taken AS MATERIALIZED"  # stands in the first claims of a connection, before they are prepared


@pytest.fixture
def proxy(database_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(socket_of(database_url)) as proxy:
        yield proxy


def lose_answers(proxy: FaultProxy, mark: bytes, times: int) -> list[bytes]:
    """Lose the first answers to what holds the mark; gives what was asked, as it comes."""
    lost: list[bytes] = []

    def swallow(asked: bytes) -> bool:
        if mark not in asked or len(lost) >= times:
            return True
        lost.append(asked)
        return False

    proxy.answers = swallow
    return lost


@pytest.mark.fault("F04")
def test_an_answer_to_commit_that_is_lost_makes_no_second_try(
    scene: Scene, proxy: FaultProxy, verdict: Verdict
) -> None:
    lost = lose_answers(proxy, RECORDS, 3)
    daemon = scene.start(BRISK, NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port))
    rows = 0
    while len(lost) < 3:
        scene.insert("user#@example.com", 50)
        scene.insert("slow#@example.com", 5)
        rows += 55
        scene.finished()
        assert rows < 1000, "no answer to a record was seen"
    assert scene.count("status = 'sent'") == rows
    assert scene.tries() == ["sent"] * rows
    assert scene.repeats() == 0
    assert scene.sound()

    def again() -> float:
        lines = daemon.get("/metrics")[1].splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith('noti_worker_results_total{fate="again"')
        )

    # The rows are finished with the first answer that was lost; the worker knows it with the first that was not.
    scene.wait_for(lambda: again() > 0, 10, "what had been written already was recognized")
    assert daemon.stop() == 0
    verdict.say("3 answers to COMMIT lost: each try stands in the books once", repeats=scene.repeats())


@pytest.mark.fault("F18")
def test_an_answer_to_a_claim_that_is_lost_does_not_leave_the_rows_to_their_lease(
    scene: Scene, proxy: FaultProxy, verdict: Verdict
) -> None:
    lost = lose_answers(proxy, CLAIMS, 1)
    scene.insert("user#@example.com", 20)
    began = time.monotonic()
    daemon = scene.start("", NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port))
    scene.finished(timeout=20)  # the lease is two minutes
    seconds = time.monotonic() - began
    tries = scene.tries()
    assert (len(lost), len(tries), tries.count("sent")) == (1, 20 + tries.count("lost"), 20)
    assert tries.count("lost") > 0
    assert scene.repeats() == 0
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say(f"the answer to a claim lost: {tries.count('lost')} rows taken again, all sent after {seconds:.1f} s")


@pytest.mark.fault("F18")
@pytest.mark.parametrize("how", ["reset", "half-closed", "refused for a while"])
def test_a_line_that_breaks_is_made_anew_and_so_is_the_line_that_listens(
    scene: Scene, proxy: FaultProxy, verdict: Verdict, how: str
) -> None:
    daemon = scene.start(
        '[worker]\npoll_interval = "20s"\n', NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port)
    )
    scene.insert("before@example.com")
    scene.finished(5)
    proxy.refusing = how.startswith("refused")
    if how == "half-closed":
        proxy.half_close()
    else:
        proxy.cut()
    if proxy.refusing:
        threading.Event().wait(2)
        proxy.refusing = False
    began = time.monotonic()
    scene.wait_for(lambda: listeners(scene), 10, "a line listens again")
    scene.insert("after@example.com")
    scene.finished(10)  # by a hint: the next poll is 20 s away
    seconds = time.monotonic() - began
    assert scene.tries() == ["sent", "sent"]
    assert daemon.stop() == 0
    verdict.say(f"{how}: the next row went out {seconds:.1f} s later, by a hint", repeats=scene.repeats())


def listeners(scene: Scene) -> list[int]:
    return scene.ask(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'noti-worker wake' AND query ~* 'listen|notify'"
    )


@pytest.mark.fault("F18")
@pytest.mark.slow
def test_a_line_that_a_nat_forgot_is_given_up_within_its_patience(
    scene: Scene, proxy: FaultProxy, verdict: Verdict
) -> None:
    daemon = scene.start(BRISK, NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port))
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    proxy.hanging = True
    scene.ledger.open_gate()
    began = time.monotonic()
    scene.wait_for(lambda: daemon.said("database_lost"), 25)
    lost = time.monotonic() - began
    assert lost < 15 + 2
    assert daemon.get("/health/live")[0] == 200
    proxy.heal()
    proxy.cut()
    scene.finished(40)
    assert scene.tries() == ["sent"]
    assert scene.repeats() == 0
    assert daemon.stop() == 0
    verdict.say(f"a line that swallowed everything was given up after {lost:.1f} s", repeats=0)


@pytest.mark.fault("F18")
def test_a_line_with_latency_is_slower_and_correct(scene: Scene, proxy: FaultProxy, verdict: Verdict) -> None:
    proxy.latency = 0.03
    proxy.trickle = 50_000
    daemon = scene.start(BRISK, NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port))
    scene.insert("user#@example.com", 200)
    began = time.monotonic()
    scene.finished()
    seconds = time.monotonic() - began
    assert scene.tries() == ["sent"] * 200
    assert scene.repeats() == 0
    assert scene.sound()
    assert daemon.said("database_lost") == []
    assert daemon.stop() == 0
    verdict.say(f"60 ms there and back, answers trickling at 50 kB/s: 200 rows in {seconds:.1f} s", repeats=0)


@pytest.mark.fault("F18")
def test_heartbeats_that_are_answered_late_let_nothing_expired_go_out(
    scene: Scene, proxy: FaultProxy, verdict: Verdict
) -> None:
    def late(asked: bytes) -> bool:
        if BEATS in asked:
            threading.Event().wait(0.2)
        return True

    proxy.answers = late
    daemon = scene.start(BRISK, NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port))
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, expires_at)"
        " SELECT 'email', 'late@example.com', 'x', now() FROM generate_series(1, 20)"
    )
    scene.finished()
    assert scene.count("status = 'expired'") == 20
    assert scene.tries() == []
    assert daemon.stop() == 0
    verdict.say("heartbeats answered 0.2 s late: 20 rows that expired as they came were not sent", repeats=0)


@pytest.mark.fault("F53")
def test_a_storm_of_hints_does_not_keep_the_worker_busy(scene: Scene, proxy: FaultProxy, verdict: Verdict) -> None:
    questions = 0

    def listen(_: bytes) -> None:
        nonlocal questions
        questions += 1

    daemon = scene.start(
        '[worker]\npoll_interval = "1s"\n', NOTI_DATABASE_URL=through(scene.house.database_url, proxy.port)
    )
    scene.insert("user#@example.com", 10)
    scene.finished(5)
    proxy.asked = listen
    ends, hints = time.monotonic() + 5, 0
    while time.monotonic() < ends:
        scene.connection.execute("SELECT count(pg_notify('noti_wake', n::text)) FROM generate_series(1, 500) n")
        hints += 500
    questions_a_second = questions / 5
    scene.insert("user#@example.com", 10)
    scene.finished(5)
    assert hints > 10_000
    assert questions_a_second <= 50  # two for each of the 20 looks that it takes, and what a worker asks anyway
    assert daemon.stop() == 0
    verdict.say(f"{hints / 5:,.0f} hints a second: {questions_a_second:.0f} questions to the database a second")


_STATES = ("40001", "40P01", "55P03", "57014", "53200", "08006")
_STATEMENTS = {
    "claim": "new.claim_count > old.claim_count",
    "record": "old.claimed_by IS NOT NULL AND new.claimed_by IS NULL AND new.attempt_count > old.attempt_count",
    "mark": "old.dispatched_at IS NULL AND new.dispatched_at IS NOT NULL",
    "extension": "new.lease_until > old.lease_until AND new.claim_count = old.claim_count",
}


@pytest.mark.fault("F25")
@pytest.mark.parametrize("what", _STATEMENTS)
def test_an_error_that_passes_is_tried_again_whichever_statement_it_hits(
    scene: Scene, verdict: Verdict, what: str
) -> None:
    """Real errors of the server: a trigger raises each of them twice, the sequence counts on although it rolls back."""
    states = "{" + ",".join(_STATES) + "}"
    scene.connection.execute("CREATE SEQUENCE raised")
    scene.connection.execute("GRANT USAGE ON SEQUENCE raised TO PUBLIC")
    scene.connection.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n int := nextval('public.raised'); BEGIN"
        f" IF n <= {2 * len(_STATES)} THEN RAISE EXCEPTION 'as the test wants it' USING"
        f" ERRCODE = ('{states}'::text[])[(n + 1) / 2]; END IF; RETURN new; END $$".encode()
    )
    scene.connection.execute(
        "CREATE TRIGGER fail BEFORE UPDATE ON noti.notifications_log FOR EACH ROW"
        f" WHEN ({_STATEMENTS[what]}) EXECUTE FUNCTION fail()".encode()
    )
    daemon = scene.start('[worker]\nlease = "3s"\npoll_interval = "100ms"\n' + SOON)
    if what == "extension":
        scene.insert("gated@example.com")
        scene.wait_for(lambda: (scene.ask("SELECT last_value FROM raised")[0]) >= 2, 15)
        scene.ledger.open_gate()
    else:
        scene.insert("user@example.com", 1, "hold")
    scene.finished(60)
    assert scene.count("status = 'sent'") == 1
    assert scene.repeats() == 0
    assert scene.sound()
    raised = scene.ask("SELECT last_value FROM raised")[0]
    assert raised >= 2 if what == "extension" else raised > 2 * len(_STATES)
    # That another transaction was in the way is told once a minute.
    assert {line.get("where") for line in daemon.log if line.get("level") == "error"} <= {"database"}
    assert daemon.stop() == 0
    verdict.say(f"{what}: {min(raised, 2 * len(_STATES))} errors of {', '.join(_STATES)} tried again", repeats=0)


_LIMIT = 1.0
_HOOKS = (
    '[accounts.hooks]\nprovider = "webhook"\nunsigned = true\nallow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
    f'[channels.webhook]\nsend_timeout = "{_LIMIT:g}s"\nconcurrency = 10\nretry = {{ max_retries = 0 }}\n'
)


def hang(proxy: FaultProxy) -> None:
    proxy.hanging = True


def trickle(proxy: FaultProxy) -> None:
    proxy.trickle = 10


def lag(proxy: FaultProxy) -> None:
    proxy.latency = 0.7  # each way


def refuse(proxy: FaultProxy) -> None:
    proxy.refusing = True


def lose_the_answer(proxy: FaultProxy) -> None:
    proxy.answers = lambda _: False


@pytest.mark.fault("F30")
@pytest.mark.parametrize(
    ("ill", "kinds"),
    [
        (hang, {"uncertain"}),
        (trickle, {"uncertain"}),
        (lag, {"uncertain"}),
        (refuse, {"transient", "uncertain"}),
        (lose_the_answer, {"uncertain"}),
    ],
)
def test_no_send_outlives_its_limit_whatever_the_line_to_the_provider_does(
    scene: Scene, receiver: MisbehavingServer, verdict: Verdict, ill: Callable[[FaultProxy], None], kinds: set[str]
) -> None:
    with FaultProxy(f"127.0.0.1:{receiver.port}") as line:
        ill(line)
        scene.house.configure(_HOOKS + '[worker]\npoll_interval = "100ms"\n')
        daemon = scene.house.start_ready()
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body)"
            " SELECT 'webhook', %s, '{}' FROM generate_series(1, 30)",
            [f"http://127.0.0.1:{line.port}/ok"],
        )
        scene.finished(20)
        tries = scene.ask("SELECT kind, duration_ms FROM noti.notification_attempts_log")
        assert len(tries) == 30
        assert {kind for kind, _ in tries} <= kinds
        longest = max(milliseconds for _, milliseconds in tries) / 1000
        assert longest < _LIMIT + 0.5
        line.heal()
        line.cut()
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('webhook', %s, '{}')",
            [f"http://127.0.0.1:{line.port}/ok"],
        )
        scene.finished(10)
        assert scene.count("status = 'sent'") == 1
        assert daemon.stop() == 0
    verdict.say(f"{ill.__name__.replace('_', ' ')}: 30 sends with a limit of 1 s, the longest took {longest:.2f} s")
