"""Headers that a row may give, and those that would make the mail or the request another one."""

from typing import Any

import pytest

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.headers import HTTP_HEADERS, MAIL_HEADERS, HeaderRule, breakable, phrases

OWN = ["From", "TO", "cc", "Sender", "reply-to", "Subject", "Date", "Message-ID", "Mime-Version", "Content-Type"]
TRACED = [
    *("Received", "Delivered-To", "Return-Path", "Authentication-Results", "ARC-Seal", "ARC-Authentication-Results"),
    *("DKIM-Signature", "DomainKey-Signature", "Resent-To", "Resent-Bcc", "X-Envelope-To", "X-Original-To"),
]
ACTED_ON = [
    *("Bcc", "Apparently-To", "Errors-To", "Return-Receipt-To", "X-SMTPAPI", "X-MSYS-API", "X-MC-Tags", "X-PM-Tag"),
    *("X-Mailgun-Variables", "x-ses-configuration-set", "X-MJ-TemplateID", "X-Mailin-custom", "X-SG-EID"),
]
HTTP_OWN = [
    *("Host", "Content-Length", "content-type", "Content-Encoding", "Transfer-Encoding", "Connection", "TE"),
    *("Proxy-Authorization", "Expect", "Upgrade", "Accept-Encoding", "webhook-id", "Webhook-Signature"),
]


@pytest.mark.parametrize(
    ("rule", "name", "said"),
    [
        *((MAIL_HEADERS, name, "is set by the message itself") for name in OWN),
        *((MAIL_HEADERS, name, "is written by the servers on the way") for name in TRACED),
        *((MAIL_HEADERS, name, "is one that relays act on") for name in ACTED_ON),
        *((HTTP_HEADERS, name, "is set by the message itself") for name in HTTP_OWN),
    ],
)
def test_what_is_not_the_rows_to_say_is_refused(rule: HeaderRule, name: str, said: str) -> None:
    with pytest.raises(BadNotification, match=rf"options\.headers\.{name} {said}: leave it out"):
        rule.read("options.headers", {name: "x"})


@pytest.mark.parametrize(
    "name",
    ["X-Order", "List-Unsubscribe", "X-Session-ID", "X-Mailer", "In-Reply-To", "Auto-Submitted", "X-Priority", "X-PMX"],
)
def test_other_headers_of_a_mail_pass(name: str) -> None:
    assert MAIL_HEADERS.read("options.headers", {name: " x "}) == {name: "x"}


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "User-Agent", "traceparent", "x_y", "Accept"])
def test_other_headers_of_a_request_pass(name: str) -> None:
    assert HTTP_HEADERS.read("options.headers", {name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"X Y": "x"},
        {"X:": "x"},
        {"X-Ä": "x"},
        {"X" * 80: "x"},
        {"X-A": "1", "x-a": "2"},
        {"X-A": 1},
        {"X-A": None},
        {"X-A": "a\nb"},
        {"X-A": "a\x85b"},
        {"X-A": "=?utf-8?q?x?="},
        {"X-A": "w" * 2001},
        {1: "x"},
        {f"X-{number}": "" for number in range(51)},
        ["X-A"],
        "X-A: x",
    ],
)
@pytest.mark.parametrize("rule", [MAIL_HEADERS, HTTP_HEADERS], ids=["mail", "HTTP"])
def test_headers_that_are_none_are_refused(rule: HeaderRule, headers: Any) -> None:
    with pytest.raises(BadNotification, match=r"options\.headers"):
        rule.read("options.headers", headers)


def test_a_request_is_written_in_ascii() -> None:
    with pytest.raises(BadNotification, match="X-A holds a character that is not allowed there: write it in ASCII"):
        HTTP_HEADERS.read("options.headers", {"X-A": "ü"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("List-Unsubscribe", "<https://exämple.de/u>"),
        ("List-Help", "<mailto:hilfe@exämple.de>"),
        ("List-Id", "Größe"),
        ("List-Id", "Größe <größe.example.com>"),
        ("In-Reply-To", "<ü@example.com>"),
        ("Auto-Submitted", "äuto"),
        ("Disposition-Notification-To", "ü@example.com"),
        ("Disposition-Notification-To", "Ü <a@example.com>, b"),
    ],
)
def test_a_structured_header_beyond_ascii_is_refused_with_the_reason(name: str, text: str) -> None:
    with pytest.raises(BadNotification, match=rf"options\.headers\.{name} .*(write it|write it in ASCII|correct it)"):
        MAIL_HEADERS.read("options.headers", {name: text})


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("List-Id", "Größe <size.example.com>", [("Größe", "<size.example.com>")]),
        ("Disposition-Notification-To", "Ü <a@example.com>", [("Ü", "<a@example.com>")]),
        (
            "Disposition-Notification-To",
            '"Ü, A" <a@exämple.de>, b@example.com',
            [("Ü, A", "<a@xn--exmple-cua.de>"), ("", "<b@example.com>")],
        ),
        ("X-Order", "Größe", None),
    ],
)
def test_only_the_phrases_of_a_structured_header_are_to_be_encoded(name: str, text: str, found: Any) -> None:
    assert phrases(name, text, "options.headers") == found


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("", [""]),
        ("a b", ["a", "b"]),
        ("a  b c", ["a  b", "c"]),
        ("a   b", ["a   b"]),
        ("a b  c d", ["a", "b  c", "d"]),
    ],
)
def test_a_line_breaks_at_spaces_that_stand_alone(line: str, pieces: list[str]) -> None:
    assert breakable(line) == pieces


def test_a_word_fills_one_line_at_most() -> None:
    longest = "x" * (998 - len("X-A: "))
    assert MAIL_HEADERS.read("options.headers", {"X-A": longest}) == {"X-A": longest}
    with pytest.raises(BadNotification, match="X-A has a word that is too long for one line: shorten it"):
        MAIL_HEADERS.read("options.headers", {"X-A": longest + "x"})
