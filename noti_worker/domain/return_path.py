"""The address that bounces of our mails come back to, with a signed tag for each mail (VERP)."""

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from noti_worker.domain.secret import Secret

NOTIFICATION_HEADER = "X-Notification-ID"
"""Goes out with the mail: reports that hold its headers tell the notification even where the tag was lost."""

LONGEST_LOCAL = 32
"""Characters before the @ of the plain address: with a tag they are at most 64 (RFC 5321 section 4.5.3.1.1)."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SIGNED = 16  # characters of base32: 80 bits of the signature


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """`address` is the plain one, `key` signs its tags."""

    address: str = field(repr=False)
    key: Secret

    def of(self, notification_id: int) -> str:
        """The address for one mail: `bounce+TAG@example.com`. The tag has small letters, digits and one `-`."""
        local, _, domain = self.address.rpartition("@")
        return f"{local}+{_number(notification_id)}-{self._signature(notification_id)}@{domain}"

    def notification_in(self, texts: Iterable[str]) -> int | None:
        """The notification whose tag stands in one of `texts`, signed by us."""
        return next((number for number, genuine in self._tags(texts) if genuine), None)

    def is_forged_in(self, texts: Iterable[str]) -> bool:
        """True when `texts` hold tags, and none of them is signed by us."""
        tags = [genuine for _, genuine in self._tags(texts)]
        return bool(tags) and not any(tags)

    def _tags(self, texts: Iterable[str]) -> Iterable[tuple[int, bool]]:
        local, _, domain = self.address.rpartition("@")
        # Servers on the way may write capitals, and some quote the local part.
        tag = re.compile(
            rf"(?<![\w.+-]){re.escape(local)}\+([0-9a-z]{{1,13}})-([a-z2-7]{{{_SIGNED}}})\"?@{re.escape(domain)}(?![\w.-])",
            re.IGNORECASE,
        )
        for text in texts:
            for number, signature in tag.findall(text):
                notification_id = int(number, 36)
                yield notification_id, hmac.compare_digest(signature.lower(), self._signature(notification_id))

    def _signature(self, notification_id: int) -> str:
        digest = hmac.digest(self.key.reveal().encode(), f"return path {notification_id}".encode(), "sha256")
        return b32encode(digest).decode("ascii")[:_SIGNED].lower()


def _number(value: int) -> str:
    """In base 36: 13 characters at most, as a bigint is."""
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
