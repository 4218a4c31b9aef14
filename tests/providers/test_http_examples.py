"""The worked examples of the documentation for `http`, as they stand there, but sent to a server of this machine."""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from noti_worker.accounts.configured import open_accounts
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.rules import judge
from noti_worker.settings import load
from noti_worker.transport import Kit
from tests.providers.api import ApiServer
from tests.providers.contract import LIMIT, NOW, a_message

PAGE = Path(__file__).parents[2] / "noti_worker" / "docs" / "providers" / "http.md"
LOGIN = "shop@example.com:0F3B7A-c1icksend-k3y"
AUTHORIZATION = "Key demo-key-0123456789"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
NUMBER = "+491701234567"
TEXT = 'Say "hi",\n\\ {{ recipient }} ☃'


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


Send = Callable[[str, Message], Outcome]


@pytest.fixture
def send(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Send]:
    monkeypatch.setenv("CLICKSEND_LOGIN", LOGIN)
    monkeypatch.setenv("ALERTA_AUTHORIZATION", AUTHORIZATION)
    with ExitStack() as opened:

        def send(name: str, message: Message) -> Outcome:
            (toml,) = re.findall(rf"```toml\n(\[accounts\.{name}\]\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
            file = tmp_path / "noti-worker.toml"
            file.write_text(re.sub(r"https://[a-z.]+", server.url, toml), "utf-8")
            accounts = open_accounts(load(file), Kit(now=lambda: NOW))
            opened.callback(accounts.close)
            assert accounts.route("default", message.channel, message.message_id) == (name,)
            return judge(accounts.sender(name).send(message, LIMIT), accounts.account(name).rules, message)

        yield send


def queued(status: str) -> dict[str, Any]:
    one = {"to": NUMBER, "message_id": "BF7AD270-0DE2-418B-B606-71D527D9C1AE", "status": status}
    return {
        "http_code": 200,
        "response_code": "SUCCESS",
        "response_msg": "Here are your data.",
        "data": {"messages": [one]},
    }


def test_clicksend(server: ApiServer, send: Send) -> None:
    server.answers(200, queued("SUCCESS"))()
    outcome = send("clicksend", a_message(Channel.SMS, NUMBER, text=TEXT))
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "BF7AD270-0DE2-418B-B606-71D527D9C1AE")
    request = server.last
    assert (request.method, request.path) == ("POST", "/v3/sms/send")
    assert request.headers["authorization"] == f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {"messages": [{"to": NUMBER, "body": TEXT, "custom_string": MESSAGE_ID}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "scope", "rule"),
    [
        (200, queued("INVALID_RECIPIENT"), Kind.DEAD, Scope.RECIPIENT, "account.1"),
        (200, queued("INSUFFICIENT_CREDIT"), Kind.CONFIG, Scope.ACCOUNT, "account.2"),
        (200, queued("SOMETHING_NEW"), Kind.PERMANENT, Scope.MESSAGE, "http.not_accepted"),
        (401, {"response_code": "UNAUTHORIZED", "data": None}, Kind.CONFIG, Scope.ACCOUNT, "api.login"),
    ],
)
def test_what_clicksend_refuses(
    server: ApiServer, send: Send, status: int, body: Any, kind: Kind, scope: Scope, rule: str
) -> None:
    server.answers(status, body)()
    outcome = send("clicksend", a_message(Channel.SMS, NUMBER))
    assert (outcome.kind, outcome.scope, outcome.rule) == (kind, scope, rule)


@pytest.mark.parametrize(
    ("options", "severity"),
    [({}, "informational"), ({"severity": "error"}, "major"), ({"severity": "critical"}, "critical")],
)
def test_alerta(server: ApiServer, send: Send, options: dict[str, str], severity: str) -> None:
    server.answers(201, {"status": "ok", "id": "9ac4fbcb-4fd3-4c9b-a3b7-2a2c7f1e6a11", "alert": {}})()
    outcome = send("alerta", a_message(Channel.CHAT, "web01", text=TEXT, options=options))
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "9ac4fbcb-4fd3-4c9b-a3b7-2a2c7f1e6a11")
    request = server.last
    assert (request.method, request.path) == ("POST", "/api/alert")
    assert request.headers["authorization"] == AUTHORIZATION
    assert request.json() == {
        "resource": "web01",
        "event": "Your order",
        "environment": "Production",
        "service": ["noti"],
        "severity": severity,
        "text": TEXT,
        "attributes": {"message_id": MESSAGE_ID},
    }


@pytest.mark.parametrize(
    ("status", "body", "kind", "rule"),
    [
        (
            202,
            {"status": "ok", "message": "Suppressed alert during blackout period", "id": "9a"},
            Kind.OK,
            "api.accepted",
        ),
        (403, {"status": "error", "message": "[POLICY] Alert rejected"}, Kind.PERMANENT, "account.1"),
        (403, {"status": "error", "message": "Missing required scope: write:alerts"}, Kind.CONFIG, "api.login"),
        (429, {"status": "error", "message": "Too many alerts", "id": "9a"}, Kind.THROTTLED, "api.too_fast"),
    ],
)
def test_what_else_alerta_answers(server: ApiServer, send: Send, status: int, body: Any, kind: Kind, rule: str) -> None:
    server.answers(status, body)()
    outcome = send("alerta", a_message(Channel.CHAT, "web01"))
    assert (outcome.kind, outcome.rule) == (kind, rule)
