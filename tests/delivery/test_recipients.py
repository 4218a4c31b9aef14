"""Whom a row may name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.delivery.recipients import check_recipient
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel


@pytest.mark.parametrize(
    ("channel", "recipient"),
    [
        (Channel.EMAIL, "ada@example.com"),
        (Channel.EMAIL, "a.b+c_d'e@sub.example.co.uk"),
        (Channel.EMAIL, "u@exämple.de"),
        (Channel.EMAIL, "root@localhost"),
        (Channel.EMAIL, "Ada <ada@example.com>"),
        (Channel.EMAIL, '"Lovelace, Ada" <ada@example.com>'),
        (Channel.SMS, "+491701234567"),
        (Channel.VOICE, "+4912"),
        (Channel.WHATSAPP, "+123456789012345"),
        (Channel.WEBHOOK, "https://example.com/hook?a=1"),
        (Channel.WEBHOOK, "http://[::1]:8080/"),
        (Channel.WEBHOOK, "https://example.com/a%2fb?c=%C3%bc#%"),
        (Channel.PUSH, "d3vice:token-17"),
        (Channel.CHAT, "#alerts"),
        (Channel.IN_APP, "user:17"),
        (Channel.IN_APP, "ada"),
    ],
)
def test_addresses_of_a_channel_pass(channel: Channel, recipient: str) -> None:
    check_recipient(channel, recipient)


@pytest.mark.parametrize(
    ("channel", "recipient"),
    [
        (Channel.EMAIL, "ada"),
        (Channel.EMAIL, "a@b.c, evil@example.com"),
        (Channel.EMAIL, "g: a@b.c, e@x.y;"),
        (Channel.EMAIL, "a@b.c> RCPT TO:<evil@example.com"),
        (Channel.EMAIL, "a@b.c\r\nRCPT TO:<evil@example.com>"),
        (Channel.EMAIL, "@x,@y:a@b.c"),
        (Channel.EMAIL, '"a b"@example.com'),
        (Channel.EMAIL, "Ada <ada@example.com"),
        (Channel.EMAIL, "Ada <ada@x_y.example>"),
        (Channel.EMAIL, "ada%example.net@example.com"),
        (Channel.EMAIL, "a@@example.com"),
        (Channel.EMAIL, "a..b@example.com"),
        (Channel.EMAIL, "a@example..com"),
        (Channel.EMAIL, "a@-example.com"),
        (Channel.EMAIL, "a@127.0.0.1"),
        (Channel.EMAIL, "a@[10.0.0.1]"),
        (Channel.EMAIL, "a" * 65 + "@example.com"),
        (Channel.EMAIL, "ä" * 33 + "@example.com"),
        (Channel.EMAIL, "a@" + "b." * 130 + "com"),
        (Channel.EMAIL, "a\u00a0@example.com"),
        (Channel.EMAIL, "a\u200b@example.com"),
        (Channel.EMAIL, "a\u202e@example.com"),
        (Channel.EMAIL, "a\U000e0041@example.com"),
        (Channel.EMAIL, "user:17"),
        (Channel.SMS, "01701234567"),
        (Channel.SMS, "00491701234567"),
        (Channel.SMS, "+49 170 1234567"),
        (Channel.SMS, "+491"),
        (Channel.SMS, "+1234567890123456"),
        (Channel.SMS, "+49170123456\u0667"),
        (Channel.SMS, "+491701234567\n"),
        (Channel.WEBHOOK, "ftp://example.com/"),
        (Channel.WEBHOOK, "https:///path"),
        (Channel.WEBHOOK, "https://user:pw@example.com/"),
        (Channel.WEBHOOK, "https://example.com\\@evil.example/"),
        (Channel.WEBHOOK, "https://example.com/a b"),
        (Channel.WEBHOOK, "https://[::1"),
        (Channel.WEBHOOK, "https://example.com/?q=100%&s=a%2Bb"),
        (Channel.WEBHOOK, "https://example.com/100%"),
        (Channel.WEBHOOK, "https://example.com/%zz"),
        (Channel.WEBHOOK, "https://example.com:99999/"),
        (Channel.WEBHOOK, "https://example.com/" + "a" * 2048),
        (Channel.PUSH, "user:17"),
        (Channel.PUSH, " "),
        (Channel.CHAT, "#a\nb"),
        (Channel.IN_APP, ""),
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(channel: Channel, recipient: str) -> None:
    with pytest.raises(BadNotification) as bad:
        check_recipient(channel, recipient)
    assert len(recipient) < 5 or recipient not in str(bad.value)
    assert not re.search(r"\w@\w|\+\d|://", str(bad.value)), "the log and why would blacken an example"


def test_a_person_is_no_address() -> None:
    with pytest.raises(BadNotification, match=r"was not looked up.*email needs the address"):
        check_recipient(Channel.EMAIL, "user:17")


@given(channel=st.sampled_from(Channel), recipient=st.text(max_size=40) | st.from_regex(r"https?://.{0,20}"))
def test_any_text_passes_or_is_refused(channel: Channel, recipient: str) -> None:
    try:
        check_recipient(channel, recipient)
    except BadNotification:
        return
    assert "\n" not in recipient
    assert recipient.strip()
