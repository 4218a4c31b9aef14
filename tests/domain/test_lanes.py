from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.lanes import AGEING, SLACK, Floor, Lane, LaneHead, floor_for, share_out
from noti_worker.domain.notification import Channel, Priority
from tests.domain.rows import NOW


def head(priority: Priority, tenant: str = "default", waited: float = 1.0) -> LaneHead:
    return LaneHead(Lane(Channel.EMAIL, priority, tenant), NOW - timedelta(seconds=waited))


def test_urgent_lanes_come_first_and_lower_ones_get_what_is_left() -> None:
    shares = share_out([head(Priority.LOW), head(Priority.URGENT), head(Priority.NORMAL)], 10, {}, NOW)
    assert [share.lane.priority for share in shares] == [Priority.URGENT, Priority.NORMAL, Priority.LOW]
    assert {share.quota for share in shares} == {10}


def test_tenants_of_one_priority_share_evenly_the_oldest_first() -> None:
    noisy, quiet = head(Priority.NORMAL, "noisy", 30), head(Priority.NORMAL, "quiet", 50)
    shares = share_out([noisy, quiet], 9, {}, NOW)
    assert [(share.lane.tenant_id, share.quota) for share in shares] == [("quiet", 5), ("noisy", 5)]


def test_a_low_row_rises_with_age_so_nothing_starves() -> None:
    old_low = head(Priority.LOW, waited=3 * AGEING.total_seconds() + 1)
    shares = share_out([head(Priority.URGENT), old_low], 4, {}, NOW)
    assert shares[0].lane.priority is Priority.LOW


def test_a_lane_whose_rows_are_all_ahead_is_not_asked() -> None:
    assert share_out([head(Priority.URGENT, waited=-5)], 4, {}, NOW) == []


def test_a_lane_that_is_due_by_a_clock_a_little_ahead_of_ours_is_asked() -> None:
    assert len(share_out([head(Priority.URGENT, waited=-0.2)], 4, {}, NOW)) == 1


@given(st.integers(1, 500), st.integers(1, 300))
def test_more_tenants_than_slots_still_gives_each_its_turn(slots: int, tenants: int) -> None:
    shares = share_out([head(Priority.NORMAL, f"t{n}") for n in range(tenants)], slots, {}, NOW)
    assert len(shares) == tenants
    assert all(share.quota >= 1 for share in shares)
    assert sum(share.quota for share in shares) >= slots


def test_a_young_floor_has_slack_and_an_old_one_is_exact() -> None:
    young = Floor(NOW - timedelta(milliseconds=900), 7)
    assert floor_for(young, NOW) == Floor(young.due_at - SLACK, 0)
    old = Floor(NOW - timedelta(seconds=2), 7)
    assert floor_for(old, NOW) == old
    assert floor_for(None, NOW) == Floor()
