"""What a row may ask for beside its content."""

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel
from noti_worker.domain.options import ALL_OPTIONS, Option, OptionKind
from noti_worker.domain.options import read_options as read_declared
from noti_worker.providers import (
    console,
    gotify,
    in_app,
    ntfy,
    pushover,
    sandbox,
    smtp,
    twilio,
    webhook,
    whatsapp_cloud,
)

ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"


def read_options(channel: Channel, text: str | None) -> dict[str, Any]:
    return read_declared(ALL_OPTIONS, channel, text)


EMAIL, WEBHOOK, IN_APP, SMS = Channel.EMAIL, Channel.WEBHOOK, Channel.IN_APP, Channel.SMS


@pytest.mark.parametrize(
    ("channel", "given", "read"),
    [
        (EMAIL, {}, {}),
        (EMAIL, {"cc": None}, {}),
        (EMAIL, {"cc": "a@example.com"}, {"cc": ["a@example.com"]}),
        (EMAIL, {"bcc": ["a@example.com", "B <b@example.com>"]}, {"bcc": ["a@example.com", "B <b@example.com>"]}),
        (EMAIL, {"reply_to": ["a@example.com"]}, {"reply_to": "a@example.com"}),
        (EMAIL, {"reply_to": "Ä <a@exämple.de>"}, {"reply_to": "Ä <a@exämple.de>"}),
        (EMAIL, {"from": "Shop <shop@example.com>"}, {"from": "Shop <shop@example.com>"}),
        (EMAIL, {"headers": {"X-Order": "17"}}, {"headers": {"X-Order": "17"}}),
        (EMAIL, {"html": "<b>\n</b>", "attachments": [ID]}, {"html": "<b>\n</b>", "attachments": [ID]}),
        (WEBHOOK, {"headers": {"Authorization": "Bearer x"}}, {"headers": {"Authorization": "Bearer x"}}),
        (WEBHOOK, {"content_type": "text/xml; charset=utf-8"}, {"content_type": "text/xml; charset=utf-8"}),
        (
            WEBHOOK,
            {"content_type": 'Text/XML;Charset="utf-8" ; a="b c"'},
            {"content_type": 'text/xml; charset=utf-8; a="b c"'},
        ),
        (IN_APP, {"html": "<b>"}, {"html": "<b>"}),
    ],
)
def test_options_are_read_by_channel(channel: Channel, given: Any, read: Any) -> None:
    assert read_options(channel, json.dumps(given)) == read


@pytest.mark.parametrize("text", [None, "null", "{}", '{"cc": null, "html": "", "from": ""}'])
def test_what_says_nothing_is_no_option(text: str | None) -> None:
    assert read_options(EMAIL, text) == {}


def test_a_provider_declares_options_of_its_own_with_their_limits() -> None:
    options = (
        Option("title", OptionKind.LINE, "", longest=5),
        Option("headers", OptionKind.HTTP_HEADERS, "", frozenset({WEBHOOK})),
    )
    assert read_declared(options, SMS, '{"title": "Tea"}') == {"title": "Tea"}
    for text, said in (
        ('{"title": "Coffee"}', "options.title is longer than 5"),
        ('{"title": "a\\nb"}', "options.title holds a line break"),
        ('{"titel": "x"}', "did you mean title"),
        ('{"headers": {}}', "options.headers is unknown for sms"),
    ):
        with pytest.raises(BadNotification, match=said):
            read_declared(options, SMS, text)


@pytest.mark.parametrize(
    ("channel", "given", "said"),
    [
        (EMAIL, {"bbc": "a@example.com"}, "options.bbc.*did you mean bcc"),
        (EMAIL, {"replyto": "a@example.com"}, "options.replyto.*did you mean reply_to"),
        (EMAIL, {"zzz": 1}, "options.zzz.*known are cc, bcc"),
        (EMAIL, {"a\x1b\n": 1}, r"options.a\?\?"),
        (SMS, {"html": "x"}, "options.html is unknown for sms: known are from"),
        (SMS, {"from": "x" * 65}, "options.from is longer than 64"),
        (Channel.CHAT, {"severity": "fatal"}, "options.severity is none of info, success, warning, error, critical"),
        (Channel.PUSH, {"ttl": -1}, "options.ttl is not a whole number of seconds"),
        (Channel.PUSH, {"ttl": True}, "options.ttl is not a whole number"),
        (Channel.PUSH, {"ttl": 2_419_201}, "options.ttl is more than 2419200 seconds"),
        (Channel.PUSH, {"data": {"order": 17}}, "options.data.*in quotes"),
        (Channel.PUSH, {"data": ["a"]}, "options.data is not an object"),
        (EMAIL, [], "not a JSON object"),
        (EMAIL, {"cc": 5}, "options.cc"),
        (EMAIL, {"cc": [["a@example.com"]]}, r"options.cc\[0\] is not a string"),
        (EMAIL, {"cc": ["a@example.com", "b"]}, r"options.cc\[1\]"),
        (EMAIL, {"cc": "a@example.com, b@example.com"}, "options.cc"),
        (EMAIL, {"cc": ["a@example.com"] * 51}, "options.cc.*50"),
        (EMAIL, {"cc": "a@example.com\r\nBcc: b@example.com"}, "options.cc.*line break"),
        (EMAIL, {"reply_to": ["a@example.com", "b@example.com"]}, "options.reply_to"),
        (EMAIL, {"from": "=?utf-8?q?a=0ABcc:_evil?= <a@example.com>"}, "options.from.*encoded word"),
        (EMAIL, {"headers": ["X"]}, "options.headers"),
        (EMAIL, {"headers": {"X Y": "1"}}, "options.headers.*'X Y'"),
        (EMAIL, {"headers": {"Bcc": "a@example.com"}}, "options.headers.Bcc"),
        (EMAIL, {"headers": {"Content-Type": "x"}}, "options.headers.Content-Type"),
        (EMAIL, {"headers": {"X-A": 1}}, "options.headers.X-A"),
        (EMAIL, {"headers": {"X-A": "1", "x-a": "2"}}, "options.headers.x-a.*twice"),
        (EMAIL, {"headers": {"X-A": "a\u2028b"}}, "options.headers.X-A"),
        (EMAIL, {"headers": {"X-A": "a" * 2001}}, "options.headers.X-A"),
        (EMAIL, {"headers": {"X-SMTPAPI": "{}"}}, "options.headers.X-SMTPAPI is one that relays act on"),
        (EMAIL, {"from": "a@x_y.example"}, "options.from has an underscore"),
        (EMAIL, {"reply_to": "a%b.example@c.example"}, "options.reply_to holds % or !"),
        (EMAIL, {"headers": {f"X-{n}": "" for n in range(51)}}, "options.headers.*50"),
        (EMAIL, {"html": 1}, "options.html"),
        (EMAIL, {"attachments": ID}, "options.attachments"),
        (EMAIL, {"attachments": ["17"]}, r"options.attachments\[0\]"),
        (EMAIL, {"attachments": [17]}, r"options.attachments\[0\]"),
        (WEBHOOK, {"headers": {"webhook-id": "1"}}, "options.headers.webhook-id"),
        (WEBHOOK, {"headers": {"Host": "x"}}, "options.headers.Host"),
        (WEBHOOK, {"headers": {"Content-Encoding": "gzip"}}, "options.headers.Content-Encoding"),
        (WEBHOOK, {"headers": {"X-A": "\u2603"}}, "options.headers.X-A holds a character.*ASCII"),
        (WEBHOOK, {"content_type": "json"}, "options.content_type"),
        (WEBHOOK, {"content_type": 'text/xml; a="\u00fc"'}, "options.content_type.*ASCII"),
        (WEBHOOK, {"cc": "a@example.com"}, "options.cc.*webhook"),
    ],
)
def test_a_refused_option_is_named(channel: Channel, given: Any, said: str) -> None:
    with pytest.raises(BadNotification, match=said):
        read_options(channel, json.dumps(given))


@pytest.mark.parametrize(
    ("provider", "channel", "name", "carried"),
    [
        (ntfy, Channel.PUSH, "ttl", "severity, image, click_url"),
        (gotify, Channel.PUSH, "collapse_key", "severity, data, image, click_url"),
        (pushover, Channel.PUSH, "image", "severity, ttl, click_url"),
        (twilio, Channel.WHATSAPP, "template", "from, content_sid, content_variables, media_url, media_type"),
        (
            whatsapp_cloud,
            Channel.WHATSAPP,
            "content_sid",
            "template, template_language, template_parameters, media_url, media_type, location",
        ),
    ],
)
def test_an_option_that_the_account_cannot_carry_is_told_with_those_that_it_can(
    provider: ModuleType, channel: Channel, name: str, carried: str
) -> None:
    said = f"options.{name} cannot go through this account, whose provider carries {carried}: leave it out, or"
    with pytest.raises(BadNotification, match=said):
        read_declared(provider.OPTIONS, channel, json.dumps({name: "x"}))
    assert read_declared(provider.OPTIONS, channel, json.dumps({name: None})) == {}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"cc":' + "[" * 3000 + "]" * 3000 + "}",
        '{"cc": ' + "9" * 5000 + "}",
        '{"cc": NaN}',
        "{",
        "",
        '{"html": "' + "x" * 4 * 1024 * 1024 + '"}',
    ],
    ids=["open", "deep", "huge number", "NaN", "broken", "empty", "huge"],
)
def test_poison_is_a_bad_notification(text: str) -> None:
    with pytest.raises(BadNotification, match=r"options"):
        read_options(EMAIL, text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["a@example.com", ID, "text/plain"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["cc", "bcc", "reply_to", "from", "headers", "html", "attachments", "content_type"])


@given(channel=st.sampled_from(Channel), options=st.dictionaries(NAMES, VALUES, max_size=3) | VALUES)
def test_any_document_is_read_or_refused_without_its_content(channel: Channel, options: Any) -> None:
    said = None
    read: dict[str, Any] = {}
    try:
        read = read_options(channel, json.dumps(options))
    except BadNotification as bad:
        said = str(bad)
    if said is None:
        assert set(read) <= set(options or {})
    else:
        assert "options" in said
        assert "a@example.com" not in said
        assert "\n" not in said


@pytest.mark.parametrize("provider", [smtp, webhook, in_app, sandbox, console], ids=lambda module: module.__name__)
def test_a_provider_declares_the_options_of_its_channels(provider: Any) -> None:
    for channel in provider.CHANNELS:
        declared = [option for option in provider.OPTIONS if option.of(channel)]
        assert declared == [option for option in ALL_OPTIONS if option.of(channel)]
