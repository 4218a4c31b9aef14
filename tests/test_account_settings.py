"""The keys that every account has: its mode, the proxy that it goes out through, its own answers, its receipts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import Rule
from noti_worker.domain.secret import Secret
from tests.test_settings import read, refusal


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
