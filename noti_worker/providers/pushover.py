"""Pushover: pushes to all devices of a user or of a group."""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PUSH_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, KEPT, asked_wait, open_api, read_json
from noti_worker.providers._body import form
from noti_worker.providers._chat import at_most, written
from noti_worker.providers._push import is_urgent
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = tuple(option for option in PUSH_OPTIONS if option.name in {"severity", "ttl", "click_url"})

# https://pushover.net/api#response: `status` is 1 for what was taken, the words tell what is wrong.
RULES = (
    Rule("pushover.accepted", Kind.OK, status="2..", code="1"),
    Rule("pushover.token", Kind.CONFIG, Scope.ACCOUNT, status="[24]..", text="application token|token is invalid"),
    Rule(
        "pushover.no_such_user",
        Kind.DEAD,
        Scope.RECIPIENT,
        status="[24]..",
        text="user identifier is (invalid|not a valid)|user key is invalid",
    ),
    Rule("pushover.no_device", Kind.PERMANENT, Scope.RECIPIENT, status="[24]..", text="no active devices"),
    Rule("pushover.quota", Kind.THROTTLED, Scope.ACCOUNT, status="429"),
    Rule("pushover.not_taken", Kind.PERMANENT, status="2..", code="0"),
    Rule("pushover.unclear", Kind.UNCERTAIN, Scope.PROVIDER, status="2.."),  # a page of somebody else
    *BY_STATUS,
)

_LONGEST_MESSAGE, _LONGEST_TITLE, _LONGEST_URL = 1024, 250, 512  # https://pushover.net/api#limits
_KEY = re.compile(r"[A-Za-z0-9]{30}")
_RESET, _REMAINING = "x-limit-app-reset", "x-limit-app-remaining"


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an application registered with Pushover."""

    token: Secret = field(metadata=about("a reference to the application's API token, 30 characters"))
    api_url: str = field(
        default="https://api.pushover.net", metadata=about("another address of the API, such as a gateway's")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _KEY.fullmatch(settings.token.reveal()):
        raise ConfigurationError("token is no API token of Pushover: it is 30 letters and digits, shown at the app")
    return open_api(kit, _Pushover(settings.token, settings.api_url.rstrip("/")), settings.api_url)


class _Pushover:
    def __init__(self, token: Secret, api_url: str) -> None:
        self._token = token
        self._api_url = api_url

    def request(self, message: Message) -> Request:
        body = form({"token": self._token.reveal(), "user": message.recipient, **_fields(message)})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return Request("POST", f"{self._api_url}/1/messages.json", headers, body)

    def read(self, reply: Reply) -> Said:
        """Token and user key stand in the body, where the house does not look for secrets."""
        user = parse_qs(reply.request.body.decode())["user"][0]
        said = read_json(
            reply,
            id="request",
            code="status",
            words="errors.0",
            keep=(*KEPT, "x-limit-app-limit", _REMAINING, _RESET),
            hidden=(self._token.reveal(), user),
        )
        # The end of the month is told with each answer; it is a wish only when nothing remains until then.
        used_up = reply.status == 429 and reply.headers.get(_REMAINING, "0").strip() == "0"
        return replace(said, hint=asked_wait(reply, reset=(_RESET,))) if used_up else said


def _fields(message: Message) -> dict[str, str]:
    """What makes up a message (pushover.net/api#messages)."""
    options = message.options
    if options.get("ttl") == 0:
        raise BadNotification("options.ttl is 0, and Pushover keeps a message for a second at least: leave it out")
    if not _KEY.fullmatch(message.recipient):
        raise BadNotification("the recipient is no key of a user or group of Pushover: 30 letters and digits")
    title, text = written(message).title_and_text
    url = options.get("click_url", "")
    at_most(_LONGEST_TITLE, len(title), "the subject")
    at_most(_LONGEST_MESSAGE, len(text), "the body")
    at_most(_LONGEST_URL, len(url), "options.click_url")
    found = {"message": text, "title": title, "url": url, "ttl": str(options.get("ttl", ""))}
    if (urgent := is_urgent(options)) is not None:
        found["priority"] = "1" if urgent else "0"
    return {name: value for name, value in found.items() if value}
