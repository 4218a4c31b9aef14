"""What operators and gauges see: depth, age, workers, lists, stories."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noti_worker import enqueue_many
from noti_worker.domain.errors import DatabaseAway, DatabaseRefused, NotFound
from noti_worker.domain.notification import Status
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Connection, Database, Session
from noti_worker.store.people import gauges, listing, source
from noti_worker.store.people.filters import Filter
from noti_worker.store.statements import statement
from tests.store.lives import claim, end, life, queue

LATER = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def people(database_url: str) -> Iterator[Connection]:
    with source.for_people(database_url) as connection:
        yield connection


def ids(lines: list[listing.Line]) -> list[int]:
    return [line.notification_id for line in lines]


def test_an_empty_table_has_no_depth_and_no_age(people: Connection) -> None:
    assert gauges.gauges(people) == gauges.Gauges({}, {})
    assert gauges.status(people) == gauges.Status((), (), standby=False)


def test_depth_counts_each_unfinished_row_in_its_state(people: Connection) -> None:
    queue(people)
    queue(people, priority="urgent", tenant_id="acme")
    queue(people, send_at=LATER)
    queue(people, channel="sms", recipient="+491234", send_at=LATER)
    for status in ("sending", "retrying", "held", "unknown", "sent", "failed", "cancelled"):
        life(people, status)
    claim(people, queue(people), lease="-1 second")
    assert gauges.gauges(people).depth == {
        ("email", "due"): 3,  # a lapsed lease is due again
        ("email", "scheduled"): 1,
        ("email", "in_flight"): 1,
        ("email", "waiting"): 1,
        ("email", "held"): 2,
        ("sms", "scheduled"): 1,
    }


def alive(people: Connection) -> None:
    """A worker whose e-mail goes through two accounts of two providers."""
    routes = '{"routes": {"email": {"relay": "smtp", "spare": "ses"}}}'
    people.execute("INSERT INTO noti.workers (state) VALUES (%s)", [routes])


@pytest.mark.parametrize(
    ("pauses", "kept"),
    [
        ([("everything", None)], {1, 2, 3, 4, 5, 6, 7}),
        ([("channel", "email")], {1, 2, 3, 4, 5, 6}),
        ([("channel", "sms")], {7}),
        ([("tenant", "acme")], {2}),
        ([("template", "welcome")], {3}),
        ([("account", "relay")], {4, 5}),
        ([("account", "relay"), ("account", "spare")], {1, 2, 3, 4, 5, 6}),
        ([("account", "elsewhere")], set()),
    ],
)
def test_rows_behind_a_pause_are_paused_and_not_due_as_why_says(
    people: Connection, pauses: list[tuple[str, str | None]], kept: set[int]
) -> None:
    alive(people)
    queue(people)
    queue(people, tenant_id="acme")
    queue(people, template_id="welcome")
    for provider in ("relay", "smtp", "spare"):
        queue(people, provider=provider)
    queue(people, channel="sms", recipient="+491234")
    queue(people, send_at=LATER)
    for pause in pauses:
        people.execute("SELECT noti.pause(%s, %s)", pause)
    told = people.execute(
        "SELECT notification_id FROM noti.notifications_log n WHERE due_at <= now() AND noti.paused(n) IS NOT NULL"
    ).fetchall()
    assert {row["notification_id"] for row in told} == kept
    now = gauges.gauges(people)
    assert sum(count for (_, state), count in now.depth.items() if state == "paused") == len(kept)
    assert sum(count for (_, state), count in now.depth.items() if state == "due") == 7 - len(kept)
    assert now.depth["email", "scheduled"] == 1
    scopes = [scope for scope, _ in pauses]
    assert {scope: count for scope, (count, _) in now.pauses.items()} == {
        scope: scopes.count(scope) for scope in scopes
    }


def test_the_oldest_due_row_is_one_that_no_pause_keeps_back(people: Connection) -> None:
    alive(people)
    ages = {"default": 50, "acme": 40, "globex": 30, "free": 5}
    for tenant, minutes in ages.items():
        number = queue(
            people,
            tenant_id=tenant,
            template_id="welcome" if tenant == "acme" else None,
            body="Body",
            provider="relay" if tenant == "globex" else None,
        )
        people.execute(
            "UPDATE noti.notifications_log SET next_retry_at = now() - %s WHERE notification_id = %s",
            [timedelta(minutes=minutes), number],
        )
    queue(people, tenant_id="acme")  # behind a row that is kept back, in the same lane

    def oldest() -> float:
        return gauges.gauges(people).oldest["email", "normal"]

    assert oldest() == pytest.approx(50 * 60, abs=30)
    for scope, name, minutes in (
        ("tenant", "default", 40),
        ("template", "welcome", 30),
        ("account", "relay", 5),
        ("tenant", "free", 0),
    ):
        people.execute("SELECT noti.pause(%s, %s)", [scope, name])
        assert oldest() == pytest.approx(minutes * 60, abs=30), name
    people.execute("SELECT noti.pause('channel', 'email')")
    assert gauges.gauges(people).oldest == {}


def test_the_oldest_due_row_of_any_tenant_counts_and_rows_in_flight_do_not(people: Connection) -> None:
    for tenant, minutes in (("a", 5), ("b", 30), ("c", 10)):
        queue(people, tenant_id=tenant)
        people.execute(
            "UPDATE noti.notifications_log SET next_retry_at = now() - %s WHERE tenant_id = %s",
            (timedelta(minutes=minutes), tenant),
        )
    in_flight = queue(people)
    people.execute(
        "UPDATE noti.notifications_log SET next_retry_at = '2002-01-01' WHERE notification_id = %s", (in_flight,)
    )
    claim(people, in_flight)
    queue(people, priority="low", send_at=LATER)
    oldest = gauges.gauges(people).oldest
    assert list(oldest) == [("email", "normal")]
    assert oldest["email", "normal"] == pytest.approx(1800, abs=30)


def test_a_count_that_reached_its_bound_says_so(people: Connection) -> None:
    for _ in range(3):
        queue(people)
        queue(people, channel="sms", recipient="+491234", priority="low")
    queue(people)
    bounded = gauges.gauges(people, bound=4)
    assert bounded.depth["email", "due"] == 4
    assert bounded.bounded == {"email"}
    assert gauges.gauges(people, bound=2).depth["email", "due"] == 2


def test_gauges_also_run_through_a_session_of_a_worker(database_url: str, people: Connection) -> None:
    queue(people)
    session = Session(Database(Secret(database_url)), "test")
    assert gauges.gauges(session).depth == {("email", "due"): 1}
    session.close()


@pytest.mark.parametrize("name", ["read_depth", "read_oldest"])
def test_gauges_walk_the_hot_index_only_whoever_asks(people: Connection, name: str) -> None:
    # Planned freely, the loose index scan of 300,000 rows took 3.9 s instead of 0.1 s.
    enqueue_many(people, [{"channel": "email", "recipient": "a@example.com", "body": "x"}] * 2000)
    people.execute("ANALYZE noti.notifications_log")
    question = statement(name)
    sample: dict[str, Any] = {"channels": ["email"], "priorities": ["normal"], "bound": 10_000, "lanes": 100}
    sample |= {f"closed_{what}": ["x"] for what in ("channels", "tenants", "lanes", "templates", "providers")}
    given = {key: sample[key] for key in question.parameters}

    def plan() -> str:
        lines = people.execute(f"EXPLAIN {question.sql}".encode(), given).fetchall()
        return "\n".join(line["QUERY PLAN"] for line in lines)

    with source.by_index(people):
        assert people.execute("SHOW enable_seqscan").fetchone() == {"enable_seqscan": "off"}
        assert "notifications_log_hot" in plan()
        assert "Seq Scan on notifications_log" not in plan()
    gauges.gauges(people)
    assert people.execute("SHOW enable_seqscan").fetchone() == {"enable_seqscan": "on"}


def test_status_tells_of_channels_and_workers(people: Connection) -> None:
    queue(people)
    life(people, "failed")
    life(people, "failed", channel="webhook", recipient="https://example.com")
    people.execute(
        "INSERT INTO noti.workers (worker_id, host, pid, version, heartbeat, state) VALUES "
        "(7, 'here', 42, '1.0', now(), '{\"channels\": [\"email\"], \"in_flight\": 3}'), "
        "(8, 'there', 43, '1.0', now() - interval '1 minute', NULL)"
    )
    now = gauges.status(people)
    assert [(c.channel, c.due, c.failed_last_hour) for c in now.channels] == [("email", 1, 1), ("webhook", 0, 1)]
    assert now.channels[0].oldest_due_seconds is not None
    assert now.channels[1].oldest_due_seconds is None
    assert [(w.worker_id, w.alive) for w in now.workers] == [(7, True), (8, False)]
    assert now.workers[0].state == {"channels": ["email"], "in_flight": 3}
    assert now.workers[1].heartbeat_seconds == pytest.approx(60, abs=10)


def test_failures_older_than_an_hour_are_not_of_the_last_hour(people: Connection) -> None:
    people.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, status, failed_at) "
        "VALUES ('email', 'a@example.com', 'x', 'failed', now() - interval '61 minutes')"
    )
    assert gauges.status(people).channels == ()


def test_a_list_gives_the_newest_first_and_no_content(people: Connection) -> None:
    made = [queue(people, subject="Private", body="Secret") for _ in range(5)]
    lines = listing.list_notifications(people, Filter(), limit=3)
    assert ids(lines) == made[:1:-1]
    assert "Secret" not in str(lines)
    assert "Private" not in str(lines)


FILTERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"channel": "sms", "recipient": "+491234"}, {"channel": ("sms", "push")}),
    ({"priority": "urgent"}, {"priority": ("urgent",)}),
    ({"tenant_id": "acme"}, {"tenant": ("acme",)}),
    ({"recipient": "grace@example.com"}, {"recipient": "grace@example.com"}),
    ({"template_id": "welcome"}, {"template": "welcome"}),
    ({"category": "billing"}, {"category": "billing"}),
    ({"entity_type": "order", "entity_id": "17"}, {"entity_type": "order", "entity_id": "17"}),
    ({"entity_type": "order", "entity_id": "18"}, {"entity_type": "order"}),
    ({"provider": "relay"}, {"provider": "relay"}),
]


@pytest.mark.parametrize(("columns", "conditions"), FILTERS, ids="+".join)
def test_a_filter_finds_what_it_names(people: Connection, columns: dict[str, Any], conditions: dict[str, Any]) -> None:
    queue(people)
    wanted = queue(people, **columns)
    queue(people)
    assert ids(listing.list_notifications(people, Filter(**conditions))) == [wanted]


@pytest.mark.parametrize("status", [*Status])
def test_a_filter_finds_each_status(people: Connection, status: Status) -> None:
    made = {wanted: life(people, wanted.value) for wanted in Status}
    assert ids(listing.list_notifications(people, Filter(status=(status,)))) == [made[status]]
    pair = Filter(status=(status, Status.SENT))
    assert set(ids(listing.list_notifications(people, pair))) == {made[status], made[Status.SENT]}


def test_account_and_kind_are_those_of_the_latest_try(people: Connection) -> None:
    first, second = queue(people), queue(people)
    claim(people, first, second)
    end(people, "retrying", first, second, account="relay", kind="transient")
    claim(people, second)
    end(people, "failed", second, account="spare", kind="dead")
    people.execute(
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, kind, claim_count) "
        "VALUES (%s, 2, 'lost', 'uncertain', 1)",
        (first,),
    )
    assert ids(listing.list_notifications(people, Filter(account=("relay",)))) == [first]
    assert ids(listing.list_notifications(people, Filter(kind=("dead",)))) == [second]
    assert listing.list_notifications(people, Filter(account=("spare",), kind=("transient",))) == []


def test_one_that_failed_without_a_try_is_found_by_why(people: Connection) -> None:
    gone, refused, _ = queue(people), queue(people), queue(people)
    for number, kind in ((gone, "lost"), (refused, "permanent")):
        people.execute(
            "INSERT INTO noti.audit_log"
            " (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)"
            " VALUES ('default', 'notification', %s, 'notification_failed', 'worker', 'worker 1', %s)",
            [str(number), f'{{"kind": "{kind}"}}'],
        )
    claim(people, gone, refused)
    people.execute(
        "UPDATE noti.notifications_log SET status = 'failed', claimed_by = NULL, lease_until = NULL,"
        " finished_at = now(), failed_at = now() WHERE notification_id = ANY (%s)",
        [[gone, refused]],
    )
    assert ids(listing.list_notifications(people, Filter(kind=("lost",)))) == [gone]
    assert ids(listing.list_notifications(people, Filter(kind=("lost", "permanent")))) == [refused, gone]
    people.execute("SELECT noti.requeue(%s)", [gone])
    assert listing.list_notifications(people, Filter(kind=("lost",))) == []


def test_the_words_of_an_error_are_found_in_any_case_and_taken_literally(people: Connection) -> None:
    full, plain = queue(people), queue(people)
    claim(people, full, plain)
    end(people, "failed", full, error="Mailbox 100% FULL")
    end(people, "failed", plain, error="Mailbox 100 times full")
    assert ids(listing.list_notifications(people, Filter(error="100% full"))) == [full]


def test_times_are_before_the_databases_now_or_absolute(people: Connection) -> None:
    people.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, status, created_at, failed_at) "
        "VALUES ('email', 'a@example.com', 'x', 'failed', now() - interval '3 hours', now() - interval '2 hours')"
    )
    new = queue(people)
    hour = timedelta(hours=1)
    assert ids(listing.list_notifications(people, Filter(created_since=hour))) == [new]
    assert ids(listing.list_notifications(people, Filter(created_before=hour))) == [1]
    assert ids(listing.list_notifications(people, Filter(failed_since=2.5 * hour))) == [1]
    assert listing.list_notifications(people, Filter(failed_since=hour)) == []
    assert ids(listing.list_notifications(people, Filter(created_since=datetime(2001, 1, 1, tzinfo=UTC)))) == [new, 1]
    assert listing.list_notifications(people, Filter(created_since=LATER)) == []


def test_a_story_has_its_events_in_order_and_their_columns(people: Connection) -> None:
    told = life(people, "failed")
    story = listing.why(people, told)
    assert story.line is not None
    assert story.line.status == "failed"
    assert len(story.events) >= 2
    assert [event.at for event in story.events] == sorted(event.at for event in story.events)
    columns = people.execute("SELECT * FROM noti.why(%s)", (told,)).description
    assert columns is not None
    assert [column.name for column in columns] == list(asdict(story.events[0]))


def test_an_unknown_id_has_no_story(people: Connection) -> None:
    with pytest.raises(NotFound, match="17"):
        listing.why(people, 17)


def test_a_database_without_the_schema_refuses_with_its_sqlstate(empty_database_url: str) -> None:
    with source.for_people(empty_database_url) as stranger, pytest.raises(DatabaseRefused) as caught:
        gauges.status(stranger)
    assert getattr(caught.value, "sqlstate", None) == "42P01"


def test_a_closed_port_is_a_database_that_is_away() -> None:
    with pytest.raises(DatabaseAway):
        source.for_people("postgresql://noti@127.0.0.1:1/noti")
