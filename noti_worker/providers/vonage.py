"""SMS through Vonage, formerly Nexmo (developer.vonage.com/en/api/sms).

It answers 200 to nearly everything, and says of each part of an SMS by itself whether it was taken.
"""

from base64 import b64encode
from dataclasses import dataclass, field, replace

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import PHONE_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, json_object, open_api, read_json
from noti_worker.providers._body import form
from noti_worker.providers._sms import MAX_SEGMENTS, PLAIN_CHARACTERS, as_sms, check_senders, counted, sender_of
from noti_worker.transport import Kit, Reply, Request
from noti_worker.transport.http import Steps

CHANNELS = frozenset({Channel.SMS})
OPTIONS = tuple(option for option in PHONE_OPTIONS if option.of(Channel.SMS))

# developer.vonage.com/en/api-errors/sms. The code is what the parts say: `0`, `9`, or `0,9` when only some were taken.
RULES = (
    Rule("vonage.accepted", Kind.OK, status="2..", code="0"),
    Rule("vonage.partly_accepted", Kind.UNCERTAIN, code=".*,.*"),
    Rule("vonage.too_fast", Kind.THROTTLED, Scope.ACCOUNT, code="1|10"),
    Rule("vonage.parameters", Kind.PERMANENT, code="2|3"),
    Rule("vonage.login", Kind.CONFIG, Scope.ACCOUNT, code="4|14|32"),
    Rule("vonage.account", Kind.CONFIG, Scope.ACCOUNT, code="8|11"),
    Rule("vonage.sender", Kind.CONFIG, Scope.SENDER, code="15"),
    Rule("vonage.trouble", Kind.TRANSIENT, Scope.PROVIDER, code="5|13"),
    Rule("vonage.no_route", Kind.PERMANENT, Scope.RECIPIENT, code="6"),
    Rule("vonage.no_such_number", Kind.DEAD, Scope.RECIPIENT, code="7|33|34"),
    Rule("vonage.no_credit", Kind.CONFIG, Scope.ACCOUNT, code="9"),
    Rule("vonage.content", Kind.PERMANENT, code="12|16|20"),
    Rule("vonage.settings", Kind.CONFIG, Scope.ACCOUNT, code="19|22|23"),
    Rule("vonage.demo", Kind.CONFIG, Scope.ACCOUNT, code="29"),
    Rule("vonage.unknown_code", Kind.TRANSIENT, status="2..", code=".+", last_resort=True),
    Rule("vonage.not_its_answer", Kind.UNCERTAIN, Scope.PROVIDER, status="2.."),
    *BY_STATUS,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at Vonage."""

    api_key: Secret = field(metadata=about("a reference; from the dashboard"))
    api_secret: Secret = field(metadata=about("a reference; from the dashboard"))
    from_: tuple[str, ...] = field(
        metadata=about(
            "the senders that a message may use: phone numbers (`+…`), short codes or names; the first is the default."
            " One text or a list"
        )
    )
    max_segments: int = field(default=10, metadata=MAX_SEGMENTS)
    plain_characters: bool = field(default=False, metadata=PLAIN_CHARACTERS)
    api_url: str = field(default="https://rest.nexmo.com", metadata=about("where it answers"))


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key."""
    for name, secret in (("api_key", settings.api_key), ("api_secret", settings.api_secret)):
        if not secret.reveal():
            raise ConfigurationError(f"{name} is empty: copy it from the dashboard")
    if ":" in settings.api_key.reveal():
        raise ConfigurationError("api_key holds a colon: give the key alone, and the secret as api_secret")
    if not settings.from_:
        raise ConfigurationError("from is missing: name a sender")
    check_senders(settings.from_)
    return open_api(kit, _Vonage(settings), settings.api_url)


class _Vonage:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.api_url.rstrip('/')}/sms/json"
        # In the header, as Vonage's own libraries do it, and not in the body: what answers repeat of it is veiled.
        login = f"{settings.api_key.reveal()}:{settings.api_secret.reveal()}"
        self._headers = {
            "authorization": "Basic " + b64encode(login.encode()).decode(),
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }

    def request(self, message: Message) -> Steps:
        sender = sender_of(message, self._settings.from_)
        if sender is None:
            raise BadNotification(f"the account has no sender for {message.channel}: add one to its `from`")
        sms = as_sms(message.text or "", self._settings.max_segments, plain=self._settings.plain_characters)
        fields = {
            "to": message.recipient.removeprefix("+"),
            "from": sender.removeprefix("+"),
            "text": sms.text,
            "type": "text" if sms.encoding == "gsm7" else "unicode",
            "client-ref": str(message.message_id),
        }
        return counted(sms, Request("POST", self._url, self._headers, form(fields)), self.read)

    def read(self, reply: Reply) -> Said:
        parts = _parts(reply.body)
        worst = next((place for place, status in enumerate(parts) if status != "0"), 0)
        said = read_json(
            reply,
            id="messages.0.message-id|messages.1.message-id",
            code=f"messages.{worst}.status",
            words=f"messages.{worst}.error-text|title|detail",
        )
        partly = "0" in parts and len(set(parts)) > 1
        return replace(said, code=",".join(dict.fromkeys(parts))) if partly else said


def _parts(body: bytes) -> list[str]:
    """What is said of each part, in their order."""
    messages = json_object(body).get("messages")
    if not isinstance(messages, list):
        return []
    return [str(part.get("status", ""))[:4] if isinstance(part, dict) else "" for part in messages[:255]]
