"""A message as the bytes that go out (RFC 5322, MIME), checked by reading them back.

Built by hand rather than with EmailMessage: the same message gives the same bytes on every try, in a
tenth of the time, and nothing is decoded and encoded again on the way. What was built is then read by
the standard library's parser, which must find exactly the headers that were meant.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.value import value
from noti_worker.providers._mailbox import Mailbox, header_text, read_mailbox

MOST_RECIPIENTS = 100
"""RFC 5321 section 4.5.3.1.8: what every server must be able to take in one transaction."""

_LINE = 78
_LONGEST_WORD = 900  # with its header's name still under the 998 of RFC 5322 section 2.1.1
_LONGEST_LINE = 998
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}")
_RESERVED = re.compile(
    r"from|to|cc|bcc|sender|reply-to|subject|date|message-id|mime-version|received|return-path|delivered-to"
    r"|authentication-results|(content|resent|arc|dkim|x-envelope)-.*",
    re.IGNORECASE,
)
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTENT_TYPE = re.compile(
    r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}(; ?charset=[a-z0-9-]{1,32})?", re.IGNORECASE
)
_UNSAFE_IN_FILENAME = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"<>|:*?]')
_ASCII_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n"
# Headers as every program reads them: on their lines no control character (for some readers U+0085, U+2028 and others
# end a line), and no line of spaces, which some take for the end of the headers.
_PLAIN = "[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*"
_HEAD = re.compile(rf"(?:[A-Za-z][A-Za-z0-9-]*: {_PLAIN}(?:\r\n[ \t]+(?=[^ \t\r]){_PLAIN})*\r\n)+")
_FIELD_NAME = re.compile(r"^([^ \t:]+):", re.MULTILINE)
_ADDRESS = r"[^\s<>(),:;@\"\[\]\\]+@[^\s<>(),:;@\"\[\]\\]+"
_ONE_ADDRESS = re.compile(
    rf"""(?: (?P<bare>{_ADDRESS})
        | (?: [A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\ -]+ | "(?:[^"\\]|\\.)*"\  | (?:=\?utf-8\?b\?[A-Za-z0-9+/=]+\?=\r\n\ )+ )
          <(?P<angle>{_ADDRESS})> )""",
    re.VERBOSE,
)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")

_Headers = tuple[tuple[str, str], ...]


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
    sender = _sender(options.get("from"), senders)
    to = read_mailbox(message.recipient, "recipient", intranet=intranet)
    cc = _mailboxes(options, "cc", intranet=intranet)
    bcc = _mailboxes(options, "bcc", intranet=intranet)
    reply_to = options.get("reply_to")
    inner, body = _content(message)
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
        ("Date", _date(message.created_at.replace(microsecond=0))),
        ("Message-ID", f"<{message.message_id}@{sender.domain}>"),
        *_custom(options.get("headers")),
        ("MIME-Version", "1.0"),
        *inner,
    )
    content = _block(headers) + body
    _check(content, dict(headers)["To"], to)
    return Mail(
        sender.address,
        _envelope(to, cc, bcc),
        content,
        needs_utf8=any(box.needs_utf8 for box in (sender, to, *cc, *bcc)) or not content.isascii(),
    )


def _sender(wanted: object, senders: Sequence[Mailbox]) -> Mailbox:
    if wanted is None:
        return senders[0]
    asked = read_mailbox(wanted, "options.from", intranet=True)
    for sender in senders:
        if asked.address.lower() == sender.address.lower() and asked.name in {"", sender.name}:
            return sender
    raise BadNotification("options.from is not in the account's list (its key `from`)")


def _mailboxes(options: Mapping[str, Any], key: str, *, intranet: bool) -> list[Mailbox]:
    given = options.get(key) or []
    if not isinstance(given, list | tuple):
        raise BadNotification(f"options.{key} is not a list of addresses")
    return [read_mailbox(one, f"options.{key}[{index}]", intranet=intranet) for index, one in enumerate(given, 1)]


def _envelope(to: Mailbox, cc: Sequence[Mailbox], bcc: Sequence[Mailbox]) -> tuple[tuple[str, str], ...]:
    """Everyone once, whoever stands twice; the recipient first."""
    if not cc and not bcc:
        return (("recipient", to.address),)
    named = {"recipient": to}
    named |= {f"cc[{index}]": box for index, box in enumerate(cc, 1)}
    named |= {f"bcc[{index}]": box for index, box in enumerate(bcc, 1)}
    once: dict[str, tuple[str, str]] = {}
    for name, box in named.items():
        once.setdefault(box.address.lower(), (name, box.address))
    if len(once) > MOST_RECIPIENTS:
        raise BadNotification(f"options.cc and options.bcc: more than {MOST_RECIPIENTS} recipients of one mail")
    return tuple(once.values())


def _subject(subject: str | None) -> str:
    text = _BIDI.sub("", header_text(subject or "", "subject"))
    folded = _folded("Subject", text)
    return _encoded(text) if folded is None else folded


def _custom(given: object) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise BadNotification("options.headers is not a table of texts")
    headers: list[tuple[str, str]] = []
    seen: set[str] = set()
    for index, (name, given_text) in enumerate(given.items(), 1):
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise BadNotification(f"options.headers: the name of header {index} is not one of letters, digits and -")
        if _RESERVED.fullmatch(name):
            raise BadNotification(f"options.headers: {name} is set by noti-worker and cannot be given")
        if name.lower() in seen:
            raise BadNotification(f"options.headers: {name} is given twice")
        seen.add(name.lower())
        text = header_text(given_text, f"options.headers: {name}").strip()
        folded = _folded(name, text)
        if folded is None and text.isascii():
            raise BadNotification(f"options.headers: {name} has a word that is too long for one line: shorten it")
        headers.append((name, folded if folded is not None else _encoded(text)))
    return headers


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
    """ASCII text on lines of 78 where it has spaces; None when only encoded words can carry it."""
    words = text.split(" ")
    if not text.isascii() or any(len(word) > _LONGEST_WORD for word in words):
        return None
    if len(name) + 2 + len(text) <= _LINE:
        # Kept as it stands, unless spaces at an end would be lost on the way.
        return text if text == text.strip() else None
    if not all(words):
        return None  # a fold at one of two spaces makes a line of nothing but a space
    lines, length = [words[0]], len(name) + 2 + len(words[0])
    for word in words[1:]:
        if length + 1 + len(word) > _LINE:
            lines.append(word)
            length = 1 + len(word)
        else:
            lines[-1] += " " + word
            length += 1 + len(word)
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


def _content(message: Message) -> tuple[_Headers, bytes]:
    """The headers and the body of what the mail holds: a text, alternatives, files."""
    boundary = f"=_{message.message_id.hex}"
    bodies = [("text", "plain", message.text), ("body_html", "html", message.html)]
    parts = [_text(value, subtype, where, boundary) for where, subtype, value in bodies if value is not None]
    if not parts:
        raise BadNotification("there is neither a text nor an html body")
    whole = parts[0] if len(parts) == 1 else _multipart("alternative", f"{boundary}_a", parts)
    if message.attachments:
        files = [_file(one, f"attachment {index}") for index, one in enumerate(message.attachments, 1)]
        whole = _multipart("mixed", f"{boundary}_m", [whole, *files])
    return whole


def _text(text: str, subtype: str, where: str, boundary: str) -> tuple[_Headers, bytes]:
    try:
        body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
    except UnicodeEncodeError as error:
        raise BadNotification(f"{where} is not valid text") from error
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    encoding = "7bit"
    if not _fits(body, boundary):
        quoted = binascii.b2a_qp(body, istext=True)
        # Quoted-printable for Latin scripts, which stay readable in it; base64 for the others.
        encoding, body = (
            ("quoted-printable", quoted) if len(quoted) <= len(body) * 3 // 2 else ("base64", _base64(body))
        )
    return (("Content-Type", f"text/{subtype}; charset=utf-8"), ("Content-Transfer-Encoding", encoding)), body


def _fits(body: bytes, boundary: str) -> bool:
    """True when the body may go out as it stands."""
    return not body.translate(None, _ASCII_TEXT) and boundary.encode("ascii") not in body and _has_short_lines(body)


def _file(attachment: Attachment, where: str) -> tuple[_Headers, bytes]:
    content_type = attachment.content_type.strip()
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise BadNotification(f"{where}: its content type is not like text/plain")
    if content_type.lower().startswith(("message/", "multipart/")):
        content_type = "application/octet-stream"  # RFC 2046: these may not be base64
    headers = (
        ("Content-Type", content_type),
        ("Content-Disposition", f"attachment;\r\n {_filename(attachment.filename, where)}"),
        ("Content-Transfer-Encoding", "base64"),
    )
    return headers, _base64(attachment.content)


def _filename(given: str, where: str) -> str:
    """A bare file name: no path, no control character, nothing that turns the reading direction."""
    name = _UNSAFE_IN_FILENAME.sub("", _BIDI.sub("", re.split(r"[/\\]", given)[-1])).strip(" .")
    if not name:
        name = where.replace(" ", "-")
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        stem, extension = name, ""
    while len(stem.encode()) > 150:
        stem = stem[:-1]
    name = f"{stem}{dot if extension else ''}{extension}"
    if name.isascii():
        return f'filename="{name}"'
    return "filename*=utf-8''" + "".join(f"%{octet:02X}" for octet in name.encode())


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def _multipart(subtype: str, boundary: str, parts: Sequence[tuple[_Headers, bytes]]) -> tuple[_Headers, bytes]:
    delimiter = f"--{boundary}\r\n".encode("ascii")
    body = b"\r\n".join([delimiter + _part_block(headers) + content for headers, content in parts])
    body += f"\r\n--{boundary}--\r\n".encode("ascii")
    return (("Content-Type", f'multipart/{subtype};\r\n boundary="{boundary}"'),), body


def _block(headers: _Headers) -> bytes:
    """The headers and the empty line after them.

    Raises BadNotification when they, read back, would be others than were meant.
    """
    block = "".join([f"{name}: {text}\r\n" for name, text in headers])
    found = _FIELD_NAME.findall(block) if _HEAD.fullmatch(block) else []
    if found != [name for name, _ in headers]:
        raise BadNotification("the built mail would have other headers than were meant")
    if len(set(found)) != len(found):
        raise BadNotification("the built mail does not have each of its headers once")
    return f"{block}\r\n".encode()


# The same for many mails: the heads of texts, and the seconds in which rows were inserted.
_part_block = lru_cache(maxsize=32)(_block)
_date = lru_cache(maxsize=32)(format_datetime)


def _check(content: bytes, named: str, to: Mailbox) -> None:
    """The bytes say what was meant and nothing else; a hole in what is above ends here."""
    found = _ONE_ADDRESS.fullmatch(named)
    if found is None or (found["bare"] or found["angle"]) != to.address:
        raise BadNotification("the built mail would name another recipient")
    if not content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n"):
        raise BadNotification("the built mail has a bare line break")
    if not _has_short_lines(content):
        raise BadNotification("the built mail has a line that is too long")


def _has_short_lines(content: bytes) -> bool:
    """True when no line is longer than 998, counted in strides: a big file has millions of lines."""
    start = 0
    while len(content) - start > _LONGEST_LINE:
        end = content.rfind(b"\r\n", start, start + _LONGEST_LINE + 2)
        if end < 0:
            return False
        start = end + 2
    return True
