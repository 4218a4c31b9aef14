"""E-mail through Mailgun: the same bytes as over SMTP, by its API for messages in MIME format."""

import base64
import re
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._api import BY_STATUS, open_api, read_json
from noti_worker.providers._keys import read_token
from noti_worker.providers._mail import compose
from noti_worker.providers._mail_parts import FROM, read_senders, refuse_larger
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://documentation.mailgun.com/docs/mailgun/api-reference: no codes, the words tell.
RULES = (
    # What the service answers wherever there is no API.
    Rule("mailgun.wrong_url", Kind.CONFIG, Scope.ACCOUNT, status="200", text="magnificent api"),
    # Also as 403: "is not allowed to send: recipient limit exceeded, try again after Mon, 25 Aug 2025 07:00:31 UTC".
    Rule("mailgun.limit", Kind.THROTTLED, Scope.ACCOUNT, status="4..", text="try again after"),
    Rule("mailgun.limit.420", Kind.THROTTLED, Scope.ACCOUNT, status="420", wait=60.0),
    Rule("mailgun.test_domain", Kind.CONFIG, Scope.ACCOUNT, status="4..", text="test purposes|authorized recipients"),
    Rule(
        "mailgun.recipient", Kind.DEAD, Scope.RECIPIENT, status="400", text=r"(^|[^\w-])to'? parameter is not a valid"
    ),
    Rule("mailgun.sender", Kind.CONFIG, Scope.SENDER, status="400", text=r"(^|[^\w-])from'? parameter is not a valid"),
    *BY_STATUS,
)

_MOST_MEGABYTES = 25  # https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-http
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_TRY_AGAIN = re.compile(r"try again after (?P<date>[A-Za-z0-9,: +-]{1,60})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """A sending domain at Mailgun."""

    api_key: Secret = field(metadata=about("a reference to a sending key of the domain, or to the account's key"))
    domain: str = field(metadata=about("the sending domain, as it is verified at Mailgun: `mg.example.com`"))
    from_: tuple[str, ...] = field(metadata=FROM)
    api_url: str = field(
        default="https://api.mailgun.net",
        metadata=about("`https://api.eu.mailgun.net` for a domain of the EU region"),
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _Mailgun(settings), settings.api_url)


class _Mailgun:
    def __init__(self, settings: Settings) -> None:
        if not _DOMAIN.fullmatch(settings.domain):
            raise ConfigurationError("domain is no domain: write it as Mailgun shows it, without https:// and paths")
        login = f"api:{read_token('api_key', settings.api_key)}"
        self._authorization = f"Basic {base64.b64encode(login.encode()).decode('ascii')}"
        self._senders = read_senders(settings.from_)
        self._url = f"{settings.api_url.rstrip('/')}/v3/{settings.domain}/messages.mime"

    def request(self, message: Message) -> Request:
        mail = compose(message, self._senders)
        if mail.needs_utf8:
            raise BadNotification(
                "an address has letters beyond ASCII before the @, and Mailgun writes headers with it that mail"
                " programs cannot read: send it through an account of smtp whose server has SMTPUTF8"
            )
        refuse_larger(mail.content, "Mailgun", _MOST_MEGABYTES)
        fields = [*(("to", address) for _, address in mail.recipients), ("v:message_id", str(message.message_id))]
        boundary = f"noti_{message.message_id.hex}"
        while boundary.encode() in mail.content:
            boundary += "_"
        headers = {"authorization": self._authorization, "content-type": f"multipart/form-data; boundary={boundary}"}
        return Request("POST", self._url, headers, _form(fields, mail.content, boundary))

    def read(self, reply: Reply) -> Said:
        said = read_json(reply, id="id", words="message")
        found = _TRY_AGAIN.search(said.words)
        if found is None:
            return said
        try:
            wait = (parsedate_to_datetime(found["date"].strip()) - reply.at).total_seconds()
        except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
            return said
        return replace(said, hint=max(wait, said.hint or 0.0, 1.0))


def _form(fields: list[tuple[str, str]], content: bytes, boundary: str) -> bytes:
    """A form with the mail as its file; none of the fields holds a line break."""
    heads = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join([*map(str.encode, heads), file.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
