"""Google Chat: a webhook of one space."""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

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
from noti_worker.providers._chat import at_most, open_webhook, path_of, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# https://developers.google.com/workspace/chat/limits; codes as in https://cloud.google.com/apis/design/errors
RULES = (
    Rule("google_chat.accepted", Kind.OK, status="2.."),
    Rule("google_chat.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="RESOURCE_EXHAUSTED", wait=1.0),
    Rule("google_chat.key", Kind.CONFIG, Scope.ACCOUNT, status="400", text="API key"),
    # The URL belongs to the account: that it is gone says nothing of the recipient, which is a label.
    Rule("google_chat.webhook_gone", Kind.CONFIG, Scope.ACCOUNT, code="NOT_FOUND|PERMISSION_DENIED|UNAUTHENTICATED"),
    Rule("google_chat.content", Kind.PERMANENT, status="400", code="INVALID_ARGUMENT"),
    *BY_STATUS,
)

# https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create
_LARGEST = 32_000
_PATH = re.compile(r"/v1/spaces/[^/]+/messages")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Google Chat webhook."""

    webhook_url: Secret = field(metadata=about("a reference to the URL of the space's webhook, with key and token"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    sound = _PATH.fullmatch(path_of(settings.webhook_url))
    if not sound or not {"key", "token"} <= parse_qs(urlsplit(settings.webhook_url.reveal()).query).keys():
        raise ConfigurationError(
            "webhook_url is no webhook of Google Chat: it is https://chat.googleapis.com/v1/spaces/…/messages?key=…&token=…"
        )
    return open_webhook(kit, _GoogleChat(settings.webhook_url), settings.webhook_url)


class _GoogleChat:
    def __init__(self, url: Secret) -> None:
        self._url = url

    def request(self, message: Message) -> Request:
        said = written(message)
        title, text = _harmless(said.title), _harmless(said.text)
        if title and "*" not in title:  # there is no way to write an asterisk in bold
            title = f"*{title}*"
        mark = f"{said.colour.sign} " if said.colour else ""
        request = post(
            f"{self._url.reveal()}&requestId={message.message_id}",
            {"text": mark + "\n".join(filter(None, (title, text)))},
        )
        at_most(_LARGEST, len(request.body), "the message with its subject", "bytes")
        return request

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="name", code="error.status", words="error.message")
        # `spaces/SPACE/messages/ID`, and the space is of the URL.
        return replace(said, id=said.id.rpartition("/")[2]) if said.id else said


def _harmless(text: str) -> str:
    """With an invisible word joiner in `<users/all>`, a mention, and in `<URL|words>`, which hides where it leads.

    https://developers.google.com/workspace/chat/format-messages
    """
    return re.sub(r"<(?=users/|[^<>|\n]+\|)", "<\u2060", text)
