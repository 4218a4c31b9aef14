"""What may stand in a log line: known fields only, and no address, number, token or URL beyond its host.

Names (tenant, account, …) are identifiers that somebody chose: addresses and URLs in them are masked.
Words are free text that may quote a provider, so numbers and tokens are masked too.
"""

import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from noti_worker.domain.excerpt import unquoted, without_secrets

NAMES = frozenset(
    {
        "account",
        "accounts",
        "channel",
        "channels",
        "code",
        "dropped",
        "dry",
        "endpoint",
        "event",
        "circuits",
        "exception",
        "frames",
        "kind",
        "known",
        "level",
        "listen",
        "logger",
        "made",
        "mailbox",
        "mails",
        "postponed",
        "pauses",
        "period",
        "provider",
        "quotas",
        "providers",
        "redirect",
        "restart",
        "revision",
        "rule",
        "template",
        "tenant",
        "timestamp",
        "trace_id",
        "unsent",
        "verdict",
        "version",
        "wanted",
        "what",
        "where",
    }
)
WORDS = frozenset(
    {
        "error",
        "message",
        "reason",
        "why",
    }
)
NUMBERS = frozenset(
    {
        "attempt",
        "count",
        "deleted",
        "in_flight",
        "left",
        "notification_id",
        "pace",
        "released",
        "rows",
        "seconds",
        "stray",
        "wait_s",
        "waiting",
        "worker_id",
    }
)

LONGEST_NAME = 120
LONGEST_TEXT = 400

_WORD_ENDS = " \t\r\n<>\"'(),;"
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}):(?://|%2f%2f)(\S+)", re.IGNORECASE)
_HOST = re.compile(r"[\w.:\[\]-]+")
# Each pattern begins only where a word does: at every letter of a hostile text it would take quadratic time.
_ADDRESS = re.compile(
    r"""(?:"[^"\s][^"]*"|(?<![^\s<>"'(),;:=\[\]])[^\s<>"'(),;:=\[\]]+)(?:@|%40)[^\s<>"'(),;:\[\]]+""", re.IGNORECASE
)
_PATH_OF_URL = re.compile(r"(\burl: |(?<![\w.-])[\w-]+(?:\.[\w-]+)+(?=/))/?\S+", re.IGNORECASE)
_QUERY = re.compile(r"\?[\w.~%-]+=\S*")
_NUMBER = re.compile(r"(?<!\w)\+?[0-9][0-9 ().-]{5,}[0-9](?!\w)|[0-9]{7,}")
_STATUS = re.compile(r"[0-9]{3}")
_NOT_PERSONAL = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2})?")


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Keep a structlog event to the fields above; a processor for the end of the chain, before the renderer."""
    return {name: _allowed(name, value) for name, value in event.items() if value is not None}


def name(text: str) -> str:
    """An identifier on one line, without addresses and URLs, capped."""
    return _capped(_without_places(_UNPRINTABLE.sub(" ", text[: 8 * LONGEST_NAME])), LONGEST_NAME)


def words(text: str, *literals: str | None, content: Sequence[str | None] = ()) -> str:
    """Free text on one line without anything personal or secret, capped.

    `literals` are values known to be personal (the recipient, the body): where the text quotes them they are masked.
    `content` is what may be quoted in parts: masked are its names and numbers, and three words of it in a row.
    """
    for literal in literals:
        if literal and len(literal) >= 3:
            text = re.sub(re.escape(literal), "[…]", text, flags=re.IGNORECASE)
    # Cut before masking: masking megabytes of a provider's page costs time, but a cut must not halve an
    # address so that it is no longer known as one, hence the generous margin and the last word that is left out.
    if len(text) > 4 * LONGEST_TEXT:
        text = text[: 4 * LONGEST_TEXT]
        text = f"{text[: max(text.rfind(end) for end in _WORD_ENDS) + 1]}…"
    text = _without_places(_UNPRINTABLE.sub(" ", unquoted(text, content)))
    text = _PATH_OF_URL.sub(r"\1/[…]", text)
    text = without_secrets(_QUERY.sub("?[…]", text))
    return _capped(_NUMBER.sub(_masked_number, text), LONGEST_TEXT)


def code(text: str, *literals: str | None, content: Sequence[str | None] = ()) -> str:
    """A status and a provider's code as `words` has free text, but that the two are no number together."""
    status, space, rest = text.partition(" ")
    if space and _STATUS.fullmatch(status):
        return f"{status} {words(rest, *literals, content=content)}"
    return words(text, *literals, content=content)


def _allowed(field: str, value: Any) -> Any:
    if field in NUMBERS and isinstance(value, (int, float)):
        return value
    if field in NAMES and isinstance(value, (tuple, list)):
        return [name(str(item)) for item in value]
    if field in NAMES and isinstance(value, (str, int)):
        return name(str(value))
    if field in WORDS and isinstance(value, str):
        return words(value)
    return "[redacted]"


def _without_places(text: str) -> str:
    return _ADDRESS.sub("[address]", _URL.sub(_masked_url, text))


def _masked_url(match: "re.Match[str]") -> str:
    scheme, rest = match.groups()
    authority = re.split(r"[/?#\"'<>)\\]|%2f", rest, maxsplit=1, flags=re.IGNORECASE)[0]
    tail = rest[len(authority) :]
    host = _HOST.match(authority.rpartition("@")[2])
    if "@" in tail or host is None:  # a password with a slash in it: no telling what is the host
        return f"{scheme}://[…]"
    return f"{scheme}://{host.group()}{'/[…]' if len(tail) > 1 else tail}"


def _masked_number(match: "re.Match[str]") -> str:
    text = match.group()
    if sum(map(str.isdigit, text)) < 7 or _NOT_PERSONAL.fullmatch(text):
        return text
    return "[number]"


def _capped(text: str, longest: int) -> str:
    text = text.strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
