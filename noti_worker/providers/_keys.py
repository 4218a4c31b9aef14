"""Keys of accounts: those that stand in a header, and those that sign webhooks.

A webhook is signed by the account's own, or by one for each endpoint that is derived from it: with one key for all,
whoever receives a request can forward it to another receiver of the account, or sign one for it.
"""

import base64
import binascii
import hmac
import re

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.transport.guard import Guard

_PURPOSE = b"noti-worker webhook endpoint"
_ANY = Guard(allow_http=True)
_TOKEN = re.compile(r"[!-~]+")


def read_token(name: str, secret: Secret) -> str:
    """A key as it stands in a header; raises ConfigurationError that names the setting `name` when it can in none."""
    token = secret.reveal()
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"{name} is empty, or holds spaces or characters that no key has: copy it again")
    return token


def read_key(name: str, secret: Secret, at_least: int = 24) -> bytes:
    """The bytes of `whsec_…`; raises ConfigurationError that names the setting `name`."""
    prefix, _, encoded = secret.reveal().strip().partition("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix or not at_least <= len(key) <= 64:
        raise ConfigurationError(f"{name} must be whsec_ and the base64 of {at_least} to 64 random bytes")
    return key


def written(key: bytes) -> str:
    """A key as receivers get it."""
    return "whsec_" + base64.b64encode(key).decode()


def origin(url: str) -> str:
    """Scheme, host and port of a URL in their one spelling; raises transport.guard.Refused when it has none."""
    target = _ANY.target(url)
    host = target.host.rstrip(".")
    return f"{target.scheme}://{f'[{host}]' if ':' in host else host}:{target.port}"


def endpoint_key(key: bytes, tenant_id: str, at: str) -> bytes:
    """The key of one tenant's endpoints at an origin: HKDF-SHA256 (RFC 5869) of the account's key, 32 bytes."""
    info = b"\0".join((_PURPOSE, tenant_id.encode("utf-8", "surrogatepass"), at.encode()))
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\1", "sha256")
