"""What closes lanes where tenants have accounts of their own."""

from datetime import UTC, datetime, timedelta

from noti_worker.domain.closures import CIRCUIT, Closure, Closures, Scope
from noti_worker.domain.lanes import Lane, LaneHead
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Priority
from noti_worker.domain.own_accounts import OwnAccount, Owner
from noti_worker.worker.steering import Steering

AT = datetime(2026, 1, 1, tzinfo=UTC)
EMAIL = frozenset({Channel.EMAIL})


def own(tenant: str, name: str = "mail", provider: str = "smtp") -> OwnAccount:
    return OwnAccount(tenant, name, provider, EMAIL, {}, Mode.LIVE, 1, {})


def lane(tenant: str) -> Lane:
    return Lane(Channel.EMAIL, Priority.NORMAL, tenant)


def steering(*closed: str, falls_back: bool = False) -> Steering:
    found = Steering({Channel.EMAIL: {"relay": "smtp"}})
    routes = {Channel.EMAIL: ("mail", None)} if falls_back else {}
    found.tenants.learn([Owner("acme", (own("acme"),), routes), Owner("globex", (own("globex"),))])
    found.learn(Closures(Closure(Scope.ACCOUNT, name, cause=CIRCUIT) for name in closed), 0.0)
    return found


def test_an_account_closes_the_lanes_that_go_through_it_and_no_others() -> None:
    def closed(found: Steering) -> list[bool]:
        return [found.closes_channel(Channel.EMAIL), *(found.closes_lane(lane(of)) for of in ("acme", "globex", "x"))]

    assert closed(steering("relay")) == [False, False, False, True]
    assert closed(steering("acme/mail")) == [False, True, False, False]
    assert closed(steering("acme/mail", falls_back=True)) == [False, False, False, False]
    assert closed(steering("acme/mail", "relay", falls_back=True)) == [False, True, False, True]
    skip = steering("acme/mail").skip(Channel.EMAIL)
    assert set(skip.providers) == {("acme", "mail"), ("acme", "acme/mail"), ("acme", "smtp")}


def test_a_probe_opens_the_lane_of_its_tenant_for_one_row() -> None:
    found = steering("acme/mail", "relay")
    heads = [LaneHead(lane(of), AT + timedelta(seconds=age)) for age, of in enumerate(("acme", "globex", "x", "y"))]
    left, rooms = found.sift(Channel.EMAIL, heads)
    assert ([head.lane.tenant_id for head in left], rooms) == (["globex"], {})
    found.probe("acme/mail")
    found.probe("relay")
    left, rooms = found.sift(Channel.EMAIL, heads)
    assert [head.lane.tenant_id for head in left] == ["acme", "globex", "x"]
    assert rooms == {"acme": 1, "x": 1}


def test_a_tenant_that_has_removed_its_accounts_has_the_installations_again() -> None:
    found = steering("relay")
    found.tenants.learn([Owner("acme")])
    assert found.closes_lane(lane("acme"))
    assert list(found.tenants.accounts) == ["globex/mail"]
    found.tenants.learn([Owner("globex")])
    assert not found.tenants
    assert found.closes_channel(Channel.EMAIL)


def test_a_route_names_only_accounts_that_serve_it_and_else_all_do_by_name() -> None:
    accounts = (own("acme", "z"), own("acme", "a"))
    route = Owner("acme", accounts).route(Channel.EMAIL)
    assert route is not None
    assert (list(route.accounts), route.goes_on) == (["acme/a", "acme/z"], False)
    said = Owner("acme", accounts, {Channel.EMAIL: ("z", "gone")}).route(Channel.EMAIL)
    assert said is not None
    assert list(said.accounts) == ["acme/z"]
    assert Owner("acme", accounts).route(Channel.SMS) is None
