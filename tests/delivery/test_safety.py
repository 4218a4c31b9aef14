"""Safe mode: nothing reaches a person for whom it is not meant to."""

import json
from typing import Any

import pytest

from noti_worker.delivery.safety import Safety
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.headers import HTTP_HEADERS, MAIL_HEADERS
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Briefing, Channel, Message, Status
from noti_worker.domain.outcome import Kind
from tests.delivery.fakes import Courier, a_delivery, said
from tests.domain.rows import claimed

NOTHING = Briefing()
EMAIL = {Channel.EMAIL: "qa@example.org"}


def redirected(to: dict[Channel, str], options: str | None = None, **fields: Any) -> Message:
    """What goes out of a row in redirect mode."""
    courier = Courier()
    delivery = a_delivery({"relay": courier}, modes={"relay": Mode.REDIRECT}, redirect_to=to)
    row = claimed(has_options=options is not None, **fields)
    assert delivery.deliver(row, Briefing(options=options)).verdict.status is Status.SENT
    [message] = courier.sent
    return message


# Dry


def test_dry_mode_sends_nothing_and_says_so() -> None:
    courier = Courier()
    result = a_delivery({"relay": courier}, modes={"relay": Mode.DRY}).deliver(claimed(), NOTHING)
    assert courier.sent == []
    assert result.verdict.status is Status.SUPPRESSED
    assert result.verdict.reason == "dry mode: rendered and checked for the account relay, not sent"
    assert (result.outcome, result.follows) == (None, ())


def test_dry_mode_finds_what_would_fail() -> None:
    delivery = a_delivery(modes={"relay": Mode.DRY})
    assert delivery.deliver(claimed(has_options=True), Briefing(options='{"cc": 5}')).verdict.status is Status.FAILED
    assert delivery.deliver(claimed(body=None, template_id="none"), NOTHING).verdict.status is Status.FAILED
    assert delivery.deliver(claimed(requested=Status.CANCELLED), NOTHING).verdict.status is Status.CANCELLED


@pytest.mark.parametrize("mode", [Mode.DRY, Mode.REDIRECT])
def test_no_inbox_of_a_real_person_is_written(mode: Mode) -> None:
    row = claimed(channel=Channel.IN_APP, recipient="user:42")
    result = a_delivery(modes={"relay": mode}).deliver(row, NOTHING)
    assert (result.verdict.status, result.follows) == (Status.SUPPRESSED, ())


def test_a_dry_account_does_not_hand_over_to_a_live_one() -> None:
    live = Courier()
    delivery = a_delivery({"a": Courier(), "b": live}, modes={"a": Mode.DRY, "b": Mode.LIVE})
    assert delivery.deliver(claimed(), NOTHING).verdict.status is Status.SUPPRESSED
    assert live.sent == []
    assert delivery.deliver(claimed(provider="b"), NOTHING).verdict.status is Status.SENT


# Redirect


def test_a_redirected_mail_goes_to_one_address_and_tells_whom_it_was_for() -> None:
    options = {
        "cc": ["Boss <boss@example.com>", "team@example.com"],
        "bcc": ["archive@example.com"],
        "reply_to": "ada.private@example.com",
        "from": "shop@example.net",
        "html": "<p>Hello</p>",
        "headers": {"List-Unsubscribe": "<https://example.com/u/ada>", "X-Forward-To": "real@example.com"},
    }
    message = redirected(EMAIL, options=json.dumps(options))
    assert message.recipient == "qa@example.org"
    assert message.subject == "[to ada@example.com] Hello"
    assert (message.text, message.html) == ("Hello Ada", "<p>Hello</p>")
    assert message.options == {
        "from": "shop@example.net",
        "headers": {
            "X-Noti-Original-Recipient": "ada@example.com",
            "X-Noti-Original-Cc": "Boss <boss@example.com>, team@example.com",
            "X-Noti-Original-Bcc": "archive@example.com",
            "X-Noti-Original-Reply-To": "ada.private@example.com",
        },
    }


def test_what_a_redirected_message_tells_fits_into_its_headers() -> None:
    copies = [f"Somebody With a Long Name {number} <somebody{number}@example.com>" for number in range(50)]
    mail = redirected(EMAIL, options=json.dumps({"cc": copies}))
    listed = MAIL_HEADERS.read("headers", mail.options["headers"])["X-Noti-Original-Cc"]
    assert listed.startswith(f"{copies[0]}, {copies[1]}, ")
    assert listed.endswith(">, and others")
    hook = redirected(
        {Channel.WEBHOOK: "https://qa.example.org/"},
        channel=Channel.WEBHOOK,
        recipient=f"https://example.com/{'ä' * 2000}",
    )
    assert HTTP_HEADERS.read("headers", hook.options["headers"])


def test_a_redirected_mail_without_subject_has_one() -> None:
    assert redirected(EMAIL, subject=None).subject == "[to ada@example.com]"


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.WHATSAPP, Channel.VOICE, Channel.PUSH])
def test_a_redirected_text_begins_with_whom_it_was_for(channel: Channel) -> None:
    message = redirected({channel: "+4915112345678"}, channel=channel, recipient="+491701234567")
    assert message.recipient == "+4915112345678"
    assert message.text == "[to +491701234567]\nHello Ada"


def test_a_redirected_chat_tells_it_in_the_title_which_is_plain_text_in_every_chat() -> None:
    message = redirected({Channel.CHAT: "#staging"}, channel=Channel.CHAT, recipient="-1001234567890", subject=None)
    assert (message.recipient, message.subject, message.text) == ("#staging", "[to -1001234567890]", "Hello Ada")


@pytest.mark.parametrize(
    ("recipient", "told"),
    [
        ("alerts", "alerts"),
        ("a3f1" * 16, "a3f1a3f1a3f1…"),
        (
            '{"endpoint": "https://push.example/s/AbCdEf", "keys": {"auth": "dGhlIGF1dGg", "p256dh": "BCV"}}',
            "a browser, by push.example",
        ),
    ],
)
def test_a_redirected_push_does_not_give_a_device_away(recipient: str, told: str) -> None:
    message = redirected({Channel.PUSH: "staging"}, channel=Channel.PUSH, recipient=recipient)
    assert (message.recipient, message.text) == ("staging", f"[to {told}]\nHello Ada")


def test_a_redirected_webhook_keeps_its_body_and_names_its_url_in_a_header() -> None:
    message = redirected(
        {Channel.WEBHOOK: "https://qa.example.org/hooks"},
        channel=Channel.WEBHOOK,
        recipient="https://example.com/ä?a=1&b=%20",
        body='{"a": 1}',
        options='{"content_type": "application/json", "headers": {"authorization": "Bearer of-the-customer"}}',
    )
    assert (message.recipient, message.text) == ("https://qa.example.org/hooks", '{"a": 1}')
    assert message.options == {
        "content_type": "application/json",
        "headers": {"noti-original-recipient": "https://example.com/%C3%A4?a=1&b=%20"},
    }


def test_a_redirected_in_app_message_stands_in_the_other_inbox() -> None:
    delivery = a_delivery(modes={"relay": Mode.REDIRECT}, redirect_to={Channel.IN_APP: "user:qa"})
    result = delivery.deliver(claimed(channel=Channel.IN_APP, recipient="user:42"), NOTHING)
    [line] = result.follows
    assert isinstance(line, InboxLine)
    assert (line.recipient, line.subject) == ("user:qa", "[to user:42] Hello")


def test_a_channel_that_is_redirected_to_nowhere_is_not_sent() -> None:
    courier = Courier()
    delivery = a_delivery({"relay": courier}, modes={"relay": Mode.REDIRECT}, redirect_to=EMAIL)
    result = delivery.deliver(claimed(channel=Channel.SMS, recipient="+491701234567"), NOTHING)
    assert courier.sent == []
    assert result.verdict.status is Status.SUPPRESSED
    assert "delivery.redirect_to.sms is not set" in result.verdict.reason


def test_the_try_of_a_redirected_message_says_where_it_went() -> None:
    delivery = a_delivery(modes={"relay": Mode.REDIRECT}, redirect_to=EMAIL)
    result = delivery.deliver(claimed(), NOTHING)
    assert result.outcome is not None
    assert result.outcome.error == "redirected to delivery.redirect_to.email"
    assert result.verdict.reason == "safe mode: it was sent to delivery.redirect_to.email instead of its recipient"


@pytest.mark.parametrize("kind", [Kind.DEAD, Kind.OPTOUT])
def test_a_redirect_address_that_is_refused_holds_the_row(kind: Kind) -> None:
    courier = Courier(said(kind, error="no such user"))
    delivery = a_delivery({"relay": courier}, modes={"relay": Mode.REDIRECT}, redirect_to=EMAIL)
    result = delivery.deliver(claimed(), NOTHING)
    assert result.verdict.status is Status.HELD
    assert result.outcome is not None
    assert result.outcome.kind is Kind.CONFIG
    assert result.outcome.error == "no such user (redirected to delivery.redirect_to.email)"


@pytest.mark.parametrize(
    ("channel", "address"),
    [(Channel.EMAIL, "qa"), (Channel.SMS, "0170"), (Channel.WEBHOOK, "ftp://x"), (Channel.EMAIL, "a@b.c, d@e.f")],
)
def test_an_address_that_cannot_be_one_is_a_configuration_error(channel: Channel, address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^delivery.redirect_to.{channel}: "):
        Safety({channel: address})


def test_live_mode_changes_nothing() -> None:
    courier = Courier()
    delivery = a_delivery({"relay": courier}, redirect_to=EMAIL)
    outcome = delivery.deliver(claimed(has_options=True), Briefing(options='{"cc": ["boss@example.com"]}')).outcome
    assert outcome is not None
    assert (outcome.kind, outcome.error) == (Kind.OK, None)
    assert (courier.sent[0].recipient, courier.sent[0].options) == ("ada@example.com", {"cc": ["boss@example.com"]})
