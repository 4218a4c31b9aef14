"""The provider's own words: without addresses, URLs and host names, and the wait that they ask for."""

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.notification import Channel
from noti_worker.domain.words import asked_wait, blanked, without_recipient
from tests.providers.contract import a_message

MAIL = a_message(
    Channel.EMAIL, "Rate Limit <rate@Spam-List.example>", options={"cc": ["helo@example.net"], "bcc": "x@blocked.test"}
)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("<rate@spam-list.example>: User unknown", "<***>: User unknown"),
        ("rate@spam-list.example: User unknown", "***: User unknown"),
        ("RATE@SPAM-LIST.EXAMPLE is unknown", "*** is unknown"),
        ("<rate> unknown", "*** unknown"),
        ("the rate is too high", "the rate is too high"),
        ("no host spam-list.example here", "no host *** here"),
        ("<helo@example.net> and x@blocked.test", "<***> and ***"),
        ("somebody.else@dmarc.example is unknown", "*** is unknown"),
        ('"too many words"@x.example is unknown', "*** is unknown"),
        ("räte@größe.example ist unbekannt", "*** ist unbekannt"),
        ("<spam@[192.0.2.1]> unknown", "*** unknown"),
        ("see https://rate.example/blocked?by=spam now", "see *** now"),
        ("see www.rate.example/spam", "see ***"),
        ("client mail.helo.example.com refused", "client *** refused"),
        ("client MAIL.HELO.EXAMPLE.COM refused", "client *** refused"),
        ("User unknown.Please go", "User unknown.Please go"),
        ("5.1.1 unknown, 4.7.650 rate. Wait 1.5 s", "5.1.1 unknown, 4.7.650 rate. Wait 1.5 s"),
        ("", ""),
    ],
)
def test_only_the_provider_s_words_are_left(words: str, left: str) -> None:
    assert blanked(words, MAIL) == left


def test_a_recipient_of_another_channel_is_blanked_as_a_whole_word() -> None:
    chat = a_message(Channel.CHAT, "#spam")
    assert blanked("channel #spam is unknown, #spammers is not", chat) == "channel *** is unknown, #spammers is not"
    hook = a_message(Channel.WEBHOOK, "https://hooks.example/rate?spam=1")
    assert blanked("no route for https://hooks.example/rate?spam=1", hook) == "no route for ***"


def test_without_a_message_addresses_and_hosts_are_blanked_all_the_same() -> None:
    assert blanked("rate@x.example at mx.rate.example", None) == "*** at ***"


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("try again in 300 seconds", 310.0),
        ("back in 1 hour", 3610.0),
        ("wait 10min", 610.0),
        ("<15min@example.net> is unknown", None),
        ("http://x.example/15 min", None),
        ("soon", None),
    ],
)
def test_the_wait_that_the_words_ask_for(words: str, seconds: float | None) -> None:
    assert asked_wait(words, a_message(Channel.EMAIL, "15min@example.net")) == seconds


@given(st.text() | st.text(alphabet='<>@."ab[]:/\\ '))
def test_any_words_can_be_read(words: str) -> None:
    blanked(words, MAIL)
    asked_wait(words, MAIL)


@pytest.mark.parametrize("hostile", ["a" * 500_000, "a." * 250_000, "@" * 500_000, "<" * 500_000, '"' * 500_000])
def test_hostile_words_cost_no_more_than_others(hostile: str) -> None:
    began = thread_time()
    blanked(hostile, MAIL)
    assert thread_time() - began < 2


@pytest.mark.parametrize(
    ("recipient", "words", "left"),
    [
        ("+491511234567", "to 491511234567, 00491511234567 and +49 151 1234567", "to …, … and …"),
        ("+491511234567", "(49) 1511-234-567 or %2B491511234567", "(… or …"),
        ("+491511234567", "message 4915112345670 is another", "message 4915112345670 is another"),
        ("-1001234567890", "chat -1001234567890 or 1001234567890", "chat … or …"),
        ("@shop_news", "no @shop_news, no SHOP_NEWS", "no …, no …"),
        (
            "#orders",
            "#orders: the channel orders is archived, reorders not",
            "…: the channel … is archived, reorders not",
        ),
        ("Ada <ada@example.com>", "ada@example.com, ADA@EXAMPLE.COM, ada%40example.com", "…, …, …"),
        ("https://x.example/T0/se-cret?k=1", "POST /T0/se-cret?k=1 gave 410", "POST /… gave 410"),
        ("user:17", "user:17 is not user:170", "… is not user:170"),
        ('{"endpoint": "https://p.example/s/AbCdEf", "keys": {"auth": "dGhlIGF1dGg"}}', "s/AbCdEf dGhlIGF1dGg", "… …"),
        ("ab", "ab is too short to be looked for", "ab is too short to be looked for"),
    ],
)
def test_a_recipient_is_found_in_every_spelling(recipient: str, words: str, left: str) -> None:
    assert without_recipient(words, recipient) == left


def test_no_recipient_makes_reading_slow() -> None:
    began = thread_time()
    without_recipient("1 " * 20_000, "+" + "1" * 15)
    without_recipient("x" * 50_000, "https://" + "x/" * 1_000)
    assert thread_time() - began < 20
