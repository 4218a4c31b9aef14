"""What the providers of pushes share: urgency, topics, signed tokens."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_GRAVE = frozenset({"error", "critical"})


def is_urgent(options: Mapping[str, Any]) -> bool | None:
    """Tell whether it may wake a device; None when the row does not say how grave it is."""
    return options["severity"] in _GRAVE if "severity" in options else None


def topic(key: str) -> str:
    """A collapse key as a `Topic` (RFC 8030, 5.4: 32 characters of base64url); one that is none is hashed."""
    return key if _TOPIC.fullmatch(key) else base64url(hashlib.sha256(key.encode(errors="replace")).digest())[:32]


def base64url(content: bytes) -> str:
    """Without padding, as JWT and Web Push have it."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """What `base64url` wrote, with or without padding, in either alphabet; empty when it is none."""
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def es256(key: "EllipticCurvePrivateKey", content: bytes) -> bytes:
    """The signature of a key of the curve P-256 as two numbers of 32 bytes (RFC 7518, 3.4)."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    pair = decode_dss_signature(key.sign(content, ECDSA(SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in pair)


def signed_token(header: Mapping[str, str], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A JSON Web Token (RFC 7519)."""
    head, body = (base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{head}.{body}.{base64url(sign(f'{head}.{body}'.encode()))}"
