from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.pauses import NOTHING, Closed, Pauses, Skip
from tests.domain.rows import claimed

ROUTE = {"relay": "smtp", "spare": "ses", "second": "ses"}


def lane(channel: Channel = Channel.EMAIL, tenant: str = "default") -> Lane:
    return Lane(channel, Priority.NORMAL, tenant)


def test_everything_closes_every_lane_and_a_channel_or_tenant_its_own() -> None:
    assert Pauses.of([("everything", "")]).closes_lane(lane(), {})
    for scope, name in (("channel", "email"), ("tenant", "default")):
        pauses = Pauses.of([(scope, name)])
        assert pauses.closes_lane(lane(), ROUTE)
        assert not pauses.closes_lane(lane(Channel.SMS, "acme"), ROUTE)


def test_a_channel_is_closed_by_its_accounts_only_when_all_are_paused() -> None:
    some = [("account", "relay"), ("account", "spare")]
    assert not Pauses.of(some).closes_channel(Channel.EMAIL, ROUTE)
    assert Pauses.of([*some, ("account", "second")]).closes_channel(Channel.EMAIL, ROUTE)
    assert not Pauses.of(some).closes_channel(Channel.SMS, {})


def test_rows_that_ask_for_a_paused_account_or_for_a_provider_without_any_other_are_skipped() -> None:
    assert Pauses.of([("account", "relay")]).skips(ROUTE) == Skip(("relay", "smtp"))
    assert Pauses.of([("account", "spare")]).skips(ROUTE) == Skip(("spare",))
    assert Pauses.of([("account", "elsewhere")]).skips(ROUTE) == NOTHING


def test_a_provider_name_that_is_an_account_name_means_the_account() -> None:
    assert Pauses.of([("account", "relay")]).skips({"relay": "smtp", "smtp": "ses"}) == Skip(("relay",))


def test_a_row_is_closed_exactly_when_the_claim_would_leave_it() -> None:
    for pause, fields in (
        (("template", "welcome"), {"template_id": "welcome"}),
        (("account", "relay"), {"provider": "smtp"}),
        (("tenant", "acme"), {"tenant_id": "acme"}),
        (("channel", "email"), {}),
    ):
        pauses = Pauses.of([pause])
        assert pauses.closes(claimed(**fields), ROUTE), pause
    assert not Pauses.of([("template", "welcome"), ("account", "relay"), ("tenant", "acme")]).closes(claimed(), ROUTE)


def test_a_scope_of_a_newer_version_closes_nothing() -> None:
    assert not Pauses.of([("planet", "email")]).closes(claimed(), ROUTE)


def test_what_all_pauses_keep_back_is_gathered_for_counting() -> None:
    pairs = [("channel", "sms"), ("tenant", "acme"), ("template", "welcome"), ("account", "relay")]
    closed = Pauses.of(pairs).closed({"email": ROUTE, "push": {"relay": "fcm"}})
    assert closed.channels == ("sms", "push")  # the only account of push is paused
    assert (closed.tenants, closed.templates) == (("acme",), ("welcome",))
    assert {"email relay", "email smtp", "push fcm", "chat relay"} <= set(closed.providers)
    assert "chat smtp" not in closed.providers
    assert Pauses().closed({"email": ROUTE}) == Closed()
    assert len(Pauses.of([("everything", "")]).closed({}).channels) == len(Channel)
