"""Mattermost: an incoming webhook of one channel."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, read_json
from noti_worker.providers._chat import at_most, literal, open_webhook, path_of, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# The server's own source, server/channels/app/webhook.go: the code is the `id` of its errors. The URL belongs to the
# account: what is wrong with it, its channel or its owner says nothing of the recipient, which is a label.
RULES = (
    Rule("mattermost.accepted", Kind.OK, status="2..", code=""),
    Rule("mattermost.unreadable", Kind.UNCERTAIN, Scope.PROVIDER, status="2..", code="unreadable"),
    Rule("mattermost.webhook_gone", Kind.CONFIG, Scope.ACCOUNT, code=r"web\.incoming_webhook\.invalid\.app_error"),
    Rule(
        "mattermost.webhooks_off",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code=r"(web|api)\.incoming_webhook\.disabled\.app_error",
    ),
    Rule(
        "mattermost.channel_gone",
        Kind.CONFIG,
        Scope.ACCOUNT,
        status="4..",
        code=r"web\.incoming_webhook\.channel\.app_error|app\.channel\.get\.existing\.app_error",
    ),
    Rule(
        "mattermost.not_allowed",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code=r"web\.incoming_webhook\.(permissions|user|channel_locked)\.app_error"
        r"|api\.post\.create_post\.town_square_read_only",
    ),
    Rule(
        "mattermost.content",
        Kind.PERMANENT,
        code=r"web\.incoming_webhook\.(text|parse|split_props_length)\.app_error",
    ),
    Rule("mattermost.too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="429", wait=1.0),
    *BY_STATUS,
)

# https://developers.mattermost.com/integrate/webhooks/incoming/: what is longer becomes several posts.
_LONGEST = 16_383
_PATH = re.compile(r"(/[^/]+)*/hooks/[A-Za-z0-9]+")
# @name, and what stands for it in messages made for Slack: <!channel>, <!here>, <!all>
_MENTION = re.compile(r"(?<![^\W_])@(?=\w)|<(?=!)")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a webhook of Mattermost."""

    webhook_url: Secret = field(metadata=about("a reference to the URL of the channel's incoming webhook"))
    format: Literal["plain", "markdown"] = field(
        default="plain", metadata=about("`markdown`: the body is Markdown; titles never are")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _PATH.fullmatch(path_of(settings.webhook_url)):
        raise ConfigurationError("webhook_url is no incoming webhook of Mattermost: it is https://HOST/hooks/…")
    return open_webhook(kit, _Mattermost(settings.webhook_url, settings.format), settings.webhook_url)


class _Mattermost:
    def __init__(self, url: Secret, format: str) -> None:  # noqa: A002 - as in Settings
        self._url = url
        self._format = format

    def request(self, message: Message) -> Request:
        own = {"props": {"message_id": str(message.message_id)}}
        return post(self._url.reveal(), {**self._content(message), **own})

    def read(self, reply: Reply) -> Said:
        said = read_json(
            reply, code="id", words="message", keep=(*KEPT, "x-ratelimit-limit", "x-version-id"), secret_path=True
        )
        taken = not 200 <= reply.status < 300 or said.words == "ok"
        return said if taken else replace(said, code="unreadable")

    def _content(self, message: Message) -> dict[str, Any]:
        said = written(message)
        title = f"**{literal(said.title)}**" if said.title else ""
        text = said.text if self._format == "markdown" else literal(said.text)
        whole = _pinging_nobody("\n".join(filter(None, (title, text))))
        at_most(_LONGEST, len(whole), "the message, with subject and escaped signs,")
        if said.colour is None:
            return {"text": whole}
        return {"attachments": [{"color": said.colour.hexadecimal, "fallback": whole, "text": whole}]}


def _pinging_nobody(text: str) -> str:
    """With an invisible space behind the @ of a name: Mattermost reads mentions whatever is escaped."""
    return _MENTION.sub("\\g<0>\u200b", text)
