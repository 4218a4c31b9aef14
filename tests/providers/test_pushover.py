"""Pushover: its messages and its answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import pushover
from tests.providers.api import Answer, ApiContract, ApiServer
from tests.providers.contract import LIMIT, Judged, a_message, opened

TOKEN = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
USER = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
REQUEST_ID = "647d2300-702c-4b38-8b2f-d56326ae460b"
TAKEN = {"status": 1, "request": REQUEST_ID}
USED_UP = {"X_Limit_App_Limit": "10000", "X_Limit_App_Remaining": "0", "X_Limit_App_Reset": "1772370000"}


def failure(error: str, **more: str) -> dict[str, Any]:
    return {**more, "errors": [error], "status": 0, "request": REQUEST_ID}


def push(**options: Any) -> Message:
    return a_message(Channel.PUSH, USER, options=options)


class TestPushover(ApiContract):
    provider = pushover
    secrets = (TOKEN, USER)
    accepted = (200, TAKEN)
    golden = (
        (400, failure("user identifier is invalid", user="invalid"), {}, Kind.DEAD, "pushover.no_such_user"),
        (
            400,
            failure("user identifier is not a valid user, group, or subscribed user key", user="invalid"),
            {},
            Kind.DEAD,
            "pushover.no_such_user",
        ),
        (400, failure("application token is invalid", token="invalid"), {}, Kind.CONFIG, "pushover.token"),
        (400, failure("user is valid but has no active devices"), {}, Kind.PERMANENT, "pushover.no_device"),
        (400, failure("message cannot be blank", message="cannot be blank"), {}, Kind.PERMANENT, "api.refused"),
        (400, failure(f"no {TOKEN} for {USER}"), {}, Kind.PERMANENT, "api.refused"),
        (429, failure("application is over its quota"), USED_UP, Kind.THROTTLED, "pushover.quota"),
        (500, b"", {}, Kind.TRANSIENT, "api.trouble"),
        (200, failure("message was not taken"), {}, Kind.PERMANENT, "pushover.not_taken"),
        (200, b"<html>Sign in to the hotel</html>", {}, Kind.UNCERTAIN, "pushover.unclear"),
    )
    refused = (
        ({"token": Secret("")}, "token"),
        ({"token": Secret(TOKEN + "\n")}, "token"),
        ({"token": Secret(TOKEN[1:])}, "token"),
        ({"api_url": "http://api.pushover.net"}, "api_url"),
        ({"api_url": "api.pushover.net"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> pushover.Settings:
        return pushover.Settings(Secret(TOKEN), api_url=server.url)

    @pytest.fixture
    def message(self) -> Message:
        return push(severity="error")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = Answer(200, TAKEN)
        yield server


@pytest.fixture
def sender(server: ApiServer) -> Iterator[Judged]:
    sender = opened(pushover, pushover.Settings(Secret(TOKEN), api_url=f"{server.url}/"))
    yield sender
    sender.close()


def test_a_plain_one(server: ApiServer, sender: Judged) -> None:
    outcome = sender.send(push(), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, REQUEST_ID)
    assert (server.last.method, server.last.path) == ("POST", "/1/messages.json")
    assert server.last.headers["content-type"] == "application/x-www-form-urlencoded"
    assert server.last.form() == {
        "token": TOKEN,
        "user": USER,
        "message": "It is on its way.",
        "title": "Your order",
    }


def test_every_option_that_it_can_carry(server: ApiServer, sender: Judged) -> None:
    for severity, priority in (("info", "0"), ("success", "0"), ("warning", "0"), ("error", "1"), ("critical", "1")):
        sender.send(push(severity=severity, click_url="https://shop.example/17?a=b&c", ttl=60), LIMIT)
        form = server.last.form()
        assert (form["priority"], form["url"], form["ttl"]) == (priority, "https://shop.example/17?a=b&c", "60")


def test_a_subject_alone_is_the_message(server: ApiServer, sender: Judged) -> None:
    sender.send(replace(push(), text=""), LIMIT)
    assert server.last.form() == {"token": TOKEN, "user": USER, "message": "Your order"}


def test_a_quota_that_is_used_up_waits_for_its_reset(server: ApiServer, sender: Judged) -> None:
    server.answers(429, failure("over quota"), **USED_UP)()
    outcome = sender.send(push(), LIMIT)
    assert (outcome.scope, outcome.retry_after) == (Scope.ACCOUNT, 3600.0)


def test_the_end_of_the_month_is_no_wish_while_something_remains(server: ApiServer, sender: Judged) -> None:
    remains = {"X_Limit_App_Remaining": "7496", "X_Limit_App_Reset": "1772370000"}
    for status in (429, 500):
        server.answers(status, failure("slowly"), **remains)()
        assert sender.send(push(), LIMIT).retry_after is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"ttl": 0}}, r"options\.ttl is 0"),
        ({"options": {"click_url": "https://shop.example/" + "x" * 492}}, r"options\.click_url has 513.*512"),
        ({"recipient": "ada"}, "30 letters and digits"),
        ({"recipient": f"{USER},{USER}"}, "30 letters and digits"),
        ({"subject": "x" * 251}, "the subject has 251 characters.*250"),
        ({"text": "x" * 1025}, "the body has 1025 characters.*1024"),
        ({"subject": None, "text": " "}, "empty"),
        ({"text": None, "subject": None, "html": "<p>Hi</p>"}, "only HTML"),
        ({"text": "\ud800"}, "UTF-8"),
    ],
)
def test_what_it_cannot_carry_is_refused_with_words(
    server: ApiServer, sender: Judged, changes: dict[str, Any], words: str
) -> None:
    outcome = sender.send(replace(push(), **changes), LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert re.search(words, outcome.error or ""), outcome.error
    assert not server.asked
