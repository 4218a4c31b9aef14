"""E-mail through Resend."""

from dataclasses import dataclass, field
from mimetypes import MimeTypes
from typing import Any

from noti_worker.domain.errors import BadNotification
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
from noti_worker.providers._mail_parts import FROM, base64_of, json_of, parts_of, read_senders, written
from noti_worker.providers._mime import File
from noti_worker.transport import Kit, Reply, Request

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS

# https://resend.com/docs/api-reference/errors
RULES = (
    # An earlier try with this key is still being worked on; after it the answer of that one is given.
    Rule("resend.in_progress", Kind.TRANSIENT, status="409", code="concurrent_idempotent_requests", wait=10.0),
    # An earlier try with this key and other content was taken.
    Rule("resend.sent_otherwise", Kind.UNCERTAIN, status="409", code="invalid_idempotent_request"),
    Rule("resend.key", Kind.CONFIG, Scope.ACCOUNT, code="(missing|restricted|invalid|suspended)_api_key"),
    Rule("resend.key.words", Kind.CONFIG, Scope.ACCOUNT, status="4..", text="api key is (invalid|missing)"),
    Rule("resend.test_only", Kind.CONFIG, Scope.ACCOUNT, status="403", text="only send testing emails"),
    Rule("resend.domain", Kind.CONFIG, Scope.SENDER, status="403", text="domain is not verified"),
    Rule("resend.from", Kind.CONFIG, Scope.SENDER, code="invalid_from_address"),
    Rule("resend.from.words", Kind.CONFIG, Scope.SENDER, status="422", text="invalid .?from.? field"),
    Rule("resend.recipient", Kind.DEAD, Scope.RECIPIENT, status="422", text="invalid .?to.? field"),
    Rule("resend.daily_quota", Kind.THROTTLED, Scope.ACCOUNT, status="429", code="daily_quota_exceeded", wait=3600.0),
    Rule("resend.monthly_quota", Kind.CONFIG, Scope.ACCOUNT, status="429", code="monthly_quota_exceeded"),
    *BY_STATUS,
)

_MOST_MEGABYTES = 40  # https://resend.com/docs/dashboard/emails/attachments
# The types that every installation of Python knows, whatever the machine's own tables say.
_TYPES = MimeTypes()


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at Resend."""

    api_key: Secret = field(metadata=about("a reference to the key, `re_…`; Sending access is enough"))
    from_: tuple[str, ...] = field(metadata=FROM)
    api_url: str = field(default="https://api.resend.com", metadata=about("where the API is"))


def build(settings: Settings, kit: Kit) -> Sender:
    """The sender of one account; raises ConfigurationError that names the key."""
    return open_api(kit, _Resend(settings), settings.api_url)


class _Resend:
    def __init__(self, settings: Settings) -> None:
        self._authorization = f"Bearer {read_token('api_key', settings.api_key)}"
        self._senders = read_senders(settings.from_)
        self._url = f"{settings.api_url.rstrip('/')}/emails"

    def request(self, message: Message) -> Request:
        parts = parts_of(message, self._senders, "Resend")
        if not parts.subject:
            raise BadNotification("subject is empty, and Resend sends no mail without one: give the row a subject")
        if parts.invitations:
            raise BadNotification(
                "options.attachments: Resend does not say that it carries invitations (text/calendar with a method):"
                " leave the method out, and it goes as a file, or send it through another account"
            )
        document: dict[str, Any] = {
            "from": written(parts.sender),
            "to": [written(parts.to)],
            "cc": [written(box) for box in parts.cc],
            "bcc": [written(box) for box in parts.bcc],
            "reply_to": written(parts.reply_to) if parts.reply_to else None,
            "subject": parts.subject,
            "text": parts.text,
            "html": parts.html,
            "headers": parts.headers,
            "attachments": [_attachment(file) for file in (*parts.images, *parts.files)],
        }
        return Request(
            "POST",
            self._url,
            {
                "authorization": self._authorization,
                "content-type": "application/json",
                "idempotency-key": str(message.message_id),
            },
            json_of({name: held for name, held in document.items() if held}, "Resend", _MOST_MEGABYTES),
        )

    def read(self, reply: Reply) -> Said:
        return read_json(reply, id="id", code="name", words="message")


def _attachment(file: File) -> dict[str, str]:
    expected, _ = _TYPES.guess_type(f"x.{file.name.rpartition('.')[2]}" if "." in file.name else "")
    if expected is not None and expected != file.media_type.name:
        # It takes such mails and never delivers them.
        raise BadNotification(
            f"options.attachments: Resend loses mails whose files are not of the type that their name tells; a file"
            f" of type {file.media_type.name} has a name of {expected}: correct one of them"
        )
    shown = {"content_id": file.content_id} if file.content_id else {}
    return {"filename": file.name, "content": base64_of(file), "content_type": str(file.media_type), **shown}
