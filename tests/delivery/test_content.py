"""What a row's content becomes: html alone, files inside it, what was not said, and when the mail is dated."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Attachment, Briefing, Channel, Drop, Message, Stop, Template
from tests.delivery.fakes import a_delivery
from tests.domain.rows import NOW, claimed

LOGO = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
PDF = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f51"
NOTHING = Briefing()
FILES = (Attachment("Logo 1.png", "image/png", b"logo"), Attachment("a.pdf", "application/pdf", b"pdf"))


def asked(briefing: Briefing, options: str | None = None, **fields: Any) -> Message | Stop:
    row = claimed(has_options=options is not None, **fields)
    return a_delivery().preparation.prepare(row, replace(briefing, options=options), Policy(), NOW)


def prepared(briefing: Briefing = NOTHING, **fields: Any) -> Message:
    message = asked(briefing, **fields)
    assert isinstance(message, Message), message
    return message


def refused(briefing: Briefing = NOTHING, **fields: Any) -> str:
    drop = asked(briefing, **fields)
    assert isinstance(drop, Drop)
    return drop.reason


@pytest.mark.parametrize(
    ("fields", "template"),
    [
        ({"body": "", "options": '{"html": "<p>Hello <b>Ada</b></p>"}'}, None),
        ({"body": None, "template_id": "t", "options": '{"html": "<p>Hello <b>Ada</b></p>"}'}, Template("t", html="x")),
        ({"body": None, "template_id": "t"}, Template("t", html="p>Hello <b>Ada</b></p")),
    ],
)
def test_a_mail_of_html_alone_gets_its_text_from_it(fields: dict[str, Any], template: Template | None) -> None:
    message = prepared(Briefing(template=template), **fields)
    assert message.text == "Hello Ada\n"
    assert message.html == "<p>Hello <b>Ada</b></p>"


def test_the_rows_own_text_stands() -> None:
    assert prepared(body="own", options='{"html": "<p>x</p>"}').text == "own"
    message = prepared(channel=Channel.IN_APP, body="", options='{"html": "<p>x</p>"}')
    assert message.text == "", "an inbox shows the html"


@pytest.mark.parametrize(
    "fields",
    [
        {"options": "null"},
        {"options": '{"html": "", "cc": null, "reply_to": ""}'},
        {"template_id": ""},
        {"provider": ""},
    ],
)
def test_null_and_an_empty_text_say_nothing(fields: dict[str, Any]) -> None:
    message = prepared(**fields)
    assert (message.text, message.html, message.account, message.options) == ("Hello Ada", None, "relay", {})


def test_an_empty_template_id_is_no_content() -> None:
    assert "there is no text for email" in refused(template_id="", body=None)


def test_a_whatsapp_message_that_consists_of_something_else_needs_no_text() -> None:
    row: dict[str, Any] = {"channel": Channel.WHATSAPP, "recipient": "+491701234567", "body": None}
    for options in ('{"template": "order"}', '{"media_url": "https://example.com/a.pdf"}', '{"location": "52.5,13.3"}'):
        assert prepared(**row, options=options).text is None
    assert "there is no text for whatsapp" in refused(**row)
    assert "there is no text for whatsapp" in refused(**row, options='{"template_language": "de"}')


@pytest.mark.parametrize(("send_at", "dated_at"), [(-60, 0), (0, 0), (3600 * 24 * 7, 3600 * 24 * 7)])
def test_a_mail_is_dated_when_it_was_due_first_on_every_try(send_at: int, dated_at: int) -> None:
    created = NOW - timedelta(days=8)
    row: dict[str, Any] = {"created_at": created, "first_due_at": created + timedelta(seconds=send_at)}
    for due_at in (NOW - timedelta(seconds=1), NOW - timedelta(hours=1)):
        assert prepared(**row, due_at=due_at).dated_at == created + timedelta(seconds=dated_at)


@pytest.mark.parametrize("body", ['{"a": NaN}', "[Infinity]", "-Infinity", "NaN"])
def test_numbers_that_json_does_not_know_are_refused(body: str) -> None:
    options = '{"content_type": "application/json"}'
    row: dict[str, Any] = {"channel": Channel.WEBHOOK, "recipient": "https://example.com/", "options": options}
    assert "not valid JSON" in refused(**row, body=body)


@pytest.mark.parametrize("how", ["cid:Logo%201.png", f"cid:{LOGO}", f"CID:{LOGO.upper()}", "cid:Logo&#32;1.png"])
def test_a_file_that_the_html_shows_gets_a_content_id(how: str) -> None:
    html = f'<img alt="cid:x" src="{how}"><img src=cid:unknown.png><p style="background: url(\'{how}\')">cid: is text'
    options = json.dumps({"html": html, "attachments": [LOGO, PDF]})
    message = prepared(Briefing(attachments=FILES), options=options)
    assert [file.content_id for file in message.attachments] == [f"{LOGO}@noti-worker", None]
    assert (message.html or "").lower() == html.replace(how[4:], f"{LOGO}@noti-worker").lower()


def test_a_file_name_that_two_files_have_shows_the_first() -> None:
    options = json.dumps({"html": '<img src="cid:a.pdf">', "attachments": [LOGO, PDF]})
    message = prepared(Briefing(attachments=(FILES[1], FILES[1])), options=options)
    assert [file.content_id for file in message.attachments] == [f"{LOGO}@noti-worker", None]


def test_a_file_whose_type_is_none_is_refused_before_a_try() -> None:
    options = json.dumps({"attachments": [LOGO, PDF]})
    files = (FILES[0], Attachment("a", "text", b""))
    why = refused(Briefing(attachments=files), options=options)
    assert why.startswith("options.attachments[1]: its content type is no media type")
