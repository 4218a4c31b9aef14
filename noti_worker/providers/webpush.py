"""Web Push (RFC 8030): encrypted to the browser (RFC 8291), signed by the application server (VAPID, RFC 8292)."""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PUSH_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import json_object, read_json, url_parts
from noti_worker.providers._body import as_json
from noti_worker.providers._push import (
    base64url,
    es256,
    from_base64url,
    is_urgent,
    signed_token,
    topic,
)
from noti_worker.providers._veil import Veil
from noti_worker.transport import Kit, Reply, Request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = PUSH_OPTIONS

# An endpoint is a stranger's URL: nothing that it answers may close the account for the others.
RULES = (
    Rule("webpush.accepted", Kind.OK, status="2.."),
    Rule("webpush.gone", Kind.DEAD, Scope.RECIPIENT, status="404|410"),
    Rule("webpush.too_large", Kind.PERMANENT, status="413"),
    Rule("webpush.key_refused", Kind.CONFIG, Scope.RECIPIENT, status="401|403"),
    Rule("webpush.key_mismatch", Kind.CONFIG, Scope.RECIPIENT, status="400", text="vapid|jwt"),
    Rule("webpush.moved", Kind.CONFIG, Scope.RECIPIENT, status="3.."),
    Rule("webpush.too_fast", Kind.THROTTLED, Scope.RECIPIENT, status="429", wait=60.0),
    Rule("webpush.trouble", Kind.TRANSIENT, Scope.RECIPIENT, status="408|425|5.."),
    Rule("webpush.refused", Kind.PERMANENT, status="4.."),
    # What is broken is this push service, not every browser's.
    Rule("webpush.not_sent", Kind.TRANSIENT, Scope.RECIPIENT, status="", stage="connect|tls"),
    Rule("webpush.answer_lost", Kind.UNCERTAIN, Scope.RECIPIENT, status="", stage="answer"),
)

_RECORD = 4096
"""Bytes of the body that every push service takes (RFC 8030, 7.2); of them the header, the tag and an end are ours."""
_OVERHEAD = 16 + 4 + 1 + 65 + 1 + 16
_LARGEST = _RECORD - _OVERHEAD

_LONGEST_TTL = 2_419_200  # four weeks: what is kept when the row does not say for how long
_TOKEN_LASTS = 12 * 3600  # seconds; RFC 8292, 2 allows 24 hours


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of an application server."""

    private_key: Secret = field(
        metadata=about("a reference to the private VAPID key: 32 bytes in base64url, or PEM (EC, P-256)")
    )
    subject: str = field(
        metadata=about("whom a push service writes to when something is wrong: `mailto:…` or an https URL")
    )
    allow_networks: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "private networks (CIDR) that endpoints may lead to, on any port;"
            " without it only public addresses, ports 80, 443 and 8443"
        ),
    )
    allow_http: bool = field(default=False, metadata=about("allow endpoints without TLS"))
    ca_file: str | None = field(
        default=None, metadata=about("certificates (PEM) that are trusted besides the usual ones")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    subject = settings.subject
    if not subject.isascii() or not subject.startswith(("mailto:", "https://")) or len(subject) < 9:
        raise ConfigurationError("subject must be mailto: and an address of yours, or an https URL")
    return kit.http(
        _WebPush(_read_key(settings.private_key), subject, kit),
        allow_networks=settings.allow_networks,
        allow_http=settings.allow_http,
        ca_file=settings.ca_file,
    )


def _read_key(secret: Secret) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = secret.reveal().strip()
    try:
        if "-----BEGIN" not in text:
            raw = from_base64url(text)
            if len(raw) != 32:
                raise ConfigurationError("private_key must be 32 bytes in base64url, or PEM")
            return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        raise ConfigurationError("private_key cannot be read as a VAPID key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError("private_key is no key of the curve P-256 (prime256v1)")
    return key


@dataclass(frozen=True, slots=True)
class _Subscription:
    """What a browser gave us: where to send, and whom to encrypt to."""

    endpoint: str = field(repr=False)
    origin: str
    key: "EllipticCurvePublicKey" = field(repr=False)
    auth: bytes = field(repr=False)


def _read_subscription(text: str) -> _Subscription:
    """Raise BadNotification that shows nothing of it."""
    from cryptography.hazmat.primitives.asymmetric import ec

    found = json_object(text)
    keys = found.get("keys")
    if not isinstance(keys, Mapping):
        raise BadNotification(
            'the recipient is no subscription: give what JSON.stringify(subscription) says, {"endpoint": …, "keys": …}'
        )
    texts = (found.get("endpoint"), keys.get("p256dh"), keys.get("auth"))
    endpoint, point, auth = (one if isinstance(one, str) else "" for one in texts)
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(point))
    except ValueError:
        raise BadNotification("the subscription's keys.p256dh is no public key: subscribe the browser anew") from None
    if len(from_base64url(auth)) != 16:
        raise BadNotification("the subscription's keys.auth is not 16 bytes long: subscribe the browser anew")
    return _Subscription(endpoint, _origin(endpoint), key, from_base64url(auth))


def _origin(endpoint: str) -> str:
    """Whom a token is for (RFC 6454, 6.2)."""
    parts = url_parts(endpoint)
    host, port = parts.hostname, parts.port
    if not host:
        raise BadNotification("the subscription's endpoint is no URL: subscribe the browser anew")
    shown = f"[{host}]" if ":" in host else host
    usual = port is None or port == (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"


class _WebPush:
    def __init__(self, key: "EllipticCurvePrivateKey", subject: str, kit: Kit) -> None:
        self._key = key
        self._subject = subject
        self._now = kit.now
        self._public = base64url(_point(key.public_key()))

    def request(self, message: Message) -> Request:
        from cryptography.hazmat.primitives.asymmetric import ec

        to = _read_subscription(message.recipient)
        content = _content(message)
        options = message.options
        if (ttl := options.get("ttl", _LONGEST_TTL)) == 0:
            raise BadNotification("options.ttl is 0, and a browser that is just closed would never get it: write 60")
        headers = {
            "authorization": f"vapid t={self._token(to.origin)}, k={self._public}",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(ttl),
            # A repeat of the same message takes the place of one that still waits.
            "topic": topic(options.get("collapse_key", message.message_id.hex)),
            "urgency": "high" if is_urgent(options) else "normal",
        }
        body = _encrypted(content, to, ec.generate_private_key(ec.SECP256R1()), os.urandom(16))
        return Request("POST", to.endpoint, headers, body)

    def read(self, reply: Reply) -> Said:
        token = reply.request.headers["authorization"].removeprefix("vapid t=").partition(",")[0]
        said = read_json(reply, code="errno|reason", words="message|reason|error", hidden=(token,), secret_path=True)
        number = reply.headers.get("location", "").rpartition("/")[2]
        return replace(said, id=Veil(reply.request, (token,), secret_path=True).over(number)[:200] or None)

    def _token(self, origin: str) -> str:
        claims = {"aud": origin, "exp": int(self._now().timestamp()) + _TOKEN_LASTS, "sub": self._subject}
        return signed_token({"typ": "JWT", "alg": "ES256"}, claims, partial(es256, self._key))


def _content(message: Message) -> bytes:
    """What the service worker gets as JSON."""
    options = message.options
    asked = {
        name: options[name] for name in ("severity", "image", "click_url", "collapse_key", "data") if options.get(name)
    }
    content = as_json({"message_id": str(message.message_id), "title": message.subject, "body": message.text} | asked)
    if len(content) > _LARGEST:
        raise BadNotification(
            f"the message is {len(content)} bytes as JSON, and a push takes {_LARGEST}: shorten the subject, the body"
            " or options.data"
        )
    return content


def _point(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _encrypted(content: bytes, to: _Subscription, ours: "EllipticCurvePrivateKey", salt: bytes) -> bytes:
    """One record of `aes128gcm` (RFC 8188), with keys as RFC 8291 has them."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDH
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    theirs, public = _point(to.key), _point(ours.public_key())
    shared = _derived(to.auth, ours.exchange(ECDH(), to.key), b"WebPush: info\0" + theirs + public, 32)
    key = _derived(salt, shared, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(salt, shared, b"Content-Encoding: nonce\0", 12)
    head = salt + _RECORD.to_bytes(4, "big") + bytes([len(public)]) + public
    return head + AESGCM(key).encrypt(nonce, content + b"\2", None)


def _derived(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869) for at most 32 bytes."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\1", "sha256")[:length]
