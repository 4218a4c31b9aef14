"""The link to the page of a person's choices: a token that says whose, signed, and readable to nobody else.

The token is base64url of: a version, a signature (HMAC-SHA256, its first 16 bytes), and what it signs under a pad that
is drawn from the key and the signature. So no two texts have the same pad, and neither the person nor the tenant can be
read out of it.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from noti_worker.domain.secret import Secret

_VERSION = b"\x01"
_SIGNATURE = 16
_ID = 8
_BLOCK = 32
_LONGEST_LANGUAGE = 35

LONGEST_TOKEN = 1_024
"""Characters; those of tenants and people that are as long as they may be have 620."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose choices they are: 42 of user:42.

    `notification_id` is the notification that the link stood in, `language` its locale, empty without one.
    """

    tenant_id: str
    user_ref: str = field(repr=False)
    notification_id: int
    language: str = ""


class PersonalLinks:
    """Makes links, and reads what stands in them; pure. The first of `keys` signs, each of them is believed."""

    def __init__(self, url: str, keys: Sequence[Secret]) -> None:
        """Links begin with `url`, under which recipients reach `noti-worker web`."""
        self._start = f"{url.rstrip('/')}/preferences/"
        self._keys = [key.reveal().encode() for key in keys]

    @property
    def nowhere(self) -> str:
        """A link of the same kind by which nobody chooses anything."""
        return f"{self._start}safe-mode"

    def to(self, person: Person) -> str:
        """The link by which this person chooses."""
        language = person.language[:_LONGEST_LANGUAGE]
        said = person.notification_id.to_bytes(_ID) + f"{person.tenant_id}\0{language}\0{person.user_ref}".encode()
        key = self._keys[0]
        signature = _signature(key, said)
        return self._start + _written(_VERSION + signature + _padded(key, signature, said))

    def read(self, token: str) -> Person | None:
        """Whom a token names; None when it is not exactly one of ours."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= LONGEST_TOKEN else b""
        except (binascii.Error, ValueError):
            return None
        # The last character has bits that stand for nothing: another one must not pass for it.
        if raw[:1] != _VERSION or _written(raw) != token:
            return None
        signature, hidden = raw[1 : 1 + _SIGNATURE], raw[1 + _SIGNATURE :]
        for key in self._keys:
            said = _padded(key, signature, hidden)
            if hmac.compare_digest(signature, _signature(key, said)):
                tenant, language, user_ref = said[_ID:].decode().split("\0")
                return Person(tenant, user_ref, int.from_bytes(said[:_ID]), language)
        return None


def _signature(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"noti preferences 1 signs\0" + _VERSION + said, "sha256")[:_SIGNATURE]


def _padded(key: bytes, signature: bytes, text: bytes) -> bytes:
    """The text under its pad, or from under it."""
    blocks = range(-(-len(text) // _BLOCK))
    pad = b"".join(
        hmac.digest(key, b"noti preferences 1 hides\0" + signature + number.to_bytes(2), "sha256") for number in blocks
    )
    return bytes(one ^ other for one, other in zip(text, pad, strict=False))


def _written(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
