"""Reads a mail that came back: a delivery status notification (RFC 3464, 6533) or a complaint (ARF, RFC 5965).

What else comes to such a mailbox is told apart: replies of programs (RFC 3834), bounces in no standard form (qmail,
old Exchange), mails of people. A mail may be cut off after its beginning.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from noti_worker.domain.return_path import NOTIFICATION_HEADER


class Unfit(StrEnum):
    """Why a mail tells nothing of a delivery."""

    AUTO_REPLY = "auto_reply"  # a program answers for a person: an absence, a ticket
    UNREADABLE = "unreadable"  # it says that it is a report, or seems to be a bounce, and cannot be read
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stray:
    """A mail that tells nothing; a signed return path may stand in `texts`."""

    why: Unfit
    texts: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a report says of one recipient. `action` is that of RFC 3464 section 2.3.3, or the type of a complaint.

    `status` has three numbers, `words` are those of the server that refused. `addresses` are the ones by which the
    recipient is known, the original one first.
    """

    action: str
    status: str = ""
    words: str = field(default="", repr=False)
    addresses: tuple[str, ...] = field(default=(), repr=False)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MailReport:
    """A report. `id` is the same for the same mail, however often it comes.

    A signed return path may stand in `texts`. The mail that the report is about says of itself `notification_id` and
    `message_id`; both or none.
    """

    id: str
    complaint: bool
    fates: tuple[Fate, ...]
    texts: tuple[str, ...] = field(default=(), repr=False)
    notification_id: int | None = None
    message_id: UUID | None = None


_FOR = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to")
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_MOST_FATES = 100
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MESSAGE_ID = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^<>\s]*>", re.IGNORECASE)
_SENT_BY_A_SERVER = re.compile(r"mailer-daemon|postmaster|microsoftexchange[0-9a-f]+", re.IGNORECASE)
_OUT = re.compile(r"auto[_-]?reply|bulk|junk", re.IGNORECASE)
_BY_A_PROGRAM = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-response-suppress", "x-vacation")


def read_report(content: bytes) -> MailReport | Stray:
    """Read a mail, or the beginning of one."""
    mail = message_from_bytes(content)
    headers = _headers(mail)
    addressed = tuple(headers[name] for name in _FOR if name in headers)
    reports = [part for part in mail.walk() if part.get_content_type() == "message/feedback-report"]
    statuses = [part for part in mail.walk() if _is_status(part.get_content_type())]
    if reports:
        blocks = list(_blocks(reports[0]))
        fates: Sequence[Fate] = [_complaint(blocks[0], _sent_headers(mail))] if blocks else []
    elif statuses:
        blocks = list(_blocks(statuses[0]))
        fates = list(_fates(blocks))[:_MOST_FATES]
    else:
        return Stray(_unfit(mail, headers), addressed)
    if not fates:
        return Stray(Unfit.UNREADABLE, addressed)
    sent = _sent_headers(mail)
    number, message_id = sent.get(NOTIFICATION_HEADER.lower(), ""), _MESSAGE_ID.search(sent.get("message-id", ""))
    known = message_id is not None and re.fullmatch(r"[0-9]{1,18}", number.strip()) is not None
    return MailReport(
        _id(headers.get("message-id", ""), content),
        bool(reports),
        tuple(fates),
        (
            *addressed,
            *(block.get(name, "") for block in blocks[:1] for name in ("original-mail-from", "original-envelope-id")),
            sent.get("return-path", ""),
        ),
        int(number) if known else None,
        UUID(message_id[1]) if known and message_id is not None else None,
    )


def _is_status(content_type: str) -> bool:
    return content_type in {"message/delivery-status", "message/global-delivery-status"}


def _unfit(mail: Message, headers: Mapping[str, str]) -> Unfit:
    if mail.get_content_type() == "multipart/report":
        # A receipt for reading (RFC 8098) or the news of a check is a report of something else.
        about = str(mail.get_param("report-type", "")).lower()
        return Unfit.UNREADABLE if about in {"delivery-status", "feedback-report", ""} else Unfit.OTHER
    if "x-failed-recipients" in headers or _SENT_BY_A_SERVER.search(headers.get("from", "")):
        return Unfit.UNREADABLE
    submitted = headers.get("auto-submitted", "no").partition(";")[0].strip().lower()
    if submitted != "no" or _OUT.search(headers.get("precedence", "")) or any(one in headers for one in _BY_A_PROGRAM):
        return Unfit.AUTO_REPLY
    return Unfit.UNREADABLE if headers.get("return-path", "").strip() == "<>" else Unfit.OTHER


def _fates(blocks: Sequence[dict[str, str]]) -> Iterator[Fate]:
    """One for each recipient; the first block is about the mail as a whole."""
    of_all = blocks[0] if blocks else {}
    for block in blocks[1:] or blocks:
        action = block.get("action", "").partition("(")[0].strip().lower()
        if action not in _ACTIONS:
            continue
        status = _STATUS.search(block.get("status", ""))
        addresses = (_address(block.get(name, "")) for name in ("original-recipient", "final-recipient"))
        said = block.get("diagnostic-code", "")
        when = block.get("last-attempt-date") or of_all.get("arrival-date")
        yield Fate(
            action,
            status[0] if status else "",
            said.partition(";")[2].strip() if re.match(r"\s*[\w.+-]+\s*;", said) else said,
            tuple(one for one in addresses if one),
            _instant(when),
        )


def _complaint(block: dict[str, str], sent: dict[str, str]) -> Fate:
    addresses = (_address(block.get("original-rcpt-to", "")), sent.get("to", "").strip())
    kind = block.get("feedback-type", "").strip().lower()
    return Fate(kind, addresses=tuple(one for one in addresses if one), at=_instant(block.get("arrival-date")))


def _address(text: str) -> str:
    """The address of `rfc822; a@example.com`, of `utf-8; …`, or of the bare `<a@example.com>`."""
    kind, found, address = text.partition(";")
    address = (address if found else kind).strip().strip("<>").strip()
    if kind.strip().lower() == "utf-8":  # RFC 6533 section 3
        address = re.sub(r"\\x\{([0-9A-Fa-f]{1,6})\}", _letter, address)
    return address


def _letter(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    """The groups of fields of a report, each by its names in small letters."""
    for one in _decoded(part):
        fields = _headers(one)
        if fields:
            yield fields
        # The parser takes the groups behind the first of an international report for the text of a mail.
        rest = one.get_payload(decode=True)
        if isinstance(rest, bytes):
            groups = _groups(rest.decode("utf-8", "replace"))
            yield from filter(None, (_headers(message_from_string(f"{group}\n")) for group in groups))


def _groups(text: str) -> list[str]:
    return [group for group in re.split(r"(?:\r?\n){2,}", text.strip()) if ":" in group]


def _decoded(part: Message) -> Sequence[Message]:
    """The mails that the parser made of a report; one that is encoded is decoded first."""
    made = part.get_payload()
    inner = [one for one in made if isinstance(one, Message)] if isinstance(made, list) else []
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding not in {"base64", "quoted-printable"}:
        return inner
    written = "\n".join(one.as_string().strip() for one in inner).encode("ascii", "replace")
    try:
        plain = base64.b64decode(written) if encoding == "base64" else quopri.decodestring(written)
    except binascii.Error:
        return []
    groups = _groups(plain.decode("utf-8", "replace"))
    return [message_from_string(f"{group}\n") for group in groups]


def _sent_headers(mail: Message) -> dict[str, str]:
    """The headers of the mail that a report is about, where it returns them."""
    for part in mail.walk():
        kind = part.get_content_type()
        if part is mail:
            continue
        made = part.get_payload()
        if kind in {"message/rfc822", "message/global", "message/global-headers"}:
            if isinstance(made, list) and made and isinstance(made[0], Message):
                return _headers(made[0])
        elif kind == "text/rfc822-headers":
            decoded = part.get_payload(decode=True)
            return _headers(message_from_bytes(decoded)) if isinstance(decoded, bytes) else {}
    return {}


def _headers(mail: Message) -> dict[str, str]:
    """The headers by their names in small letters, as text on one line; of several the first, but all who it is to."""
    found: dict[str, str] = {}
    for name, raw in mail.raw_items():
        text = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        line = " ".join(text.split())
        key = name.lower()
        found[key] = f"{found[key]}, {line}" if key in found and key in _FOR else found.get(key, line)
    return found


def _id(message_id: str, content: bytes) -> str:
    return sha256(message_id.encode() if message_id else content).hexdigest()[:32]


def _instant(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
