"""ntfy, at ntfy.sh or a server of one's own: pushes to everybody who subscribed to a topic."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
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
from noti_worker.providers._chat import at_most
from noti_worker.providers._keys import read_token
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = tuple(option for option in PUSH_OPTIONS if option.name in {"severity", "image", "click_url"})

# The codes are those of ntfy's server/errors.go.
RULES = (
    Rule("ntfy.nobody_listens", Kind.DEAD, Scope.RECIPIENT, code="50701"),
    Rule("ntfy.login_failed_too_often", Kind.CONFIG, Scope.ACCOUNT, code="42909"),
    Rule("ntfy.daily_limit", Kind.THROTTLED, Scope.ACCOUNT, code="42905|42908|42910", wait=3600.0),
    *BY_STATUS,
)

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LARGEST = 4096
"""Bytes of a message; of a longer one ntfy makes a file (docs.ntfy.sh/publish/#limitations)."""
_PRIORITIES = {"critical": 5, "error": 4}


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an ntfy server."""

    token: Secret | None = field(
        default=None, metadata=about("a reference to an access token (`tk_…`); without it topics must be open to all")
    )
    username: str | None = field(default=None, metadata=about("instead of `token`, together with `password`"))
    password: Secret | None = field(
        default=None, metadata=about("a reference: `env:NAME`, `file:PATH` or `exec:PROGRAM`")
    )
    api_url: str = field(default="https://ntfy.sh", metadata=about("the server, without a topic"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    login = ""
    if settings.token is not None:
        if settings.username is not None or settings.password is not None:
            raise ConfigurationError("token contradicts username and password: remove one of them")
        login = f"Bearer {read_token('token', settings.token)}"
    elif settings.username is not None and settings.password is not None:
        login = f"Basic {b64encode(f'{settings.username}:{settings.password.reveal()}'.encode()).decode()}"
    elif settings.username is not None or settings.password is not None:
        raise ConfigurationError("username and password belong together: set both, or token instead")
    return open_api(kit, _Ntfy(settings.api_url, login), settings.api_url)


class _Ntfy:
    def __init__(self, url: str, login: str) -> None:
        self._url = url.rstrip("/") + "/"
        self._login = login

    def request(self, message: Message) -> Request:
        headers = {"content-type": "application/json"}
        if self._login:
            headers["authorization"] = self._login
        return Request("POST", self._url, headers, as_json(_written(message)))

    def read(self, reply: Reply) -> Said:
        """A topic that nobody guesses is all that protects many of them: it is hidden."""
        topic = json.loads(reply.request.body)["topic"]
        said = read_json(reply, id="id", code="code", words="error", hidden=(topic,))
        if 200 <= reply.status < 300:  # it repeats the message
            return replace(said, words="", code="", response={"status": reply.status})
        return said


def _written(message: Message) -> dict[str, Any]:
    """As JSON (docs.ntfy.sh/publish/#publish-as-json)."""
    options = message.options
    if not _TOPIC.fullmatch(message.recipient):
        raise BadNotification("the recipient is no topic of ntfy: at most 64 letters, digits, - and _")
    text = message.text or ""
    at_most(_LARGEST, len(text.encode(errors="replace")), "the body", "bytes")
    written: dict[str, Any] = {"topic": message.recipient, "message": text}
    found = {"title": message.subject, "click": options.get("click_url"), "attach": options.get("image")}
    written |= {name: value for name, value in found.items() if value}
    if "severity" in options:
        written["priority"] = _PRIORITIES.get(options["severity"], 3)
    return written
