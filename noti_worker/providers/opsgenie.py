"""Opsgenie: alerts to teams, people, schedules and escalations."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.traits import Carries, Limit
from noti_worker.providers._api import BY_STATUS, KEPT, asked_wait, asking, look, open_api, read_json
from noti_worker.providers._chat import at_most, post, written
from noti_worker.transport import Kit, Reply, Request, Steps

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS
CHECK = "the key is valid; whether it may create alerts, only a message tells"
IDEMPOTENCY = Carries("json alias", "joins the alert that is open")

# https://docs.opsgenie.com/docs/response
RULES = (
    Rule("opsgenie.let_in", Kind.OK, status="2..", stage="check"),
    # "The apiKey is valid but the apiKey cannot do this operation": it may create alerts perhaps, and not count them.
    Rule("opsgenie.may_not_look", Kind.OK, status="403", code="40301", stage="check"),
    Rule("opsgenie.accepted", Kind.OK, status="202"),
    Rule("opsgenie.unclear", Kind.UNCERTAIN, Scope.PROVIDER, status="2.."),  # a page of somebody else
    Rule("opsgenie.api_key", Kind.CONFIG, Scope.ACCOUNT, status="4..", text="key format is not valid"),
    Rule("opsgenie.feature_gone", Kind.CONFIG, Scope.ACCOUNT, status="410"),
    Rule("opsgenie.not_allowed", Kind.CONFIG, Scope.ACCOUNT, code="40301|40302"),
    *BY_STATUS,
)

# https://docs.opsgenie.com/docs/alert-api#create-alert
_LONGEST_MESSAGE, _LONGEST_DESCRIPTION, _LONGEST_ENTITY = 130, 15_000, 512
LIMITS = (Limit("body", _LONGEST_DESCRIPTION, "characters"), Limit("recipient", _LONGEST_ENTITY, "characters"))
_KEY = re.compile(r"[!-~]{16,200}")
_RESPONDER = re.compile(r"(team|user|schedule|escalation):(.*)", re.DOTALL)
_PRIORITIES = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5", "success": "P5"}
_WAITS = ("retry-after", "x-ratelimit-period-in-sec")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an API integration of Opsgenie."""

    addressed: ClassVar[bool] = False
    """The team that the key belongs to, if any, gets every alert, whomever else the recipient of a row names."""

    api_key: Secret = field(metadata=about("a reference to the key of an API integration that may create alerts"))
    api_url: str = field(
        default="https://api.opsgenie.com",
        metadata=about("the API; of accounts in the EU https://api.eu.opsgenie.com"),
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not _KEY.fullmatch(settings.api_key.reveal()):
        raise ConfigurationError("api_key is no key of Opsgenie: copy it as its API integration shows it, nothing else")
    return open_api(kit, _Opsgenie(settings.api_key, settings.api_url.rstrip("/")), settings.api_url)


class _Opsgenie:
    def __init__(self, api_key: Secret, api_url: str) -> None:
        self._api_key = api_key
        self._api_url = api_url

    def request(self, message: Message) -> Request:
        return post(f"{self._api_url}/v2/alerts", _alert(message), self._login())

    def read(self, reply: Reply) -> Said:
        said = read_json(
            reply,
            id="requestId",
            code="code",
            words="errors.message|errors.description|errors.responders|errors.priority|message|result",
            keep=(*KEPT, "x-ratelimit-state", "x-ratelimit-reason", "x-ratelimit-period-in-sec"),
        )
        # The period is told with each answer; it is a wish only when there were too many.
        return replace(said, hint=asked_wait(reply, after=_WAITS)) if reply.status == 429 else said

    def check(self) -> Steps:
        """How many alerts there are: https://docs.opsgenie.com/docs/alert-api-continued#count-alerts."""
        return look(asking(f"{self._api_url}/v2/alerts/count", self._login()), self.read)

    def _login(self) -> dict[str, str]:
        return {"authorization": f"GenieKey {self._api_key.reveal()}"}


def _alert(message: Message) -> dict[str, Any]:
    said = written(message)
    first = said.title or " ".join(said.text.splitlines()[0].split())
    description = said.text
    if len(first) > _LONGEST_MESSAGE:  # an alert that is cut in a list is better than none: the whole stands below
        description = "\n\n".join(filter(None, (said.title, said.text)))
        first = first[: _LONGEST_MESSAGE - 1] + "…"
    at_most(_LONGEST_DESCRIPTION, len(description), "the body, with a subject of more than 130 characters before it,")
    alert: dict[str, Any] = {"message": first, "alias": str(message.message_id), **_addressed(message.recipient)}
    if description:
        alert["description"] = description
    if "severity" in message.options:
        alert["priority"] = _PRIORITIES[message.options["severity"]]
    return alert


def _addressed(recipient: str) -> dict[str, Any]:
    """Whom an alert goes to; without one of the known words before it the recipient is a label."""
    found = _RESPONDER.fullmatch(recipient)
    if found is None:
        at_most(_LONGEST_ENTITY, len(recipient), "the recipient, shown as the alert's entity,")
        return {"entity": recipient}
    kind, name = found[1], found[2].strip()
    if not name:
        raise BadNotification(f"the recipient names no {kind}: write {kind}:NAME")
    return {"responders": [{"type": kind, "username" if kind == "user" else "name": name}]}
