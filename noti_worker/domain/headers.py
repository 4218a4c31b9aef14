"""Which headers a row may give, for every provider alike: one rule for e-mail, one for HTTP."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.line import one_line, shown
from noti_worker.domain.mailbox import Mailbox, read_mailbox

MOST_HEADERS = 50
LONGEST_MAIL_LINE = 998
"""RFC 5322 section 2.1.1, without the line break."""

_OWN = "is set by the message itself"
_TRACED = "is written by the servers on the way"
_ACTED_ON = "is one that relays act on"

_MAIL = (
    (_OWN, r"from|to|cc|sender|reply-to|subject|date|message-id|mime-version|content-.*|x-notification-id"),
    (
        _TRACED,
        r"received|received-spf|delivered-to|x-original-to|original-recipient|return-path|authentication-results",
    ),
    (_TRACED, r"(resent|arc|dkim|domainkey|x-envelope|x-google-dkim)-.*"),
    # Further recipients, other senders, and what mail services take for their own options.
    (_ACTED_ON, r"bcc|apparently-to|errors-to|return-receipt-to|x-rcpt-to|x-failed-recipients|x-smtpapi|x-msys-api"),
    (_ACTED_ON, r"x-(mc|pm|mailgun|ses|mj|mailjet|mailin|sib|sg|elasticemail|smtp2go)-.*|x-xs(message|mailing)id"),
)
_HTTP = (
    (_OWN, r"host|content-(length|type|encoding)|transfer-encoding|accept-encoding|te|trailer|expect|webhook-.*"),
    (_OWN, r"connection|keep-alive|upgrade|http2-settings|proxy-.*"),
)

# Made of addresses, ids and URLs, not of free text: RFC 2047 section 5 allows encoded words in their phrases only.
_PHRASED = re.compile(r"list-id", re.IGNORECASE)
_ADDRESSED = re.compile(r"disposition-notification-to|x-confirm-reading-to", re.IGNORECASE)
_STRUCTURED = re.compile(
    r"list-.*|disposition-notification-options|in-reply-to|references|auto-submitted|precedence|importance|priority"
    r"|x-priority|feedback-id|x-entity-ref-id|expires|require-recipient-valid-since|mt-priority|autocrypt",
    re.IGNORECASE,
)
_PHRASE = re.compile(r"(?P<phrase>[^<>]*?) ?(?P<rest><[!-~]+>)")
_SINGLE_SPACE = re.compile(r"(?<=[^ ]) (?=[^ ])")
_COMMA = re.compile(r""",(?=(?:[^"]*"[^"]*")*[^"]*$)""")


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """One kind of headers: the form of a name, the names that nobody may give and why, how a text is read."""

    name: re.Pattern[str]
    refused: tuple[tuple[str, re.Pattern[str]], ...]
    text: Callable[[str, str, Any], str]

    def read(self, where: str, given: Any) -> dict[str, str]:
        """The headers of an object of texts; raises BadNotification that names the header, never its text."""
        if not isinstance(given, Mapping):
            raise BadNotification(f"{where} is not an object of strings")
        if len(given) > MOST_HEADERS:
            raise BadNotification(f"{where} has more than {MOST_HEADERS} entries")
        read: dict[str, str] = {}
        seen: set[str] = set()
        for name, text in given.items():
            if not isinstance(name, str) or not self.name.fullmatch(name):
                raise BadNotification(f"{where} has the name {shown(str(name))!r}, which is no header name")
            key = name.lower()
            for reason, names in self.refused:
                if names.fullmatch(key):
                    raise BadNotification(f"{where}.{name} {reason}: leave it out")
            if key in seen:
                raise BadNotification(f"{where}.{name} is given twice, in two spellings")
            seen.add(key)
            read[name] = self.text(f"{where}.{name}", name, text)
        return read


def _mail_text(where: str, name: str, text: Any) -> str:
    line = one_line(text, where).strip()
    if not line.isascii():
        phrases(name, line, where)
    elif max(map(len, breakable(line))) > LONGEST_MAIL_LINE - len(name) - 2:
        raise BadNotification(f"{where} has a word that is too long for one line: shorten it")
    return line


def _http_text(where: str, _: str, text: Any) -> str:
    line = one_line(text, where)
    if not line.isascii():
        raise BadNotification(f"{where} holds a character that is not allowed there: write it in ASCII")
    return line


def breakable(line: str) -> list[str]:
    """The pieces of a line between which it may be folded: at spaces that stand alone.

    Elsewhere a fold would make a line of nothing but spaces, which some take for the end of the headers.
    """
    return _SINGLE_SPACE.split(line)


def phrases(name: str, line: str, where: str) -> list[tuple[str, str]] | None:
    """The phrases of a structured header beyond ASCII, each with the ASCII text behind it; None for a free text.

    Only a phrase can be encoded; raises BadNotification when something else is not ASCII.
    """
    if _PHRASED.fullmatch(name):
        parts = _PHRASE.fullmatch(line)
        if parts is None:
            raise BadNotification(f"{where} is beyond ASCII and not of the form: words <id>; write it so")
        return [(parts["phrase"].strip('" '), parts["rest"])]
    if _ADDRESSED.fullmatch(name):
        boxes: list[Mailbox] = [read_mailbox(one, where, intranet=True) for one in _COMMA.split(line)]
        if not all(box.address.isascii() for box in boxes):
            raise BadNotification(f"{where} has letters before the @ that stand in no header: write it in ASCII")
        return [(box.name, f"<{box.address}>") for box in boxes]
    if _STRUCTURED.fullmatch(name):
        raise BadNotification(
            f"{where} holds a character beyond ASCII, which cannot be encoded there: write it in ASCII"
        )
    return None


def _compiled(table: tuple[tuple[str, str], ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((reason, re.compile(names)) for reason, names in table)


MAIL_HEADERS = HeaderRule(re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}"), _compiled(_MAIL), _mail_text)
HTTP_HEADERS = HeaderRule(re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}"), _compiled(_HTTP), _http_text)
