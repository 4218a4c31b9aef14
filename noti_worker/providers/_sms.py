"""What an SMS holds: its alphabet, its parts, whom it may come from.

The alphabets are those of 3GPP TS 23.038 (GSM 03.38): 160 characters of 7 bits, or 70 units of UTF-16; a longer text is
split into parts of 153 or 67, because each begins with six bytes that say how they belong together (3GPP TS 23.040,
9.2.3.24.1).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.said import Said
from noti_worker.domain.setting import about
from noti_worker.providers._api import url_parts
from noti_worker.transport import Reply, Request
from noti_worker.transport.http import Steps

MAX_SEGMENTS = about("an SMS that takes more parts is refused", at_least=1, at_most=255)
"""Metadata of the setting `max_segments`."""

PLAIN_CHARACTERS = about("turn typographic quotes, dashes, spaces and … plain, which makes many SMS cheaper")
"""Metadata of the setting `plain_characters`."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # an escape and a second character
_GSM = _BASIC | _EXTENDED

_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f", " ")
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff")  # they are not seen: they go
    | {"\u2026": "..."}
)

Encoding = Literal["gsm7", "ucs2"]


@dataclass(frozen=True, slots=True)
class Sms:
    """A text as it goes out, and what it costs: `segments` parts, each charged as one SMS."""

    text: str = field(repr=False)
    encoding: Encoding
    segments: int


def as_sms(text: str, most: int, *, plain: bool) -> Sms:
    """`text` as one SMS of at most `most` parts; `plain` turns typographic characters plain first.

    Raises BadNotification when it is empty or takes more parts.
    """
    if plain:
        text = text.translate(_PLAIN)
    if not text.strip():
        raise BadNotification("the text is empty: an SMS needs a body")
    encoding, parts = split(text)
    if len(parts) > most:
        raise BadNotification(_too_long(encoding, len(parts), most, plain))
    return Sms(text, encoding, len(parts))


def counted(sms: Sms, asked: Request | Steps, read: Callable[[Reply], Said]) -> Steps:
    """Send the request of an SMS, and record with the try what it takes; steps send nothing, and say why."""
    if not isinstance(asked, Request):
        return (yield from asked)
    said = read((yield asked))
    told = {"segments": sms.segments, "encoding": sms.encoding}
    return replace(said, response={**(said.response or {}), **told})


def split(text: str) -> tuple[Encoding, list[str]]:
    """The encoding of a text, and the parts that it goes out in; none splits what belongs together."""
    encoding: Encoding
    if _GSM.issuperset(text):
        encoding, whole, most = "gsm7", 160, 153
        widths = [2 if char in _EXTENDED else 1 for char in text]
    else:
        encoding, whole, most = "ucs2", 70, 67
        widths = [2 if char > "\uffff" else 1 for char in text]
    if sum(widths) <= whole:
        return encoding, [text]
    parts, start, filled = [], 0, 0
    for index, width in enumerate(widths):
        if filled + width > most:
            parts.append(text[start:index])
            start, filled = index, 0
        filled += width
    return encoding, [*parts, text[start:]]


def _too_long(encoding: Encoding, parts: int, most: int, plain: bool) -> str:
    said = f"the text takes {parts} SMS, and max_segments allows {most}: shorten it, or raise max_segments"
    if encoding == "gsm7":
        return said
    said += "; characters beyond the GSM alphabet make an SMS hold 67 characters instead of 153: leave them out"
    return said if plain else f"{said}, or set plain_characters = true if they are quotes, dashes and the like"


_NUMBER = re.compile(r"\+[1-9][0-9]{3,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")


def is_number(sender: str) -> bool:
    """Tell whether a sender is a phone number in the international form."""
    return _NUMBER.fullmatch(sender) is not None


def check_senders(senders: Sequence[str]) -> None:
    """Raise ConfigurationError that names `from` when one of them can be no sender of an SMS."""
    for sender in senders:
        if not any(form.fullmatch(sender) for form in (_NUMBER, _SHORT_CODE, _NAME)):
            raise ConfigurationError(
                "from: a sender is a phone number (+ and digits), a short code (3 to 8 digits), or a name of at most 11"
                " letters, digits, spaces and & + _ -"
            )


def sender_of(message: Message, senders: Sequence[str]) -> str | None:
    """Whom the row asks for, or the first that its channel can have; None when there is none.

    Raises BadNotification when it asks for another than the account's.
    """
    asked = message.options.get("from")
    fit = [sender for sender in senders if message.channel is Channel.SMS or is_number(sender)]
    if asked is None:
        return fit[0] if fit else None
    if asked not in senders:
        raise BadNotification("options.from is no sender of the account: add it to the account's `from`")
    if asked not in fit:
        raise BadNotification(f"options.from is no phone number, which {message.channel} needs: name one that is")
    return str(asked)


def media_url(message: Message) -> str | None:
    """The file that goes along, if any; raises BadNotification when its URL is none that a service can fetch."""
    url: str | None = message.options.get("media_url")
    if url is None:
        if "media_type" in message.options:
            raise BadNotification("options.media_type has no file: give options.media_url as well")
        return None
    if url_parts(url).scheme != "https" or " " in url:
        raise BadNotification("options.media_url is no URL that can be fetched: write https://HOST/PATH")
    return url
