from noti_worker.domain.closures import CIRCUIT, NOTHING, Closed, Closure, Closures, Scope, Skip
from noti_worker.domain.lanes import Lane
from noti_worker.domain.notification import Channel, Priority
from tests.domain.rows import claimed

ROUTE = {"relay": "smtp", "spare": "ses", "second": "ses"}


def closed(*pairs: tuple[str, str]) -> Closures:
    return Closures(Closure(scope, name) for scope, name in pairs)


def lane(channel: Channel = Channel.EMAIL, tenant: str = "default") -> Lane:
    return Lane(channel, Priority.NORMAL, tenant)


def test_everything_closes_every_lane_and_a_channel_or_tenant_its_own() -> None:
    assert closed(("everything", "")).closes_lane(lane(), {})
    for scope, name in (("channel", "email"), ("tenant", "default")):
        closures = closed((scope, name))
        assert closures.closes_lane(lane(), ROUTE)
        assert not closures.closes_lane(lane(Channel.SMS, "acme"), ROUTE)


def test_a_channel_is_closed_by_its_accounts_only_when_all_are() -> None:
    some = [("account", "relay"), ("account", "spare")]
    assert not closed(*some).closes_channel(Channel.EMAIL, ROUTE)
    assert closed(*some, ("account", "second")).closes_channel(Channel.EMAIL, ROUTE)
    assert not closed(*some).closes_channel(Channel.SMS, {})


def test_what_is_closed_for_one_tenant_closes_nothing_for_others() -> None:
    for scope, name in (
        (Scope.TENANT_CHANNEL, "email"),
        (Scope.TENANT_ACCOUNT, "relay"),
        (Scope.TENANT_TEMPLATE, "welcome"),
    ):
        closures = Closures([Closure(scope, name, "acme")])
        row = {"provider": "relay", "template_id": "welcome"}
        assert closures.closes(claimed(tenant_id="acme", **row), ROUTE)
        assert not closures.closes(claimed(tenant_id="other", **row), ROUTE)
        assert not closures.closes_channel(Channel.EMAIL, {"relay": "smtp"})


def test_a_tenants_lane_is_closed_when_its_closures_and_everybodys_leave_it_no_account() -> None:
    closures = Closures([Closure("account", "relay"), Closure("tenant account", "spare", "acme")])
    route = {"relay": "smtp", "spare": "ses"}
    assert closures.closes_lane(lane(tenant="acme"), route)
    assert not closures.closes_lane(lane(tenant="other"), route)
    assert closures.accounts("acme") == {"relay", "spare"}
    assert closures.accounts("other") == {"relay"}


def test_rows_that_ask_for_a_closed_account_or_for_a_provider_without_any_other_are_skipped() -> None:
    assert closed(("account", "relay")).skips(ROUTE) == Skip((("", "relay"), ("", "smtp")))
    assert closed(("account", "spare")).skips(ROUTE) == Skip((("", "spare"),))
    assert closed(("account", "elsewhere")).skips(ROUTE) == NOTHING


def test_a_provider_name_that_is_an_account_name_means_the_account() -> None:
    assert closed(("account", "relay")).skips({"relay": "smtp", "smtp": "ses"}) == Skip((("", "relay"),))


def test_a_row_is_closed_exactly_when_the_claim_would_leave_it() -> None:
    for pair, fields in (
        (("template", "welcome"), {"template_id": "welcome"}),
        (("account", "relay"), {"provider": "smtp"}),
        (("tenant", "acme"), {"tenant_id": "acme"}),
        (("channel", "email"), {}),
    ):
        assert closed(pair).closes(claimed(**fields), ROUTE), pair
    others = closed(("template", "welcome"), ("account", "relay"), ("tenant", "acme"))
    assert not others.closes(claimed(), ROUTE)


def test_a_scope_of_a_newer_version_closes_nothing() -> None:
    assert not closed(("planet", "email")).closes(claimed(), ROUTE)


def test_the_circuit_of_an_account_can_be_left_out_but_not_its_pause() -> None:
    closures = Closures([Closure("account", "relay", cause=CIRCUIT), Closure("account", "spare", cause=CIRCUIT)])
    assert closures.without_circuits({"relay"}) == Closures([Closure("account", "spare", cause=CIRCUIT)])
    paused = Closures([*closures.all, Closure("account", "relay")])
    assert paused.without_circuits({"relay"}).accounts("default") == {"relay", "spare"}


def test_what_all_closures_keep_back_is_gathered_for_counting() -> None:
    closures = Closures(
        [
            Closure("channel", "sms"),
            Closure("tenant", "acme"),
            Closure("template", "welcome"),
            Closure("account", "relay"),
            Closure("tenant channel", "email", "beta"),
            Closure("tenant template", "bye", "beta"),
        ]
    )
    gathered = closures.closed({"email": ROUTE, "push": {"relay": "fcm"}})
    assert gathered.channels == ("sms", "push")  # the only account of push is closed
    assert (gathered.tenants, gathered.templates) == (("acme",), (("", "welcome"), ("beta", "bye")))
    assert set(gathered.lanes) == {("beta", "email"), ("beta", "push")}
    assert {("email", "", "relay"), ("email", "", "smtp"), ("push", "", "fcm"), ("chat", "", "relay")} <= set(
        gathered.providers
    )
    assert ("chat", "", "smtp") not in gathered.providers
    assert Closures().closed({"email": ROUTE}) == Closed()
    assert len(closed(("everything", "")).closed({}).channels) == len(Channel)
