"""What an SMS holds: alphabets, parts, typographic characters, senders."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.providers._sms import as_sms, check_senders, is_number, sender_of, split
from tests.providers.contract import a_message

# The default alphabet in the order of its codes, typed from 3GPP TS 23.038, 6.2.1; 0x1B is the escape.
TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}


def septets(text: str) -> list[int] | None:
    """The slow way: the codes of a text, or None when the alphabet lacks one of its characters."""
    codes = []
    for char in text:
        if char in EXTENSION:
            codes += [0x1B, EXTENSION[char]]
        elif char in TABLE and char != "\x1b":
            codes.append(TABLE.index(char))
        else:
            return None
    return codes


def spoken(codes: list[int]) -> str:
    """What a phone shows of the codes of one part."""
    text, waits = "", False
    back = {code: char for char, code in EXTENSION.items()}
    for code in codes:
        if code == 0x1B:
            assert not waits
            waits = True
        else:
            text += back[code] if waits else TABLE[code]
            waits = False
    assert not waits, "an escape without its character"
    return text


def size(part: str, encoding: str) -> int:
    return len(septets(part) or []) if encoding == "gsm7" else len(part.encode("utf-16-be")) // 2


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("Hello", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("a" * 1530, "gsm7", 10),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("a" * 158 + "€", "gsm7", 1),
        ("a" * 159 + "€", "gsm7", 2),
        ("a" * 152 + "€" + "a" * 151, "gsm7", 2),
        ("a" * 152 + "€" + "a" * 152, "gsm7", 3),
        ("€" * 152, "gsm7", 2),
        ("€" * 153, "gsm7", 3),
        ("ÄÖÜäöüß ÑñÅå Çèé @£$¥ ¿¡ ΔΦΓΛΩΠΨΣΘΞ §¤", "gsm7", 1),
        ("[x] {y} ~ ^ | \\ \f €", "gsm7", 1),
        ("line\nline\r\n", "gsm7", 1),
        ("ç", "ucs2", 1),
        ("`", "ucs2", 1),
        ("\t", "ucs2", 1),
        ("\x1b", "ucs2", 1),
        ("don\u2019t", "ucs2", 1),
        ("Ё" * 70, "ucs2", 1),
        ("Ё" * 71, "ucs2", 2),
        ("Ё" * 134, "ucs2", 2),
        ("Ё" * 135, "ucs2", 3),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("😀" * 66, "ucs2", 2),
        ("😀" * 67, "ucs2", 3),
        ("Ё" * 66 + "😀" + "Ё" * 65, "ucs2", 2),
        ("Ё" * 66 + "😀" + "Ё" * 66, "ucs2", 3),
        ("a" * 69 + "—", "ucs2", 1),
        ("a" * 70 + "—", "ucs2", 2),
    ],
)
def test_a_text_takes_so_many_parts(text: str, encoding: str, segments: int) -> None:
    sms = as_sms(text, 255, plain=False) if text.strip() else None
    found, parts = split(text)
    assert (found, len(parts)) == (encoding, segments)
    assert sms is None or (sms.text, sms.encoding, sms.segments) == (text, encoding, segments)


LETTERS = st.sampled_from("ab é€[]~\n") | st.sampled_from("abЁç—😀🇩🇪\u0301") | st.characters(exclude_categories=["Cs"])
TEXTS = st.text(LETTERS, max_size=400) | st.text(st.sampled_from("a€"), min_size=140, max_size=700)


@given(TEXTS)
def test_the_parts_are_the_text_and_none_is_too_large(text: str) -> None:
    encoding, parts = split(text)
    codes = septets(text)
    assert encoding == ("ucs2" if codes is None else "gsm7")
    assert "".join(parts) == text
    whole, most = (160, 153) if encoding == "gsm7" else (70, 67)
    if len(parts) == 1:
        assert size(text, encoding) <= whole
    else:
        assert size(text, encoding) > whole
        assert all(0 < size(part, encoding) <= most for part in parts)
        # No part has room for the next one's first character, so there cannot be fewer.
        assert all(size(part + after[0], encoding) > most for part, after in pairwise(parts))


@given(TEXTS)
def test_a_phone_reads_each_part_by_itself(text: str) -> None:
    encoding, parts = split(text)
    for part in parts:
        if encoding == "gsm7":
            codes = septets(part)
            assert codes is not None
            assert spoken(codes) == part
        else:
            assert part.encode("utf-16-be").decode("utf-16-be") == part


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("\u201cDon\u2019t\u201d \u2013 \u2018wait\u2019 \u2014 now\u2026", "\"Don't\" - 'wait' - now..."),
        ("\u201eJa\u201c »Nein« \u201avielleicht\u2018", '"Ja" "Nein" \'vielleicht\''),
        ("10\u00a0km, 5\u202f%, a\u2009b\tc", "10 km, 5 %, a b c"),
        ("Do\u00adnau\u200bdampf\ufeff", "Donaudampf"),
        ("2\u20113 \u22124 `x\u00b4", "2-3 -4 'x'"),
        ("Straße € Ёж 😀", "Straße € Ёж 😀"),
    ],
)
def test_typographic_characters_turn_plain_on_request(typed: str, plain: str) -> None:
    assert as_sms(typed, 10, plain=True).text == plain
    assert as_sms(typed, 10, plain=False).text == typed


@given(TEXTS)
def test_plain_characters_never_cost_more_alphabet(text: str) -> None:
    if text.strip() and split(text)[0] == "gsm7":
        assert as_sms(text, 255, plain=True).text == text


@pytest.mark.parametrize(
    ("text", "most", "plain", "said"),
    [
        ("a" * 161, 1, False, "takes 2 SMS, and max_segments allows 1: shorten it, or raise max_segments$"),
        ("Ё" * 71, 1, False, "takes 2 SMS.*67 characters instead of 153.*plain_characters = true"),
        ("Ё" * 71, 1, True, "takes 2 SMS.*instead of 153: leave them out$"),
        ("", 10, False, "the text is empty"),
        (" \n\t", 10, False, "the text is empty"),
        ("\u200b\u200b", 10, True, "the text is empty"),
    ],
)
def test_what_cannot_go_out_is_refused_with_what_to_do(text: str, most: int, plain: bool, said: str) -> None:
    with pytest.raises(BadNotification, match=said):
        as_sms(text, most, plain=plain)


def test_a_refusal_and_a_repr_show_nothing_of_the_text() -> None:
    with pytest.raises(BadNotification) as refused:
        as_sms("geheim—" * 30, 1, plain=False)
    assert "geheim" not in str(refused.value)
    assert "geheim" not in repr(as_sms("geheim", 1, plain=False))


def test_senders_are_numbers_short_codes_and_names() -> None:
    check_senders(("+4915112345678", "12345", "My Shop", "Shop_24-7&+"))
    for bad in ("4915112345678", "+0151", "12", "", "A name too long", "Größe", "whatsapp:+4915112345678", "a\nb"):
        with pytest.raises(ConfigurationError, match=r"^from: "):
            check_senders((bad,))
    assert is_number("+4915112345678")
    assert not is_number("Shop")


@pytest.mark.parametrize(
    ("channel", "asked", "sender"),
    [
        (Channel.SMS, None, "Shop"),
        (Channel.SMS, "+4915112345678", "+4915112345678"),
        (Channel.WHATSAPP, None, "+4915112345678"),
        (Channel.VOICE, "+4915100000000", "+4915100000000"),
    ],
)
def test_a_row_may_choose_among_the_senders(channel: Channel, asked: str | None, sender: str) -> None:
    message = a_message(channel, "+4915199999999", options={} if asked is None else {"from": asked})
    assert sender_of(message, ("Shop", "+4915112345678", "+4915100000000")) == sender


def test_a_sender_that_is_not_there_or_does_not_fit_is_refused() -> None:
    asks = a_message(Channel.VOICE, "+4915199999999", options={"from": "Shop"})
    with pytest.raises(BadNotification, match=r"options.from is no sender of the account"):
        sender_of(asks, ("+4915112345678",))
    with pytest.raises(BadNotification, match=r"options.from is no phone number, which voice needs"):
        sender_of(asks, ("Shop", "+4915112345678"))
    assert sender_of(a_message(Channel.VOICE, "+4915199999999"), ("Shop",)) is None
