"""Apple Push Notification service: pushes to apps by their device token, over HTTP/2, signed in with a .p8 key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PUSH_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, read_json, read_url
from noti_worker.providers._body import as_json
from noti_worker.providers._push import es256, is_urgent, signed_token
from noti_worker.transport import Kit, Reply, Request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = PUSH_OPTIONS
EXTRA = "apns"

# https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
RULES = (
    Rule("apns.unregistered", Kind.DEAD, Scope.RECIPIENT, code="Unregistered|ExpiredToken"),
    Rule("apns.bad_token", Kind.DEAD, Scope.RECIPIENT, code="BadDeviceToken"),
    # A wrong topic must not make an end of every token.
    Rule("apns.other_topic", Kind.CONFIG, Scope.RECIPIENT, code="DeviceTokenNotForTopic"),
    # A topic is the account's, never a message's: it must not fail all that waits.
    Rule("apns.topic", Kind.CONFIG, Scope.ACCOUNT, code="BadTopic|MissingTopic|TopicDisallowed"),
    Rule("apns.expired_login", Kind.TRANSIENT, Scope.ACCOUNT, code="ExpiredProviderToken"),
    Rule("apns.login_refused", Kind.CONFIG, Scope.ACCOUNT, status="403"),
    Rule("apns.too_many_logins", Kind.CONFIG, Scope.ACCOUNT, code="TooManyProviderTokenUpdates", wait=1200.0),
    Rule("apns.too_fast", Kind.THROTTLED, Scope.RECIPIENT, code="TooManyRequests"),
    Rule("apns.idle", Kind.TRANSIENT, code="IdleTimeout"),
    Rule("apns.too_large", Kind.PERMANENT, status="413"),
    Rule("apns.invalid", Kind.PERMANENT, status="400"),
    Rule("apns.gone", Kind.DEAD, Scope.RECIPIENT, status="410"),
    Rule("apns.trouble", Kind.TRANSIENT, Scope.PROVIDER, code="Shutdown|ServiceUnavailable|InternalServerError"),
    *BY_STATUS,
)

# https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
_LARGEST = 4096
_LONGEST_COLLAPSE_ID = 64

_HOSTS = {"production": "api.push.apple.com", "sandbox": "api.sandbox.push.apple.com"}

# https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
_RENEWED_AFTER = timedelta(minutes=50)
_KEPT_AT_LEAST = timedelta(minutes=20)

_ID = re.compile(r"[A-Za-z0-9]{10}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
_TOKEN = re.compile(r"[0-9A-Fa-f]{8,400}")
_PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Settings:
    """An app of a team of Apple's."""

    key: Secret = field(metadata=about("a reference to the .p8 file of an APNs key (its text)"))
    key_id: str = field(metadata=about("the key's ID, 10 characters"))
    team_id: str = field(metadata=about("the team's ID, 10 characters"))
    topic: str = field(metadata=about("the app's bundle ID"))
    environment: Literal["production", "sandbox"] = field(
        default="production", metadata=about("`sandbox` for tokens of apps that Xcode installed")
    )
    api_url: str | None = field(default=None, metadata=about("another address of the API, such as a gateway's"))
    ca_file: str | None = field(default=None, metadata=about("certificates (PEM) to trust besides the usual ones"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key, or the package that is missing."""
    if find_spec("h2") is None:
        raise ConfigurationError(f"apns needs HTTP/2: pip install 'noti-worker[{EXTRA}]'")
    for name in ("key_id", "team_id"):
        if not _ID.fullmatch(getattr(settings, name)):
            raise ConfigurationError(f"{name} is no ID of Apple's: it has 10 letters and digits")
    if not _TOPIC.fullmatch(settings.topic):
        raise ConfigurationError("topic is no bundle ID: write it as com.example.app")
    url = settings.api_url or f"https://{_HOSTS[settings.environment]}"
    parts = read_url(url, "api_url")
    if parts.scheme != "https":
        raise ConfigurationError(
            "api_url begins with http://, and Apple's protocol is always encrypted: write https://"
        )
    login = _Login(_read_key(settings.key), settings.key_id, settings.team_id)
    apns = _Apns(login, url.rstrip("/"), settings.topic, settings.environment, kit)
    return kit.http2(apns, parts.hostname or "", parts.port or 443, ca_file=settings.ca_file)


def _read_key(file: Secret) -> "EllipticCurvePrivateKey":
    """Raise ConfigurationError that says nothing of what stands in the file."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.reveal().encode(), None)
    except (ValueError, TypeError, UnicodeEncodeError):
        raise ConfigurationError("key cannot be read: give the whole .p8 file as Apple wrote it") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigurationError("key is no key of APNs: that is one of the curve P-256")
    return key


class _Login:
    """The token that all sends of the account show, renewed as seldom as Apple asks for."""

    def __init__(self, key: "EllipticCurvePrivateKey", key_id: str, team_id: str) -> None:
        self._key, self._key_id, self._team_id = key, key_id, team_id
        self._lock = Lock()
        self._token = ""
        self._made_at: datetime | None = None

    def token(self, now: datetime) -> str:
        """The one in use, or a new one when it is old."""
        with self._lock:
            if self._made_at is None or abs(now - self._made_at) >= _RENEWED_AFTER:
                header = {"alg": "ES256", "kid": self._key_id}
                claims = {"iss": self._team_id, "iat": int(now.timestamp())}
                self._token, self._made_at = signed_token(header, claims, partial(es256, self._key)), now
            return self._token

    def drop(self, token: str, now: datetime) -> bool:
        """Forget a token that was refused; False when it is too new for another: Apple refuses who renews too often."""
        with self._lock:
            if token != self._token or self._made_at is None:
                return True
            if now - self._made_at < _KEPT_AT_LEAST:
                return False
            self._made_at = None
            return True


class _Apns:
    def __init__(self, login: _Login, url: str, topic: str, environment: str, kit: Kit) -> None:
        self._login = login
        self._url = url
        self._topic = topic
        self._environment = environment
        self._now = kit.now

    def request(self, message: Message) -> Request:
        token = message.recipient.strip()
        if not _TOKEN.fullmatch(token):
            raise BadNotification("the recipient is no device token of Apple's: write its bytes in hexadecimal digits")
        now = self._now()
        body = _payload(message)
        headers = {
            "authorization": f"bearer {self._login.token(now)}",
            "content-type": "application/json",
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-id": str(message.message_id),
            **_asked(message, now),
        }
        return Request("POST", f"{self._url}/3/device/{token}", headers, body)

    def read(self, reply: Reply) -> Said:
        device = reply.request.url.rpartition("/")[2]
        said = read_json(reply, code="reason", words="reason", hidden=(device.lower(), device.upper()))
        if reply.status == 200:
            return replace(said, id=reply.headers.get("apns-id", reply.request.headers["apns-id"])[:200])
        return replace(said, error=self._explained(said.code, reply))

    def _explained(self, reason: str, reply: Reply) -> str | None:
        """What to do where the reason does not say it."""
        if reason == "BadDeviceToken":
            return f"BadDeviceToken: Apple knows no such device token in the environment {self._environment}"
        if reason == "DeviceTokenNotForTopic":
            return "DeviceTokenNotForTopic: the device token is another app's, or topic is not this app's bundle ID"
        if reason == "TooManyProviderTokenUpdates":
            return "TooManyProviderTokenUpdates: too many workers use this key, or they were restarted too often"
        if reason == "ExpiredProviderToken":
            token = reply.request.headers["authorization"].removeprefix("bearer ")
            renewed = self._login.drop(token, self._now())
            return None if renewed else "ExpiredProviderToken: the login is new, so the database's clock seems wrong"
        return None


def _asked(message: Message, now: datetime) -> dict[str, str]:
    """The headers that stand for options."""
    options = message.options
    # A repeat of the same message replaces what is shown already.
    collapse = options.get("collapse_key", str(message.message_id))
    if not _PRINTABLE.fullmatch(collapse) or len(collapse) > _LONGEST_COLLAPSE_ID:
        raise BadNotification(
            f"options.collapse_key is not as Apple takes it: write at most {_LONGEST_COLLAPSE_ID} characters in ASCII"
        )
    headers = {"apns-collapse-id": collapse}
    if (urgent := is_urgent(options)) is not None:
        headers["apns-priority"] = "10" if urgent else "5"
    if (ttl := options.get("ttl")) is not None:
        headers["apns-expiration"] = str(int(now.timestamp()) + ttl) if ttl else "0"
    return headers


def _payload(message: Message) -> bytes:
    """What the device gets (developer.apple.com/documentation/usernotifications/generating-a-remote-notification)."""
    options, own_id = message.options, str(message.message_id)
    alert = {name: text for name, text in (("title", message.subject), ("body", message.text)) if text}
    if not alert:
        raise BadNotification("there is nothing to show: give the row a subject or a body")
    aps: dict[str, Any] = {"alert": alert}
    if "image" in options:
        aps["mutable-content"] = 1
    body = as_json({"aps": aps, "message_id": own_id, **_data(options)})
    if len(body) > _LARGEST:
        raise BadNotification(
            f"the message is {len(body)} bytes, and Apple takes {_LARGEST}: shorten the subject, the body or"
            " options.data"
        )
    return body


def _data(options: Mapping[str, Any]) -> dict[str, str]:
    given = dict(options.get("data", {}))
    if "aps" in given:
        raise BadNotification("options.data has the name aps, which Apple keeps for itself: rename it")
    for name in ("click_url", "image"):
        if name in options and name in given:
            raise BadNotification(f"options.data.{name} contradicts options.{name}: remove one of them")
        if name in options:
            given[name] = options[name]
    return given
