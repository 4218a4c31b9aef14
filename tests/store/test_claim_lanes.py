"""Which lanes there are: a loose index scan in windows."""

from datetime import UTC, datetime

import pytest

from noti_worker.domain.errors import DatabaseBusy
from noti_worker.domain.lanes import Floor, Lane
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import connect
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import Statement, statement
from tests.store.rows import NORMAL, Connection, claim, insert, tried

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
    starts = {"channels": ["email"] * 2, "priorities": ["normal", "urgent"], "tenants": ["", ""], "window": 200}
    known = {"firsts": [1, 1], "lasts": [0, 0], "known": [], "floors_at": [], "floors_id": []}
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {statement('heads').sql}"
    found = connection.execute(explain.encode(), starts | known).fetchone()
    assert found is not None
    assert _most_rows(found[0][0]["Plan"]) <= 201


def test_newcomers_are_the_lanes_of_the_newest_rows_that_can_be_claimed(
    queue: PostgresQueue, connection: Connection
) -> None:
    for tenant in ("first", "taken", "second", "first"):
        insert(connection, tenant_id=tenant)
    insert(connection, tenant_id="later", send_at="2100-01-01 00:00+00")
    insert(connection, tenant_id="held", status="held")
    insert(connection, tenant_id="other", channel="sms")
    claim(queue, lanes=[Lane(Channel.EMAIL, Priority.NORMAL, "taken")])
    assert [head.lane.tenant_id for head in queue.newcomers([Channel.EMAIL], 9)] == ["first", "second"]
    assert [head.lane.tenant_id for head in queue.newcomers([Channel.EMAIL], 1)] == ["first"]
    connection.execute("INSERT INTO noti.tenant_members VALUES (current_user::regrole, 'second')")
    assert [head.lane.tenant_id for head in queue.newcomers([Channel.EMAIL], 9)] == ["second", "first"]


def test_the_search_for_newcomers_gives_up_when_it_takes_long(queue: PostgresQueue, connection: Connection) -> None:
    insert(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("LOCK TABLE noti.notifications_log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DatabaseBusy):
            queue.newcomers([Channel.EMAIL], 9)
    assert len(queue.newcomers([Channel.EMAIL], 9)) == 1


def test_known_lanes_are_looked_at_from_their_floors_and_others_are_found_between_them(
    queue: PostgresQueue, connection: Connection
) -> None:
    for tenant in "abcde":
        insert(connection, 2, tenant_id=tenant, created_at="2026-01-01 00:00+00")
    insert(connection, tenant_id="b", created_at="2026-01-03 00:00+00")
    [last] = insert(connection, tenant_id="d", created_at="2026-01-02 00:00+00")
    normal = {tenant: Lane(Channel.EMAIL, Priority.NORMAL, tenant) for tenant in "abcdexy"}
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    floors = {
        normal["a"]: Floor(second, 0),  # all its rows lie before
        normal["b"]: Floor(second, 0),
        normal["d"]: Floor(second, last),
        normal["x"]: Floor(first, 0),  # drained
        Lane(Channel.EMAIL, Priority.LOW, "c"): Floor(second, 0),
        Lane(Channel.SMS, Priority.NORMAL, "c"): Floor(second, 0),
    }
    heads = queue.heads([Channel.EMAIL], None, FAR, floors)
    assert [(head.lane.tenant_id, head.due_at.day) for head in heads] == [("b", 3), ("c", 1), ("d", 2), ("e", 1)]
    heads = queue.heads([Channel.EMAIL], normal["b"], 2, floors)
    assert [head.lane.tenant_id for head in heads] == ["c", "d"]
    claim(queue, lanes=[normal["d"]])
    heads = queue.heads([Channel.EMAIL], normal["b"], 2, floors)  # a lane in flight has nothing for us
    assert [head.lane.tenant_id for head in heads] == ["c", "e"]
    heads = queue.heads([Channel.EMAIL], normal["c"], 2, floors)
    assert [head.lane.tenant_id for head in heads] == ["e"]


def test_a_look_from_the_floors_walks_no_dead_entries(
    queue: PostgresQueue, connection: Connection, database_url: str
) -> None:
    insert(connection, 3000)
    insert(connection, tenant_id="other")
    with connect(Secret(database_url)) as analyst:
        analyst.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM noti.notifications_log")
        rows = claim(queue, 3000)
        queue.record(1, [tried(notification) for notification in rows])
        floor = Floor(rows[-1].due_at, rows[-1].notification_id)
        blocks = [_blocks(queue, connection, floors) for floors in ({}, {NORMAL: floor})]
    assert blocks[1] < blocks[0] / 5


def _blocks(queue: PostgresQueue, connection: Connection, floors: dict[Lane, Floor]) -> int:
    """The blocks that a look reads."""
    asked: list[dict[str, object]] = []

    def note(statement: Statement, parameters: dict[str, object]) -> list[object]:
        asked.append(parameters)
        return []

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(queue._claims, "run", note)
        queue.heads([Channel.EMAIL], None, FAR, floors)
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('heads').sql}"
        found = connection.execute(explain.encode(), asked[0]).fetchone()
    assert found is not None
    return int(found[0][0]["Plan"]["Shared Hit Blocks"])


def _most_rows(plan: dict[str, object]) -> float:
    rows, loops, parts = plan["Actual Rows"], plan["Actual Loops"], plan.get("Plans", [])
    assert isinstance(rows, int | float)
    assert isinstance(loops, int | float)
    assert isinstance(parts, list)
    return max([rows * loops, *(_most_rows(part) for part in parts)])
