"""WhatsApp takes free text for a day after a reply; that is asked here where replies are heard."""

from datetime import timedelta
from typing import Any

import pytest

from noti_worker.domain.notification import Briefing, Channel, Status
from tests.delivery.fakes import Courier, a_delivery
from tests.domain.rows import NOW, claimed

LATELY, LONG_AGO = NOW - timedelta(hours=24), NOW - timedelta(hours=24, microseconds=1)


def sent(
    replies: dict[str, Any], options: str | None = None, channel: Channel = Channel.WHATSAPP
) -> tuple[Status, str]:
    courier = Courier()
    delivery = a_delivery({"relay": courier})
    row = claimed(channel=channel, recipient="+4915112345", subject=None, has_options=options is not None)
    result = delivery.deliver(row, Briefing(options=options, replies=replies))
    assert (len(courier.sent) == 1) == (result.verdict.status is Status.SENT)
    return result.verdict.status, result.verdict.reason


@pytest.mark.parametrize("replies", [{}, {"other": LONG_AGO}, {"relay": LATELY}, {"other": None, "relay": NOW}])
def test_free_text_goes_out_within_a_day_and_where_nobody_knows(replies: dict[str, Any]) -> None:
    assert sent(replies)[0] is Status.SENT


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ({"relay": LONG_AGO}, "which came at 2026-02-28 11:59 UTC: name a template"),
        ({"relay": None, "other": NOW}, "and none is known: name a template"),
    ],
)
def test_free_text_outside_of_the_day_fails_in_words_without_a_try(replies: dict[str, Any], words: str) -> None:
    status, reason = sent(replies)
    assert (status, words in reason) == (Status.FAILED, True)
    assert sent(replies, '{"location": "52.5,13.3"}')[0] is Status.FAILED


@pytest.mark.parametrize("options", ['{"template": "hello", "template_language": "de"}', '{"content_sid": "HX1"}'])
def test_a_template_needs_no_reply(options: str) -> None:
    assert sent({"relay": None}, options)[0] is Status.SENT


def test_other_channels_do_not_ask() -> None:
    assert sent({"relay": None}, channel=Channel.SMS)[0] is Status.SENT
