"""The row's `options`: JSON text, parsed per row and checked against what its channel knows."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from noti_worker.delivery.recipients import is_address
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel

_MOST_ADDRESSES = 50
_MOST_HEADERS = 50
_LONGEST_VALUE = 2000
_MOST_CHARACTERS = 4 * 1024 * 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( *; *[\w-]+=[\w\".+-]+)*", re.ASCII)

# What the message itself is made of: an option must not contradict the row.
_OWN_EMAIL_HEADERS = frozenset(
    {"from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "return-path"}
    | {"received", "dkim-signature", "resent-to", "resent-cc", "resent-bcc", "resent-from"}
)
_OWN_HTTP_HEADERS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "upgrade", "te"}
    | {"trailer", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "accept-encoding"}
)

Reader = Callable[[str, Any], Any]


def read_options(channel: Channel, text: str | None) -> dict[str, Any]:
    """The options of one row by name, validated.

    E-mail: `cc`, `bcc` (lists of strings), `reply_to`, `from`, `html` (strings), `headers`, `attachments`;
    webhook: `headers`, `content_type`; in_app: `html`. Raises BadNotification that names the field and what to do.
    """
    if text is None:
        return {}
    readers = _READERS.get(channel, {})
    read = {}
    for name, value in _parse(text).items():
        reader = readers.get(name)
        if reader is None:
            raise BadNotification(_unknown(channel, name, readers))
        if value is not None:  # null is what a serialiser writes for "not given"
            read[name] = reader(f"options.{name}", value)
    return read


def _parse(text: str) -> dict[str, Any]:
    if len(text) > _MOST_CHARACTERS:
        raise BadNotification(f"options is larger than {_MOST_CHARACTERS} characters: put content into the body")
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise BadNotification("options is nested too deeply: it holds plain values and lists") from None
    except ValueError:
        # Broken text or a number of thousands of digits; the parser's sentence may quote the content.
        raise BadNotification(
            "options cannot be read: it holds a number that is too long, write it as a text"
        ) from None
    if not isinstance(document, dict):
        raise BadNotification('options is not a JSON object: write {"name": value}')
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unknown(channel: Channel, name: str, readers: Mapping[str, Reader]) -> str:
    shown = _shown(name)
    if not readers:
        return f"options.{shown} is unknown: {channel} takes no options"
    near = get_close_matches(name, readers, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(readers)}"
    return f"options.{shown} is unknown for {channel}: {hint}"


def _shown(name: str) -> str:
    return _CONTROLS.sub("?", name[:40].encode(errors="replace").decode())


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadNotification(f"{field} is not a string")
    return value


def _line(field: str, value: Any) -> str:
    line = _text(field, value)
    # "=?": an encoded word can smuggle a line break through an encoder that decodes it first.
    if _CONTROLS.search(line) or "=?" in line:
        raise BadNotification(f"{field} holds a line break, a control character or an encoded word: write plain text")
    if len(line) > _LONGEST_VALUE:
        raise BadNotification(f"{field} is longer than {_LONGEST_VALUE} characters")
    return line


def _mailbox(field: str, value: Any) -> str:
    """`someone@example.com` or `Some One <someone@example.com>`."""
    line = _line(field, value).strip()
    named = _NAMED.fullmatch(line)
    if not is_address(named["address"] if named else line):
        raise BadNotification(f"{field} is not one address: write it alone, or as Name <address>")
    return line


def _mailboxes(field: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [_mailbox(field, value)]
    if not isinstance(value, list):
        raise BadNotification(f"{field} is neither an address nor a list of addresses")
    if len(value) > _MOST_ADDRESSES:
        raise BadNotification(f"{field} has more than {_MOST_ADDRESSES} addresses: insert one row per recipient")
    return [_mailbox(f"{field}[{index}]", one) for index, one in enumerate(value)]


def _one_mailbox(field: str, value: Any) -> str:
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    return _mailbox(field, one)


def _headers(own: frozenset[str], prefixes: tuple[str, ...]) -> Reader:
    def read(field: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise BadNotification(f"{field} is not an object of strings")
        if len(value) > _MOST_HEADERS:
            raise BadNotification(f"{field} has more than {_MOST_HEADERS} entries")
        seen: set[str] = set()
        for name, text in value.items():
            key = name.lower()
            if not _TOKEN.fullmatch(name):
                raise BadNotification(f"{field} has the name {_shown(name)!r}, which is no header name")
            if key in own or key.startswith(prefixes):
                raise BadNotification(f"{field}.{name} is set by the message itself: leave it out")
            if key in seen:
                raise BadNotification(f"{field}.{name} is given twice, in two spellings")
            seen.add(key)
            _line(f"{field}.{name}", text)
        return value

    return read


def _content_type(field: str, value: Any) -> str:
    line = _line(field, value)
    if not _CONTENT_TYPE.fullmatch(line):
        raise BadNotification(f"{field} is no media type: write for example application/json")
    return line


def _ids(field: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise BadNotification(f"{field} is not a list of attachment_id")
    for index, one in enumerate(value):
        try:
            uuid.UUID(_text(f"{field}[{index}]", one))
        except ValueError:
            raise BadNotification(
                f"{field}[{index}] is no attachment_id (a UUID): take it from noti.attachments"
            ) from None
    return value


_READERS: Mapping[Channel, Mapping[str, Reader]] = {
    Channel.EMAIL: {
        "cc": _mailboxes,
        "bcc": _mailboxes,
        "reply_to": _one_mailbox,
        "from": _mailbox,
        "headers": _headers(_OWN_EMAIL_HEADERS, ("content-", "resent-")),
        "html": _text,
        "attachments": _ids,
    },
    Channel.WEBHOOK: {"headers": _headers(_OWN_HTTP_HEADERS, ("webhook-",)), "content_type": _content_type},
    Channel.IN_APP: {"html": _text},
}
