"""Logging in at a mail server: every mechanism that it offers and that fits the secret (RFC 4954, 4616, 2195, 7628)."""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from noti_worker.domain.secret import Secret
from noti_worker.providers._smtp import Offer, Speaker
from noti_worker.providers._smtp_said import Refused, Reply
from noti_worker.transport.talk import Talk

# "Not this way": another mechanism may do. Anything else (not now, too many, closing) ends it.
_NOT_THIS_WAY = frozenset({500, 501, 502, 503, 504, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are, and the secret that proves it: a password, or a `token` of OAuth 2.0."""

    username: str
    password: Secret | None
    token: Secret | None
    host: str
    port: int

    def fresh(self) -> "Login":
        """With the token as it is now: it ends long before the connections do. Raises ConfigurationError."""
        return self if self.token is None else replace(self, token=self.token.fresh())

    def hidden(self) -> tuple[str, ...]:
        """What no record of a conversation may show: the secret, plain and as it goes over the wire."""
        if self.token is not None:
            token = self.token.reveal()
            return (self._xoauth2(), self._oauthbearer(), _encoded(token), token)
        password = _of(self.password)
        return (self._plain(), _encoded(self.username), _encoded(password), password)

    def prove(self, speaker: Speaker, offer: Offer) -> Talk[None]:
        """Log in; raises Refused with the most telling answer, or gives up when nothing that is offered fits."""
        offered = offer.get("AUTH", "").upper().split()
        ways: dict[str, Callable[[Speaker], Talk[Reply]]] = (
            {"PLAIN": self._by_plain, "LOGIN": self._by_login, "CRAM-MD5": self._by_cram_md5}
            if self.token is None
            else {"OAUTHBEARER": self._by_oauthbearer, "XOAUTH2": self._by_xoauth2}
        )
        refusals: list[Reply] = []
        for mechanism, way in ways.items():
            if mechanism not in offered:
                continue
            reply = yield from way(speaker)
            if reply.code == 235:
                return
            refusals.append(reply)
            if reply.code not in _NOT_THIS_WAY:
                raise Refused("auth", reply)
        if not refusals:
            secret = "username" if self.token is None else "token"
            what = f"only offers {' '.join(offered)[:80]}" if offered else "offers no login"
            speaker.give_up("auth", "no_login", f"the account has a {secret}, but the server {what}")
        # Whose secret is wrong says more than who does not know the mechanism.
        raise Refused("auth", next((reply for reply in refusals if reply.code == 535), refusals[-1]))

    def _by_plain(self, speaker: Speaker) -> Talk[Reply]:
        return speaker.ask("auth", f"AUTH PLAIN {self._plain()}")

    def _by_login(self, speaker: Speaker) -> Talk[Reply]:
        reply = yield from speaker.ask("auth", "AUTH LOGIN")
        for word in (self.username, _of(self.password)):
            if reply.code != 334:
                return reply
            reply = yield from speaker.ask("auth", _encoded(word))
        return reply

    def _by_cram_md5(self, speaker: Speaker) -> Talk[Reply]:
        reply = yield from speaker.ask("auth", "AUTH CRAM-MD5")
        if reply.code != 334:
            return reply
        try:
            challenge = base64.b64decode(reply.text, validate=True)
        except binascii.Error:
            reply = yield from speaker.ask("auth", "*")
            return reply
        digest = hmac.new(_of(self.password).encode(), challenge, "md5").hexdigest()
        reply = yield from speaker.ask("auth", _encoded(f"{self.username} {digest}"))
        return reply

    def _by_xoauth2(self, speaker: Speaker) -> Talk[Reply]:
        reply = yield from speaker.ask("auth", f"AUTH XOAUTH2 {self._xoauth2()}")
        if reply.code == 334:  # why it was refused; the refusal itself comes after an empty answer
            reply = yield from speaker.ask("auth", "")
        return reply

    def _by_oauthbearer(self, speaker: Speaker) -> Talk[Reply]:
        reply = yield from speaker.ask("auth", f"AUTH OAUTHBEARER {self._oauthbearer()}")
        if reply.code == 334:  # RFC 7628 section 3.2.3
            reply = yield from speaker.ask("auth", "AQ==")
        return reply

    def _plain(self) -> str:
        return _encoded(f"\0{self.username}\0{_of(self.password)}")

    def _xoauth2(self) -> str:
        return _encoded(f"user={self.username}\1auth=Bearer {_of(self.token)}\1\1")

    def _oauthbearer(self) -> str:
        name = self.username.replace("=", "=3D").replace(",", "=2C")
        return _encoded(f"n,a={name},\1host={self.host}\1port={self.port}\1auth=Bearer {_of(self.token)}\1\1")


def _of(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
