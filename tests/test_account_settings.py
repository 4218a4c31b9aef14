"""The keys that every account has: its mode, the proxy that it goes out through, its own answers, its receipts."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from noti_worker.accounts import open_accounts
from noti_worker.domain.limits import Limit
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import Rule
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit
from tests.domain.rows import NOW
from tests.test_settings import read, refusal

ONE_PLACE = {
    "DISCORD": "https://discord.com/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44f",
    "TEAMS": "https://prod-00.westeurope.logic.azure.com/workflows/4f2d/triggers/manual?sig=x",
    "GOOGLE_CHAT": "https://chat.googleapis.com/v1/spaces/AAAAMpdlehY/messages?key=x&token=y",
    "MATTERMOST": "https://chat.example.com/hooks/1w4ma8ph33nt7jzqxcr5ydsu6e",
    "SLACK": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "SLACK_BOT": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "PAGERDUTY": "e93facc04764012d7bfb002500d5d1a6",
    "OPSGENIE": "eb243592-faa2-4ba2-a551-1afdf565c889",
    "GOTIFY": "AWWfWyqd8xR0p1g",
    "TELEGRAM": "123456789:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "noti.toml"


def test_safe_mode_is_set_for_the_installation_and_for_an_account(file: Path) -> None:
    assert read(file, "").delivery.mode is Mode.LIVE
    text = '[delivery]\nmode = "redirect"\nredirect_to = { email = "qa@x.org" }\n'
    text += '[accounts.a]\nprovider = "p"\nmode = "dry"'
    settings = read(file, text)
    assert settings.delivery.mode is Mode.REDIRECT
    assert settings.delivery.redirect_to.by_channel == {Channel.EMAIL: "qa@x.org"}
    assert settings.accounts["a"].mode is Mode.DRY
    assert settings.accounts["a"].options == {}


def test_safe_mode_can_be_switched_on_by_the_environment(file: Path) -> None:
    variables = {
        "NOTI_DELIVERY__MODE": "DRY",
        "NOTI_DELIVERY__REDIRECT_TO__SMS": "+491701234567",
        "NOTI_ACCOUNTS__A__MODE": "redirect",
    }
    settings = read(file, '[accounts.a]\nprovider = "p"', variables)
    assert settings.delivery.mode is Mode.DRY
    assert settings.delivery.redirect_to.by_channel == {Channel.SMS: "+491701234567"}
    assert settings.accounts["a"].mode is Mode.REDIRECT


@pytest.mark.parametrize(
    ("account", "mode"),
    [
        ('provider = "discord"\nwebhook_url = "env:DISCORD"', Mode.DRY),
        ('provider = "teams"\nwebhook_url = "env:TEAMS"', Mode.DRY),
        ('provider = "google_chat"\nwebhook_url = "env:GOOGLE_CHAT"', Mode.DRY),
        ('provider = "mattermost"\nwebhook_url = "env:MATTERMOST"', Mode.DRY),
        ('provider = "slack"\nwebhook_url = "env:SLACK"', Mode.DRY),
        ('provider = "slack"\ntoken = "env:SLACK_BOT"', Mode.REDIRECT),
        ('provider = "pagerduty"\nrouting_key = "env:PAGERDUTY"', Mode.DRY),
        ('provider = "opsgenie"\napi_key = "env:OPSGENIE"', Mode.DRY),
        ('provider = "gotify"\nurl = "https://push.example"\ntoken = "env:GOTIFY"', Mode.DRY),
        ('provider = "telegram"\ntoken = "env:TELEGRAM"', Mode.REDIRECT),
        ('provider = "http"\nurl = "https://x.example/{{ recipient }}"', Mode.REDIRECT),
        (
            """provider = "http"\nurl = "https://x.example/"\nbody = '{"to": {{ [recipient, "}"][0] | tojson }}}'""",
            Mode.REDIRECT,
        ),
        ("""provider = "http"\nurl = "https://x.example/recipient"\nbody = '{"recipient": {{ text }}}'""", Mode.DRY),
    ],
)
def test_an_account_that_sends_to_one_place_whatever_a_row_says_is_dry_where_others_are_redirected(
    file: Path, account: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in ONE_PLACE.items():
        monkeypatch.setenv(name, secret)
    text = f'[delivery]\nmode = "redirect"\n[accounts.a]\n{account}\n'
    settings = read(file, text if '"http"' not in account else text + 'channels = ["chat"]\n')
    with closing(open_accounts(settings, Kit(lambda: NOW))) as accounts:
        assert accounts.account("a").mode is mode


@pytest.mark.parametrize(
    "text", ['[delivery]\nmode = "test"', "[delivery]\nmode = false", '[accounts.a]\nprovider = "p"\nmode = "off"']
)
def test_a_mode_that_nobody_knows_is_refused(file: Path, text: str) -> None:
    assert "mode is " in refusal(file, text)
    assert "allowed: live, redirect, dry" in refusal(file, text)


@pytest.mark.parametrize(
    ("text", "environ", "proxy", "guards"),
    [
        ("", {}, None, False),
        ('proxy = "http://proxy:3128"', {}, "http://proxy:3128", False),
        ('proxy = "env:P"\nproxy_guards = true', {"P": "http://u:p@proxy:3128"}, "http://u:p@proxy:3128", True),
        ("", {"NOTI_ACCOUNTS__A__PROXY": "env:P", "P": "http://u:p@proxy:1"}, "http://u:p@proxy:1", False),
    ],
)
def test_a_proxy_is_a_url_or_a_reference_to_one(
    file: Path, text: str, environ: Mapping[str, str], proxy: str | None, guards: bool
) -> None:
    account = read(file, f'[accounts.a]\nprovider = "p"\n{text}', environ).accounts["a"]
    assert (account.proxy, account.proxy_guards) == (None if proxy is None else Secret(proxy), guards)
    assert account.options == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('proxy = "http://u:hush@proxy:3128"', "accounts.a.proxy: a login does not stand here itself"),
        ("proxy_guards = true", "accounts.a.proxy_guards: there is no proxy"),
        ('proxy = "env:NOT_SET"', "accounts.a.proxy: env:NOT_SET"),
        ("proxy = 3128", "accounts.a.proxy: "),
        ('proxy = "http://proxy:1"\nproxy_guards = "yes"', "accounts.a.proxy_guards is 'yes'"),
    ],
)
def test_what_is_no_proxy_is_refused(file: Path, text: str, words: str) -> None:
    refused = refusal(file, f'[accounts.a]\nprovider = "p"\n{text}')
    assert words in refused
    assert "hush" not in refused


def test_a_rate_limits_its_account(file: Path) -> None:
    text = '[accounts.a]\nprovider = "p"\nrate = "14/s"\n[accounts.b]\nprovider = "p"\nrate = "1/6s"\nburst = 4'
    accounts = read(file, text).accounts
    assert accounts["a"].limits.of("a") == (Limit("account", "", "a", "", 14, 1.0, 2),)
    assert accounts["b"].limits.of("b") == (Limit("account", "", "b", "", 1, 6.0, 4),)
    assert accounts["b"].options == {}
    environ = {"NOTI_ACCOUNTS__A__RATE": "5/m"}
    assert read(file, text, environ).accounts["a"].limits.of("a")[0].every == 60.0


def test_an_account_warms_up_by_the_day(file: Path) -> None:
    text = '[accounts.a]\nprovider = "p"\nwarmup = { start = 50, double_every = "36h" }'
    assert read(file, text).accounts["a"].limits.of("a") == (Limit("account", "", "a", "day", 50, doubling=1.5),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("warmup = 50", "accounts.a.warmup is 50: this is a table"),
        ("warmup = { start = 50 }", "accounts.a.warmup.double_every: missing"),
        ('warmup = { start = 0, double_every = "2d" }', "accounts.a.warmup.start is 0: allowed: from 1"),
        ('warmup = { start = 5, double_every = "2m" }', "accounts.a.warmup.double_every is '2m': allowed: from 1h"),
        ('warmup = { start = 5, double_every = "2d", max = 9 }', "accounts.a.warmup.max: no such setting"),
        ('rate = "fast"', "accounts.a.rate is 'fast': write a rate such as"),
        ("rate = 14", "accounts.a.rate is 14: write text in quotes"),
        ('rate = "0/s"', "accounts.a.rate is '0/s': write a rate such as"),
        ("burst = 4", "accounts.a: burst is set, and there is no rate"),
        ('rate = "1/s"\nburst = 0', "accounts.a.burst is 0: allowed: from 1"),
    ],
)
def test_what_is_no_rate_is_refused(file: Path, text: str, words: str) -> None:
    assert words in refusal(file, f'[accounts.a]\nprovider = "p"\n{text}')


def test_answers_are_rules_in_their_order(file: Path) -> None:
    text = """
    [accounts.a]
    provider = "p"
    answers = [
        { status = "200", code = "INVALID_RECIPIENT", kind = "dead" },
        { status = "4..", text = "slow down", kind = "throttled", scope = "sender", wait = "90s", name = "slow" },
        { status = "550", stage = "rcpt", kind = "permanent" },
    ]
    """
    account = read(file, text).accounts["a"]
    assert account.answers == (
        Rule("account.1", Kind.DEAD, Scope.RECIPIENT, status="200", code="INVALID_RECIPIENT"),
        Rule("account.slow", Kind.THROTTLED, Scope.SENDER, status="4..", text="slow down", wait=90.0),
        Rule("account.3", Kind.PERMANENT, Scope.MESSAGE, status="550", stage="rcpt"),
    )
    assert account.options == {}


def test_answers_may_stand_in_tables_of_their_own_or_in_the_environment(file: Path) -> None:
    wanted = (Rule("account.1", Kind.CONFIG, Scope.ACCOUNT, status="429"),)
    tables = '[accounts.a]\nprovider = "p"\n[[accounts.a.answers]]\nstatus = "429"\nkind = "config"'
    assert read(file, tables).accounts["a"].answers == wanted
    variable = {"NOTI_ACCOUNTS__A__ANSWERS": '[{status = "429", kind = "config"}]'}
    assert read(file, '[accounts.a]\nprovider = "p"', variable).accounts["a"].answers == wanted
    assert read(file, '[accounts.a]\nprovider = "p"').accounts["a"].answers == ()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ('"429"', "accounts.a.answers: write a list of tables"),
        ('["429"]', "accounts.a.answers: write a list of tables"),
        ('[{ kind = "dead" }]', "accounts.a.answers.1.status: missing"),
        ('[{ status = "429" }]', "accounts.a.answers.1.kind: missing"),
        ('[{ status = 429, kind = "dead" }]', "accounts.a.answers.1.status is 429: write text in quotes"),
        ('[{ status = "(", kind = "dead" }]', "accounts.a.answers.1.status is '(': no regular expression"),
        ('[{ status = "2..", kind = "ok", code = "[" }]', "accounts.a.answers.1.code is '['"),
        ('[{ status = ".*", kind = "ok" }]', "accounts.a.answers.1.status is '.*': it fits a lost answer too"),
        ('[{ status = "", kind = "ok", stage = "answer" }]', "accounts.a.answers.1.status is ''"),
        ('[{ status = "429", kind = "trottled" }]', 'did you mean "throttled"?'),
        ('[{ status = "429", kind = "dead", scope = "recipent" }]', 'did you mean "recipient"?'),
        ('[{ status = "429", kind = "dead", wait = 5 }]', "accounts.a.answers.1.wait is 5: a number without a unit"),
        (
            '[{ status = "429", kind = "dead", wait = "2d" }]',
            "accounts.a.answers.1.wait is '2d': allowed: from 0s to 1d",
        ),
        ('[{ status = "429", kind = "dead", name = "A B" }]', "accounts.a.answers.1.name is 'A B'"),
        ('[{ status = "429", kind = "dead", codes = "x" }]', 'codes: no such setting; did you mean "code"?'),
        (
            '[{ status = "1", kind = "dead", name = "x" }, { status = "2", kind = "dead", name = "x" }]',
            "accounts.a.answers.2.name: another entry is named x, too",
        ),
    ],
)
def test_an_answer_that_cannot_judge_is_refused_with_file_and_key(file: Path, answers: str, words: str) -> None:
    refused = refusal(file, f'[accounts.a]\nprovider = "p"\nanswers = {answers}')
    assert refused.startswith(f"{file}: ")
    assert words in refused


WEB = '[web]\nlisten = "127.0.0.1:0"\nurl = "https://noti.example.com/hooks/"\n'
RECEIPTS = WEB + '[accounts.a]\nprovider = "p"\nreceipt_token = "env:T"'


def test_the_token_of_receipts_is_a_reference(file: Path) -> None:
    token = "0123456789abcdef"
    settings = read(file, RECEIPTS, {"T": token})
    assert settings.accounts["a"].receipt_token == Secret(token)
    assert settings.web.proxies == ("127.0.0.1", "::1")
    assert read(file, '[accounts.a]\nprovider = "p"').accounts["a"].receipt_token is None


@pytest.mark.parametrize(
    "token", ["", "0123456789abcde", "0123456789abcdef/", "0123456789abcdef\n", "x" * 129, "ü" * 16]
)
def test_a_token_that_is_too_short_or_no_part_of_a_url_is_refused_and_not_shown(file: Path, token: str) -> None:
    words = refusal(file, RECEIPTS, {"T": token})
    assert "accounts.a.receipt_token" in words
    assert not token or token not in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECEIPTS.replace("env:T", "0123456789abcdef"), "accounts.a.receipt_token"),
        (RECEIPTS.replace(WEB, ""), "accounts.a.receipt_token asks for receipts, and web.url is missing"),
        ('[web]\nlisten = "127.0.0.1:0"', "web: url is missing: say under which address providers reach"),
        ('[web]\nlisten = "8080"', "web.listen"),
        ('[web]\nurl = "noti.example.com"', "write https://HOST"),
        ('[web]\nurl = "https://u:p@noti.example.com"', "write https://HOST"),
        ('[web]\nurl = "https://noti.example.com/?a=b"', "write https://HOST"),
        ('[web]\nproxy = "10.0.0.0/8"', "proxies"),
    ],
)
def test_receipts_that_cannot_come_are_refused(file: Path, text: str, words: str) -> None:
    assert words in refusal(file, text, {"T": "0123456789abcdef"})
