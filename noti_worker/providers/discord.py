"""Discord: a webhook of one channel."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.traits import Limit
from noti_worker.providers._api import BY_STATUS, KEPT, asking, look, read_json
from noti_worker.providers._chat import at_most, literal, open_webhook, path_of, post, written
from noti_worker.transport import Kit, Reply, Request, Steps

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS
CHECK = "the webhook is there"

# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
RULES = (
    Rule("discord.accepted", Kind.OK, status="2.."),
    # The URL belongs to the account: that it is gone says nothing of the recipient, which is a label.
    Rule("discord.webhook_gone", Kind.CONFIG, Scope.ACCOUNT, code="10003|10004|10013|10015"),
    Rule("discord.closed_to_us", Kind.OPTOUT, Scope.RECIPIENT, code="50007"),
    Rule("discord.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="20016|20028|20029|40003", wait=1.0),
    Rule("discord.not_allowed", Kind.CONFIG, Scope.ACCOUNT, code="40001|50001|50013|50027"),
    Rule("discord.login", Kind.CONFIG, Scope.ACCOUNT, status="401|403", code="0"),
    Rule("discord.forum_without_thread", Kind.CONFIG, Scope.ACCOUNT, code="220001"),
    Rule("discord.content", Kind.PERMANENT, code="40005|50006|50035"),
    Rule("discord.overloaded", Kind.TRANSIENT, Scope.PROVIDER, code="130000"),
    *BY_STATUS,
)

# https://discord.com/developers/docs/resources/webhook#execute-webhook and, of embeds,
# https://discord.com/developers/docs/resources/message#embed-object-embed-limits
_LONGEST_CONTENT, _LONGEST_TITLE, _LONGEST_DESCRIPTION = 2000, 256, 4096
LIMITS = (
    Limit("message", _LONGEST_CONTENT, "characters"),
    Limit("subject with a severity", _LONGEST_TITLE, "characters"),
    Limit("body with a severity", _LONGEST_DESCRIPTION, "characters"),
)
_PATH = re.compile(r"/api(/v[0-9]+)?/webhooks/[0-9]+/[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Discord webhook."""

    addressed: ClassVar[bool] = False
    """Where its messages go is written in the account: the recipient of a row is a label."""

    webhook_url: Secret = field(
        metadata=about("a reference to the URL of the channel's webhook; `?thread_id=` names a thread")
    )
    format: Literal["plain", "markdown"] = field(
        default="plain", metadata=about("`markdown`: the body is Discord's Markdown; titles never are")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _PATH.fullmatch(path_of(settings.webhook_url)):
        raise ConfigurationError(
            "webhook_url is no webhook of Discord: it is https://discord.com/api/webhooks/ID/TOKEN, nothing behind"
        )
    return open_webhook(kit, _Discord(settings.webhook_url, settings.format), settings.webhook_url)


class _Discord:
    def __init__(self, url: Secret, format: str) -> None:  # noqa: A002 - as in Settings
        self._url = url
        self._format = format

    def request(self, message: Message) -> Request:
        url = self._url.reveal()
        # Without `wait` Discord answers before it has tried, and gives no id.
        return post(f"{url}{'&' if urlsplit(url).query else '?'}wait=true", self._document(message))

    def read(self, reply: Reply) -> Said:
        return read_json(
            reply,
            id="id",
            code="code",
            words="message",
            hint="retry_after",
            keep=(*KEPT, "x-ratelimit-scope", "x-ratelimit-bucket", "x-ratelimit-remaining"),
            secret_path=True,
        )

    def check(self) -> Steps:
        """https://discord.com/developers/docs/resources/webhook#get-webhook-with-token."""
        return look(asking(self._url.reveal().partition("?")[0], {}), self.read)

    def _document(self, message: Message) -> dict[str, Any]:
        said = written(message)
        title = literal(said.title)
        text = said.text if self._format == "markdown" else literal(said.text)
        nobody: dict[str, Any] = {"allowed_mentions": {"parse": []}}
        if said.colour is None:
            content = "\n".join(filter(None, (title and f"**{title}**", text)))
            at_most(_LONGEST_CONTENT, len(content), "the message, with subject and escaped signs,")
            return {"content": content, **nobody}
        at_most(_LONGEST_TITLE, len(title), "the subject, with escaped signs,")
        at_most(_LONGEST_DESCRIPTION, len(text), "the body, with escaped signs,")
        embed = {"title": title, "description": text, "color": said.colour.rgb}
        return {"embeds": [{name: value for name, value in embed.items() if value != ""}], **nobody}
