"""Which lanes there are: a loose index scan in windows."""

from datetime import UTC, datetime

from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.store.rows import Connection, claim, insert

FAR = 10_000


def test_each_lane_is_named_once_with_the_due_time_of_its_first_row(
    queue: PostgresQueue, connection: Connection
) -> None:
    insert(connection, 3, created_at="2026-01-02 00:00+00")
    insert(connection, 3, created_at="2026-01-01 00:00+00")
    insert(connection, tenant_id="acme", send_at="2100-01-01 00:00+00")
    insert(connection, priority="urgent", created_at="2026-01-03 00:00+00")
    assert [(head.lane, head.due_at) for head in queue.heads([Channel.EMAIL], None, FAR)] == [
        (Lane(Channel.EMAIL, Priority.NORMAL, "acme"), datetime(2100, 1, 1, tzinfo=UTC)),
        (Lane(Channel.EMAIL, Priority.NORMAL, "default"), datetime(2026, 1, 1, tzinfo=UTC)),
        (Lane(Channel.EMAIL, Priority.URGENT, "default"), datetime(2026, 1, 3, tzinfo=UTC)),
    ]


def test_finished_and_parked_rows_make_no_lane(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, tenant_id="done", status="sent")
    insert(connection, tenant_id="parked", status="held")
    assert queue.heads([Channel.EMAIL], None, FAR) == []


def test_a_lane_in_flight_still_is_a_lane(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    claim(queue)
    assert len(queue.heads([Channel.EMAIL], None, FAR)) == 1


def test_only_the_channels_asked_for_are_looked_at(queue: PostgresQueue, connection: Connection) -> None:
    for channel in ("email", "sms", "webhook"):
        insert(connection, channel=channel)
    heads = queue.heads([Channel.WEBHOOK, Channel.EMAIL], None, FAR)
    assert [head.lane.channel for head in heads] == [Channel.EMAIL, Channel.WEBHOOK]
    assert queue.heads([], None, FAR) == []


def test_windows_go_round_all_lanes_in_their_order(queue: PostgresQueue, connection: Connection) -> None:
    tenants = [f"tenant-{number}" for number in range(7)] + ["Z", "a", "ä"]
    lanes = sorted(
        Lane(channel, priority, tenant)
        for channel in (Channel.EMAIL, Channel.SMS)
        for priority in Priority
        for tenant in tenants
    )
    for lane in lanes:
        insert(connection, channel=lane.channel.value, priority=lane.priority.value, tenant_id=lane.tenant_id)
    seen: list[Lane] = []
    after = None
    while heads := queue.heads([Channel.SMS, Channel.EMAIL], after, 9):
        assert len(heads) <= 9
        seen += [head.lane for head in heads]
        after = seen[-1]
    assert seen == lanes


def test_a_cursor_may_stand_where_no_lane_is_any_more(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection, tenant_id="c")
    insert(connection, channel="sms", tenant_id="a")
    heads = queue.heads([Channel.EMAIL, Channel.SMS], Lane(Channel.EMAIL, Priority.NORMAL, "b"), FAR)
    assert [head.lane.tenant_id for head in heads] == ["c", "a"]
    heads = queue.heads([Channel.EMAIL, Channel.SMS], Lane(Channel.PUSH, Priority.URGENT, "z"), FAR)
    assert [head.lane.tenant_id for head in heads] == ["a"]


def test_a_window_does_not_pay_for_the_lanes_behind_it(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, body, tenant_id)"
        " SELECT 'email', 'ann@example.com', 's', 'b', 'tenant ' || n FROM generate_series(1, 6000) n"
    )
    parameters = {"channels": ["email"] * 2, "priorities": ["normal", "urgent"], "tenants": ["", ""], "window": 200}
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {statement('heads').sql}"
    found = connection.execute(explain.encode(), parameters).fetchone()
    assert found is not None
    assert _most_rows(found[0][0]["Plan"]) <= 201


def _most_rows(plan: dict[str, object]) -> float:
    rows, loops, parts = plan["Actual Rows"], plan["Actual Loops"], plan.get("Plans", [])
    assert isinstance(rows, int | float)
    assert isinstance(loops, int | float)
    assert isinstance(parts, list)
    return max([rows * loops, *(_most_rows(part) for part in parts)])
