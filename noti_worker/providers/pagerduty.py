"""PagerDuty: alerts to whoever is on call, through the Events API v2."""

import re
from dataclasses import dataclass, field
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._chat import at_most, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic
RULES = (
    Rule("pagerduty.accepted", Kind.OK, status="202"),
    Rule("pagerduty.unclear", Kind.UNCERTAIN, Scope.PROVIDER, status="2.."),  # a page of somebody else
    Rule("pagerduty.routing_key", Kind.CONFIG, Scope.ACCOUNT, status="400", text="routing[_ ]key"),
    Rule("pagerduty.too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="429", wait=120.0),  # "a few minutes"
    *BY_STATUS,
)

# https://developer.pagerduty.com/docs/send-alert-event#parameters and, of the whole event,
# https://developer.pagerduty.com/docs/events-api-v2-overview#size-limits
_LONGEST_SUMMARY, _LARGEST = 1024, 512_000
_KEY = re.compile(r"[A-Za-z0-9]{32}")
_SEVERITIES = {"info": "info", "success": "info", "warning": "warning", "error": "error", "critical": "critical"}
_UNSAID = "error"


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an integration of a PagerDuty service."""

    routing_key: Secret = field(
        metadata=about("a reference to the integration key of the service, of the type Events API v2: 32 characters")
    )
    api_url: str = field(
        default="https://events.pagerduty.com",
        metadata=about("the Events API; of accounts in the EU https://events.eu.pagerduty.com"),
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _KEY.fullmatch(settings.routing_key.reveal()):
        raise ConfigurationError(
            "routing_key is no integration key: it is 32 letters and digits, shown at the service's Events API v2"
        )
    return open_api(kit, _PagerDuty(settings.routing_key, settings.api_url.rstrip("/")), settings.api_url)


class _PagerDuty:
    def __init__(self, routing_key: Secret, api_url: str) -> None:
        self._routing_key = routing_key
        self._api_url = api_url

    def request(self, message: Message) -> Request:
        event = {
            "routing_key": self._routing_key.reveal(),
            "event_action": "trigger",
            "dedup_key": str(message.message_id),
            "payload": _payload(message),
        }
        request = post(f"{self._api_url}/v2/enqueue", event)
        at_most(_LARGEST, len(request.body), "the message, as JSON,", "bytes")
        return request

    def read(self, reply: Reply) -> Said:
        """The key stands in the body, where the house does not look for secrets."""
        return read_json(reply, id="dedup_key", words="errors.0|message", hidden=(self._routing_key.reveal(),))


def _payload(message: Message) -> dict[str, Any]:
    said = written(message)
    summary = said.title or " ".join(said.text.splitlines()[0].split())
    what = "the subject" if said.title else "the first line of the body, which stands for the missing subject,"
    at_most(_LONGEST_SUMMARY, len(summary), what)
    if not message.recipient.strip():
        raise BadNotification("the recipient is empty: name what the alert is about, it is shown as its source")
    payload: dict[str, Any] = {
        "summary": summary,
        "source": message.recipient,
        "severity": _SEVERITIES[message.options.get("severity", _UNSAID)],
    }
    return payload | {"custom_details": {"body": said.text}} if said.text else payload
