"""The composition root: which accounts serve which channel, errors that name the setting, readings that fail."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noti_worker.accounts import Accounts, open_accounts
from noti_worker.app import Reader, Reading
from noti_worker.delivery.render import Renderer
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS, MAIL_OPTIONS
from noti_worker.domain.ports import Sender
from noti_worker.domain.said import Said
from noti_worker.observe.metrics import MetricsObserver
from noti_worker.providers import sandbox
from noti_worker.settings import load
from noti_worker.transport import Kit, tls
from noti_worker.worker.allowance import Allowance
from noti_worker.worker.clock import DatabaseClock
from noti_worker.worker.refusals import Refusals
from noti_worker.worker.steering import Steering
from tests.domain.rows import NOW
from tests.worker.fake_store import FakeStore

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
    assert {name: account.provider for name, account in accounts.accounts.items()} == {
        "relay": "smtp",
        "in_app": "in_app",
    }


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


def test_an_account_may_limit_itself_to_some_channels(house: House) -> None:
    few = house.open(f'[accounts.box]\n{SANDBOX}channels = ["sms", "push"]\n')
    assert few.routes == {Channel.SMS: ("box",), Channel.PUSH: ("box",), Channel.IN_APP: ("in_app",)}
    two = f'[accounts.one]\n{SANDBOX}channels = ["sms"]\n[accounts.two]\n{SANDBOX}channels = ["push"]\n'
    assert house.open(two).routes[Channel.SMS] == ("one",)
    assert house.refuse(f'{two}[routes]\npush = ["one"]\n') == (
        "routes.push names one, which accounts.one.channels limits to sms"
    )


@pytest.mark.parametrize("provider", ["sandbox", "console"])
def test_what_sends_nothing_joins_the_route_of_a_real_account_only_by_name(house: House, provider: str) -> None:
    both = f'[accounts.trial]\nprovider = "{provider}"\n[accounts.relay]\n{SMTP}'
    assert house.open(both).routes[Channel.EMAIL] == ("relay",)
    named = house.open(f'{both}[routes]\nemail = ["relay", "trial"]\n')
    assert named.routes[Channel.EMAIL] == ("relay", "trial")
    assert house.open(f'[accounts.trial]\nprovider = "{provider}"\n').routes[Channel.EMAIL] == ("trial",)


def test_an_account_knows_the_options_of_its_provider(house: House) -> None:
    both = f'[accounts.box]\n{SANDBOX}channels = ["sms"]\n[accounts.relay]\n{SMTP}'
    assert house.open(both).account("relay").options == MAIL_OPTIONS
    assert house.open(both).account("box").options == ALL_OPTIONS


def test_accounts_that_trust_alike_share_what_they_trust_until_the_next_reading(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str | None] = []
    trusting = tls.trusting

    def noted(ca_file: str | None) -> ssl.SSLContext:
        read.append(ca_file)
        return trusting(ca_file)

    monkeypatch.setattr(tls, "trusting", noted)
    many = "".join(f"[accounts.relay{number}]\n{SMTP}" for number in range(20)) + '[routes]\nemail = ["relay0"]\n'
    house.open(many)
    assert read == [None]
    house.open(many)
    assert read == [None, None]


class Desk(House):
    """Reads configurations as a worker does, over a provider that counts its senders."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(directory)
        self.built: list[Closes] = []
        self.steering, self.metrics = Steering({}), MetricsObserver()
        renderer = Renderer(self.metrics)
        self.opened.callback(renderer.close)
        clock = DatabaseClock()
        self.allowance = Allowance(clock, FakeStore(clock), Refusals(clock, self.metrics), self.metrics)
        self.reader = Reader(Kit(lambda: NOW), renderer, clock, None, self.steering, self.allowance, self.metrics)
        monkeypatch.setattr(sandbox, "build", self._build)

    def _build(self, settings: object, kit: Kit) -> Sender:
        self.built.append(Closes())
        return self.built[-1]

    def read(self, config: str) -> Reading:
        self.file.write_text(config)
        return self.reader.read(load(self.file, {}))


class Closes:
    def __init__(self) -> None:
        self.closed = False

    def send(self, message: Message, limit: float) -> Said:
        raise AssertionError

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path, monkeypatch)
    with made.opened:
        yield made


BOX = f'[accounts.box]\n{SANDBOX}channels = ["email"]\n'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('[delivery]\nredirect_to = { email = "no address" }\n', "delivery.redirect_to.email: "),
        (f'[accounts.two]\n{SANDBOX}channels = ["email"]\n', "routes.email is missing"),
        ('[accounts.hooks]\nprovider = "webhook"\nsecret = "file:/nowhere"\n', "accounts.hooks.secret"),
        ('[accounts.last]\nprovider = "webhook"\nca_file = "/nowhere"\n', "accounts.last"),
    ],
)
def test_a_reading_that_is_refused_closes_what_it_opened_and_changes_nothing(desk: Desk, wrong: str, said: str) -> None:
    first = desk.reader.commit(desk.read(BOX))
    routes, told, metrics = desk.steering.routes, first.plan.routes, desk.metrics.text()
    with pytest.raises(ConfigurationError, match=said):
        desk.read(BOX + wrong)
    assert [sender.closed for sender in desk.built] == [False] + [True] * (len(desk.built) - 1)
    assert desk.steering.routes is routes
    assert routes == {Channel.EMAIL: {"box": "sandbox"}, Channel.IN_APP: {"in_app": "in_app"}}
    assert first.plan.routes is told
    assert _counted(desk.metrics.text()) == _counted(metrics)
    first.plan.close()
    assert all(sender.closed for sender in desk.built)


def test_a_reading_tells_nobody_before_it_is_committed(desk: Desk) -> None:
    reading = desk.read(BOX)
    assert desk.steering.routes == {}
    assert b'account="box"' not in desk.metrics.text()
    desk.reader.commit(reading)
    assert desk.steering.routes[Channel.EMAIL] == {"box": "sandbox"}
    assert b'account="box"' in desk.metrics.text()
    reading.plan.close()


def _counted(text: bytes) -> list[bytes]:
    """The lines of our own metrics; the process's own go on."""
    return [line for line in text.splitlines() if line.startswith(b"notification")]


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (
            '[accounts.relay]\nprovider = "smpt"\n',
            "accounts.relay.provider: provider 'smpt' does not exist; did you mean \"smtp\"?",
        ),
        (
            '[accounts.relay]\nprovider = "zzz"\n',
            "accounts.relay.provider: provider 'zzz' does not exist; known here: apns, apprise, console, ",
        ),
        (
            f'[accounts.relay]\n{SMTP}channels = ["emial"]\n',
            'accounts.relay.channels names "emial": there is no such channel; did you mean "email"?',
        ),
        (
            f'[accounts.relay]\n{SMTP}channels = ["sms"]\n',
            "accounts.relay.channels names sms, which the provider smtp does not serve; known here: email",
        ),
        (f"[accounts.relay]\n{SMTP}channels = []\n", "accounts.relay.channels: name at least one channel"),
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
