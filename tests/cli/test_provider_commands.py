"""`provider list`, `provider check` and `provider test`: real messages and looks at real servers on this machine."""

import json
from pathlib import Path

import pytest

from noti_worker import providers
from noti_worker.cli.checking import PROXIES
from noti_worker.domain.notification import Channel
from tests.certificates import Authority
from tests.cli.conftest import Invoke, read
from tests.forward_proxy import ForwardProxy
from tests.providers.api import ApiServer
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.system.conftest import SECRET


@pytest.fixture
def noti_test(bare: Invoke, tmp_path: Path, inbox: Inbox, authority: Authority) -> Invoke:
    """`provider …` with an account of each kind; the accounts of the others need not work."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "noti.toml").write_text(
        f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\nusername = "{USERNAME}"\n'
        f'password = "file:{tmp_path}/password"\nca_file = "{authority.ca_file}"\nfrom = "a@example.com"\n'
        f'[accounts.hooks]\nprovider = "webhook"\nsecret = "file:{tmp_path}/secret"\nallow_http = true\n'
        'allow_networks = ["127.0.0.0/8"]\n'
        '[accounts.trial]\nprovider = "sandbox"\n'
        '[accounts.broken]\nprovider = "smtp"\nhost = "x.example"\nusername = "a"\npassword = "env:NOT_SET"\n'
        'from = "a@example.com"\n[routes]\nemail = ["relay"]\nwebhook = ["hooks"]\n'
    )
    return lambda *words: bare("--config", str(tmp_path / "noti.toml"), "provider", *words)


def test_list_shows_every_provider_with_channels_and_accounts(noti_test: Invoke) -> None:
    found = {line["provider"]: line for line in read(noti_test("list", "--json"))}
    assert set(found) == set(providers.known())
    assert found["smtp"]["accounts"] == ["relay", "broken"]
    assert found["smtp"]["channels"] == ["email"]
    assert found["sandbox"]["channels"] == [channel.value for channel in Channel]
    assert found["console"]["accounts"] == []
    assert ["smtp", "email", "relay", "broken", "-"] in [
        line.split()[:5] for line in noti_test("list").stdout.splitlines()
    ]


def test_a_provider_that_does_not_load_is_told_and_hides_no_other(
    noti_test: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = providers.known()
    monkeypatch.setattr(providers, "known", lambda: (*known, "gone"))
    shown = noti_test("list")
    assert shown.exit_code == 0
    assert "'gone' does not exist" in shown.stdout
    assert "webhook" in shown.stdout


def test_list_says_what_each_needs_and_takes(noti_test: Invoke) -> None:
    found = {line["provider"]: line for line in read(noti_test("list", "--json"))}
    assert found["apns"]["extra"] == "apns"
    assert found["resend"]["idempotency"]["place"] == "header idempotency-key"
    assert found["discord"]["idempotency"] is None
    assert {"of": "body", "most": 1024, "unit": "characters"} in found["pushover"]["limits"]
    assert found["webhook"]["check"] == ""
    [line] = [line for line in noti_test("list").stdout.splitlines() if line.startswith("ntfy ")]
    assert line.endswith("body 4,096 bytes")


def test_a_check_logs_in_and_sends_nothing(noti_test: Invoke, inbox: Inbox) -> None:
    result = noti_test("check", "relay")
    assert result.exit_code == 0, result.output
    stages = [line.split()[0] for line in result.stdout.splitlines() if " ms" in line]
    assert stages == ["connect", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth"]
    assert f"relay (smtp): 127.0.0.1 port {inbox.port}, TLSv1.3, logged in as {USERNAME}" in result.stdout
    assert PASSWORD not in result.output
    assert inbox.mails == []


def test_all_accounts_are_checked_whatever_is_wrong_with_one(noti_test: Invoke, inbox: Inbox) -> None:
    result = noti_test("check", "--json")
    assert result.exit_code == 78
    found = {line["account"]: line for line in json.loads(result.stdout)}
    assert list(found) == ["relay", "hooks", "trial", "broken"]
    assert found["relay"]["outcome"]["kind"] == "ok"
    assert found["hooks"]["outcome"] is None
    assert found["hooks"]["what"].endswith("only a message tells more: noti-worker provider test hooks --to ADDRESS")
    assert found["broken"]["outcome"]["kind"] == "config"
    assert "NOT_SET" in found["broken"]["what"]
    assert found["broken"]["todo"].startswith("mend accounts.broken")
    assert inbox.mails == []
    assert noti_test("check", "hooks").exit_code == 0


def test_the_exit_code_of_a_check_tells_a_refusal_from_an_absence(
    noti_test: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("not this one")
    refused = noti_test("check", "relay")
    assert refused.exit_code == 78
    assert "the server refused the login" in refused.stdout
    assert "not this one" not in refused.output
    monkeypatch.setenv("NOTI_ACCOUNTS__RELAY__PORT", "1")
    away = noti_test("check", "relay")
    assert (away.exit_code, "cannot connect" in away.stdout) == (1, True)
    unknown = noti_test("check", "realy")
    assert (unknown.exit_code, 'did you mean "relay"?' in unknown.stderr) == (1, True)


def test_without_accounts_there_is_nothing_to_check(bare: Invoke) -> None:
    result = bare("provider", "check")
    assert (result.exit_code, "no account is configured" in result.stderr) == (1, True)


def test_an_account_over_http_is_checked_at_a_real_server(bare: Invoke, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("SG.a-key-that-is-shown-nowhere")
    with ApiServer() as server:
        (tmp_path / "noti.toml").write_text(
            f'[accounts.mail]\nprovider = "sendgrid"\napi_key = "file:{tmp_path}/key"\nfrom = "a@example.com"\n'
            f'api_url = "{server.url}"\n'
        )
        config = ("--config", str(tmp_path / "noti.toml"))
        server.answers(200, {"scopes": ["mail.send"]})()
        fine = bare(*config, "provider", "check")
        assert (fine.exit_code, "mail (sendgrid): the key is valid and may send" in fine.stdout) == (0, True)
        server.answers(401, {"errors": [{"message": "The provided authorization grant is invalid"}]})()
        refused = bare(*config, "provider", "check", "mail")
        assert refused.exit_code == 78
        assert (
            "mail (sendgrid): the provider answered 401: The provided authorization grant is invalid" in refused.stdout
        )
        assert "SG.a-key" not in refused.output
        assert [(asked.method, asked.path) for asked in server.asked] == [("GET", "/v3/scopes")] * 2
    away = bare(*config, "provider", "check", "mail")
    assert away.exit_code == 1


def test_a_mail_goes_out_and_the_conversation_is_printed_without_secrets(noti_test: Invoke, inbox: Inbox) -> None:
    result = noti_test("test", "relay", "--to", "me@example.net")
    assert result.exit_code == 0, result.output
    stages = [line.split()[0] for line in result.stdout.splitlines()[1:] if " ms" in line]
    assert stages == ["connect", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth", "mail", "rcpt", "data", "dot"]
    assert "relay: ok, 250 2.0.0, 4XyZ0001\n" in result.stdout
    assert PASSWORD not in result.output
    [mail] = inbox.mails
    assert mail.recipients == ("me@example.net",)
    assert b"Subject: A test of noti-worker" in mail.content


def test_subject_and_body_can_be_given(noti_test: Invoke, inbox: Inbox) -> None:
    noti_test("test", "relay", "--to", "me@example.net", "--subject", "Mine", "--body", "Own words.")
    assert b"Subject: Mine" in inbox.mails[0].content
    assert b"Own words." in inbox.mails[0].content


def test_the_exit_code_tells_the_outcome(
    noti_test: Invoke, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.behaviour.answers["RCPT"] = "550 5.1.1 No such user"
    dead = noti_test("test", "relay", "--to", "nobody@example.net")
    assert dead.exit_code == 1
    assert "this address does not exist" in dead.stdout
    (tmp_path / "password").write_text("not this one")
    refused = noti_test("test", "relay", "--to", "me@example.net")
    assert refused.exit_code == 78
    assert "the server refused the login" in refused.stdout
    assert "not this one" not in refused.output
    monkeypatch.setenv("NOTI_ACCOUNTS__RELAY__PORT", "1")
    away = noti_test("test", "relay", "--to", "me@example.net", "--json")
    assert (away.exit_code, json.loads(away.stdout)["kind"]) == (1, "transient")


def test_a_webhook_goes_out_signed_and_its_answer_is_printed(noti_test: Invoke) -> None:
    with MisbehavingServer() as receiver:
        result = noti_test("test", "hooks", "--to", receiver.url("/ok"), "--body", '{"a": 1}')
        assert result.exit_code == 0, result.output
        assert "hooks: ok, 200" in result.stdout
        assert SECRET not in result.output
        [request] = receiver.received
        assert request.body == b'{"a": 1}'
        assert request.headers["webhook-signature"].startswith("v1,")


def test_a_number_as_it_is_dialled_is_read_by_the_region_of_the_channel(bare: Invoke, tmp_path: Path) -> None:
    with MisbehavingServer() as gateway:
        (tmp_path / "noti.toml").write_text(
            f'[accounts.gateway]\nprovider = "http"\nchannels = ["sms"]\nurl = "{gateway.url("/ok")}"\n'
            'body = \'{"to": {{ recipient }}}\'\n[channels.sms]\nregion = "DE"\n'
        )
        words = ("--config", str(tmp_path / "noti.toml"), "provider", "test", "gateway", "--to")
        result = bare(*words, "0171 2345678")
        assert result.exit_code == 0, result.output
        assert "dialled: +491712345678\n" in result.stderr
        refused = bare(*words, "0171 234")
        assert refused.exit_code == 2
        assert "dialled in DE" in refused.stderr
        [request] = gateway.received
        assert json.loads(request.body) == {"to": "+491712345678"}


def test_a_proxy_of_the_environment_is_passed_by_and_that_is_said(
    noti_test: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://user:hush@127.0.0.1:1")
    said = "https_proxy is set and not used, hooks goes out directly: accounts.NAME.proxy names a proxy\n"
    with MisbehavingServer() as receiver, ForwardProxy() as proxy:
        result = noti_test("test", "hooks", "--to", receiver.url("/ok"))
        assert (result.exit_code, result.stderr) == (0, said)
        monkeypatch.setenv("NOTI_ACCOUNTS__HOOKS__PROXY", proxy.url)
        result = noti_test("test", "hooks", "--to", receiver.url("/ok"))
        assert (result.exit_code, result.stderr) == (0, "")
        assert proxy.asked == [receiver.url("/ok")]
    assert noti_test("test", "relay", "--to", "me@example.net").stderr == ""


def test_only_accounts_over_http_take_a_proxy(noti_test: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in ("relay", "trial"):
        monkeypatch.setenv(f"NOTI_ACCOUNTS__{account.upper()}__PROXY", "http://proxy:3128")
        result = noti_test("test", account, "--to", "me@example.net", "--channel", "email")
        assert result.exit_code == 78
        assert f"accounts.{account}: proxy: only what is sent over HTTP goes through a proxy" in result.stderr


def test_the_channel_must_be_said_when_the_account_serves_several(noti_test: Invoke) -> None:
    open_ = noti_test("test", "trial", "--to", "+4915112340001")
    assert open_.exit_code == 2
    assert "say which with --channel" in open_.stderr
    assert noti_test("test", "trial", "--to", "+4915112340009999", "--channel", "sms").exit_code == 2
    refused = noti_test("test", "trial", "--to", "+4915112340001", "--channel", "sms")
    assert (refused.exit_code, "trial: dead" in refused.stdout) == (1, True)
    assert noti_test("test", "relay", "--to", "me@example.net", "--channel", "sms").exit_code == 2


def test_an_account_that_does_not_exist_names_the_nearest(noti_test: Invoke) -> None:
    result = noti_test("test", "realy", "--to", "me@example.net")
    assert result.exit_code == 1
    assert 'did you mean "relay"?' in result.stderr
    assert "noti-worker provider list" in result.stderr
    broken = noti_test("test", "broken", "--to", "me@example.net")
    assert broken.exit_code == 78
    assert "NOT_SET" in broken.stderr


def test_safe_mode_holds_here_too(noti_test: Invoke, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTI_DELIVERY__MODE", "dry")
    dry = noti_test("test", "relay", "--to", "me@example.net")
    assert dry.exit_code == 78
    assert "dry mode" in dry.stderr
    assert "noti-worker provider check relay" in dry.stderr
    assert noti_test("check", "relay").exit_code == 0
    assert inbox.mails == []
    monkeypatch.setenv("NOTI_DELIVERY__MODE", "redirect")
    monkeypatch.setenv("NOTI_DELIVERY__REDIRECT_TO__EMAIL", "staging@example.com")
    redirected = noti_test("test", "relay", "--to", "me@example.net")
    assert redirected.exit_code == 0
    assert "redirected to delivery.redirect_to.email" in redirected.stdout
    [mail] = inbox.mails
    assert mail.recipients == ("staging@example.com",)
    assert b"Subject: [to me@example.net] A test of noti-worker" in mail.content


def test_what_a_test_prints_names_nobody(noti_test: Invoke, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.behaviour.answers["RCPT"] = "550 5.1.1 <me@example.net>: nobody is called me@example.net here"
    for options in ((), ("--json",)):
        result = noti_test("test", "relay", "--to", "Me <me@example.net>", *options)
        assert result.exit_code == 1
        assert "nobody is called" in result.stdout
        assert "me@example.net" not in result.output
    monkeypatch.setenv("NOTI_DELIVERY__MODE", "redirect")
    monkeypatch.setenv("NOTI_DELIVERY__REDIRECT_TO__EMAIL", "staging@example.com")
    inbox.behaviour.answers["RCPT"] = "550 5.1.1 <staging@example.com>: instead of me@example.net"
    redirected = noti_test("test", "relay", "--to", "me@example.net")
    assert "staging@example.com" not in redirected.output
    assert "me@example.net" not in redirected.output


def test_what_cannot_be_redirected_is_not_sent(bare: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ApiServer() as server:
        monkeypatch.setenv("ROOM", f"{server.url}/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44f")
        (tmp_path / "noti.toml").write_text(
            '[delivery]\nmode = "redirect"\nredirect_to = { chat = "#staging" }\n'
            '[accounts.room]\nprovider = "discord"\nwebhook_url = "env:ROOM"\n'
        )
        result = bare("--config", str(tmp_path / "noti.toml"), "provider", "test", "room", "--to", "#orders")
        assert result.exit_code == 78
        assert "dry mode" in result.stderr
        assert server.asked == []


def test_a_provider_whose_look_breaks_off_is_told_and_hides_no_other(
    noti_test: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, name: str, limit: float) -> None:
        if name != "relay":
            return
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("noti_worker.accounts.accounts.Accounts.check", broken)
    result = noti_test("check")
    assert result.exit_code == 78, "another account has no secret"
    assert "relay (smtp): its provider breaks off with RuntimeError, a bug of its own" in result.stdout
    assert "hooks (webhook)" in result.stdout
    assert "hunter2" not in result.output
    alone = noti_test("check", "relay", "--json")
    assert (alone.exit_code, json.loads(alone.stdout)[0]["outcome"]) == (1, None)
