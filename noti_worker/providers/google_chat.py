"""Google Chat: an incoming webhook of one space."""

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

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto; the URL belongs to the account, so that
# what is wrong with it says nothing of the recipient, which is a label.
RULES = (
    Rule("google_chat.accepted", Kind.OK, status="2.."),
    # https://developers.google.com/workspace/chat/limits: a space has one quota for all that write to it.
    Rule("google_chat.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="RESOURCE_EXHAUSTED", wait=1.0),
    Rule("google_chat.login", Kind.CONFIG, Scope.ACCOUNT, code="UNAUTHENTICATED|PERMISSION_DENIED"),
    Rule("google_chat.key", Kind.CONFIG, Scope.ACCOUNT, code="INVALID_ARGUMENT", text=r"api key (not valid|expired)"),
    Rule("google_chat.webhook_gone", Kind.CONFIG, Scope.ACCOUNT, code="NOT_FOUND"),
    Rule("google_chat.content", Kind.PERMANENT, code="INVALID_ARGUMENT|OUT_OF_RANGE"),
    Rule("google_chat.half_done", Kind.UNCERTAIN, Scope.PROVIDER, code="DEADLINE_EXCEEDED"),
    Rule("google_chat.trouble", Kind.TRANSIENT, Scope.PROVIDER, code="UNAVAILABLE|INTERNAL|ABORTED|UNKNOWN"),
    *BY_STATUS,
)

# https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create
_LARGEST = 32_000  # bytes
_PATH = re.compile(r"/v1/spaces/([A-Za-z0-9_-]+)/messages")
# https://developers.google.com/workspace/chat/format-messages: <users/…> pings, <…|…> is a link with other words on it
_LIVE = re.compile(r"<(?=users/|[^<>\n]*\|)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a webhook of Google Chat."""

    webhook_url: Secret = field(metadata=about("a reference to the URL of the space's webhook, with key and token"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    path = _PATH.fullmatch(path_of(settings.webhook_url))
    if path is None or not _has_key_and_token(settings.webhook_url):
        raise ConfigurationError(
            "webhook_url is no webhook of Google Chat: it is https://chat.googleapis.com/v1/spaces/…/messages?key=…"
            "&token=…"
        )
    return open_webhook(kit, _GoogleChat(settings.webhook_url, path[1]), settings.webhook_url)


def _has_key_and_token(url: Secret) -> bool:
    return {"key", "token"} <= parse_qs(urlsplit(url.reveal()).query).keys()


class _GoogleChat:
    def __init__(self, url: Secret, space: str) -> None:
        self._url = url
        self._space = space

    def request(self, message: Message) -> Request:
        said = written(message)
        title, text = _quiet(said.title), _quiet(said.text)
        if title and "*" not in title:  # there is no way to write an asterisk in bold
            title = f"*{title}*"
        mark = f"{said.colour.sign} " if said.colour else ""
        whole = mark + "\n".join(filter(None, (title, text)))
        request = post(self._url.reveal(), {"text": whole})
        at_most(_LARGEST, len(whole.encode()), "the message with its subject", "bytes")
        return request

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="name", code="error.status", words="error.message")
        # The space is no secret, but a part of the URL.
        name = (said.id or "").replace("spaces/***/", f"spaces/{self._space}/", 1)
        return replace(said, id=name or None)


def _quiet(text: str) -> str:
    """With an invisible space behind the < of mentions and links, which Chat would not show as they stand."""
    return _LIVE.sub("<\u200b", text)
