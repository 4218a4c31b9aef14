"""Telegram: a bot that writes to people, groups and channels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, json_object, open_api, read_json
from noti_worker.providers._chat import at_most, pinging_nobody, post, written
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# https://core.telegram.org/bots/api#making-requests: `error_code` repeats the status, only the words tell more.
RULES = (
    Rule("telegram.accepted", Kind.OK, status="2.."),
    Rule("telegram.blocked", Kind.OPTOUT, Scope.RECIPIENT, status="403", text="bot was blocked by the user"),
    Rule(
        "telegram.unreachable",
        Kind.DEAD,
        Scope.RECIPIENT,
        status="403",
        text="user is deactivated|bot was kicked|can't initiate conversation|group chat was deleted",
    ),
    # Whatever else is forbidden is so in this one chat.
    Rule("telegram.forbidden", Kind.CONFIG, Scope.RECIPIENT, status="403"),
    Rule("telegram.no_such_chat", Kind.DEAD, Scope.RECIPIENT, status="400", text="chat not found"),
    Rule("telegram.moved", Kind.DEAD, Scope.RECIPIENT, status="400", text="upgraded to a supergroup"),
    Rule(
        "telegram.no_rights",
        Kind.CONFIG,
        Scope.RECIPIENT,
        status="400",
        text="not enough rights|have no rights|administrator rights|CHAT_WRITE_FORBIDDEN",
    ),
    *BY_STATUS,
)

_LONGEST = 4096  # https://core.telegram.org/bots/api#sendmessage; lengths there are UTF-16 code units
_TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{3,64}")
_PARSE_MODES = {"plain": None, "html": "HTML", "markdown_v2": "MarkdownV2"}


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Telegram bot."""

    token: Secret = field(metadata=about("a reference to the bot's token, `123456:ABC…`, from @BotFather"))
    format: Literal["plain", "html", "markdown_v2"] = field(
        default="plain",
        metadata=about(
            "`html`, `markdown_v2`: the body is written in it, and what is to be shown as it is stands escaped there"
        ),
    )
    api_url: str = field(
        default="https://api.telegram.org", metadata=about("the Bot API, or a server of your own of it")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _TOKEN.fullmatch(settings.token.reveal()):
        raise ConfigurationError("token is no bot's token: it is digits, a colon and letters, as @BotFather shows it")
    return open_api(kit, _Telegram(settings.token, settings.format, settings.api_url.rstrip("/")), settings.api_url)


class _Telegram:
    def __init__(self, token: Secret, format: str, api_url: str) -> None:  # noqa: A002 - as in Settings
        self._token = token
        self._format = format
        self._api_url = api_url

    def request(self, message: Message) -> Steps:
        if not _CHAT.fullmatch(message.recipient):
            raise BadNotification("the recipient is no chat of Telegram: write its id, a number, or @NAME of a channel")
        document = self._document(message)
        return self._steps(message.recipient, document)

    def read(self, reply: Reply) -> Said:
        return read_json(
            reply,
            id="result.message_id",
            code="error_code",
            words="description",
            hint="parameters.retry_after",
        )

    def _steps(self, chat: str, document: Mapping[str, Any]) -> Steps:
        reply = yield self._post(chat, document)
        moved_to = _moved_to(reply)
        if not moved_to:
            return None
        # A refusal: nothing was sent yet.
        reply = yield self._post(moved_to, document)
        said = self.read(reply)
        told = f"the group has become a supergroup: write {moved_to} as its recipient from now on"
        return replace(said, error=told) if 200 <= reply.status < 300 else said

    def _post(self, chat: str, document: Mapping[str, Any]) -> Request:
        return post(f"{self._api_url}/bot{self._token.reveal()}/sendMessage", {"chat_id": chat, **document})

    def _document(self, message: Message) -> dict[str, Any]:
        said = written(message)
        mark = f"{said.colour.sign} " if said.colour else ""
        if self._format == "plain":
            title, text = pinging_nobody(said.title), pinging_nobody(said.text)
            whole = mark + "\n".join(filter(None, (title, text)))
            at_most(_LONGEST, _units(whole), "the message with its subject", "characters (UTF-16)")
            bold = {"type": "bold", "offset": _units(mark), "length": _units(title)}
            return {"text": whole, **({"entities": [bold]} if title else {})}
        title = self._bold(pinging_nobody(said.title)) if said.title else ""
        return {"text": mark + "\n".join(filter(None, (title, said.text))), "parse_mode": _PARSE_MODES[self._format]}

    def _bold(self, title: str) -> str:
        if self._format == "html":
            escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return f"<b>{escaped}</b>"
        return "*" + re.sub(r"([_*\[\]()~`>#+\-=|{}.!\\])", r"\\\1", title) + "*"


def _units(text: str) -> int:
    """How long Telegram counts a text: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _moved_to(reply: Reply) -> str:
    """The id that a chat has instead since it became a supergroup; empty when the answer names none."""
    if reply.status != 400:
        return ""
    parameters = json_object(reply.body).get("parameters")
    moved_to = parameters.get("migrate_to_chat_id") if isinstance(parameters, Mapping) else None
    return str(moved_to) if isinstance(moved_to, int) and not isinstance(moved_to, bool) else ""
