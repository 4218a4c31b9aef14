"""What a worker takes of its limits: as much as it can send, spent as it sends, given back where it does not."""

from datetime import timedelta

from noti_worker.domain.facts import Result, Slowed
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.limits import ACCOUNT, DESTINATION, RATE, TENANT_CHANNEL, Limit
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.outcome import Kind, Outcome, Scope
from tests.domain.rows import claimed
from tests.worker.house import House, pass_time, unable

RELAY = Limit(ACCOUNT, "", "relay", RATE, 10, 0.5, 3)


def limited(*limits: Limit, size: int = 10, **left: int) -> House:
    house = House(size=size)
    house.steering.routes = {Channel.EMAIL: {"relay": "smtp"}}
    house.store.limits = list(limits or [RELAY])
    house.store.left = left
    return house


def test_no_more_is_claimed_than_may_be_sent_and_the_next_look_is_when_more_may() -> None:
    house = limited(relay=3)
    for _ in range(8):
        house.store.add()
    assert house.rounds.poll() == 0.0  # there may be more
    assert len(house.begun()) == 3
    assert all(house.allowance.spend(claim.notification, "relay") for claim in house.pool.begun)
    assert house.rounds.poll() == 0.5
    assert house.store.asked("take") == [{"relay": 10}]  # it is not asked before
    house.store.left["relay"] = 2
    pass_time(house, 1.0)
    house.rounds.poll()
    assert len(house.begun()) == 5


def test_where_nothing_is_limited_nobody_asks() -> None:
    house = House()
    house.store.add()
    house.rounds.poll()
    assert len(house.begun()) == 1
    assert house.store.asked("take") == []


def test_another_account_of_the_route_takes_what_is_beyond_one() -> None:
    house = limited(RELAY, Limit(ACCOUNT, "", "spare", RATE, 10, 1.0, 3), relay=2, spare=3)
    house.steering.routes = {Channel.EMAIL: {"relay": "smtp", "spare": "smtp"}}
    for _ in range(8):
        house.store.add()
    house.rounds.poll()
    assert len(house.begun()) == 5
    house = limited(RELAY, relay=2)
    house.steering.routes = {Channel.EMAIL: {"relay": "smtp", "free": "smtp"}}
    for _ in range(8):
        house.store.add()
    house.rounds.poll()
    assert len(house.begun()) == 8


def test_the_channel_of_a_tenant_is_limited_and_no_other() -> None:
    house = limited(Limit(TENANT_CHANNEL, "acme", "email", RATE, 10, 1.0, 3), email=2)
    for _ in range(4):
        house.store.add(tenant_id="acme")
        house.store.add(tenant_id="other")
    house.rounds.poll()
    house.rounds.poll()
    tenants = [claim.notification.tenant_id for claim in house.pool.begun]
    assert (tenants.count("acme"), tenants.count("other")) == (2, 4)


def test_what_no_row_needs_goes_back_at_once() -> None:
    house = limited(relay=9)
    house.store.add()
    house.rounds.poll()
    assert house.store.asked("take") == [{"relay": 10}, {"relay": -8}]
    assert house.store.left["relay"] == 8
    [claim] = house.pool.begun
    assert house.allowance.spend(claim.notification, "relay")
    house.rounds.poll()
    house.finish()
    house.rounds.poll()
    assert house.store.left["relay"] == 8


def test_a_token_is_spent_once_and_good_for_a_moment() -> None:
    house = limited(relay=2)
    house.allowance.learn()
    row = claimed()
    assert house.allowance.most(Channel.EMAIL, 2, house.steering.routes, frozenset(), list) == 2
    assert house.allowance.spend(row, "relay")
    assert not house.allowance.spent("relay")
    pass_time(house, 0.2)
    assert not house.allowance.spend(row, "relay")  # too old, and there is no other
    assert house.allowance.spent("relay")
    assert house.allowance.spend(row, "other")
    house.store.left["relay"] = 1
    pass_time(house, 1.0)
    assert house.allowance.spend(row, "relay")  # fetched as it is needed
    assert house.store.left["relay"] == 0


def test_a_slow_rate_keeps_its_token_for_as_long_as_it_takes_to_make_another() -> None:
    house = limited(Limit(ACCOUNT, "", "relay", RATE, 1, 6.0, 1), relay=1)
    house.allowance.learn()
    assert house.allowance.most(Channel.EMAIL, 1, house.steering.routes, frozenset(), list) == 1
    pass_time(house, 5.0)
    assert house.allowance.spend(claimed(), "relay")


def test_a_message_that_lacks_one_of_its_tokens_spends_none() -> None:
    house = limited(RELAY, Limit(TENANT_CHANNEL, "acme", "email", RATE, 10, 1.0, 3), relay=5, email=0)
    house.allowance.learn()
    assert not house.allowance.spend(claimed(tenant_id="acme"), "relay")
    assert house.allowance.spend(claimed(tenant_id="other"), "relay")
    assert house.store.left["relay"] == 4


def test_a_limit_that_is_taken_away_limits_nothing_and_one_in_the_database_goes_before_the_configured() -> None:
    house = limited(relay=0)
    house.allowance.configure([Limit(ACCOUNT, "", "relay", RATE, 99, 1.0, 9)])
    house.allowance.learn()
    assert not house.allowance.spend(claimed(), "relay")
    house.store.limits = []
    house.allowance.learn()
    house.store.left["relay"] = 50
    assert house.allowance.spend(claimed(), "relay")  # the configured one
    house.allowance.configure([])
    house.store.left["relay"] = 0
    assert house.allowance.spend(claimed(), "relay")


def test_where_the_database_refuses_to_say_nothing_limited_is_sent_and_it_is_told() -> None:
    house = limited(relay=5)
    house.store.broken.add("take")
    house.store.add()
    house.rounds.poll()
    assert house.begun() == []
    assert "ask how many may be sent" in unable(house)
    house.store.broken.clear()
    pass_time(house, 1.0)
    house.rounds.poll()
    assert house.begun() == [1]
    assert unable(house) == {}


def throttled(scope: Scope, retry_after: float | None = None, account: str = "relay") -> Result:
    outcome = Outcome(Kind.THROTTLED, scope, retry_after=retry_after)
    return Result(claimed(), Verdict(Status.RETRYING, "throttled", timedelta(1)), outcome, account=account)


def test_an_account_that_finds_us_too_fast_is_slowed_once_and_what_was_taken_is_lost() -> None:
    house = limited(relay=5)
    house.store.add()
    house.allowance.learn()
    assert house.allowance.most(Channel.EMAIL, 2, house.steering.routes, frozenset(), list) == 2
    assert house.allowance.heard(throttled(Scope.ACCOUNT, 30.0))
    assert house.allowance.heard(throttled(Scope.SENDER))
    assert not house.allowance.heard(throttled(Scope.RECIPIENT))  # says nothing of the others
    house.store.left["relay"] = 0
    house.rounds.poll()
    assert house.store.asked("slow_down") == [("relay", 30.0)]
    assert house.witness.of(Slowed) == [Slowed("account", "relay", 0.5, 30.0)]
    assert house.begun() == []
    house.rounds.poll()
    assert len(house.store.asked("slow_down")) == 1


def test_an_account_without_a_rate_is_closed_for_as_long_as_it_asked_and_no_other() -> None:
    house = limited(RELAY, relay=5)
    house.allowance.learn()
    house.steering.routes = {Channel.EMAIL: {"free": "smtp", "other": "smtp"}}
    row = throttled(Scope.ACCOUNT, account="free").notification
    assert house.allowance.spend(row, "free")
    assert house.allowance.heard(throttled(Scope.ACCOUNT, 30.0, account="free"))
    assert not house.allowance.heard(throttled(Scope.RECIPIENT, 30.0, account="other"))
    assert not house.allowance.spend(row, "free")  # not even what is in hand
    assert house.allowance.spent("free")
    assert house.allowance.spend(row, "other")
    assert not house.allowance.spent("other")
    house.store.broken.add("close_account")
    house.rounds.poll()
    assert "write how many may be sent" in unable(house)
    house.store.broken.clear()
    house.rounds.poll()
    house.rounds.poll()
    assert house.store.asked("close_account") == [("free", 30.0)] * 2
    pass_time(house, 3.0)
    assert house.allowance.spend(row, "free")  # from here on the closure counts
    assert house.allowance.heard(throttled(Scope.SENDER, 3600.0, account="free"))
    house.rounds.poll()
    assert house.store.asked("close_account")[-1] == ("free", 300.0)


def test_a_slowing_that_was_refused_is_written_later() -> None:
    house = limited(relay=5)
    house.store.broken.add("slow_down")
    house.allowance.learn()
    house.allowance.heard(throttled(Scope.ACCOUNT))
    house.rounds.poll()
    assert "write how many may be sent" in unable(house)
    house.store.broken.clear()
    house.rounds.poll()
    assert unable(house) == {}
    assert house.witness.of(Slowed) != []


SLOW = Limit(DESTINATION, "", "slow.example", RATE, 10, 1.0, 3)


def spend_all(house: House) -> None:
    """As the sender threads do: what may not go is given back."""
    begun, house.pool.begun = house.pool.begun, []
    for claim in begun:
        if house.allowance.spend(claim.notification, "relay"):
            house.pool.begun.append(claim)
        else:
            house.rounds.returns.give_back([claim])
    house.finish()


def sent(house: House) -> list[str]:
    return [result.notification.recipient for result in house.store.recorded]


def test_a_destination_that_ran_out_holds_up_no_other_and_gets_its_own_as_it_may() -> None:
    house = limited(SLOW, size=4, **{"slow.example": 2})
    for number in range(12):
        house.store.add(recipient=f"{number}@{'slow' if number % 2 else 'quick'}.example")
    for _ in range(10):
        house.rounds.poll()
        spend_all(house)
    assert {recipient for recipient in sent(house) if "slow" in recipient} == {"1@slow.example", "3@slow.example"}
    assert len(sent(house)) == 8
    claims = len(house.store.asked("claim"))
    for _ in range(5):
        house.rounds.poll()
        spend_all(house)
    # What waits is left alone: nobody claims it to give it back.
    assert [ask for ask in house.store.asked("claim")[claims:] if ask["skip"].only] == []
    assert len(sent(house)) == 8
    house.store.left["slow.example"] = 3
    pass_time(house, 1.0)
    for _ in range(3):
        house.rounds.poll()
        spend_all(house)
    assert sent(house)[8:] == ["5@slow.example", "7@slow.example", "9@slow.example"]
    house.store.left["slow.example"] = 9
    pass_time(house, 1.0)
    for _ in range(3):
        house.rounds.poll()
        spend_all(house)
    assert sent(house)[11:] == ["11@slow.example"]
    house.store.add(recipient="new@slow.example")
    pass_time(house, 1.0)
    for _ in range(3):
        house.rounds.poll()
        spend_all(house)
    assert sent(house)[12:] == ["new@slow.example"]
    assert not house.store.asked("claim")[-1]["skip"].destinations  # nothing is walked apart any more


def test_a_destination_that_is_not_limited_any_more_gets_all_at_once() -> None:
    house = limited(SLOW, size=8, **{"slow.example": 1})
    for number in range(4):
        house.store.add(recipient=f"{number}@slow.example")
    for _ in range(3):
        house.rounds.poll()
        spend_all(house)
    assert len(sent(house)) == 1
    house.store.limits = []
    pass_time(house, 1.0)
    for _ in range(3):
        house.rounds.poll()
        spend_all(house)
    assert len(sent(house)) == 4
