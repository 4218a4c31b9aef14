"""Teams: a workflow's URL that takes an adaptive card."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import teams
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

WORKFLOW, SIGNATURE = "4f2d5e7a9c1b4d3e8f60718293a4b5c6", "s1gn4tur3-0f-th3-w0rkfl0w_Xyz"
PATH = (
    f"/workflows/{WORKFLOW}/triggers/manual/paths/invoke"
    f"?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"
)
MESSAGE = a_message(Channel.CHAT, "orders")
FAILED = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error "


class TestTeams(ApiContract):
    provider = teams
    secrets = (WORKFLOW, SIGNATURE)
    accepted = (202, b"")
    golden: ClassVar[Any] = (
        (200, b"1", {}, Kind.OK, "teams.accepted"),
        (200, {"taken": True}, {}, Kind.OK, "teams.accepted"),
        (200, f"{FAILED}429 with ContextId tcid=0,server=DB3".encode(), {}, Kind.THROTTLED, "teams.too_fast"),
        (200, f"{FAILED}413 with ContextId tcid=0".encode(), {}, Kind.PERMANENT, "teams.too_large"),
        (200, f"{FAILED}400 with ContextId tcid=0".encode(), {}, Kind.PERMANENT, "teams.refused"),
        (200, f"{FAILED}503 with ContextId tcid=0".encode(), {}, Kind.TRANSIENT, "teams.not_delivered"),
        (200, b"Webhook message delivery failed with error: none", {}, Kind.TRANSIENT, "teams.not_delivered"),
        (
            400,
            {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": f"Workflow '{WORKFLOW}' is not enabled."}},
            {},
            Kind.CONFIG,
            "teams.workflow_off",
        ),
        (
            400,
            {"error": {"code": "TriggerInputSchemaMismatch", "message": "The input body did not match its schema."}},
            {},
            Kind.PERMANENT,
            "api.refused",
        ),
        (
            401,
            {"error": {"code": "DirectApiAuthorizationRequired", "message": f"No signature but sig={SIGNATURE}."}},
            {},
            Kind.CONFIG,
            "api.login",
        ),
        (404, {"error": {"code": "WorkflowNotFound", "message": "gone"}}, {}, Kind.CONFIG, "teams.webhook_gone"),
        (410, b"", {}, Kind.CONFIG, "teams.webhook_gone"),
        (429, b"", {"Retry_After": "17"}, Kind.THROTTLED, "api.too_fast"),
    )
    by_status: ClassVar[Any] = {410: Kind.CONFIG}
    refused = (
        ({"webhook_url": Secret("http://prod-00.westeurope.logic.azure.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("prod-00.westeurope.logic.azure.com" + PATH)}, "webhook_url"),
        ({"webhook_url": Secret("https://prod-00.westeurope.logic.azure.com/")}, "webhook_url"),
        ({"webhook_url": Secret("https://[prod" + PATH)}, "webhook_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> teams.Settings:
        return teams.Settings(webhook_url=Secret(server.url + PATH))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    def test_it_posts_a_card(self, sender: Judged, server: ApiServer) -> None:
        server.answers(202)()
        sender.send(MESSAGE, LIMIT)
        assert (server.last.method, server.last.path) == ("POST", PATH)
        assert server.last.headers["content-type"] == "application/json; charset=utf-8"
        assert server.last.json() == {
            "type": "message",
            "attachments": [
                {
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": None,
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.2",
                        "body": [
                            {
                                "type": "TextBlock",
                                "text": "Your order",
                                "weight": "Bolder",
                                "size": "Medium",
                                "wrap": True,
                            },
                            {"type": "TextBlock", "text": "It is on its way.", "wrap": True},
                        ],
                    },
                }
            ],
        }

    def test_a_throttle_waits_as_long_as_it_says(self, sender: Judged, server: ApiServer) -> None:
        server.answers(429, b"", Retry_After="17")()
        assert sender.send(MESSAGE, LIMIT).retry_after == 17.0


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(202)()
        yield server


def send(server: ApiServer, message: Message, **settings: Any) -> Outcome:
    sender = opened(teams, teams.Settings(webhook_url=Secret(server.url + PATH), **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def body(server: ApiServer) -> Any:
    return server.last.json()["attachments"][0]["content"]["body"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<at>Ada</at> *hi* [x](https://example.com)", r"\<at>Ada\</at> \*hi\* \[x\](https://example.com)"),
        ("1. one\n- two\n\n\n# three", "1\\. one\n\n\\- two\n\n\\# three"),
        ("&lt;at&gt;", r"\&lt;at\&gt;"),
    ],
)
def test_markdown_shows_as_it_stands(server: ApiServer, text: str, shown: str) -> None:
    send(server, replace(MESSAGE, subject=None, text=text))
    assert body(server) == [{"type": "TextBlock", "text": shown, "wrap": True}]


def test_a_body_in_markdown_goes_out_as_it_stands(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject="a*b", text="**bold**\n- x"), format="markdown")
    assert [block["text"] for block in body(server)] == [r"a\*b", "**bold**\n- x"]


def test_a_severity_is_the_style_of_the_card(server: ApiServer) -> None:
    send(server, replace(MESSAGE, subject=None, options={"severity": "critical"}))
    assert body(server) == [
        {
            "type": "Container",
            "style": "attention",
            "bleed": True,
            "items": [{"type": "TextBlock", "text": "It is on its way.", "wrap": True}],
        }
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "ü" * 14_400}, "bytes, and the service takes 28672"),
        ({"text": None, "html": "<p>Hi</p>"}, "plain text"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(server: ApiServer, changes: dict[str, Any], words: str) -> None:
    outcome = send(server, replace(MESSAGE, **changes))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert not server.asked
