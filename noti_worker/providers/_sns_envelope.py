"""What Amazon SNS posts to a URL: the envelope around what a service says, signed by a certificate of theirs.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.receipts import NotGenuine, NotNow, Posted, Taken
from noti_worker.domain.said import Said
from noti_worker.domain.setting import about
from noti_worker.providers._receipts import as_instant, check_age, check_same, document_of, text_at, value_at
from noti_worker.transport import Kit, Reply, Request

TOPIC = about("for receipts: the ARN of the SNS topic that is subscribed to our URL, `arn:aws:sns:…`")
"""Metadata of the setting `topic_arn`."""

_RETRIED_FOR = timedelta(hours=24)
_ARN = re.compile(r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_HOST = re.compile(r"sns\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}

FETCH_WITHIN = 5.0
"""Seconds for a certificate or a confirmation: SNS waits 15 for our answer."""

MOST_FETCHES = 5
FETCHES_WITHIN = 60.0
"""So many certificates are fetched within so many seconds, at most."""

MOST_KNOWN = 20


class Envelopes:
    """A receiver of what one topic says; confirms its subscription by itself. Used by several threads at once."""

    def __init__(self, topic_arn: str | None, kit: Kit) -> None:
        """Raise ConfigurationError that names topic_arn: a signature of Amazon's is had by every topic there is."""
        arn = _ARN.fullmatch(topic_arn or "")
        if arn is None:
            what = "missing" if topic_arn is None else "no ARN of a topic"
            raise ConfigurationError(f"topic_arn is {what}: receipts come from that topic alone")
        self._topic = arn[0]
        self._region = arn["region"]
        self._client = kit.client()
        self._certificates = _Certificates(self._get)

    def take(self, posted: Posted, now: datetime) -> Taken:
        """Take what the topic says; a confirmation that was asked for is given first."""
        if posted.method != "POST":
            raise NotGenuine("method", "only POST is taken here")
        try:
            envelope = document_of(posted)
        except ValueError:
            envelope = None
        type_ = text_at(envelope, "Type")
        if type_ not in _SIGNED or not text_at(envelope, "Signature"):
            raise NotGenuine("unsigned", "it is no envelope of SNS: raw message delivery has no signature")
        check_topic(text_at(envelope, "TopicArn"), self._topic)
        self._check_signature(envelope, type_, now)
        signed_at = as_instant(envelope.get("Timestamp"))
        check_age(signed_at.timestamp() if signed_at else "", now, _RETRIED_FOR)
        if type_ == "SubscriptionConfirmation":
            self._confirm(envelope.get("SubscribeURL"))
        return Taken(keep=type_ == "Notification")

    def _check_signature(self, envelope: Mapping[str, Any], type_: str, now: datetime) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256

        url = text_at(envelope, "SigningCertURL") or ""
        if not _CERTIFICATE.fullmatch(self._path(url)):
            raise NotGenuine("signature", "the certificate is not at Amazon's")
        # The values as they are: a line break within one belongs to it.
        signed = "".join(f"{name}\n{envelope[name]}\n" for name in _SIGNED[type_] if name in envelope)
        algorithm = SHA256() if text_at(envelope, "SignatureVersion") == "2" else SHA1()  # noqa: S303 - it is theirs
        key = self._certificates.key(url, now)
        try:
            key.verify(b64decode(envelope["Signature"]), signed.encode(errors="replace"), PKCS1v15(), algorithm)
        except (InvalidSignature, ValueError):
            raise NotGenuine("signature", "the signature is another") from None

    def _confirm(self, url: object) -> None:
        if not isinstance(url, str) or self._path(url) not in {"", "/"}:
            raise NotGenuine("signature", "the confirmation is not asked for at Amazon's")
        self._get(url)

    def _path(self, url: str) -> str:
        """The path of a URL at SNS in the region of the topic; raises NotGenuine for any other."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = _HOST.fullmatch(parts.hostname or "")
        ours = host is not None and host["region"] == self._region
        if parts.scheme != "https" or not ours or port not in {None, 443} or parts.username is not None:
            raise NotGenuine("signature", "a URL in it is not Amazon's")
        return parts.path

    def _get(self, url: str) -> bytes:
        """What stands at a URL of Amazon's, over our own guarded transport; raises NotNow."""
        reply: Reply | Said = self._client.send(Request("GET", url, {}, b"", sends=False), FETCH_WITHIN)
        if isinstance(reply, Said):
            raise NotNow(f"SNS is not reached: {reply.error or reply.code}")
        if reply.status != 200:
            raise NotNow(f"SNS answered {reply.status}")
        return reply.body


def check_topic(given: str | None, ours: str) -> None:
    """Refuse what another topic says, whose signature is Amazon's, too; raises NotGenuine."""
    try:
        check_same(given or "", ours)
    except NotGenuine:
        raise NotGenuine("topic", "it is of another topic than topic_arn names") from None


class _Certificates:
    """The certificates that were fetched. Whoever knows our URL may name others: few are asked for."""

    def __init__(self, get: Callable[[str], bytes]) -> None:
        self._get = get
        self._lock = Lock()
        self._known: dict[str, tuple[Any, datetime]] = {}  # the key, and the end of its certificate
        self._fetched_at = deque[float](maxlen=MOST_FETCHES)

    def key(self, url: str, now: datetime) -> Any:
        """The public key; raises NotGenuine when its time is over, NotNow when it cannot be had."""
        known = self._known.get(url)
        if known is None:
            with self._lock:  # whoever asks for the same waits
                known = self._known.get(url) or self._fetch(url)
        key, ends = known
        if now > ends:
            raise NotGenuine("signature", "the certificate is over")
        return key

    def _fetch(self, url: str) -> tuple[Any, datetime]:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.x509 import load_pem_x509_certificate

        if len(self._fetched_at) == MOST_FETCHES and self._fetched_at[0] > monotonic() - FETCHES_WITHIN:
            raise NotNow("too many certificates are asked for")
        self._fetched_at.append(monotonic())
        try:
            certificate = load_pem_x509_certificate(self._get(url))
        except ValueError:
            raise NotNow("what stands at the certificate's URL is none") from None
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise NotNow("the certificate has no RSA key")
        if len(self._known) >= MOST_KNOWN:  # in years there are a few
            self._known.clear()
        self._known[url] = key, certificate.not_valid_after_utc
        return self._known[url]


def message_of(posted: Posted) -> Any:
    """What the envelope holds: a document, or a plain text as it is. Raises ValueError."""
    message = value_at(document_of(posted), "Message")
    try:
        return document_of(Posted(str(message).encode(errors="replace")))
    except ValueError:
        return message
