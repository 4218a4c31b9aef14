"""Firebase Cloud Messaging, HTTP v1: pushes to Android, Apple and web apps by their registration token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PUSH_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, json_object, open_api, read_json, read_url
from noti_worker.providers._body import as_json
from noti_worker.providers._push import is_urgent, signed_token, topic
from noti_worker.transport import Kit, Reply, Request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.PUSH})
OPTIONS = PUSH_OPTIONS

# https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
RULES = (
    Rule("fcm.login_too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="429", stage="auth", wait=60.0),
    Rule("fcm.login_trouble", Kind.TRANSIENT, Scope.PROVIDER, status="2..|408|425|5..", stage="auth"),
    Rule("fcm.login_refused", Kind.CONFIG, Scope.ACCOUNT, status="[34]..", stage="auth"),
    Rule("fcm.unregistered", Kind.DEAD, Scope.RECIPIENT, code="UNREGISTERED"),
    Rule("fcm.bad_token", Kind.DEAD, Scope.RECIPIENT, code=r"INVALID_ARGUMENT message\.token"),
    Rule(
        "fcm.not_a_token",
        Kind.DEAD,
        Scope.RECIPIENT,
        code="INVALID_ARGUMENT.*",
        text="not a valid FCM registration token",
    ),
    Rule("fcm.invalid", Kind.PERMANENT, code="INVALID_ARGUMENT.*"),
    # The token belongs to another project: theirs alone, or the account has the wrong project.
    Rule("fcm.other_sender", Kind.CONFIG, Scope.RECIPIENT, code="SENDER_ID_MISMATCH"),
    Rule("fcm.apple_key", Kind.CONFIG, Scope.ACCOUNT, code="THIRD_PARTY_AUTH_ERROR|APNS_AUTH_ERROR"),
    Rule("fcm.quota", Kind.THROTTLED, Scope.ACCOUNT, code="QUOTA_EXCEEDED|RESOURCE_EXHAUSTED", wait=60.0),
    Rule("fcm.too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="429", wait=60.0),
    Rule("fcm.unavailable", Kind.TRANSIENT, Scope.PROVIDER, code="UNAVAILABLE", wait=10.0),
    Rule("fcm.internal", Kind.TRANSIENT, Scope.PROVIDER, code="INTERNAL", wait=10.0),
    *BY_STATUS,
)

_LARGEST = 4096
"""Bytes of what an app gets (firebase.google.com/docs/cloud-messaging/customize-messages/set-message-type)."""

_LONGEST_COLLAPSE_ID = 64
"""Bytes of `apns-collapse-id`, as Apple has it (Sending notification requests to APNs)."""

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_BEFORE_ITS_END = timedelta(minutes=1)
_PATIENCE = 10.0  # seconds for which a send waits for the token that another one is fetching

_ERROR_CODE = "|".join(f"error.details.{number}.errorCode" for number in range(6)) + "|error.status"
_APPLES = frozenset({"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"})  # 401, and about the key that Apple gave
_FIELD = "|".join(f"error.details.{number}.fieldViolations.0.field" for number in range(6))


@dataclass(frozen=True, slots=True)
class Settings:
    """An account of a Firebase project."""

    service_account: Secret = field(
        metadata=about("a reference to the JSON file of a service account that may send (a private key of it)")
    )
    project_id: str | None = field(default=None, metadata=about("without it the one of the service account's file"))
    api_url: str = field(
        default="https://fcm.googleapis.com", metadata=about("another address of the API, such as a gateway's")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    account = _read_account(settings.service_account)
    project = settings.project_id or account.project_id
    if not project:
        raise ConfigurationError("project_id is missing: neither the setting nor the service account's file has one")
    local = read_url(settings.api_url, "api_url").scheme == "http"
    if not account.token_uri.startswith(("https://", "http://") if local else "https://"):
        raise ConfigurationError("service_account: its token_uri does not begin with https://")
    url = f"{settings.api_url.rstrip('/')}/v1/projects/{quote(project, safe='')}/messages:send"
    return open_api(kit, _Fcm(account, url, kit), settings.api_url)


@dataclass(frozen=True, slots=True)
class _Account:
    """A service account's file, read."""

    email: str
    key_id: str
    key: "RSAPrivateKey" = field(repr=False)
    token_uri: str
    project_id: str


def _read_account(file: Secret) -> _Account:
    """Raise ConfigurationError that says nothing of what stands in the file."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    document = json_object(file.reveal())
    if not document:
        raise ConfigurationError("service_account is no JSON: give the whole file as the Firebase console wrote it")
    found = {name: value for name, value in document.items() if isinstance(value, str)}
    if found.get("type") != "service_account":
        raise ConfigurationError("service_account is no service account's file: its type must be service_account")
    for name in ("client_email", "private_key", "token_uri"):
        if not found.get(name):
            raise ConfigurationError(f"service_account: its file has no {name}")
    try:
        key = load_pem_private_key(found["private_key"].encode(), None)
    except (ValueError, TypeError, UnicodeEncodeError):
        raise ConfigurationError("service_account: its private_key cannot be read") from None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError("service_account: its private_key is no RSA key")
    email, token_uri = found["client_email"], found["token_uri"]
    return _Account(email, found.get("private_key_id", ""), key, token_uri, found.get("project_id", ""))


class _Fcm:
    def __init__(self, account: _Account, url: str, kit: Kit) -> None:
        self._account = account
        self._url = url
        self._now = kit.now
        self._lock = Lock()  # held by the one send that fetches a token
        self._token: tuple[str, datetime] | None = None  # and until when it is used

    def request(self, message: Message) -> "Steps":
        return self._steps(as_json({"message": _written(message, self._now())}))

    def read(self, reply: Reply) -> Said:
        hidden = (_recipient(reply.request),)
        said = read_json(reply, id="name", code=_ERROR_CODE, words="error.message", hidden=hidden)
        if violated := read_json(reply, code=_FIELD, hidden=hidden).code:
            said = replace(said, code=f"{said.code} {violated}".strip()[:100])
        self._refused(reply)  # even a new one: the next try shall not begin with it
        return replace(said, id=said.id.rpartition("/")[2] if said.id else None)

    def _send(self, token: str, body: bytes) -> Request:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return Request("POST", self._url, headers, body)

    def _steps(self, body: bytes) -> "Steps":
        """Send with the token that is held, else log in first; also when that token is not taken any more."""
        held = self._held()
        if held is not None:
            reply = yield self._send(held, body)
            if not self._refused(reply):
                return None
        if not self._lock.acquire(timeout=_PATIENCE):
            return Said("auth", code="timeout", error="another send was still fetching the access token")
        try:
            token = self._held()
            if token is None:
                reply = yield self._login()
                token = self._keep(reply)
                if token is None:
                    return _login_said(reply)
        finally:
            self._lock.release()
        yield self._send(token, body)
        return None

    def _held(self) -> str | None:
        held = self._token
        return held[0] if held is not None and self._now() < held[1] else None

    def _refused(self, reply: Reply) -> bool:
        """Tell whether our token was refused; it is forgotten then, unless another took its place meanwhile."""
        if reply.status != 401 or read_json(reply, code=_ERROR_CODE).code in _APPLES:
            return False
        held = self._token
        if held is not None and reply.request.headers["authorization"] == f"Bearer {held[0]}":
            self._token = None
        return True

    def _keep(self, reply: Reply) -> str | None:
        """The token of an answer, remembered until a minute before its end; None when there is none in it."""
        document = json_object(reply.body)
        token, lasts = document.get("access_token"), document.get("expires_in")
        if reply.status != 200 or not isinstance(token, str) or not token:
            return None
        if isinstance(lasts, int | float) and 0 < lasts < 1e6:
            self._token = token, reply.at + timedelta(seconds=lasts) - _BEFORE_ITS_END
        return token

    def _login(self) -> Request:
        """Ask for a token (developers.google.com/identity/protocols/oauth2/service-account)."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        account, begins = self._account, int(self._now().timestamp())
        claims = {
            "iss": account.email,
            "scope": _SCOPE,
            "aud": account.token_uri,
            "iat": begins,
            "exp": begins + 3600,
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": account.key_id}
        assertion = signed_token(header, claims, lambda content: account.key.sign(content, PKCS1v15(), SHA256()))
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return Request("POST", account.token_uri, headers, urlencode(form).encode(), sends=False)


def _login_said(reply: Reply) -> Said:
    """What was said instead of a token; the message was not offered to anybody."""
    assertion = reply.request.body.decode().rpartition("=")[2]
    hidden = (assertion, *assertion.split("."))
    said = read_json(reply, code="error", words="error_description", hidden=hidden)
    if reply.status == 200:  # it may hold a token in another shape
        said = replace(said, words="there is no access token in it", response={"status": 200})
    answered = f"{said.status} {said.code}".strip()
    return replace(said, stage="auth", error=f"the login for an access token was answered {answered}: {said.words}")


def _recipient(request: Request) -> str:
    return str(json.loads(request.body)["message"]["token"])


def _written(message: Message, now: datetime) -> dict[str, Any]:
    """The message as FCM takes it (firebase.google.com/docs/reference/fcm/rest/v1/projects.messages)."""
    options, own_id = message.options, str(message.message_id)
    shown = {"title": message.subject, "body": message.text, "image": options.get("image")}
    notification = {name: text for name, text in shown.items() if text}
    data = _data(options, own_id)
    pairs = [*notification.items(), *data.items()]
    size = sum(len(text.encode(errors="replace")) for pair in pairs for text in pair)
    if size > _LARGEST:
        raise BadNotification(
            f"the message is {size} bytes, and FCM takes {_LARGEST}: shorten the subject, the body or options.data"
        )
    collapse = options.get("collapse_key", own_id)
    if len(collapse.encode(errors="replace")) > _LONGEST_COLLAPSE_ID:
        raise BadNotification(f"options.collapse_key is longer than {_LONGEST_COLLAPSE_ID} bytes: shorten it")
    # A repeat of the same message replaces what is shown already.
    android: dict[str, Any] = {"notification": {"tag": collapse}}
    apple: dict[str, Any] = {"headers": {"apns-collapse-id": collapse}}
    web: dict[str, Any] = {"headers": {}}
    if "collapse_key" in options:
        android["collapse_key"] = collapse
        web["headers"]["Topic"] = topic(collapse)
    if (urgent := is_urgent(options)) is not None:
        android["priority"] = "HIGH" if urgent else "NORMAL"
        apple["headers"]["apns-priority"] = "10" if urgent else "5"
        web["headers"]["Urgency"] = "high" if urgent else "normal"
    if (ttl := options.get("ttl")) is not None:
        android["ttl"] = f"{ttl}s"
        apple["headers"]["apns-expiration"] = str(int(now.timestamp()) + ttl) if ttl else "0"
        web["headers"]["TTL"] = str(ttl)
    if "image" in options:
        apple |= {"payload": {"aps": {"mutable-content": 1}}, "fcm_options": {"image": options["image"]}}
    if options.get("click_url", "").startswith("https://"):  # FCM refuses any other link
        web["fcm_options"] = {"link": options["click_url"]}
    written = {"token": message.recipient, "data": data, "android": android, "apns": apple, "webpush": web}
    return written | {"notification": notification} if notification else written


def _data(options: Mapping[str, Any], own_id: str) -> dict[str, str]:
    given = options.get("data", {})
    for name in given:
        if name in {"from", "message_type"} or name.startswith(("google", "gcm")):
            raise BadNotification(
                "options.data has a name that FCM keeps for itself (from, message_type, google…, gcm…): rename it"
            )
    if "click_url" not in options:
        return {"message_id": own_id, **given}
    if "click_url" in given:
        raise BadNotification("options.data.click_url contradicts options.click_url: remove one of them")
    return {"message_id": own_id, **given, "click_url": options["click_url"]}
