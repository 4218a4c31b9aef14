"""A message as the bytes that go out (RFC 5322, MIME), checked by reading them back.

Built by hand rather than with EmailMessage: the same message gives the same bytes on every try, in a
tenth of the time, and nothing is decoded and encoded again on the way. What was built is then read by
the standard library's parser, which must find exactly the headers that were meant.
"""

import base64
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import field
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.headers import LONGEST_MAIL_LINE, MAIL_HEADERS, breakable, phrases
from noti_worker.domain.line import one_line
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Message
from noti_worker.domain.value import value
from noti_worker.providers._mime import BIDI, block_of, body_of, has_short_lines

MOST_RECIPIENTS = 100
"""RFC 5321 section 4.5.3.1.8: what every server must be able to take in one transaction."""

_LINE = 78
_LONGEST_SUBJECT = 256 * 1024  # what a template may write; a row itself has 4 kB
_ADDRESS = r"[^\s<>(),:;@\"\[\]\\]+@[^\s<>(),:;@\"\[\]\\]+"
_ONE_ADDRESS = re.compile(
    rf"""(?: (?P<bare>{_ADDRESS})
        | (?: [A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\ -]+ | "(?:[^"\\]|\\.)*"\  | (?:=\?utf-8\?b\?[A-Za-z0-9+/=]+\?=\r\n\ )+ )
          <(?P<angle>{_ADDRESS})> )""",
    re.VERBOSE,
)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


@value
class Mail:
    """Ready for the wire: the envelope and the content (CRLF lines, not dot-stuffed).

    `recipients` are (field name, address); the first is the one that the row's status speaks for.
    `needs_utf8`: only a server with SMTPUTF8 can take it.
    """

    sender: str = field(repr=False)
    recipients: tuple[tuple[str, str], ...] = field(repr=False)
    content: bytes = field(repr=False)
    needs_utf8: bool = False


def compose(message: Message, senders: Sequence[Mailbox], *, intranet: bool = False) -> Mail:
    """Build the mail; `senders` are the account's, the first is the default.

    Raises BadNotification that names what is ill and never shows it.
    """
    options = message.options
    sender = sender_of(options.get("from"), senders)
    recipient = read_mailbox(message.recipient, "recipient", intranet=intranet)
    original = options.get("copy_of")
    to = read_mailbox(original, "options.copy_of", intranet=intranet) if original else recipient
    cc = mailboxes(options, "cc", intranet=intranet)
    bcc = mailboxes(options, "bcc", intranet=intranet)
    reply_to = options.get("reply_to")
    inner, body = body_of(message)
    headers = (
        ("From", _written([sender])),
        ("To", _written([to])),
        *([("Cc", _written(cc))] if cc else []),
        *(
            [("Reply-To", _written([read_mailbox(reply_to, "options.reply_to", intranet=intranet)]))]
            if reply_to
            else []
        ),
        ("Subject", _subject(message.subject)),
        ("Date", _date(message.dated_at.replace(microsecond=0))),
        ("Message-ID", f"<{message.message_id}@{sender.domain}>"),
        *custom_headers(options.get("headers")),
        ("MIME-Version", "1.0"),
        *inner,
    )
    content = block_of(headers) + body
    _check(content, dict(headers)["To"], to)
    return Mail(
        sender.address,
        envelope(recipient, (), ()) if original else envelope(to, cc, bcc, message.left_out),
        content,
        needs_utf8=any(box.needs_utf8 for box in (sender, to, recipient, *cc, *bcc)) or not content.isascii(),
    )


def sender_of(wanted: object, senders: Sequence[Mailbox]) -> Mailbox:
    """The one of `senders` that is asked for, without a wish the first."""
    if wanted is None:
        return senders[0]
    asked = read_mailbox(wanted, "options.from", intranet=True)
    for sender in senders:
        if asked.address.lower() == sender.address.lower() and asked.name in {"", sender.name}:
            return sender
    raise BadNotification("options.from is not in the account's list (its key `from`)")


def mailboxes(options: Mapping[str, Any], key: str, *, intranet: bool) -> list[Mailbox]:
    """The addresses of one option."""
    given = options.get(key) or []
    if not isinstance(given, list | tuple):
        raise BadNotification(f"options.{key} is not a list of addresses")
    return [read_mailbox(one, f"options.{key}[{index}]", intranet=intranet) for index, one in enumerate(given)]


def envelope(
    to: Mailbox, cc: Sequence[Mailbox], bcc: Sequence[Mailbox], left_out: Container[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Everyone once, whoever stands twice, but for the places that are left out; the recipient first."""
    if not cc and not bcc:
        return (("recipient", to.address),)
    named = {"recipient": to}
    named |= {f"cc[{index}]": box for index, box in enumerate(cc)}
    named |= {f"bcc[{index}]": box for index, box in enumerate(bcc)}
    once: dict[str, tuple[str, str]] = {}
    for name, box in named.items():
        if name in left_out:
            continue
        once.setdefault(box.address.lower(), (name, box.address))
    if len(once) > MOST_RECIPIENTS:
        raise BadNotification(f"options.cc and options.bcc: more than {MOST_RECIPIENTS} recipients of one mail")
    return tuple(once.values())


def plain_subject(subject: str | None) -> str:
    """The subject on one line, without what turns the reading direction."""
    return BIDI.sub("", one_line(subject or "", "subject", _LONGEST_SUBJECT))


def _subject(subject: str | None) -> str:
    text = plain_subject(subject)
    folded = _folded("Subject", text)
    return _encoded(text) if folded is None else folded


def custom_headers(given: object) -> list[tuple[str, str]]:
    """The row's own headers as they are written: in ASCII, folded."""
    read = MAIL_HEADERS.read("options.headers", {} if given is None else given)
    return [(name, _header(name, text)) for name, text in read.items()]


def _header(name: str, text: str) -> str:
    folded = _folded(name, text)
    if folded is not None:
        return folded
    parts = phrases(name, text, f"options.headers.{name}")
    return (
        _encoded(text)
        if parts is None
        else ",\r\n ".join(f"{_phrase(phrase)}{rest}" if phrase else rest for phrase, rest in parts)
    )


def _written(boxes: Sequence[Mailbox]) -> str:
    return ",\r\n ".join(f"{_phrase(box.name)}<{box.address}>" if box.name else box.address for box in boxes)


def _phrase(name: str) -> str:
    if not name.isascii():
        return f"{_encoded(name)}\r\n "
    if _ATOMS.fullmatch(name):
        return f"{name} "
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{quoted}" '


def _folded(name: str, text: str) -> str | None:
    """ASCII text on lines of 78 where it may break, else of up to 998; None when only encoded words can carry it."""
    if not text.isascii() or text != text.strip():
        return None  # spaces at an end would be lost on the way
    if len(name) + 2 + len(text) <= _LINE:
        return text
    pieces = breakable(text)
    if max(map(len, pieces)) > LONGEST_MAIL_LINE - len(name) - 2:
        return None
    lines, length = [pieces[0]], len(name) + 2 + len(pieces[0])
    for piece in pieces[1:]:
        if length + 1 + len(piece) > _LINE:
            lines.append(piece)
            length = 1 + len(piece)
        else:
            lines[-1] += " " + piece
            length += 1 + len(piece)
    return "\r\n ".join(lines)


def _encoded(text: str) -> str:
    """RFC 2047 encoded words, one a line of at most 76, none of which cuts a character in two."""
    chunks: list[bytes] = []
    chunk = b""
    for char in text:
        octets = char.encode()
        if len(chunk) + len(octets) > 39:
            chunks.append(chunk)
            chunk = b""
        chunk += octets
    chunks.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(part).decode('ascii')}?=" for part in chunks)


# The same for many mails: the seconds in which rows were inserted.
_date = lru_cache(maxsize=32)(format_datetime)


def _check(content: bytes, named: str, to: Mailbox) -> None:
    """The bytes say what was meant and nothing else; a hole in what is above ends here."""
    found = _ONE_ADDRESS.fullmatch(named)
    if found is None or (found["bare"] or found["angle"]) != to.address:
        raise BadNotification("the built mail would name another recipient")
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        raise BadNotification("the built mail has a bare line break")
    if not has_short_lines(content):
        raise BadNotification("the built mail has a line that is too long")
