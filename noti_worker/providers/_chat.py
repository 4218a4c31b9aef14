"""What chats have in common: title, text and colour of a message, limits told in words, webhooks of one channel."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Message
from noti_worker.domain.ports import Sender
from noti_worker.domain.secret import Secret
from noti_worker.providers._api import open_api, url_parts
from noti_worker.providers._body import as_json
from noti_worker.transport import Kit, Request

if TYPE_CHECKING:
    from noti_worker.transport.http import Translation


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour, as each service names it: a number, a style of an adaptive card, or a sign in the text."""

    rgb: int
    style: str
    sign: str

    @property
    def hexadecimal(self) -> str:
        """As in HTML, `#2f80ed`."""
        return f"#{self.rgb:06x}"


COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "info": Colour(0x2F80ED, "accent", "🔵"),
        "success": Colour(0x2EB67D, "good", "🟢"),
        "warning": Colour(0xECB22E, "warning", "🟡"),
        "error": Colour(0xE01E5A, "attention", "🔴"),
        "critical": Colour(0x8B0000, "attention", "🟣"),
    }
)
"""By `options.severity`."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is to be said: `title` is on one line and may be empty, `text` may be empty, but not both."""

    title: str
    text: str
    colour: Colour | None

    @property
    def title_and_text(self) -> tuple[str, str]:
        """For services that want a text: a title alone is one."""
        return (self.title, self.text) if self.text else ("", self.title)


def written(message: Message) -> Written:
    """What a message says in a chat, or in a push; raises BadNotification when it says nothing."""
    if message.text is None and message.html is not None:
        raise BadNotification("the message is only HTML, which the service does not show: give it a body of plain text")
    title, text = " ".join((message.subject or "").split()), (message.text or "").strip()
    if not title and not text:
        raise BadNotification(
            "the message is empty, and the service takes none without text: give it a subject or a body"
        )
    severity = message.options.get("severity")
    return Written(title, text, COLOURS[severity] if severity else None)


def at_most(limit: int, length: int, what: str, unit: str = "characters") -> None:
    """Raise BadNotification that names the limit when `what` is longer than the service takes."""
    if length > limit:
        raise BadNotification(f"{what} has {length} {unit}, and the service takes {limit}: shorten it")


def literal(text: str) -> str:
    """`text` with a backslash before whatever Markdown would not show as it is; URLs stay as they are, and links."""
    pieces = [piece if _URL.fullmatch(piece) else _INLINE.sub(r"\\\g<0>", piece) for piece in _URL.split(text)]
    return _LINE_START.sub(r"\1\\\2", "".join(pieces))


_URL = re.compile(r"(https?://[^\s<>\[\]()*|`\\]+)")
_INLINE = re.compile(r"[\\*_~`|\[\]<]|&(?=#?\w+;)")
_LINE_START = re.compile(r"^([ \t]*(?:[0-9]+(?=[.)]))?)([#>+.)-])", re.MULTILINE)


def pinging_nobody(text: str) -> str:
    """With an invisible word joiner behind the @ of a name, for services that would make a mention of it."""
    return "".join(piece if _URL.fullmatch(piece) else _NAME.sub("@\u2060", piece) for piece in _URL.split(text))


_NAME = re.compile(r"(?<![\w.+-])@(?=\w)")


def post(url: str, document: Any, headers: Mapping[str, str] | None = None) -> Request:
    """A document as JSON; raises BadNotification as `as_json` does."""
    headers = {"content-type": "application/json; charset=utf-8", **(headers or {})}
    return Request("POST", url, headers, as_json(document))


def open_webhook(kit: Kit, translation: "Translation", webhook_url: Secret) -> Sender:
    """A sender to a URL that is a secret as a whole, its query too; raises ConfigurationError as `open_api` does."""
    without_query = re.sub(r"\?[^#]*", "", webhook_url.reveal(), count=1)
    return open_api(kit, translation, without_query, setting="webhook_url")


def path_of(webhook_url: Secret) -> str:
    """The path of a webhook's URL; empty when it is no URL."""
    return url_parts(webhook_url.reveal()).path
