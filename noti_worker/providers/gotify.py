"""Gotify, a server of one's own: pushes to everybody who reads the messages of an application."""

from dataclasses import dataclass, field, replace
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PUSH_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._body import as_json
from noti_worker.providers._chat import written
from noti_worker.providers._keys import read_token
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = tuple(option for option in PUSH_OPTIONS if option.name not in {"ttl", "collapse_key"})

# https://gotify.net/api-docs: `errorCode` repeats the status.
RULES = (
    Rule("gotify.unclear", Kind.UNCERTAIN, Scope.PROVIDER, status="2..", code="no_id"),  # a page of somebody else
    *BY_STATUS,
)

_PRIORITIES = {"critical": 10, "error": 8, "warning": 5, "info": 4, "success": 4}
"""Of 0 to 10; the Android app wakes from 8 on, and is silent below 4."""


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an application on a Gotify server."""

    url: str = field(metadata=about("the server: `https://HOST`, with a path where it has one"))
    token: Secret = field(metadata=about("a reference to the application's token (`A…`), none of a client (`C…`)"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    token = read_token("token", settings.token)
    if token.startswith("C"):
        raise ConfigurationError("token belongs to a client, which only reads: take one of an application, A…")
    return open_api(kit, _Gotify(token, settings.url.rstrip("/")), settings.url, setting="url")


class _Gotify:
    def __init__(self, token: str, url: str) -> None:
        self._token = token
        self._url = url

    def request(self, message: Message) -> Request:
        headers = {"content-type": "application/json", "x-gotify-key": self._token}
        return Request("POST", f"{self._url}/message", headers, as_json(_document(message)))

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="id", words="errorDescription|error")
        if not 200 <= reply.status < 300:
            return said
        if said.id is None:
            return replace(said, code="no_id")
        return replace(said, words="", response={"status": reply.status})  # it repeats the message


def _document(message: Message) -> dict[str, Any]:
    """The message, and what apps read beside it (gotify.net/docs/msgextras)."""
    options = message.options
    title, text = written(message).title_and_text
    own: dict[str, Any] = {"message_id": str(message.message_id)}
    if "data" in options:
        own["data"] = dict(options["data"])
    extras: dict[str, Any] = {"noti::message": own}
    shown: dict[str, Any] = {}
    if "click_url" in options:
        shown["click"] = {"url": options["click_url"]}
    if "image" in options:
        shown["bigImageUrl"] = options["image"]
    if shown:
        extras["client::notification"] = shown
    document: dict[str, Any] = {"message": text, "extras": extras}
    if title:
        document["title"] = title
    if "severity" in options:
        document["priority"] = _PRIORITIES[options["severity"]]
    return document
