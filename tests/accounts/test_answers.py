"""What an account's own answers mean: they judge before the rules of its provider, whichever that is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noti_worker.accounts.accounts import Accounts
from noti_worker.accounts.configured import open_accounts
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.rules import judge
from noti_worker.settings import load
from noti_worker.transport import Kit
from tests.providers.api import ApiServer
from tests.providers.contract import LIMIT, NOW, a_message

ACCOUNTS = """
[accounts.hooks]
provider = "webhook"
unsigned = true
allow_http = true
allow_networks = ["127.0.0.0/8"]
answers = [
    { name = "closed", status = "404", kind = "dead" },
    { status = "5..", stage = "answer", text = "come back tomorrow", kind = "throttled", wait = "12h" },
    { status = "...", code = "closed", kind = "ok" },
]

[accounts.gateway]
provider = "http"
channels = ["sms"]
method = "POST"
url = "SERVER/send"
headers = { Authorization = "env:GATEWAY", Accept = "application/json" }
form = { to = "{{ recipient }}", text = "{{ text }}" }
code = "status"
accepted = "QUEUED"

[[accounts.gateway.answers]]
status = "200"
code = "NO_SUCH_NUMBER"
kind = "dead"

[[accounts.gateway.answers]]
status = "503"
kind = "config"
"""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def accounts(tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    monkeypatch.setenv("GATEWAY", "Bearer s3cr3t-of-the-gateway")
    file = tmp_path / "noti.toml"
    file.write_text(ACCOUNTS.replace("SERVER", server.url), encoding="utf-8")
    accounts = open_accounts(load(file), Kit(now=lambda: NOW))
    yield accounts
    accounts.close()


def outcome(accounts: Accounts, account: str, message: Message) -> Outcome:
    """One try through an account, judged as a delivery does it."""
    return judge(accounts.sender(account).send(message, LIMIT), accounts.account(account).rules, message)


@pytest.mark.parametrize(
    ("status", "body", "kind", "rule"),
    [
        (404, b"no such hook", Kind.DEAD, "account.closed"),
        (500, b"come back tomorrow", Kind.THROTTLED, "account.2"),
        (500, b"a bug", Kind.TRANSIENT, "webhook.refused"),
        (200, b"", Kind.OK, "webhook.accepted"),
    ],
)
def test_they_win_over_the_rules_of_webhook(
    accounts: Accounts, server: ApiServer, status: int, body: bytes, kind: Kind, rule: str
) -> None:
    server.answers(status, body)()
    told = outcome(accounts, "hooks", a_message(Channel.WEBHOOK, f"{server.url}/hook"))
    assert (told.kind, told.rule) == (kind, rule)
    assert told.retry_after == (43_200.0 if rule == "account.2" else None)


@pytest.mark.parametrize(
    ("status", "body", "kind", "rule"),
    [
        (200, {"status": "NO_SUCH_NUMBER"}, Kind.DEAD, "account.1"),
        (503, {}, Kind.CONFIG, "account.2"),
        (200, {"status": "SPAM"}, Kind.PERMANENT, "http.not_accepted"),
        (200, {"status": "QUEUED"}, Kind.OK, "api.accepted"),
    ],
)
def test_they_win_over_the_rules_of_http(
    accounts: Accounts, server: ApiServer, status: int, body: Any, kind: Kind, rule: str
) -> None:
    server.answers(status, body)()
    told = outcome(accounts, "gateway", a_message(Channel.SMS, "+491701234567"))
    assert (told.kind, told.rule) == (kind, rule)
    assert server.last.headers["authorization"] == "Bearer s3cr3t-of-the-gateway"
    assert server.last.form() == {"to": "+491701234567", "text": "It is on its way."}


def test_a_lost_answer_stays_lost(accounts: Accounts, server: ApiServer) -> None:
    server.breaks("cut")()
    told = outcome(accounts, "hooks", a_message(Channel.WEBHOOK, f"{server.url}/hook"))
    assert (told.kind, told.rule) == (Kind.UNCERTAIN, "webhook.answer_lost")
