"""Signed webhooks to any URL, after Standard Webhooks (standardwebhooks.com)."""

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.excerpt import MOST_CONTENT, excerpt
from noti_worker.domain.headers import HTTP_HEADERS
from noti_worker.domain.media_type import read_media_type
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import WEBHOOK_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.domain.traits import Carries
from noti_worker.providers._api import is_json, read_text
from noti_worker.providers._keys import endpoint_key, origin, read_key
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.guard import Refused

CHANNELS = frozenset({Channel.WEBHOOK})
OPTIONS = WEBHOOK_OPTIONS
IDEMPOTENCY = Carries("header webhook-id", "is for the receiver to know")

# A receiver deploys bugs and mends them, so most refusals are worth another try.
RULES = (
    Rule("webhook.accepted", Kind.OK, status="2.."),
    Rule("webhook.gone", Kind.DEAD, Scope.RECIPIENT, status="410"),
    Rule("webhook.too_large", Kind.PERMANENT, status="413"),
    Rule("webhook.busy", Kind.THROTTLED, Scope.RECIPIENT, status="429|502|503|504", wait=60.0),
    Rule("webhook.refused", Kind.TRANSIENT, Scope.RECIPIENT, status="..."),
    # What is broken is this endpoint, not webhooks as such.
    Rule("webhook.not_sent", Kind.TRANSIENT, Scope.RECIPIENT, status="", stage="connect|tls"),
    Rule("webhook.answer_lost", Kind.UNCERTAIN, Scope.RECIPIENT, status="", stage="answer"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of signed webhooks."""

    secret: Secret | None = field(
        default=None, metadata=about("a reference to `whsec_…`, which signs; required unless `unsigned` is true")
    )
    previous_secret: Secret | None = field(
        default=None, metadata=about("signs besides `secret` while receivers change over")
    )
    sign_with: Literal["account", "both", "endpoint"] = field(
        default="account",
        metadata=about(
            "`account`: `secret` itself signs everything; `endpoint`: a key of each tenant and origin, derived from it;"
            " `both` while receivers change over"
        ),
    )
    unsigned: bool = field(default=False, metadata=about("send without a signature"))
    allow_networks: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "private networks (CIDR) that URLs may lead to, on any port;"
            " without it only public addresses, ports 80, 443 and 8443"
        ),
    )
    allow_http: bool = field(default=False, metadata=about("allow URLs without TLS"))
    ca_file: str | None = field(
        default=None, metadata=about("certificates (PEM) that are trusted besides the usual ones")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if settings.secret is None and settings.previous_secret is not None:
        raise ConfigurationError("previous_secret is set without secret")
    if settings.secret is None and not settings.unsigned:
        raise ConfigurationError("secret is missing: set it (whsec_…), or say unsigned = true")
    if settings.secret is not None and settings.unsigned:
        raise ConfigurationError("unsigned = true contradicts secret: remove one of them")
    if settings.secret is None and settings.sign_with != "account":
        raise ConfigurationError(f"sign_with = {settings.sign_with!r} needs a secret")
    keys = [
        read_key(name, secret)
        for name, secret in (("secret", settings.secret), ("previous_secret", settings.previous_secret))
        if secret is not None
    ]
    return kit.http(
        _Webhook(keys, settings.sign_with, kit.now),
        allow_networks=settings.allow_networks,
        allow_http=settings.allow_http,
        ca_file=settings.ca_file,
    )


class _Webhook:
    def __init__(self, keys: list[bytes], sign_with: str, now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._derived = sign_with != "account"
        self._own = sign_with != "endpoint"
        self._now = now

    def request(self, message: Message) -> Request:
        body, content_type = _content(message)
        headers = _headers(message.options)
        message_id, timestamp = str(message.message_id), str(int(self._now().timestamp()))
        headers |= {
            "content-type": message.options.get("content_type", content_type),
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
        }
        if message.traceparent is not None:
            headers.setdefault("traceparent", message.traceparent)
        if self._keys:
            signed = f"{message_id}.{timestamp}.".encode() + body
            headers["webhook-signature"] = " ".join(_signature(key, signed) for key in self._keys_for(message))
        return Request("POST", message.recipient, headers, body)

    def _keys_for(self, message: Message) -> Iterator[bytes]:
        """What signs this message, the newest first."""
        at = None
        if self._derived:
            with suppress(Refused):  # the client refuses it too, and nothing goes out
                at = origin(message.recipient)
        for key in self._keys:
            if at is not None:
                yield endpoint_key(key, message.tenant_id, at)
            if self._own:
                yield key

    def read(self, reply: Reply) -> Said:
        said = read_text(reply)
        if 200 <= reply.status < 300:
            return said
        if 300 <= reply.status < 400:
            meaning = "redirects are not followed, the URL must be the final one"
        else:
            sent = reply.request.body[:MOST_CONTENT].decode(errors="replace")
            meaning = excerpt(said.words, sent) or "its answer says nothing else"
        return replace(said, error=f"the endpoint answered {reply.status}: {meaning}")


def _content(message: Message) -> tuple[bytes, str]:
    """The body, verbatim, and its type."""
    try:
        if message.text is None:
            return (message.html or "").encode(), "text/html; charset=utf-8"
        return message.text.encode(), "application/json" if is_json(message.text) else "text/plain; charset=utf-8"
    except UnicodeEncodeError:
        raise BadNotification("the body holds a character that UTF-8 cannot express") from None


def _headers(options: Mapping[str, Any]) -> dict[str, str]:
    """The further headers of `options`, checked; names in lower case."""
    if options.get("content_type") is not None:
        read_media_type(options["content_type"], "options.content_type")
    read = HTTP_HEADERS.read("options.headers", options.get("headers", {}))
    return {name.lower(): value for name, value in read.items()}


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
