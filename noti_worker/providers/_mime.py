"""The body of a mail: texts, alternatives, images inside the HTML, files (RFC 2045, 2046, 2387)."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.media_type import MediaType, read_media_type
from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.value import value

LONGEST_LINE = 998
"""RFC 5322 section 2.1.1, without the line break."""

BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the reading direction: "gpj.exe" could read "exe.jpg"."""

_UNSAFE_IN_FILENAME = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"<>|:*?]')
_ASCII_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n"
# Headers as every program reads them: on their lines no control character (for some readers U+0085, U+2028 and others
# end a line), and no line of spaces, which some take for the end of the headers.
_PLAIN = "[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*"
_HEAD = re.compile(rf"(?:[A-Za-z][A-Za-z0-9-]*: {_PLAIN}(?:\r\n[ \t]+(?=[^ \t\r]){_PLAIN})*\r\n)+")
_FIELD_NAME = re.compile(r"^([^ \t:]+):", re.MULTILINE)

Headers = tuple[tuple[str, str], ...]
Part = tuple[Headers, bytes]


@value
class File:
    """A file of a mail: a bare name, a type that may stand in a header, the content.

    With a `content_id` it is an image inside the HTML.
    """

    name: str = field(repr=False)
    media_type: MediaType
    content: bytes = field(repr=False)
    content_id: str | None = None


def files_of(message: Message) -> tuple[list[File], list[File], list[File]]:
    """The images inside the HTML, the invitations, and what is attached: an invitation stands there, too.

    Raises BadNotification for a type that can stand in no header.
    """
    images: list[File] = []
    invitations: list[File] = []
    files: list[File] = []
    for index, attachment in enumerate(message.attachments):
        media_type = _media_type(attachment, index)
        name = _bare_name(attachment.filename, f"attachment-{index + 1}")
        if message.html is not None and attachment.content_id is not None:
            images.append(File(name, media_type, attachment.content, attachment.content_id))
            continue
        if media_type.name == "text/calendar" and "method" in media_type.parameters:
            invitation = MediaType(media_type.name, {"charset": "utf-8"} | media_type.parameters)
            invitations.append(File(name, invitation, attachment.content))
            # The same as a file, for programs that know no invitations; as text/calendar some would ask twice.
            media_type = MediaType("application/ics")
        files.append(File(name, media_type, attachment.content))
    return images, invitations, files


def body_of(message: Message) -> Part:
    """The headers and the body of what the mail holds; raises BadNotification when there is nothing.

    The shape is `mixed(alternative(text, related(html, images), invitation), files)`, each level only where
    it has more than one part.
    """
    boundary = f"=_{message.message_id.hex}"
    bodies: list[Part] = []
    if message.text is not None:
        bodies.append(_text(message.text, "plain", "text", boundary))
    images, invitations, files = files_of(message) if message.attachments else ([], [], [])
    if message.html is not None:
        html = _text(message.html, "html", "body_html", boundary)
        bodies.append(_multipart("related", f"{boundary}_r", [html, *map(_file, images)]) if images else html)
    if not bodies:
        raise BadNotification("there is neither a text nor an html body")
    bodies += map(_invitation, invitations)
    whole = bodies[0] if len(bodies) == 1 else _multipart("alternative", f"{boundary}_a", bodies)
    return _multipart("mixed", f"{boundary}_m", [whole, *map(_file, files)]) if files else whole


def block_of(headers: Headers) -> bytes:
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


# The same for many mails: the heads of texts.
_part_block = lru_cache(maxsize=32)(block_of)


def has_short_lines(content: bytes) -> bool:
    """True when no line is longer than 998, counted in strides: a big file has millions of lines."""
    start = 0
    while len(content) - start > LONGEST_LINE:
        end = content.rfind(b"\r\n", start, start + LONGEST_LINE + 2)
        if end < 0:
            return False
        start = end + 2
    return True


def _text(text: str, subtype: str, where: str, boundary: str) -> Part:
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
    return not body.translate(None, _ASCII_TEXT) and boundary.encode("ascii") not in body and has_short_lines(body)


def _media_type(attachment: Attachment, index: int) -> MediaType:
    where = f"options.attachments[{index}]: its content type"
    media_type = read_media_type(attachment.content_type, where)
    if media_type.name.startswith(("message/", "multipart/")):
        return MediaType("application/octet-stream")  # RFC 2046: these may not be base64
    # The file's name stands in its disposition.
    parameters = {name: value for name, value in media_type.parameters.items() if name not in {"name", "boundary"}}
    if not all(value.isascii() for value in parameters.values()):
        raise BadNotification(f"{where} has a parameter beyond ASCII: write it in ASCII")
    return MediaType(media_type.name, parameters)


def _file(file: File) -> Part:
    inline = file.content_id is not None
    headers = (
        ("Content-Type", _folded(file.media_type)),
        ("Content-Disposition", f"{'inline' if inline else 'attachment'};\r\n {_filename(file.name)}"),
        *([("Content-ID", f"<{file.content_id}>")] if inline else []),
        ("Content-Transfer-Encoding", "base64"),
    )
    return headers, _base64(file.content)


def _invitation(file: File) -> Part:
    headers = (("Content-Type", _folded(file.media_type)), ("Content-Transfer-Encoding", "base64"))
    return headers, _base64(file.content)


def _folded(media_type: MediaType) -> str:
    return str(media_type).replace("; ", ";\r\n ") if len(str(media_type)) > 60 else str(media_type)


def _bare_name(given: str, otherwise: str) -> str:
    """A bare file name: no path, no control character, nothing that turns the reading direction."""
    name = _UNSAFE_IN_FILENAME.sub("", BIDI.sub("", re.split(r"[/\\]", given)[-1])).strip(" .")
    if not name:
        name = otherwise
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        stem, extension = name, ""
    while len(stem.encode()) > 150:
        stem = stem[:-1]
    return f"{stem}{dot if extension else ''}{extension}"


def _filename(name: str) -> str:
    if name.isascii():
        return f'filename="{name}"'
    return "filename*=utf-8''" + "".join(f"%{octet:02X}" for octet in name.encode())


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def _multipart(subtype: str, boundary: str, parts: Sequence[Part]) -> Part:
    delimiter = f"--{boundary}\r\n".encode("ascii")
    body = b"\r\n".join([delimiter + _part_block(headers) + content for headers, content in parts])
    body += f"\r\n--{boundary}--\r\n".encode("ascii")
    return (("Content-Type", f'multipart/{subtype};\r\n boundary="{boundary}"'),), body
