"""Signed webhooks to any URL, after Standard Webhooks (standardwebhooks.com)."""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.headers import HTTP_HEADERS
from noti_worker.domain.media_type import read_media_type
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import WEBHOOK_OPTIONS
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Answer, Rule, classify
from noti_worker.domain.secret import Secret
from noti_worker.transport import Client, Http, Reply, Request, retry_after

CHANNELS = frozenset({Channel.WEBHOOK})
OPTIONS = WEBHOOK_OPTIONS

# A receiver deploys bugs and mends them, so most refusals are worth another try.
RULES = (
    Rule(Kind.OK, status="2.."),
    Rule(Kind.DEAD, Scope.RECIPIENT, status="410"),
    Rule(Kind.PERMANENT, status="413"),
    Rule(Kind.THROTTLED, Scope.RECIPIENT, status="429|502|503|504", wait=60.0),
    Rule(Kind.TRANSIENT, Scope.RECIPIENT),
)

# The answer's headers that are kept: none of these echoes the URL.
_KEPT = ("content-type", "date", "retry-after", "server", "x-request-id")
_KEPT_BODY = 18_000  # bytes; with the headers less than the 20 kB that the attempts log keeps


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of signed webhooks.

    `secret` signs (`whsec_` and base64 of 24-64 bytes); `previous_secret` signs besides it while
    receivers change over. Without a secret, `unsigned` must say that this is meant. `allow_networks`
    (CIDR) opens private networks, `allow_http` unencrypted URLs; `ca_file` (PEM) is trusted besides the
    usual authorities.
    """

    secret: Secret | None = None
    previous_secret: Secret | None = None
    unsigned: bool = False
    allow_networks: tuple[str, ...] = ()
    allow_http: bool = False
    ca_file: str | None = None


def build(settings: Settings, http: Http) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    if settings.secret is None and settings.previous_secret is not None:
        raise ConfigurationError("previous_secret is set without secret")
    if settings.secret is None and not settings.unsigned:
        raise ConfigurationError("secret is missing: set it (whsec_…), or say unsigned = true")
    if settings.secret is not None and settings.unsigned:
        raise ConfigurationError("unsigned = true contradicts secret: remove one of them")
    keys = [
        _key(name, secret)
        for name, secret in (("secret", settings.secret), ("previous_secret", settings.previous_secret))
        if secret is not None
    ]
    client = http.client(
        allow_networks=settings.allow_networks, allow_http=settings.allow_http, ca_file=settings.ca_file
    )
    return _Webhooks(keys, client, http)


class _Webhooks:
    def __init__(self, keys: list[bytes], client: Client, http: Http) -> None:
        self._keys = keys
        self._client = client
        self._http = http

    def send(self, message: Message, limit: float) -> Outcome:
        try:
            request = self._request(message)
        except BadNotification as error:
            return Outcome(Kind.PERMANENT, code="bad_options", error=str(error))
        reply = self._client.send(request, limit)
        if isinstance(reply, Outcome):  # what is broken is this endpoint, not webhooks as such
            return replace(reply, scope=Scope.RECIPIENT)
        return self._outcome(reply, _Veil(request))

    def close(self) -> None:
        self._client.close()

    def _request(self, message: Message) -> Request:
        body, content_type = _content(message)
        headers = _headers(message.options)
        message_id, timestamp = str(message.message_id), str(int(self._http.now().timestamp()))
        headers |= {
            "content-type": message.options.get("content_type", content_type),
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
        }
        if message.traceparent is not None:
            headers.setdefault("traceparent", message.traceparent)
        if self._keys:
            signed = f"{message_id}.{timestamp}.".encode() + body
            headers["webhook-signature"] = " ".join(_signature(key, signed) for key in self._keys)
        return Request("POST", message.recipient, headers, body)

    def _outcome(self, reply: Reply, veil: "_Veil") -> Outcome:
        rule = classify(RULES, Answer(status=str(reply.status)))
        assert rule is not None  # the last rule takes everything
        response = {
            "status": reply.status,
            "headers": {name: veil.over(reply.headers[name])[:200] for name in _KEPT if name in reply.headers},
            "body": _excerpt(veil.over(reply.body.decode(errors="replace"))),
        }
        if rule.kind is Kind.OK:
            return Outcome(Kind.OK, code=str(reply.status), response=response)
        hint = retry_after(reply.headers, self._http.now())
        return Outcome(
            rule.kind,
            rule.scope,
            code=str(reply.status),
            error=f"the endpoint answered {reply.status}: {_MEANING.get(reply.status // 100, _ELSE)}",
            response=response,
            retry_after=max(hint or 0.0, rule.wait or 0.0) or None,
        )


def _excerpt(text: str) -> str:
    """The beginning of a text: as much of it as takes less than `_KEPT_BODY` bytes as JSON."""
    kept = text[:_KEPT_BODY]
    while len(json.dumps(kept, ensure_ascii=False).encode()) > _KEPT_BODY:
        kept = kept[: len(kept) * 3 // 4]
    return kept


_MEANING = {3: "redirects are not followed, the URL must be the final one"}
_ELSE = "its answer is in the attempts log"


class _Veil:
    """Hides what a request carried in confidence: error pages like to repeat the URL and the headers."""

    def __init__(self, request: Request) -> None:
        parts = urlsplit(request.url)
        words = {f"{parts.path}?{parts.query}", parts.query, parts.path}
        words |= {segment for segment in parts.path.split("/") if len(segment) >= 6}
        words |= {value for _, value in parse_qsl(parts.query)}
        for name, value in request.headers.items():
            if name not in _PLAIN:
                words |= {value, *(word for word in value.split() if len(word) >= 16)}
        spellings = {spelling for word in words for spelling in _spellings(word) if len(spelling) >= 4}
        self._longest_first = sorted(spellings, key=len, reverse=True)

    def over(self, text: str) -> str:
        for spelling in self._longest_first:
            text = text.replace(spelling, "***")
        return text


_PLAIN = frozenset({"content-type", "webhook-id", "webhook-timestamp"})


_ONE_SPELLING = re.compile(r"[A-Za-z0-9._~=+ -]*")


def _spellings(word: str) -> Iterable[str]:
    if _ONE_SPELLING.fullmatch(word):
        return (word,)
    plain = unquote(word)
    quoted = json.dumps(plain)[1:-1]
    return word, plain, escape(word), escape(plain), quoted, quoted.replace("/", "\\/")


def _content(message: Message) -> tuple[bytes, str]:
    """The body, verbatim, and its type."""
    try:
        if message.text is None:
            return (message.html or "").encode(), "text/html; charset=utf-8"
        return message.text.encode(), "application/json" if _is_json(message.text) else "text/plain; charset=utf-8"
    except UnicodeEncodeError:
        raise BadNotification("the body holds a character that UTF-8 cannot express") from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _headers(options: Mapping[str, Any]) -> dict[str, str]:
    """The further headers of `options`, checked; names in lower case."""
    if options.get("content_type") is not None:
        read_media_type(options["content_type"], "options.content_type")
    read = HTTP_HEADERS.read("options.headers", options.get("headers", {}))
    return {name.lower(): value for name, value in read.items()}


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _key(name: str, secret: Secret) -> bytes:
    prefix, _, encoded = secret.reveal().strip().partition("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix or not 24 <= len(key) <= 64:
        raise ConfigurationError(f"{name} must be whsec_ and the base64 of 24 to 64 random bytes")
    return key
