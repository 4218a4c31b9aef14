from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.lanes import AGEING, OLD_TURN, SLACK, Floor, Lane, LaneHead, floor_for, share_out
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
    old, urgent = head(Priority.LOW, waited=AGEING.total_seconds()), head(Priority.URGENT)
    first = [share_out([urgent, old], 4, {}, NOW, turn)[0].lane.priority for turn in range(1, 101)]
    assert first.count(Priority.LOW) == 100 // OLD_TURN
    young = head(Priority.LOW, waited=AGEING.total_seconds() - 1)
    assert all(share_out([urgent, young], 4, {}, NOW, turn)[0].lane == urgent.lane for turn in range(1, 101))


def test_an_old_backlog_takes_no_more_than_its_turn_from_the_urgent_and_from_the_quiet() -> None:
    noisy = head(Priority.NORMAL, "noisy", waited=3600)
    quiet, urgent = head(Priority.NORMAL, "quiet"), head(Priority.URGENT, "quiet")
    for turn in range(1, OLD_TURN):
        shares = share_out([noisy, quiet, urgent], 10, {}, NOW, turn)
        assert [(share.lane, share.quota) for share in shares] == [(urgent.lane, 10), (noisy.lane, 5), (quiet.lane, 5)]
    shares = share_out([noisy, quiet, urgent], 10, {}, NOW, OLD_TURN)
    assert [(share.lane, share.quota) for share in shares] == [(noisy.lane, 10), (urgent.lane, 10), (quiet.lane, 5)]


def test_a_tenant_with_little_room_gets_no_more_and_the_others_share_what_it_leaves() -> None:
    slow, brisk, other = (head(Priority.NORMAL, tenant) for tenant in ("slow", "brisk", "other"))
    shares = share_out([slow, brisk, other], 30, {}, NOW, room={"slow": 2, "brisk": 50})
    assert {share.lane.tenant_id: share.quota for share in shares} == {"slow": 2, "brisk": 10, "other": 10}
    shares = share_out([slow, brisk, other], 30, {}, NOW, room={"slow": 0, "brisk": -3})
    assert [(share.lane.tenant_id, share.quota) for share in shares] == [("other", 30)]


def test_the_room_of_a_tenant_is_for_all_its_lanes_together_the_most_urgent_first() -> None:
    urgent, normal, low = head(Priority.URGENT, "slow"), head(Priority.NORMAL, "slow"), head(Priority.LOW, "brisk")
    shares = share_out([low, normal, urgent], 10, {}, NOW, room={"slow": 5})
    assert [(share.lane, share.quota) for share in shares] == [(urgent.lane, 5), (low.lane, 10)]
    old = head(Priority.NORMAL, "slow", waited=300)
    shares = share_out([urgent, old], 10, {}, NOW, OLD_TURN, {"slow": 15})
    assert [(share.lane, share.quota) for share in shares] == [(old.lane, 10), (urgent.lane, 5)]


def test_the_turn_of_the_old_is_shared_by_them_all_the_oldest_first() -> None:
    low, noisy = head(Priority.LOW, "a", waited=300), head(Priority.URGENT, "b", waited=100)
    shares = share_out([noisy, low], 10, {}, NOW, OLD_TURN)
    assert [(share.lane, share.quota) for share in shares] == [(low.lane, 5), (noisy.lane, 5)]


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


def test_in_every_second_turn_newcomers_go_first_among_the_tenants_of_their_priority() -> None:
    heads = [head(Priority.NORMAL, tenant, waited) for tenant, waited in (("old", 50), ("new", 2), ("newest", 1))]
    heads.append(head(Priority.URGENT, "urgent"))
    newcomers = [heads[2].lane, heads[1].lane]
    order = [[share.lane.tenant_id for share in share_out(heads, 1, {}, NOW, turn, {}, newcomers)] for turn in (1, 2)]
    assert order == [["urgent", "newest", "new", "old"], ["urgent", "old", "new", "newest"]]


def test_no_more_lanes_are_named_than_are_enough() -> None:
    heads = [head(Priority.NORMAL, f"t{number}", number + 1) for number in range(10)]
    shares = share_out(heads, 2, {}, NOW, most=3)
    assert [share.lane.tenant_id for share in shares] == ["t9", "t8", "t7"]
