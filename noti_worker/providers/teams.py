"""Microsoft Teams: a webhook of the Workflows app, which posts an adaptive card to a channel or chat."""

import re
from dataclasses import dataclass, field, replace
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
from noti_worker.domain.traits import Limit
from noti_worker.providers._api import BY_STATUS, read_json
from noti_worker.providers._chat import Colour, at_most, literal, open_webhook, path_of, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# A 200 may tell in words that Teams itself refused; the number in them becomes the code.
RULES = (
    Rule("teams.accepted", Kind.OK, status="2..", code=""),
    Rule("teams.too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="2..", code="429"),
    Rule("teams.too_large", Kind.PERMANENT, status="2..", code="413"),
    Rule("teams.refused", Kind.PERMANENT, status="2..", code="400"),
    Rule("teams.not_delivered", Kind.TRANSIENT, Scope.PROVIDER, status="2..", code=".+"),
    Rule("teams.workflow_off", Kind.CONFIG, Scope.ACCOUNT, code="WorkflowTriggerIsNotEnabled"),
    # The URL belongs to the account: that it is gone says nothing of the recipient, which is a label.
    Rule("teams.webhook_gone", Kind.CONFIG, Scope.ACCOUNT, status="404|410"),
    Rule("teams.card", Kind.PERMANENT, code="TriggerInputSchemaMismatch"),
    Rule("teams.signature", Kind.CONFIG, Scope.ACCOUNT, code="DirectApiAuthorizationRequired"),
    *BY_STATUS,
)

# https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: 28 KB a message
_LARGEST = 28 * 1024
LIMITS = (Limit("message", _LARGEST, "bytes as a card"),)
_REFUSED = re.compile(r"delivery failed with error(?:.*?HTTP error ([0-9]{3}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Teams workflow."""

    addressed: ClassVar[bool] = False
    """Where its messages go is written in the account: the recipient of a row is a label."""

    webhook_url: Secret = field(
        metadata=about("a reference to the URL of the workflow “when a Teams webhook request is received”")
    )
    format: Literal["plain", "markdown"] = field(
        default="plain", metadata=about("`markdown`: the body is the Markdown of adaptive cards; titles never are")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if not path_of(settings.webhook_url).strip("/"):
        raise ConfigurationError("webhook_url is no webhook of Teams: copy the whole URL that the workflow shows")
    return open_webhook(kit, _Teams(settings.webhook_url, settings.format), settings.webhook_url)


class _Teams:
    def __init__(self, url: Secret, format: str) -> None:  # noqa: A002 - as in Settings
        self._url = url
        self._format = format

    def request(self, message: Message) -> Request:
        said = written(message)
        request = post(
            self._url.reveal(),
            {
                "type": "message",
                "attachments": [
                    {
                        "contentType": "application/vnd.microsoft.card.adaptive",
                        "contentUrl": None,
                        "content": {
                            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                            "type": "AdaptiveCard",
                            "version": "1.2",
                            "body": _coloured(said.colour, [*_title(said.title), *self._text(said.text)]),
                        },
                    }
                ],
            },
        )
        at_most(_LARGEST, len(request.body), "the message as a card", "bytes")
        return request

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, code="error.code|code", words="error.message|message", secret_path=True)
        if not 200 <= reply.status < 300:
            return said
        refusal = _REFUSED.search(said.words)
        return replace(said, code=(refusal[1] or "failed") if refusal else "")

    def _text(self, text: str) -> list[dict[str, Any]]:
        if not text:
            return []
        if self._format == "markdown":
            return [{"type": "TextBlock", "text": text, "wrap": True}]
        # A single line break is a space in Markdown.
        lines = [literal(line.strip()) for line in text.splitlines() if line.strip()]
        return [{"type": "TextBlock", "text": "\n\n".join(lines), "wrap": True}]


def _title(title: str) -> list[dict[str, Any]]:
    if not title:
        return []
    return [{"type": "TextBlock", "text": literal(title), "weight": "Bolder", "size": "Medium", "wrap": True}]


def _coloured(colour: Colour | None, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return items if colour is None else [{"type": "Container", "style": colour.style, "bleed": True, "items": items}]
