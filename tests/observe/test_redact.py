"""The redactor: what must not stand in a log line does not."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.observe.redact import LONGEST_TEXT, name, redact, words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 5.1.1 <ann@example.com>: no such user", "550 5.1.1 <[address]>: no such user"),
        ('"ann b"@example.com is unknown', "[address] is unknown"),
        ("to=ann%40example.com&x", "to=[address]"),
        ("jürgen@müller.de", "[address]"),
        ("mailto:ann@example.com", "mailto:[address]"),
        ("call +49 (151) 123-456-78 back", "call [number] back"),
        ("chat 123456789012 is gone", "chat [number] is gone"),
        ("tel4915112345678", "tel[number]"),
        ("555.123.4567", "[number]"),
        ("connect to 10.20.30.40 port 25432: refused", "connect to 10.20.30.40 port 25432: refused"),
        ("since 2026-11-21 10:40", "since 2026-11-21 10:40"),
        ("421 4.7.0 try later", "421 4.7.0 try later"),
        ("https://hooks.example.com/T0/B0/xyz?sig=1 said no", "https://hooks.example.com/[…] said no"),
        ("https://user:pw@example.com:8443/", "https://example.com:8443/"),
        ("postgresql://u:p/w@db/app", "postgresql://[…]"),
        ("(https://example.com)", "(https://example.com)"),
        ("see hooks.example.com/services/T0/B0", "see hooks.example.com/[…]"),
        ("Max retries exceeded with url: /services/T0", "Max retries exceeded with url: /[…]"),
        ("GET /x?token_id=5&a=b failed", "GET /x?[…] failed"),
        ("password=hunter2 host=db", "password=[secret] host=db"),
        ('{"api_key": "hunter2"}', '{"api_key": [secret]"}'),
        ("Authorization: Bearer hunter2", "Authorization: [secret]"),
        ("got Bearer hunter22", "got Bearer [secret]"),
        ("invalid token xoxb1234567890abcdefghijk", "invalid token [token]"),
        ("a\r\nb\x1b[31mc\u202ed\ud800", "a b [31mc d"),
    ],
)
def test_words_keep_what_helps_and_hide_what_is_personal(text: str, shown: str) -> None:
    assert words(text) == shown


def test_what_is_known_to_be_personal_is_hidden_in_any_case() -> None:
    assert words("user U42AB is gone, Said U42ab", "u42ab", None, "") == "user […] is gone, Said […]"


def test_long_words_are_cut_and_a_cut_address_does_not_show() -> None:
    assert len(words("x " * 5000)) <= LONGEST_TEXT
    for length in range(4 * LONGEST_TEXT - 20, 4 * LONGEST_TEXT + 5):
        assert "canary" not in words("- " * (length // 2) + " canary@example.com")
        assert "canary" not in words("x" * (length - 1) + "<canary@example.com>")
    assert words("x" * 5000) == "…"


def test_names_keep_digits_but_no_addresses() -> None:
    assert name("tenant-1234567890") == "tenant-1234567890"
    assert name("3f2b1c9e-0000-4000-8000-123456789abc") == "3f2b1c9e-0000-4000-8000-123456789abc"
    assert name("ann@example.com") == "[address]"
    assert len(name("x" * 1000)) <= 120


def test_an_unknown_field_and_an_unexpected_value_are_not_shown() -> None:
    event = {
        "event": "sent",
        "recipient": "canary",
        "channel": {"a": "canary"},
        "error": b"canary",
        "seconds": "canary",
    }
    assert redact(None, "", event) == {
        "event": "sent",
        "recipient": "[redacted]",
        "channel": "[redacted]",
        "error": "[redacted]",
        "seconds": "[redacted]",
    }


HOSTILE = ("x", "1", "a1-", "%4", '"a', "a.", "@", "a_", "?a", "a.b/", "+=-_", "key=", "a://")


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_of_a_provider_costs_more_than_it_is_worth(piece: str) -> None:
    text = (piece * 4 * LONGEST_TEXT)[: 4 * LONGEST_TEXT]  # as long as it gets before it is cut
    began = time.thread_time()
    for _ in range(10):
        words(text)
    assert time.thread_time() - began < 0.12  # about 0.01 s; with quadratic patterns 0.14 s to 0.4 s


LOCAL = st.from_regex(r"[a-z0-9][a-z0-9.+_-]{0,20}[a-z0-9]", fullmatch=True)
GAP = st.text(alphabet=" <>()\"',;:\n\t", min_size=1, max_size=3)


@given(LOCAL, GAP, GAP)
def test_no_address_gets_through_whatever_stands_around_it(local: str, before: str, after: str) -> None:
    address = f"{local}@example.com"
    assert address not in words(f"refused{before}{address}{after}by them")
    assert address not in name(f"{before}{address}{after}")


@given(st.text(max_size=300))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = words(text)
    assert re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", line) is None
    assert line.encode().decode() == line


CONTENT = (
    "Your code, Ada",
    "Dear Ada, your code is 993211. It is for tonight only.",
    '{"name": "Ada", "seat": "12B"}',
    None,
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no mailbox for Ada here", "no mailbox for […] here"),
        ("spam: 'your code is 993211.'", "spam: '[…] […] […] […]'"),
        ("seat 12b: refused", "seat […]: refused"),
        ("it is over quota", "it is over quota"),  # ordinary words, and not three in a row that were in it
        ("for tonight only", "[…] […] […]"),
        ("only tonight", "only tonight"),
        ("550 5.1.1 no such user", "550 5.1.1 no such user"),
        ("ADA!", "[…]"),
    ],
)
def test_what_is_quoted_of_a_message_in_parts_is_masked(said: str, shown: str) -> None:
    assert words(said, content=CONTENT) == shown
    assert words(said) == said


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_no_number_or_name_of_the_content_is_left(said: str, content: str) -> None:
    shown = words(f"{said} ZQ7xv {said}"[-300:], content=(f"{content} ZQ7xv",))
    assert "zq7xv" not in shown.lower()


def test_looking_for_quotations_takes_no_time() -> None:
    began = time.thread_time()
    words("word " * 100_000, content=["word other " * 100_000] * 5)
    assert time.thread_time() - began < 0.5
