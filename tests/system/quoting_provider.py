"""A provider from outside that quotes what it was given wherever it can; the recipient begins with what it does."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit

CHANNELS = frozenset({Channel.CHAT})
_ANSWERS = {
    "fails": Kind.PERMANENT,
    "retries": Kind.TRANSIENT,
    "holds": Kind.CONFIG,
    "unsure": Kind.UNCERTAIN,
    "slower": Kind.THROTTLED,
    "gone": Kind.DEAD,
    "sends": Kind.OK,
    "logs": Kind.OK,
}
OPTIONS = ALL_OPTIONS
RULES = tuple(Rule(f"quoting.{does}", kind, code=does) for does, kind in _ANSWERS.items())


@dataclass(frozen=True, slots=True)
class Settings:
    once: str
    token: Secret


def build(settings: Settings, kit: Kit) -> Sender:
    return kit.blocking(_Quoting(settings).send)


class _Quoting:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, message: Message, limit: float) -> Said:
        does = message.recipient.partition("-")[0]
        content = f"{message.text} (html {message.html!r}, {message.options})"
        said = f"<{message.recipient}> was told {message.subject!r}: {content}"
        if does == "raises":
            raise ValueError(said)
        if does == "breaks":
            raise SystemExit(said)
        if does == "dies" and not Path(self._settings.once).exists():
            Path(self._settings.once).touch()
            os._exit(9)
        if does == "logs":
            token = self._settings.token.reveal()
            url = f"https://hooks.example.com/services/{token}?key={token}"
            logging.getLogger("library").warning("retrying %s with token=%s for %s", url, token, message.recipient)
            try:
                raise RuntimeError(said)
            except RuntimeError:
                logging.getLogger("library").exception("it broke")
            return Said("answer", code="logs")
        if does == "odd":
            answer: Said = f"no Said but {said}"  # type: ignore[assignment]
            return answer
        return Said("answer", "550", does, words=said, error=said, response={"said": said}, id="m1")
