"""What a row may ask for in its `options`: declared by each provider, checked and documented from that."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.headers import HTTP_HEADERS, MAIL_HEADERS
from noti_worker.domain.line import one_line, shown
from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.media_type import read_media_type
from noti_worker.domain.notification import BY_PHONE, Channel
from noti_worker.domain.strict_json import read_json

MOST_MAILBOXES = 50
_MOST_CHARACTERS = 4 * 1024 * 1024


class OptionKind(StrEnum):
    """What an option holds; its value is how the docs name it."""

    TEXT = "text"  # of any length, with line breaks
    LINE = "one line"
    MAILBOX = "address"
    MAILBOXES = "address or list of addresses"
    MAIL_HEADERS = "object of texts"
    HTTP_HEADERS = "object of texts, in ASCII"
    MEDIA_TYPE = "media type"
    IDS = "list of ids"
    CHOICE = "one of"
    SECONDS = "whole seconds"
    TEXTS = "object of plain texts"


@dataclass(frozen=True, slots=True)
class Option:
    """One name in `options` and what may stand there.

    `longest` bounds a text in characters and a number of seconds, `choices` are all that a CHOICE may be, `channels`
    tells for which of its provider's channels it is (None: for all), `meaning` is what the docs say.
    """

    name: str
    kind: OptionKind
    meaning: str
    channels: frozenset[Channel] | None = None
    longest: int | None = None
    choices: tuple[str, ...] = ()

    def of(self, channel: Channel) -> bool:
        """Tell whether messages of this channel may have it."""
        return self.channels is None or channel in self.channels

    def read(self, value: Any) -> Any:
        """The value, checked; raises BadNotification that names the option."""
        where = f"options.{self.name}"
        read = _READERS[self.kind](where, value)
        if self.longest is not None and isinstance(read, str) and len(read) > self.longest:
            raise BadNotification(f"{where} is longer than {self.longest} characters: shorten it")
        if self.longest is not None and isinstance(read, int) and read > self.longest:
            raise BadNotification(f"{where} is more than {self.longest} seconds")
        if self.choices and read not in self.choices:
            raise BadNotification(f"{where} is none of {', '.join(self.choices)}")
        return read


def read_options(options: Sequence[Option], channel: Channel, text: str | None) -> dict[str, Any]:
    """The options of one row by name, checked against what `options` declare for its channel.

    `text` is the row's JSON; null and "" mean "not said", for the document and for each value. Raises
    BadNotification that names the field and what to do.
    """
    if text is None:
        return {}
    known = {option.name: option for option in options if option.of(channel)}
    read = {}
    for name, value in _document(text).items():
        said = value is not None and value != ""
        if name not in known and (said or not _is_known(channel, name)):
            raise BadNotification(_unknown(channel, name, known))
        if said:
            read[name] = known[name].read(value)
    return read


def _document(text: str) -> dict[str, Any]:
    if len(text) > _MOST_CHARACTERS:
        raise BadNotification(f"options is larger than {_MOST_CHARACTERS} characters: put content into the body")
    try:
        document = read_json(text)
    except RecursionError:
        raise BadNotification("options is nested too deeply: it holds plain values and lists") from None
    except ValueError:
        # Broken text or a number of thousands of digits; the parser's sentence may quote the content.
        raise BadNotification(
            "options cannot be read: it holds a number that is too long, write it as a text"
        ) from None
    if document is None:  # what a serialiser writes for "no options"
        return {}
    if not isinstance(document, dict):
        raise BadNotification('options is not a JSON object: write {"name": value}')
    return document


def _is_known(channel: Channel, name: str) -> bool:
    """Tell whether some provider carries it."""
    return any(option.name == name and option.of(channel) for option in ALL_OPTIONS)


def _unknown(channel: Channel, name: str, known: Mapping[str, Option]) -> str:
    if _is_known(channel, name):
        carried = ", ".join(known) or "no options"
        return (
            f"options.{name} cannot go through this account, whose provider carries {carried}: leave it out, or send"
            " through another account"
        )
    if not known:
        return f"options.{shown(name)} is unknown: {channel} takes no options"
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"options.{shown(name)} is unknown for {channel}: {hint}"


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadNotification(f"{where} is not a string")
    return value


def _line(where: str, value: Any) -> str:
    return one_line(value, where)


def _mailbox(where: str, value: Any) -> str:
    """As it stands: a provider writes it in its own way."""
    read_mailbox(value, where, intranet=True)
    return str(value).strip()


def _one_mailbox(where: str, value: Any) -> str:
    return _mailbox(where, value[0] if isinstance(value, list) and len(value) == 1 else value)


def _mailboxes(where: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [_mailbox(where, value)]
    if not isinstance(value, list):
        raise BadNotification(f"{where} is neither an address nor a list of addresses")
    if len(value) > MOST_MAILBOXES:
        raise BadNotification(f"{where} has more than {MOST_MAILBOXES} addresses: insert one row per recipient")
    return [_mailbox(f"{where}[{index}]", one) for index, one in enumerate(value)]


def _media_type(where: str, value: Any) -> str:
    media_type = str(read_media_type(value, where))
    if not media_type.isascii():
        raise BadNotification(f"{where} holds a character beyond ASCII: write it in ASCII")
    return media_type


def _ids(where: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise BadNotification(f"{where} is not a list of attachment_id")
    for index, one in enumerate(value):
        try:
            uuid.UUID(_text(f"{where}[{index}]", one))
        except ValueError:
            raise BadNotification(
                f"{where}[{index}] is no attachment_id (a UUID): take it from noti.attachments"
            ) from None
    return value


def _seconds(where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadNotification(f"{where} is not a whole number of seconds")
    return value


def _texts(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise BadNotification(f"{where} is not an object whose values are texts: write numbers in quotes")
    return value


_READERS: Mapping[OptionKind, Callable[[str, Any], Any]] = {
    OptionKind.TEXT: _text,
    OptionKind.LINE: _line,
    OptionKind.MAILBOX: _one_mailbox,
    OptionKind.MAILBOXES: _mailboxes,
    OptionKind.MAIL_HEADERS: MAIL_HEADERS.read,
    OptionKind.HTTP_HEADERS: HTTP_HEADERS.read,
    OptionKind.MEDIA_TYPE: _media_type,
    OptionKind.IDS: _ids,
    OptionKind.CHOICE: _line,
    OptionKind.SECONDS: _seconds,
    OptionKind.TEXTS: _texts,
}

_EMAIL = frozenset({Channel.EMAIL})
_WEBHOOK = frozenset({Channel.WEBHOOK})
_VOICE = frozenset({Channel.VOICE})
_WHATSAPP = frozenset({Channel.WHATSAPP})
_PUSH = frozenset({Channel.PUSH})
_CHAT = frozenset({Channel.CHAT})

MAIL_OPTIONS = (
    Option(
        "cc",
        OptionKind.MAILBOXES,
        f"at most {MOST_MAILBOXES}. One that is refused for now is tried again by itself, one refused for good is told"
        " in the try; the others get the mail",
        _EMAIL,
    ),
    Option("bcc", OptionKind.MAILBOXES, f"likewise; at most {MOST_MAILBOXES}, and no header names them", _EMAIL),
    Option("reply_to", OptionKind.MAILBOX, "where answers go", _EMAIL),
    Option(
        "copy_of",
        OptionKind.MAILBOX,
        "whom `To` names instead of the recipient: a copy of a mail to somebody else. It goes to the recipient alone;"
        " `cc` only stands in its header",
        _EMAIL,
    ),
    Option("from", OptionKind.MAILBOX, "one of the account's senders, instead of the first", _EMAIL),
    Option("html", OptionKind.TEXT, "the HTML part beside `body`, or alone", _EMAIL),
    Option(
        "headers",
        OptionKind.MAIL_HEADERS,
        "at most 50 further headers; none that the mail is made of, servers write or relays act on",
        _EMAIL,
    ),
    Option(
        "attachments",
        OptionKind.IDS,
        "of `noti.attachments`, each at most 10 MB, same tenant as the row; an image that `html` shows by"
        " `cid:` goes inside the HTML part, an invitation (`text/calendar; method=REQUEST`) beside it",
        _EMAIL,
    ),
)
"""What every provider of e-mail takes."""

WEBHOOK_OPTIONS = (
    Option("headers", OptionKind.HTTP_HEADERS, "at most 50 further headers; none of the connection", _WEBHOOK),
    Option(
        "content_type",
        OptionKind.MEDIA_TYPE,
        "without it a body that is JSON goes as `application/json`, anything else as `text/plain`",
        _WEBHOOK,
    ),
)
_SEVERITY = Option(
    "severity",
    OptionKind.CHOICE,
    "how grave it is: the colour in a chat, the urgency of a push",
    _CHAT | _PUSH,
    choices=("info", "success", "warning", "error", "critical"),
)
PHONE_OPTIONS = (
    Option("from", OptionKind.LINE, "one of the account's senders, instead of the first", BY_PHONE, longest=64),
    Option("language", OptionKind.LINE, "in which the text is read aloud, such as `de-DE`", _VOICE, longest=16),
    Option("voice", OptionKind.LINE, "the service's name of the voice that reads", _VOICE, longest=64),
    Option(
        "content_sid",
        OptionKind.LINE,
        "Twilio's id (`HX…`) of an approved template, which goes out instead of `body`",
        _WHATSAPP,
        longest=64,
    ),
    Option("content_variables", OptionKind.TEXTS, "what the template's `{{1}}` stand for, by name", _WHATSAPP),
    Option(
        "template",
        OptionKind.LINE,
        "at Meta: the name of an approved template, which goes out instead of `body`",
        _WHATSAPP,
        longest=512,
    ),
    Option("template_language", OptionKind.LINE, "the template's language, such as `de` or `en_US`", _WHATSAPP, 16),
    Option(
        "template_parameters",
        OptionKind.TEXTS,
        'what stands in the text of the template, by name (`{"name": "Ada"}`) or by number (`{"1": "Ada"}`)',
        _WHATSAPP,
    ),
    Option("media_url", OptionKind.LINE, "the `https://` URL of a file; `body` is its caption", _WHATSAPP, 2048),
    Option(
        "media_type",
        OptionKind.CHOICE,
        "what the file is: `image`, `video`, `audio` (which has no caption) or `document`",
        _WHATSAPP,
        choices=("image", "video", "audio", "document"),
    ),
    Option(
        "location",
        OptionKind.LINE,
        "a place on the map, latitude and longitude as `52.5163,13.3777`; `body` is its name",
        _WHATSAPP,
        longest=64,
    ),
)
"""What every provider of SMS, WhatsApp and calls takes."""

INSTEAD_OF_BODY = frozenset({"content_sid", "template", "media_url", "location"})
"""Options of WhatsApp with which a message needs no text."""

CHAT_OPTIONS = (_SEVERITY,)
PUSH_OPTIONS = (
    _SEVERITY,
    Option("data", OptionKind.TEXTS, "what the app gets besides, by name", _PUSH),
    Option("ttl", OptionKind.SECONDS, "for how long the service keeps it for a device that is off", _PUSH, 2_419_200),
    Option("collapse_key", OptionKind.LINE, "a later one with the same key replaces it on the device", _PUSH, 64),
    Option("image", OptionKind.LINE, "the URL of a picture that is shown", _PUSH, 2048),
    Option("click_url", OptionKind.LINE, "the URL that opens when it is tapped", _PUSH, 2048),
)
IN_APP_OPTIONS = (Option("html", OptionKind.TEXT, "the HTML beside `body`", frozenset({Channel.IN_APP})),)
ALL_OPTIONS = MAIL_OPTIONS + PHONE_OPTIONS + PUSH_OPTIONS + WEBHOOK_OPTIONS + IN_APP_OPTIONS
"""For a provider that serves every channel and sends nothing."""
