"""How services spell the recipient of a message when they speak of it, and what of it must be seen nowhere."""

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from structlog.testing import capture_logs

from noti_worker.cli.provider import unnamed
from noti_worker.domain.facts import Finished, Result
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Message, Status
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.words import address_of
from noti_worker.observe.log import LogObserver
from tests.observe.facts import notification

Masked = Callable[[str, str], str]
"""The database's `noti.masked`."""

_GAPS = re.compile(r"(?<=[0-9])[-. ()]+(?=[0-9])")


def spellings(recipient: str) -> Mapping[str, str]:
    """Each spelling, with what must not be seen of it."""
    address = address_of(recipient)
    if recipient.startswith("{"):  # a subscription: a push service is told its endpoint alone
        return spellings(json.loads(recipient)["endpoint"])
    if "://" in recipient:
        path = urlsplit(recipient).path
        return dict.fromkeys((recipient, quote(recipient, safe=""), path), path.rpartition("/")[2])
    if recipient.startswith("+"):
        number = recipient[1:]
        spaced = f"{number[:2]} {number[2:5]} {number[5:]}"
        forms = [
            recipient,
            number,
            f"00{number}",
            f"%2B{number}",
            f"+{spaced}",
            f"({number[:2]}) {number[2:6]}-{number[6:]}",
        ]
        return dict.fromkeys(forms, number)
    if re.fullmatch(r"-?[0-9]+", recipient):
        return {recipient: recipient.lstrip("-"), recipient.lstrip("-"): recipient.lstrip("-")}
    if "@" in address[1:]:
        forms = [address, address.upper(), f"<{address}>", address.replace("@", "%40")]
        return dict.fromkeys(forms, address.partition("@")[0])
    bare = recipient.lstrip("@#")
    return dict.fromkeys((recipient, bare), bare)


def shown(message: Message, outcome: Outcome, masked: Masked) -> Mapping[str, str]:
    """What is told of the outcome, by where."""
    row = notification(channel=message.channel, recipient=message.recipient, body=message.text or "")
    result = Result(row, Verdict(Status.FAILED, "a reason"), outcome, account="test", provider="test")
    with capture_logs() as lines:
        LogObserver().on(Finished((result,)))
    printed = unnamed(outcome, message.recipient)
    return {
        "the log": str(lines),
        "why": masked(outcome.error or "", message.recipient),
        "provider test": f"{printed.error} {json.dumps(printed.response, ensure_ascii=False)}",
    }


def sees(text: str, private: str) -> bool:
    """Whether somebody who reads the text learns it, in any case, and however a number is spaced."""
    return re.search(rf"(?<!\w){re.escape(private)}(?!\w)", _GAPS.sub("", text), re.IGNORECASE) is not None
