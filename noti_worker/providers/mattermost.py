"""Mattermost: an incoming webhook of one channel."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, read_json
from noti_worker.providers._chat import literal, open_webhook, path_of, pinging_nobody, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# https://docs.mattermost.com/developers/integrate/webhooks/incoming; the ids are those of HandleIncomingWebhook in
# https://github.com/mattermost/mattermost/blob/master/server/channels/app/webhook.go
RULES = (
    Rule("mattermost.accepted", Kind.OK, status="2.."),
    # The URL belongs to the account: what is wrong with it or its channel says nothing of the recipient, a label.
    Rule(
        "mattermost.webhook_gone",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code=r"web\.incoming_webhook\.(invalid|disabled|user|channel|channel_locked|permissions)\.app_error"
        r"|app\.channel\.get\.existing\.app_error|api\.post\.create_post\.can_not_post_to_deleted\.error",
        status="4..|501",
    ),
    Rule(
        "mattermost.content", Kind.PERMANENT, code=r"web\.incoming_webhook\.(text|parse|split_props_length)\.app_error"
    ),
    *BY_STATUS,
)

_PATH = re.compile(r"(/.*)?/hooks/[A-Za-z0-9]{8,64}")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Mattermost webhook."""

    addressed: ClassVar[bool] = False
    """Where its messages go is written in the account: the recipient of a row is a label."""

    webhook_url: Secret = field(metadata=about("a reference to the URL of the incoming webhook"))
    format: Literal["plain", "markdown"] = field(
        default="plain", metadata=about("`markdown`: the body is Mattermost's Markdown; titles never are")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _PATH.fullmatch(path_of(settings.webhook_url)):
        raise ConfigurationError("webhook_url is no incoming webhook of Mattermost: it is https://HOST/hooks/KEY")
    return open_webhook(kit, _Mattermost(settings.webhook_url, settings.format), settings.webhook_url)


class _Mattermost:
    def __init__(self, url: Secret, format: str) -> None:  # noqa: A002 - as in Settings
        self._url = url
        self._format = format

    def request(self, message: Message) -> Request:
        said = written(message)
        title = _harmless(literal(said.title))
        text = _harmless(said.text if self._format == "markdown" else literal(said.text))
        whole = "\n".join(filter(None, (title and f"**{title}**", text)))
        document: dict[str, Any] = {"text": whole}
        if said.colour is not None:
            document = {"attachments": [{"color": said.colour.hexadecimal, "fallback": whole, "text": whole}]}
        return post(self._url.reveal(), document)

    def read(self, reply: Reply) -> Said:
        return read_json(reply, code="id", words="message", secret_path=True)


def _harmless(text: str) -> str:
    """Without mentions; those of Slack are understood too, wherever `<!channel>` stands."""
    return pinging_nobody(re.sub(r"\\?<(?=[!@#])", "&lt;", text))
