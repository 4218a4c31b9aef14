"""Sends nothing and answers as the recipient asks: for trying out and for tests of an application.

The word may stand anywhere in the recipient (`refused@example.com`, `https://example.com/refused`, a token
`refused-17`); a phone number ends with the digits. Everybody else is `delivered`.

| word | phone | answer |
|---|---|---|
| `delivered` | any other | accepted |
| `refused` | …0001 | the address does not exist: failed, kind `dead` |
| `rejected` | …0002 | the message is not accepted: failed, kind `permanent` |
| `optout` | …0003 | the person does not want it: failed, kind `optout` |
| `greylisted` | …0004 | the first try of each message fails, the second is accepted |
| `transient` | …0005 | every try fails, as if their server were down |
| `throttled` | …0006 | too fast, come back in 30 s: spends no try, ends after 24 h |
| `misconfigured` | …0007 | our sender is not accepted: the row is held |
| `slow` | …0008 | accepted after 2 s |
| `hanging` | …0009 | no answer until the time limit: `uncertain` |
| `broken` | …0010 | the line breaks after the message went out: `uncertain` |
"""

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit

CHANNELS = frozenset(Channel)
OPTIONS = ALL_OPTIONS

SLOW = 2.0
"""Seconds until the answer for `slow`."""

_REMEMBERED = 10_000  # greylisted messages; older ones are forgotten and greylisted once more

_PHONES = {
    "0001": "refused",
    "0002": "rejected",
    "0003": "optout",
    "0004": "greylisted",
    "0005": "transient",
    "0006": "throttled",
    "0007": "misconfigured",
    "0008": "slow",
    "0009": "hanging",
    "0010": "broken",
}

RULES = (
    Rule("sandbox.delivered", Kind.OK, code="delivered"),
    Rule("sandbox.refused", Kind.DEAD, Scope.RECIPIENT, code="refused"),
    Rule("sandbox.rejected", Kind.PERMANENT, code="rejected"),
    Rule("sandbox.optout", Kind.OPTOUT, Scope.RECIPIENT, code="optout"),
    Rule("sandbox.greylisted", Kind.TRANSIENT, code="greylisted"),
    Rule("sandbox.transient", Kind.TRANSIENT, code="transient"),
    Rule("sandbox.throttled", Kind.THROTTLED, Scope.RECIPIENT, code="throttled"),
    Rule("sandbox.misconfigured", Kind.CONFIG, Scope.SENDER, code="misconfigured"),
    Rule("sandbox.not_answered", Kind.UNCERTAIN, code="hanging|broken"),
)

_ERRORS = {
    "refused": "no such recipient",
    "rejected": "the message is not accepted",
    "optout": "the recipient does not want it",
    "greylisted": "greylisted, try again",
    "transient": "temporarily unavailable",
    "throttled": "too many messages",
    "misconfigured": "the account may not use this sender",
    "hanging": "no answer within the time limit",
    "broken": "the line broke after the message went out",
}

_WORDS = re.compile("|".join((*_ERRORS, "slow")), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""


def build(settings: Settings, kit: Kit) -> Sender:
    """A sender that sends nothing."""
    sandbox = _Sandbox()
    return kit.blocking(sandbox.answer, sandbox.close)


class _Sandbox:
    def __init__(self) -> None:
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._greylisted: OrderedDict[UUID, None] = OrderedDict()

    def answer(self, message: Message, limit: float) -> Said:
        word = _word(message.recipient)
        if word == "greylisted" and not self._is_first(message.message_id):
            word = "delivered"
        if word == "slow":
            # Whoever answers slower than the limit was asked, and nobody knows what came of it.
            self._closed.wait(min(SLOW, limit))
            word = "hanging" if limit < SLOW else "delivered"
        elif word == "hanging":
            self._closed.wait(limit)
        return Said(
            "answer",
            code=word,
            error=_ERRORS.get(word),
            id=None if word in _ERRORS else f"sandbox-{message.message_id}",
            hint=30.0 if word == "throttled" else None,
            response={"sandbox": word},
        )

    def close(self) -> None:
        """End all waiting."""
        self._closed.set()

    def _is_first(self, message_id: UUID) -> bool:
        with self._lock:
            first = message_id not in self._greylisted
            self._greylisted[message_id] = None
            if len(self._greylisted) > _REMEMBERED:
                self._greylisted.popitem(last=False)
            return first


def _word(recipient: str) -> str:
    if recipient.startswith("+"):
        return _PHONES.get(recipient[-4:], "delivered")
    match = _WORDS.search(recipient)
    return match[0].lower() if match else "delivered"
