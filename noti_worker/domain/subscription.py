"""What a recipient leaves by a link, and the link: a token that says it all, signed, and readable to nobody else.

The token is base64url of: a version, a signature (HMAC-SHA256, its first 16 bytes), the hash of the address under a pad
that is drawn from the key and everything else, and the rest as it stands. So a link works as long as its key is kept,
whatever became of the notification, and neither the address nor its hash can be read out of it or guessed by it.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from noti_worker.domain.notification import Channel
from noti_worker.domain.personal import PersonalLinks
from noti_worker.domain.secret import Secret

_VERSION = b"\x01"
_SIGNATURE = 16
_HASH = 32
_ID = 8
_LONGEST_LANGUAGE = 35
"""Characters: RFC 5646 section 4.4.1."""

LONGEST_TOKEN = 1_024
"""Characters; those of tenants and categories that are as long as they may be have 700."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Messages of one category to one address. `address_hash` is `noti.address_hash` of it.

    `notification_id` is the notification that the link stood in, `language` its locale, empty without one.
    """

    tenant_id: str
    channel: Channel
    address_hash: bytes = field(repr=False)
    category: str
    notification_id: int
    language: str = ""


class Links:
    """Makes links, and reads what stands in them; pure. The first of `keys` signs, each of them is believed."""

    def __init__(self, url: str, keys: Sequence[Secret]) -> None:
        """Links begin with `url`, under which recipients reach `noti-worker web`; `people` are those of persons."""
        self.people = PersonalLinks(url, keys)
        self._start = f"{url.rstrip('/')}/unsubscribe/"
        self._keys = [key.reveal().encode() for key in keys]

    @property
    def nowhere(self) -> str:
        """A link of the same kind by which nobody leaves anything."""
        return f"{self._start}safe-mode"

    def to(self, subscription: Subscription) -> str:
        """The link by which the recipient leaves it."""
        one = subscription
        language = one.language[:_LONGEST_LANGUAGE]
        text = f"{one.channel}\0{one.tenant_id}\0{one.category}\0{language}"
        rest = one.notification_id.to_bytes(_ID) + text.encode()
        key = self._keys[0]
        signed = _padded(key, rest, one.address_hash) + rest
        return self._start + _written(_VERSION + _signature(key, signed) + signed)

    def read(self, token: str) -> Subscription | None:
        """What a token stands for; None when it is not exactly one of ours."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= LONGEST_TOKEN else b""
        except (binascii.Error, ValueError):
            return None
        # The last character has bits that stand for nothing: another one must not pass for it.
        if raw[:1] != _VERSION or _written(raw) != token:
            return None
        signature, signed = raw[1 : 1 + _SIGNATURE], raw[1 + _SIGNATURE :]
        for key in self._keys:
            if hmac.compare_digest(signature, _signature(key, signed)):
                hidden, rest = signed[:_HASH], signed[_HASH:]
                channel, tenant, category, language = rest[_ID:].decode().split("\0")
                return Subscription(
                    tenant,
                    Channel(channel),
                    _padded(key, rest, hidden),
                    category,
                    int.from_bytes(rest[:_ID]),
                    language,
                )
        return None


def _signature(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, b"noti unsubscribe 1 signs\0" + _VERSION + signed, "sha256")[:_SIGNATURE]


def _padded(key: bytes, rest: bytes, address_hash: bytes) -> bytes:
    """The hash under its pad, or from under it. No two notifications have the same pad, for `rest` has their id."""
    pad = hmac.digest(key, b"noti unsubscribe 1 hides\0" + rest, "sha256")
    return bytes(one ^ other for one, other in zip(address_hash, pad, strict=True))


def _written(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
