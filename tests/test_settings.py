"""Settings: where they come from, what they may be, and how errors help."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker import settings as module
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.lifecycle import Backoff
from noti_worker.domain.notification import Channel, OnUncertain
from noti_worker.domain.secret import Secret
from noti_worker.secrets import References
from noti_worker.settings import Settings, describe, load
from noti_worker.settings.coercion import FromEnvironment, duration, parse, written

EXAMPLE = Path(__file__).parent.parent / "config" / "noti-worker.toml"


@pytest.fixture(autouse=True)
def no_file_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_PATH", tmp_path / "absent.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "noti.toml"


def read(file: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


def refusal(file: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(file, text, environ)
    return str(caught.value)


def test_without_file_and_environment_the_built_in_defaults_stand() -> None:
    settings = load(environ={})
    assert settings == Settings()
    assert settings.source is None
    assert settings.database.url is None
    assert {channel: it.concurrency for channel, it in settings.channels.items()} == {
        Channel.EMAIL: 5,
        Channel.SMS: 10,
        Channel.WHATSAPP: 10,
        Channel.PUSH: 20,
        Channel.VOICE: 2,
        Channel.CHAT: 5,
        Channel.WEBHOOK: 20,
        Channel.IN_APP: 20,
    }
    assert settings.channels[Channel.EMAIL].send_timeout == timedelta(seconds=30)
    assert settings.channels[Channel.WEBHOOK].send_timeout == timedelta(seconds=10)
    assert settings.channels[Channel.SMS].backoff == Backoff()
    assert settings.channels[Channel.SMS].max_retries is None
    assert settings.worker.lease == timedelta(minutes=2)
    assert settings.worker.drain_deadline == timedelta(seconds=45)
    assert settings.worker.batch_size == 500
    assert (settings.http.listen, settings.http.configured) == ("127.0.0.1:9464", False)
    assert settings.metrics.tenants == 20


def test_the_example_of_the_repository_is_read() -> None:
    settings = load(EXAMPLE, {})
    assert settings.source == EXAMPLE
    assert settings.database.url == Secret("postgresql://noti@/app")
    assert settings.accounts["relay"].provider == "smtp"
    assert settings.accounts["relay"].options["port"] == 587
    assert settings.routes == {Channel.EMAIL: ("relay",), Channel.WEBHOOK: ("hooks",)}
    assert settings.channels[Channel.EMAIL].max_retries == 3


def test_what_the_example_calls_a_default_is_the_default() -> None:
    settings, defaults = load(EXAMPLE, {}), Settings()
    assert settings.worker == defaults.worker
    assert settings.http == defaults.http
    assert settings.log == defaults.log
    assert settings.metrics == defaults.metrics
    assert settings.channels[Channel.EMAIL].backoff == defaults.channels[Channel.EMAIL].backoff
    commented = re.sub("(?m)^# (?=[a-z_]+ = )", "", EXAMPLE.read_text(encoding="utf-8"))
    assert 'listen = "127.0.0.1:9464"\n' in commented


def test_the_file_of_the_command_line_comes_before_the_variable_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {name: tmp_path / f"{name}.toml" for name in ("given", "variable", "default")}
    for number, path in enumerate(places.values(), start=1):
        path.write_text(f"[worker]\nbatch_size = {number}\n", encoding="utf-8")
    environ = {"NOTI_CONFIG": str(places["variable"])}
    monkeypatch.setattr(module, "DEFAULT_PATH", places["default"])
    assert load(places["given"], environ).worker.batch_size == 1
    assert load(None, environ).worker.batch_size == 2
    assert load(None, {}).worker.batch_size == 3
    assert load(None, {"NOTI_CONFIG": ""}).worker.batch_size == 3


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent.*No such file"):
        load(None, {"NOTI_CONFIG": str(tmp_path / "absent")})


def test_a_file_that_is_not_toml_is_an_error_with_its_line(file: Path) -> None:
    assert re.search(r"noti\.toml: not valid TOML: .*line 2", refusal(file, "[worker]\nlease = 2m\n"))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(file, {})


def test_the_environment_overrides_the_file(file: Path) -> None:
    settings = read(
        file,
        """
        [worker]
        lease = "1m"
        batch_size = 7
        [channels.email]
        concurrency = 2
        retry = { initial_delay = "5s" }
        [accounts.my-relay]
        provider = "smtp"
        host = "one"
        """,
        {
            "NOTI_WORKER__LEASE": "3m",
            "NOTI_CHANNELS__EMAIL__CONCURRENCY": "8",
            "NOTI_CHANNELS__EMAIL__RETRY__MULTIPLIER": "3",
            "NOTI_CHANNELS__SMS__RETRY__INITIAL_DELAY": "2s",
            "NOTI_ACCOUNTS__MY_RELAY__HOST": "two",
            "NOTI_ACCOUNTS__HOOKS__PROVIDER": "webhook",
            "NOTI_ROUTES__EMAIL": "my-relay",
            "NOTI_DATABASE_URL": "postgresql://x",
            "NOTI_DATABASE__PGBOUNCER": "true",
            "NOTI_HTTP__LISTEN": "127.0.0.1:0",
            "NOTI_HOOK_SECRET": "is no setting",
            "NOTI_TEST": "neither",
            "OTHER__WORKER__LEASE": "nor this",
            "NOTI_LOG__LEVEL": "",
        },
    )
    assert settings.worker.lease == timedelta(minutes=3)
    assert settings.worker.batch_size == 7
    email = settings.channels[Channel.EMAIL]
    assert (email.concurrency, email.backoff.multiplier) == (8, 3.0)
    assert email.backoff.initial == timedelta(seconds=5)
    assert settings.channels[Channel.SMS].backoff.initial == timedelta(seconds=2)
    assert settings.accounts["my-relay"].options == {"host": "two"}
    assert settings.accounts["hooks"].provider == "webhook"
    assert settings.routes == {Channel.EMAIL: ("my-relay",)}
    assert settings.database.url == Secret("postgresql://x")
    assert settings.database.pgbouncer
    assert settings.http.configured
    assert settings.log.level == "info"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"NOTI_WORKER__LEESE": "2m"}, 'NOTI_WORKER__LEESE: no such setting; did you mean "lease"?'),
        ({"NOTI_WORKR__LEASE": "2m"}, 'NOTI_WORKR__LEASE: no such setting; did you mean "worker"?'),
        ({"NOTI_CHANNELS__EMIAL__CONCURRENCY": "2"}, 'NOTI_CHANNELS__EMIAL__CONCURRENCY: no such.*"email"'),
        ({"NOTI_CHANNELS__EMAIL__RETRY__DELAY": "2s"}, 'RETRY__DELAY: no such setting; did you mean "max_delay"'),
        ({"NOTI_WORKER__LEASE": "120"}, "NOTI_WORKER__LEASE is '120': a number without a unit"),
        ({"NOTI_WORKER__BATCH_SIZE": "many"}, "NOTI_WORKER__BATCH_SIZE is 'many': write a whole number"),
        ({"NOTI_WORKER__BATCH_SIZE": "0"}, "NOTI_WORKER__BATCH_SIZE is '0': allowed: from 1 to 5000"),
        ({"NOTI_DATABASE__PGBOUNCER": "maybe"}, "NOTI_DATABASE__PGBOUNCER is 'maybe': write true or false"),
        ({"NOTI_CHANNELS__EMAIL__RETRY__JITTER": "nan"}, "JITTER is 'nan': write a number"),
        ({"NOTI_WORKER__LEASE__MORE": "1"}, "NOTI_WORKER__LEASE__MORE is .*: write a duration"),
        ({"NOTI_WORKER_LEASE": "2m"}, "NOTI_WORKER_LEASE is no setting; did you mean NOTI_WORKER__LEASE?"),
        ({"NOTI_LOG_LEVL": "info"}, "did you mean NOTI_LOG__LEVEL?"),
        ({"NOTI_CHANNELS_SMS__RETRY": "1"}, "no such setting"),
        ({"NOTI_ROUTES_EMAIL": "x"}, "did you mean NOTI_ROUTES__EMAIL?"),
        ({"NOTI_CONFGI": "x"}, "did you mean NOTI_CONFIG?"),
        ({"NOTI_DATABASE_URI": "x"}, "did you mean NOTI_DATABASE_URL?"),
        ({"NOTI_WORKER__": "1"}, "NOTI_WORKER__: a part of the name is empty"),
        ({"NOTI_DATABASE_URL": "a", "NOTI_DATABASE__URL": "b"}, "contradict each other"),
        ({"NOTI_HTTP__LISTEN": ":9464"}, "NOTI_HTTP__LISTEN is ':9464': write host:port"),
        ({"NOTI_HTTP__LISTEN": "127.0.0.1:65536"}, "NOTI_HTTP__LISTEN is .*write host:port"),
        ({"NOTI_ROUTES__EMAIL": "gone"}, r'NOTI_ROUTES__EMAIL names "gone": there is no such account; write \[acc'),
        ({"NOTI_CHANNELS__EMAIL__SEND_TIMEOUT": "2m"}, "NOTI_CHANNELS__EMAIL__SEND_TIMEOUT is 2m: too long for worker"),
    ],
)
def test_an_error_from_the_environment_names_the_variable(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(environ=environ)


def test_only_a_name_that_is_nearly_a_setting_is_refused(file: Path) -> None:
    text = '[accounts.my-relay]\nprovider = "smtp"\nhost = "h"\npassword = "env:NOTI_CONFIG2"\n'
    for name in (
        "NOTI_HOOK_SECRET",
        "NOTI_TEST_STRICT",
        "NOTI_CONFIG2",
        "NOTI_DB",
        "NOTI_LOG",
        "NOTI_",
        "NOTIFY_LEASE",
    ):
        assert read(file, text, {name: "x"}).accounts
    for name, right in (("MY_RELAY_HOST", "MY_RELAY__HOST"), ("MY_RELAY_PROXY", "MY_RELAY__PROXY")):
        assert f"did you mean NOTI_ACCOUNTS__{right}?" in refusal(file, text, {f"NOTI_ACCOUNTS_{name}": "x"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[worker]\nleese = '1m'", 'worker.leese: no such setting; did you mean "lease"?'),
        ("[wroker]\nlease = '1m'", 'noti.toml: wroker: no such setting; did you mean "worker"?'),
        ("worker = 1", r"worker: this is a section with settings of its own; write \[worker\]"),
        ("[worker]\nlease = 120", r'worker.lease is 120: a number without a unit; .*is it "120s"\?'),
        ("[retention]\nsent = 30", r'retention.sent is 30: a number without a unit; .*is it "30d"\?'),
        ("[retention]\nlogs = '2h'", r"retention: logs \(2h\) is less than a day"),
        ("[worker]\nlease = '2 minutes'", "worker.lease is '2 minutes': write a duration such as"),
        ("[worker]\nlease = true", "worker.lease is True: write a duration"),
        ("[worker]\nlease = '0s'", "worker.lease is '0s': allowed: from 1s to 1h"),
        ("[worker]\nbatch_size = true", "worker.batch_size is True: write a whole number"),
        ("[worker]\nbatch_size = 1.5", "worker.batch_size is 1.5: write a whole number"),
        ("[worker]\nbatch_size = '5'", "worker.batch_size is '5': write a whole number"),
        ("[worker]\ndrain_deadline = '1d'", "worker.drain_deadline is '1d': allowed: from 0s to 10m"),
        ("[channels.mail]\nconcurrency = 1", 'channels.mail: no such setting; did you mean "email"?'),
        ("[channels]\nemail = 5", "channels.email is 5: this is a table"),
        ("[channels.email]\nconcurrency = 0", "channels.email.concurrency is 0: allowed: from 1 to 1000"),
        ("[channels.email]\non_uncertain = 'drop'", "on_uncertain is 'drop': allowed: retry, hold, fail"),
        ("[channels.email]\nretry = { first = '1s' }", "channels.email.retry.first: no such setting"),
        ("[channels.email]\nretry = { initial_delay = '1h' }", r"email.retry: max_delay \(30m\) is shorter than"),
        ("[worker]\nlease = '5s'\nrender_timeout = '5s'", "render_timeout is 5s: too long for worker.lease, 5s"),
        ("[channels.email]\nsend_timeout = '2m'", "channels.email.send_timeout is 2m: too long for worker.lease, 2m"),
        ("[log]\nlevel = 'loud'", "log.level is 'loud': allowed: debug, info, warning, error"),
        ("[log]\nlevel = 5", "log.level is 5: allowed"),
        ("[http]\nlisten = 9464", "http.listen is 9464: write text in quotes"),
        ("[accounts]\nrelay = 'smtp'", r"accounts.relay: an account is a table of its own; write \[accounts.relay\]"),
        ("[accounts.relay]\nhost = 'x'", "accounts.relay.provider: missing"),
        ("[accounts.Relay]\nprovider = 'smtp'", "accounts.Relay: the name of an account has small letters"),
        ("[accounts.relay]\nprovider='smtp'\n[routes]\nemail=['relai']", 'routes.email names "relai": .*mean "relay"'),
        (
            "[accounts.relay]\nprovider='smtp'\n[routes]\nemail=['relay','relay']",
            "routes.email: an account is named twic",
        ),
        ("[routes]\nemail = []", "routes.email: name at least one account"),
        ("[routes]\nemail = [5]", r"routes.email is \[5\]: write a list of texts"),
        ("[routes]\nfax = ['relay']", "routes.fax: no such setting; known here: chat, email"),
        ("[database]\nurl = ''", "database.url: a secret does not stand here"),
        ("[database]\nurl = 'env:GONE'", "database.url: env:GONE: the environment variable GONE is not set"),
    ],
)
def test_an_error_from_the_file_names_the_file_the_key_and_what_is_allowed(file: Path, text: str, words: str) -> None:
    message = refusal(file, text)
    assert message.startswith(f"{file}: ")
    assert re.search(words, message), message


def test_a_short_lease_shortens_the_send_timeouts_that_nobody_chose(file: Path) -> None:
    settings = read(file, "[worker]\nlease = '3s'\n[channels.sms]\nsend_timeout = '2s'\n")
    assert settings.channels[Channel.EMAIL].send_timeout == timedelta(seconds=1.5)
    assert settings.channels[Channel.SMS].send_timeout == timedelta(seconds=2)


def test_the_shortest_lease_needs_no_further_setting(file: Path) -> None:
    assert read(file, "[worker]\nlease = '1s'\n").channels[Channel.EMAIL].send_timeout == timedelta(seconds=0.5)


def test_numbers_of_channels_that_are_not_mentioned_stay_as_they_are(file: Path) -> None:
    settings = read(file, "[channels.push]\non_uncertain = 'HOLD'\n")
    assert settings.channels[Channel.PUSH].concurrency == 20
    assert settings.channels[Channel.PUSH].on_uncertain is OnUncertain.HOLD


@dataclass(frozen=True)
class Provider:
    """The settings of a provider, with every type that they may have."""

    host: str
    password: Secret
    from_: tuple[str, ...] = ()
    port: int = field(default=587, metadata={"at_least": 1, "at_most": 65535})
    rate: float = 1.0
    strict: bool = True
    patience: timedelta | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"

    def __post_init__(self) -> None:
        if self.tls == "none" and self.strict:
            raise ConfigurationError('tls = "none" needs strict = false')


ENVIRON = {"PASSWORD": "hunter2"}


def provider(**table: object) -> Provider:
    return parse(
        Provider, {"host": "h", "password": "env:PASSWORD", **table}, "x.toml: accounts.relay", References(ENVIRON)
    )


def test_a_provider_s_settings_are_read_by_their_types() -> None:
    assert provider() == Provider("h", Secret("hunter2"))
    assert provider(**{"from": "A <a@x>"}).from_ == ("A <a@x>",)
    assert provider(**{"from": ["a@x", "b@x"]}).from_ == ("a@x", "b@x")
    assert provider(rate=2).rate == 2.0
    assert provider(patience="1m30s").patience == timedelta(seconds=90)
    assert provider(tls="implicit").tls == "implicit"


def test_an_account_knows_its_place_for_the_errors_about_its_options(file: Path) -> None:
    text = "[accounts.relay]\nprovider = 'smtp'\nhost = 'h'\npassword = 'env:PASSWORD'\nport = 0\n"
    account = read(file, text).accounts["relay"]
    with pytest.raises(ConfigurationError, match=r"noti\.toml: accounts\.relay\.port is 0: allowed: from 1 to 65535"):
        parse(Provider, account.options, account.where, References(ENVIRON))


def test_a_list_from_the_environment_is_split_at_commas_outside_quotes() -> None:
    def senders(text: str) -> tuple[str, ...]:
        return provider(**{"from": FromEnvironment(text, "V")}).from_

    assert senders("a@x, b@x,") == ("a@x", "b@x")
    assert senders('"Example, Inc" <a@x>,b@x') == ('"Example, Inc" <a@x>', "b@x")
    assert senders('["A, B", "c"]') == ("A, B", "c")
    with pytest.raises(ConfigurationError, match=r"V is '\[a': write"):
        senders("[a")


def test_a_provider_s_errors_name_the_account_and_the_key() -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml: accounts\.relay\.hots: .* did you mean \"host\""):
        provider(hots="x")
    with pytest.raises(ConfigurationError, match=r"x\.toml: accounts\.relay: tls = \"none\" needs strict = false"):
        provider(tls="none")
    with pytest.raises(ConfigurationError, match=r"relay\.password: missing"):
        parse(Provider, {"host": "h"}, "accounts.relay", References(ENVIRON))


@pytest.mark.parametrize("value", ["hunter2", 5, ["hunter2"], FromEnvironment("hunter2", "NOTI_ACCOUNTS__R__PASSWORD")])
def test_a_secret_in_the_clear_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(
        ConfigurationError, match="write it as env:NAME, file:PATH, exec:PROGRAM or vault:MOUNT/PATH#FIELD"
    ) as caught:
        provider(password=value)
    assert "hunter2" not in str(caught.value)
    assert "password" in str(caught.value).lower()


def test_the_url_of_the_database_may_be_plain_or_a_reference_and_is_not_shown(file: Path) -> None:
    plain = read(file, '[database]\nurl = "postgresql://u:hunter2@h/d"\n')
    assert plain.database.url == Secret("postgresql://u:hunter2@h/d")
    assert "hunter2" not in repr(plain)
    named = read(file, '[database]\nurl = "env:URL"\n', {"URL": "postgresql://h/d"})
    assert named.database.url == Secret("postgresql://h/d")


def test_every_setting_is_described() -> None:
    lines = {line.key: line for line in describe()}
    assert lines["worker.lease"].default == "2m"
    assert lines["channels.CHANNEL.retry.initial_delay"].default == "1m"
    assert lines["channels.CHANNEL.concurrency"].default.startswith("email 5, ")
    assert all(line.help for line in lines.values())
    assert "http.configured" not in lines


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_reads_what_it_writes(milliseconds: int) -> None:
    span = timedelta(milliseconds=milliseconds)
    assert duration(written(span)) == span


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["d", "h", "m", "s", "ms", "w", "x", " "])), max_size=4))
def test_a_duration_is_whole_numbers_with_falling_units_and_nothing_else(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in parts)
    ranks = ["d", "h", "m", "s", "ms"]
    falling = [ranks.index(unit) for _, unit in parts if unit in ranks]
    if parts and len(falling) == len(parts) and falling == sorted(set(falling)):
        keys = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
        assert duration(text) == timedelta(**{keys[unit]: count for count, unit in parts})
    else:
        with pytest.raises(ValueError, match="write a duration such as"):
            duration(text)


def test_a_duration_that_no_timedelta_holds_is_an_error() -> None:
    with pytest.raises(ValueError, match="longer than any clock"):
        duration("999999999d24h")


def test_a_route_may_name_the_account_in_app_that_needs_no_configuration(tmp_path: Path) -> None:
    file = tmp_path / "noti-worker.toml"
    file.write_text('[routes]\nin_app = ["in_app"]\n')
    assert load(file, {}).routes == {Channel.IN_APP: ("in_app",)}
