"""The composition root: which accounts serve which channel, and errors that name the setting."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noti_worker.app import Accounts, open_accounts
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.settings import load
from noti_worker.transport import Kit

SANDBOX = 'provider = "sandbox"\n'
SMTP = 'provider = "smtp"\nhost = "mail.example.com"\nfrom = "a@example.com"\n'


class House:
    """Opens the accounts of a configuration, and closes them after the test."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "noti-worker.toml"
        self.opened = ExitStack()

    def open(self, config: str, environ: Mapping[str, str] | None = None) -> Accounts:
        self.file.write_text(config)
        accounts = open_accounts(load(self.file, environ or {}), Kit(lambda: datetime(2026, 1, 1, tzinfo=UTC)))
        self.opened.callback(accounts.close)
        return accounts

    def refuse(self, config: str) -> str:
        """The error of a configuration, without the name of the file."""
        with pytest.raises(ConfigurationError) as caught:
            self.open(config)
        return str(caught.value).removeprefix(f"{self.file}: ")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    with made.opened:
        yield made


def test_without_any_account_only_in_app_is_served(house: House) -> None:
    assert house.open("").routes == {Channel.IN_APP: ("in_app",)}


def test_a_channel_with_exactly_one_account_needs_no_route(house: House) -> None:
    accounts = house.open(f"[accounts.relay]\n{SMTP}")
    assert accounts.routes == {Channel.EMAIL: ("relay",), Channel.IN_APP: ("in_app",)}
    assert accounts.providers == {"relay": "smtp", "in_app": "in_app"}


def test_a_send_that_may_outlast_its_lease_is_refused_with_both_settings(house: House) -> None:
    error = house.refuse(f'[worker]\nlease = "1h"\n[channels.email]\nsend_timeout = "6m"\n[accounts.relay]\n{SMTP}')
    assert error == (
        "accounts.relay: dot_timeout (5m) and channels.email.send_timeout (6m) are together longer than a row is kept"
        " for one send, 10m"
    )
    house.open(f'[worker]\nlease = "1h"\n[channels.email]\nsend_timeout = "5m"\n[accounts.relay]\n{SMTP}')


def test_two_accounts_for_a_channel_ask_for_a_route_and_its_order_stands(house: House) -> None:
    two = f"[accounts.one]\n{SMTP}[accounts.two]\n{SMTP}"
    assert house.refuse(two) == "routes.email is missing: one and two serve email; name them in failover order"
    assert house.open(f'{two}[routes]\nemail = ["two", "one"]\n').routes[Channel.EMAIL] == ("two", "one")


def test_in_app_stays_with_its_own_account_unless_a_route_says_otherwise(house: House) -> None:
    box = f"[accounts.box]\n{SANDBOX}"
    routes = house.open(box).routes
    assert routes == {channel: ("in_app",) if channel is Channel.IN_APP else ("box",) for channel in Channel}
    assert house.open(f'{box}[routes]\nin_app = ["box"]\n').routes[Channel.IN_APP] == ("box",)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (
            '[accounts.relay]\nprovider = "smpt"\n',
            "accounts.relay: provider 'smpt' does not exist: known are console, in_app",
        ),
        ('[accounts.relay]\nprovider = "smtp"\n', "accounts.relay.host"),
        (f'[accounts.relay]\n{SMTP}hots = "x"\n', 'accounts.relay.hots: no such setting; did you mean "host"?'),
        (f"[accounts.relay]\n{SMTP}port = 0\n", "accounts.relay: port lies between 1 and 65535"),
        (
            f'[accounts.relay]\n{SMTP}username = "u"\npassword = "hunter2"\n',
            "accounts.relay.password: a secret does not stand here itself",
        ),
        (
            f'[accounts.relay]\n{SMTP}username = "u"\npassword = "env:NOT_SET"\n',
            "accounts.relay.password: env:NOT_SET",
        ),
        (
            f'[accounts.relay]\n{SMTP}[routes]\nsms = ["relay"]\n',
            "routes.sms names relay, whose provider smtp does not serve sms",
        ),
        (f'[accounts.relay]\n{SMTP}[routes]\nemail = ["relais"]\n', 'routes.email names "relais"'),
        ('[accounts.hooks]\nprovider = "webhook"\nsecret = "file:/nowhere/at/all"\n', "accounts.hooks.secret"),
    ],
)
def test_what_is_wrong_with_an_account_or_route_names_the_setting(house: House, config: str, error: str) -> None:
    said = house.refuse(config)
    assert said.startswith(error), said
    assert "hunter2" not in said
