"""Phone numbers as they are dialled in the region of a channel."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker import settings
from noti_worker.delivery.recipients import check_recipient
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import BY_PHONE, Briefing, Channel, Status
from noti_worker.domain.outcome import Kind
from noti_worker.settings.regions import Regions
from tests.delivery.fakes import Courier, a_delivery, said
from tests.domain.rows import claimed

GERMAN = Regions(dict.fromkeys(BY_PHONE, "DE"))


@pytest.mark.parametrize(
    ("region", "written", "dialled"),
    [
        ("DE", "0171 2345678", "+491712345678"),
        ("DE", "0171/234-56.78", "+491712345678"),
        ("DE", "(0171) 2345678", "+491712345678"),
        ("DE", "1712345678", "+491712345678"),
        ("DE", "0049 171 2345678", "+491712345678"),
        ("DE", "+49 171 2345678", "+491712345678"),
        ("DE", "+49 (0)171 2345678", "+491712345678"),
        ("DE", "00436641234567", "+436641234567"),
        ("DE", "+43 664 1234567", "+436641234567"),
        ("DE", "030 123456", "+4930123456"),
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "011 49 171 2345678", "+491712345678"),
        ("GB", "020 7946 0018", "+442079460018"),
        ("IT", "06 698 12345", "+390669812345"),
        ("FR", "06 12 34 56 78", "+33612345678"),
    ],
)
def test_a_number_as_it_is_dialled_there_becomes_the_one_for_everywhere(
    region: str, written: str, dialled: str
) -> None:
    numbers = Regions({Channel.SMS: region})
    assert numbers.international(Channel.SMS, written) == dialled
    assert numbers.international(Channel.SMS, dialled) == dialled
    check_recipient(Channel.SMS, dialled)


@pytest.mark.parametrize(
    "number",
    [
        "+491712345678",
        "+14155552671",
        "+5215512345678",  # Mexico's mobiles were written with a 1, and some services still want it
        "+4901712345678",
    ],
)
def test_a_number_in_the_international_form_goes_out_as_it_stands(number: str) -> None:
    assert GERMAN.international(Channel.WHATSAPP, number) == number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0171 234", "dialled in DE"),
        ("0171", "dialled in DE"),
        ("0171 2345678 12345", "dialled in DE"),
        ("017123456789012345678", "dialled in DE"),
        ("110", "dialled in DE"),
        ("72345", "dialled in DE"),  # a short code is none that a gateway reaches from anywhere
        ("+1 123", "too few digits"),
        ("+1415555", "too few digits"),
        ("+49110", "too few digits"),
        ("+9991234567", "no country's code"),
    ],
)
def test_what_can_be_no_number_is_refused_and_not_shown(number: str, words: str) -> None:
    with pytest.raises(BadNotification, match=words) as bad:
        GERMAN.international(Channel.VOICE, number)
    assert number not in str(bad.value)
    assert not re.search(r"\d", str(bad.value))


@pytest.mark.parametrize(
    "text",
    [
        "+49 171 2345678, +49 171 2345679",
        "0171 2345678 ext. 7",
        "0171 2345678;ext=7",
        "call 0171 2345678",
        "1-800-FLOWERS",
        "\u0660\u0661\u0667\u0661 2345678",
        "user:17",
        "",
        "+",
        "0171 2345678\n",
    ],
)
def test_what_has_no_form_of_a_number_stays_and_is_refused_as_ever(text: str) -> None:
    assert GERMAN.international(Channel.SMS, text) == text
    with pytest.raises(BadNotification):
        check_recipient(Channel.SMS, text)


def test_a_channel_without_a_region_keeps_what_is_written() -> None:
    numbers = Regions({Channel.SMS: "DE"})
    assert numbers.international(Channel.VOICE, "0171 2345678") == "0171 2345678"
    assert numbers.international(Channel.EMAIL, "0171 2345678") == "0171 2345678"
    with pytest.raises(BadNotification, match="international form"):
        check_recipient(Channel.VOICE, "0171 2345678")


@given(text=st.text(max_size=30) | st.from_regex(r"\A[+(]?[0-9][0-9 ()/.-]{0,25}\Z"))
def test_any_text_is_read_once_and_for_all(text: str) -> None:
    try:
        number = GERMAN.international(Channel.SMS, text)
    except BadNotification:
        return
    assert GERMAN.international(Channel.SMS, number) == number


def test_the_number_that_was_dialled_stands_in_the_try_and_in_the_template() -> None:
    courier = Courier(said(Kind.OK, id="x", response={"status": 201}))
    delivery = a_delivery({"phone": courier}, numbers=GERMAN)
    result = delivery.deliver(claimed(channel=Channel.SMS, recipient="0171 2345678"), Briefing())
    assert result.verdict.status is Status.SENT
    assert [message.recipient for message in courier.sent] == ["+491712345678"]
    assert result.outcome is not None
    assert result.outcome.response == {"dialled": "+491712345678", "status": 201}
    result = delivery.deliver(claimed(channel=Channel.SMS, recipient="+491712345678"), Briefing())
    assert result.outcome is not None
    assert result.outcome.response == {"status": 201}


def test_a_number_that_cannot_be_fails_before_it_is_sent() -> None:
    courier = Courier()
    row = claimed(channel=Channel.SMS, recipient="0171 234")
    result = a_delivery({"phone": courier}, numbers=GERMAN).deliver(row, Briefing())
    assert (result.verdict.status, result.kind) == (Status.FAILED, Kind.PERMANENT)
    assert "dialled in DE" in (result.verdict.reason or "")
    assert not courier.sent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "noti.toml"


def load(file: Path, text: str) -> settings.Settings:
    file.write_text(text)
    return settings.load(file, {})


def test_a_channel_has_the_region_that_its_section_names(file: Path) -> None:
    found = load(file, '[channels.sms]\nregion = "DE"\n[channels.voice]\nregion = "AT"\n').numbers
    assert found.international(Channel.SMS, "0171 2345678") == "+491712345678"
    assert found.international(Channel.VOICE, "0664 1234567") == "+436641234567"
    assert found.international(Channel.WHATSAPP, "0171 2345678") == "0171 2345678"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[channels.sms]\nregion = "de"\n', r"channels\.sms\.region is 'de': write the two letters of a country"),
        ('[channels.sms]\nregion = "Germany"\n', r"channels\.sms\.region is 'Germany': write the two letters"),
        ('[channels.sms]\nregion = "EU"\n', r"channels\.sms\.region is 'EU': write the two letters"),
        ('[channels.email]\nregion = "DE"\n', r"channels\.email\.region: email reaches no phone numbers"),
    ],
)
def test_a_region_that_cannot_be_is_a_configuration_error(file: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(file, text)


def test_without_the_extra_a_region_is_a_configuration_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"channels\.sms\.region .*pip install 'noti-worker\[phonenumbers\]'"):
        load(file, '[channels.sms]\nregion = "DE"\n')
    load(file, "[channels.sms]\nconcurrency = 3\n")
