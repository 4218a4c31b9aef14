"""Mails that every service of e-mail is asked to send: one with all that a mail may have, and its pieces."""

from typing import Any

from noti_worker.domain.notification import Attachment, Channel, Message
from tests.providers.contract import a_message

PICTURE = Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo.png")
REPORT = Attachment("orders.csv", "text/csv; charset=utf-8", b"order;sum\r\n17;9\r\n")
INVITATION = Attachment("party.ics", "text/calendar; method=REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")


def a_mail(**changes: Any) -> Message:
    """A plain mail to Ann, changed as the test needs it."""
    return a_message(Channel.EMAIL, "Ann <ann@example.net>", **changes)


def a_full_mail(**changes: Any) -> Message:
    """A mail to many with an image and a file; Bo stands twice, and so does Ann."""
    options = {
        "from": "billing@example.com",
        "cc": ["Bo <bo@example.net>", "ANN@example.net"],
        "bcc": ["cy@example.net", "bo@example.net"],
        "reply_to": '"Desk, Help" <help@example.com>',
        "headers": {"X-Order": "17", "X-Note": "für Ann"},
    }
    return a_mail(html='<p><img src="cid:logo.png"></p>', options=options, attachments=(PICTURE, REPORT), **changes)
