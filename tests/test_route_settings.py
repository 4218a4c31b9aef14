"""Routes with weights, as the configuration gives them."""

import re
from pathlib import Path

import pytest

from noti_worker.accounts import Accounts, open_accounts
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.providers import smtp
from noti_worker.settings import Settings, load
from noti_worker.settings.shown import Shown, show
from noti_worker.transport import Kit
from tests.domain.rows import NOW

ACCOUNTS = "".join(
    f'[accounts.{name}]\nprovider = "smtp"\nhost = "{name}.example.com"\nfrom = "a@example.com"\n'
    for name in ("relay", "my-spare", "third")
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "noti.toml"


def read(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(ACCOUNTS + text)
    return load(file, environ)


def opened(settings: Settings) -> Accounts:
    accounts = open_accounts(settings, Kit(lambda: NOW))
    accounts.close()
    return accounts


@pytest.mark.parametrize(
    "text",
    [
        "[routes]\nemail = { my-spare = 1, relay = 3, third = 0 }",
        "[routes.email]\nthird = 0\nmy-spare = 1\nrelay = 3",
        "[routes]\nemail.relay = 3\nemail.my-spare = 1\nemail.third = 0",
    ],
)
def test_weights_are_a_table_and_stand_in_falling_order(file: Path, text: str) -> None:
    route = read(file, text).routes[Channel.EMAIL]
    assert isinstance(route, dict)
    assert list(route.items()) == [("relay", 3), ("my-spare", 1), ("third", 0)]


def test_of_equal_weights_the_first_that_is_written_comes_first(file: Path) -> None:
    assert tuple(read(file, "[routes]\nemail = { third = 2, relay = 2 }").routes[Channel.EMAIL]) == ("third", "relay")


def test_the_environment_gives_a_weight_or_a_whole_route(file: Path) -> None:
    text = "[routes.email]\nrelay = 3\nmy-spare = 1"
    assert read(file, text, NOTI_ROUTES__EMAIL__MY_SPARE="1000").routes == {
        Channel.EMAIL: {"my-spare": 1000, "relay": 3}
    }
    assert read(file, text, NOTI_ROUTES__EMAIL="third").routes == {Channel.EMAIL: ("third",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("email = { relay = -1 }", "routes.email.relay is -1: allowed: from 0 to 1000"),
        ("email = { relay = 1001 }", "routes.email.relay is 1001: allowed: from 0 to 1000"),
        ("email = { relay = 1.5 }", "routes.email.relay is 1.5: write a whole number"),
        ("email = { relay = 1.0 }", "routes.email.relay is 1.0: write a whole number"),
        ("email = { relay = true }", "routes.email.relay is True: write a whole number"),
        ("email = { relay = '3' }", "routes.email.relay is '3': write a whole number"),
        ("email = { relay = [3] }", r"routes.email.relay is \[3\]: write a whole number"),
        ("email = { relay = { weight = 3 } }", "routes.email.relay is .*: write a whole number"),
        ("email = { relay = 0, third = 0 }", "routes.email: every weight is 0, failover only; give one account"),
        ("email = {}", "routes.email: name at least one account"),
        ("email = { relai = 3 }", 'routes.email names "relai": there is no such account; did you mean "relay"'),
        ("email = { relay = 3 }\nfax = { relay = 3 }", "routes.fax: no such setting"),
    ],
)
def test_what_is_no_table_of_weights_is_refused_by_its_key(file: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(file, f"[routes]\n{text}")
    assert re.match(f"{re.escape(str(file))}: {words}", str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"NOTI_ROUTES__EMAIL__RELAY": "much"}, "NOTI_ROUTES__EMAIL__RELAY is 'much': write a whole number"),
        ({"NOTI_ROUTES__EMAIL__RELAY": "1001"}, "NOTI_ROUTES__EMAIL__RELAY is '1001': allowed: from 0 to 1000"),
        ({"NOTI_ROUTES__EMAIL__GONE": "1"}, 'NOTI_ROUTES__EMAIL__GONE names "gone": there is no such account'),
    ],
)
def test_a_weight_of_the_environment_is_refused_by_its_variable(
    file: Path, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{words}"):
        read(file, "", **environ)


def test_an_account_that_does_not_serve_the_channel_is_refused_with_weights_too(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"routes\.sms names relay, whose provider smtp does not serve sms"):
        opened(read(file, "[routes]\nemail = ['relay']\nsms = { relay = 1 }"))


def test_the_accounts_share_the_messages_and_are_all_on_the_route(file: Path) -> None:
    accounts = opened(read(file, "[routes]\nemail = { my-spare = 1, relay = 3 }"))
    assert accounts.routes[Channel.EMAIL] == ("relay", "my-spare")
    assert [line.account for line in accounts.lines() if line.channel is Channel.EMAIL] == ["relay", "my-spare"]


def test_the_weights_are_shown_with_the_place_of_each(file: Path) -> None:
    file.write_text(f"{ACCOUNTS}[routes.email]\nmy-spare = 1\nrelay = 3\n")
    first = ACCOUNTS.count("\n") + 2
    shown = show(file, {"NOTI_ROUTES__EMAIL__THIRD": "2"}, lambda account: smtp.Settings)
    assert [line for line in shown if line.key.startswith("routes.email")] == [
        Shown("routes.email.relay", 3, f"{file}:{first + 1}"),
        Shown("routes.email.third", 2, "NOTI_ROUTES__EMAIL__THIRD"),
        Shown("routes.email.my-spare", 1, f"{file}:{first}"),
    ]
