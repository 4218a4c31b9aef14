"""Secrets that stand sealed in the database: AES-256-GCM, by keys that never come there.

A sealed secret is one byte that names this form, 12 bytes of nonce, and the ciphertext with its tag. What it is sealed
for (tenant, account, purpose) and the id of its key are authenticated with it: in another row it cannot be opened.
"""

import os
import re
from collections.abc import Mapping

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.own_accounts import Place, Sealed
from noti_worker.domain.secret import Secret

LONGEST = 64 * 1024
"""Bytes of a secret."""

_FORM = b"\x01"
_NONCE = 12
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})[ \t]+([0-9a-fA-F]{64})")


def read_keys(text: str) -> dict[str, bytes]:
    """The keys by their ids, the newest first; raises ConfigurationError, which shows none of it."""
    keys: dict[str, bytes] = {}
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ConfigurationError(
                f"line {number} of the keys is not an id, a space and 64 hexadecimal digits:"
                ' echo "$(date +%Y-%m) $(openssl rand -hex 32)" prints one'
            )
        if found[1] in keys:
            raise ConfigurationError(f"line {number} of the keys gives the id {found[1]} a second time")
        keys[found[1]] = bytes.fromhex(found[2])
    if not keys:
        raise ConfigurationError(
            "the keys hold none: the first line is the newest one, an id and 64 hexadecimal digits"
        )
    return keys


class Keys:
    """Seals and opens secrets by the keys that a reference names. Thread-safe."""

    def __init__(self, source: Secret) -> None:
        """`source` holds the keys; it is read anew when a secret is sealed under one that is not there."""
        self._source = source
        self._keys: Mapping[str, bytes] = read_keys(source.reveal())

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys))

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def seal(self, place: Place, secret: str) -> Sealed:
        """Seal for this place alone, under the newest key; raises ConfigurationError when it is empty or too long."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        plain = secret.encode()
        if not plain or len(plain) > LONGEST:
            raise ConfigurationError(f"the {place} is {'empty' if not plain else 'longer than 64 KiB'}")
        key_id, nonce = self.newest, os.urandom(_NONCE)
        sealed = AESGCM(self._keys[key_id]).encrypt(nonce, plain, _bound(place, key_id))
        return Sealed(key_id, _FORM + nonce + sealed)

    def open(self, place: Place, sealed: Sealed) -> Secret:
        """What was sealed for this place; raises ConfigurationError that tells why not."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if sealed.key_id not in self._keys:
            self._keys = read_keys(self._source.fresh().reveal())
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise ConfigurationError(
                f"the {place} is sealed under the key {sealed.key_id}, which secrets.keys does not hold:"
                " put that key back, or set the secret anew"
            )
        if sealed.data[:1] != _FORM:
            raise ConfigurationError(f"the {place} is sealed in a form that this version does not know")
        nonce, rest = sealed.data[1 : 1 + _NONCE], sealed.data[1 + _NONCE :]
        try:
            return Secret(AESGCM(key).decrypt(nonce, rest, _bound(place, sealed.key_id)).decode())
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"the {place} cannot be opened with the key {sealed.key_id}: it was sealed for another tenant, account"
                " or purpose, under another key of that id, or was changed; set it anew"
            ) from None


def _bound(place: Place, key_id: str) -> bytes:
    """What is authenticated besides, so that no two places look alike: each part after its length."""
    parts = ("noti sealed", place.tenant_id, place.account, place.purpose, key_id)
    return b"".join(len(part).to_bytes(4, "big") + part for part in (part.encode() for part in parts))
