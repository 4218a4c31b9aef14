"""Who sends for whom, and what the register is told of it."""

from uuid import uuid4

from noti_worker.domain.account import RouteLine
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind
from noti_worker.domain.said import Said
from tests.delivery.fakes import Courier, said, some_accounts


def test_every_tenant_has_the_routes_of_the_configuration() -> None:
    accounts = some_accounts({"a": Courier(), "b": Courier()}, {Channel.EMAIL: ("b", "a")})
    assert accounts.route("acme", Channel.EMAIL, uuid4()) == ("b", "a")
    assert accounts.route("acme", Channel.SMS, uuid4()) == ()


def test_the_register_is_told_account_provider_and_mode_in_failover_order() -> None:
    senders = {"a": Courier(), "b": Courier()}
    accounts = some_accounts(senders, {Channel.EMAIL: ("b", "a")}, {"a": Mode.DRY})
    assert accounts.lines() == (
        RouteLine(Channel.EMAIL, "b", "smtp", Mode.LIVE),
        RouteLine(Channel.EMAIL, "a", "smtp", Mode.DRY),
    )


def test_the_register_is_told_a_route_with_weights_as_names_in_falling_weight() -> None:
    senders = {"a": Courier(), "b": Courier()}
    accounts = some_accounts(senders, {Channel.EMAIL: {"b": 3, "a": 0}})
    assert accounts.routes == {Channel.EMAIL: ("b", "a")}
    assert [(line.channel, line.account) for line in accounts.lines()] == [(Channel.EMAIL, "b"), (Channel.EMAIL, "a")]


def test_a_look_at_an_account_that_cannot_be_asked_gives_nothing() -> None:
    class Asked(Courier):
        def check(self, limit: float) -> Said:
            return said(Kind.OK, error="it lets us in")

    accounts = some_accounts({"mute": Courier(), "asked": Asked()})
    assert accounts.check("mute", 1.0) is None
    outcome = accounts.check("asked", 1.0)
    assert outcome is not None
    assert (outcome.kind, outcome.error) == (Kind.OK, "it lets us in")
