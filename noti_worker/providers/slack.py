"""Slack: a bot that writes to any of its channels, or an incoming webhook of one channel."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, json_object, open_api, read_json, read_text
from noti_worker.providers._chat import at_most, open_webhook, path_of, post, written
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = CHAT_OPTIONS

# https://docs.slack.dev/reference/methods/chat.postMessage: the Web API says what is wrong in a 200.
# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: a webhook says it as text, with a status.
RULES = (
    Rule("slack.accepted", Kind.OK, status="2..", code=""),
    Rule("slack.unreadable", Kind.UNCERTAIN, Scope.PROVIDER, status="2..", code="unreadable"),
    Rule("slack.half_done", Kind.UNCERTAIN, Scope.PROVIDER, code="internal_error|fatal_error"),
    Rule("slack.too_fast", Kind.THROTTLED, Scope.RECIPIENT, code="rate_?limited|message_limit_exceeded", wait=1.0),
    Rule("slack.too_fast.status", Kind.THROTTLED, Scope.RECIPIENT, status="429", wait=1.0),
    Rule(
        "slack.login",
        Kind.CONFIG,
        Scope.ACCOUNT,
        code="invalid_auth|not_authed|token_revoked|token_expired|account_inactive|missing_scope|org_login_required"
        "|not_allowed_token_type|no_permission|access_denied|ekm_access_denied|team_access_not_granted",
    ),
    Rule("slack.webhook_forbidden", Kind.CONFIG, Scope.ACCOUNT, code="action_prohibited|invalid_token"),
    # A webhook's URL belongs to the account: that it is gone says nothing of the recipient, which is a label.
    Rule(
        "slack.webhook_gone",
        Kind.CONFIG,
        Scope.ACCOUNT,
        status="4..",
        code="channel_not_found|channel_is_archived|user_not_found|no_service|no_service_id|no_team|team_disabled",
    ),
    Rule("slack.not_invited", Kind.CONFIG, Scope.RECIPIENT, code="not_in_channel|restricted_action"),
    Rule(
        "slack.no_such_recipient",
        Kind.DEAD,
        Scope.RECIPIENT,
        code="channel_not_found|is_archived|channel_is_archived|user_not_found|cannot_dm_bot",
    ),
    Rule(
        "slack.content",
        Kind.PERMANENT,
        code="msg_too_long|msg_blocks_too_long|too_many_attachments|invalid_blocks|invalid_attachments|no_text"
        "|invalid_payload|invalid_arguments|invalid_metadata_format",
    ),
    Rule(
        "slack.trouble",
        Kind.TRANSIENT,
        Scope.PROVIDER,
        code="service_unavailable|request_timeout|team_added_to_org|rollup_error",
    ),
    Rule("slack.unknown", Kind.TRANSIENT, status="2..", code=".+", last_resort=True),
    *BY_STATUS,
)

# https://docs.slack.dev/changelog/2018-truncating-really-long-messages: what is longer is cut without a word.
_LONGEST = 40_000
_BOT_TOKEN = re.compile(r"(xoxe\.)?xoxb-[A-Za-z0-9-]+")
_WEBHOOK_PATH = re.compile(r"/services/[^/]+/[^/]+/[^/]+")
_CODE = re.compile(r"[a-z][a-z_]{1,60}")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Slack app: its bot, or one of its incoming webhooks."""

    token: Secret | None = field(
        default=None, metadata=about("a reference to the bot's token, `xoxb-…`; the recipient is a channel")
    )
    webhook_url: Secret | None = field(
        default=None,
        metadata=about("instead of `token`: a reference to the URL of an incoming webhook, which is of one channel"),
    )
    api_url: str = field(default="https://slack.com/api", metadata=about("the Web API, which takes the token"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if settings.token is not None and settings.webhook_url is not None:
        raise ConfigurationError("token and webhook_url are both set: remove one of them")
    if settings.webhook_url is not None:
        if not _WEBHOOK_PATH.fullmatch(path_of(settings.webhook_url)):
            raise ConfigurationError(
                "webhook_url is no incoming webhook of Slack: it is https://hooks.slack.com/services/T…/B…/…"
            )
        return open_webhook(kit, _Webhook(settings.webhook_url), settings.webhook_url)
    if settings.token is None:
        raise ConfigurationError("token is missing: set it (xoxb-…), or webhook_url for one channel")
    if not _BOT_TOKEN.fullmatch(settings.token.reveal()):
        raise ConfigurationError("token is no bot token of Slack: it begins with xoxb-, and has no spaces")
    return open_api(kit, _Bot(settings.token, settings.api_url.rstrip("/")), settings.api_url)


class _Bot:
    def __init__(self, token: Secret, api_url: str) -> None:
        self._token = token
        self._url = f"{api_url}/chat.postMessage"

    def request(self, message: Message) -> Request:
        document = {
            "channel": message.recipient,
            **_content(message),
            "metadata": {"event_type": "notification", "event_payload": {"message_id": str(message.message_id)}},
        }
        return post(self._url, document, {"authorization": f"Bearer {self._token.reveal()}"})

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="ts", code="error", words="response_metadata.messages.0|error", hint="retry_after")
        if 200 <= reply.status < 300 and not said.code and json_object(reply.body).get("ok") is not True:
            return replace(said, code="unreadable")
        return said


class _Webhook:
    def __init__(self, url: Secret) -> None:
        self._url = url

    def request(self, message: Message) -> Request:
        return post(self._url.reveal(), _content(message))

    def read(self, reply: Reply) -> Said:
        said = read_text(reply)
        if 200 <= reply.status < 300:
            return said if said.words == "ok" else replace(said, code="unreadable")
        return replace(said, code=said.words if _CODE.fullmatch(said.words) else "")


def _content(message: Message) -> dict[str, Any]:
    """Slack's own markup stays alive, but for what it writes in `<…>`: mentions and links."""
    said = written(message)
    title, text = _escaped(said.title), _escaped(said.text)
    if title and "*" not in title:  # Slack has no way to write an asterisk in bold
        title = f"*{title}*"
    whole = "\n".join(filter(None, (title, text)))
    at_most(_LONGEST, len(whole), "the message, with subject and with & < > as entities,")
    if said.colour is None:
        return {"text": whole}
    return {
        "attachments": [
            {"color": said.colour.hexadecimal, "fallback": whole, "text": whole, "mrkdwn_in": ["text"]},
        ]
    }


def _escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text: these three, and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
