"""One reading of HTTP answers for all providers: status, id, code, words, wish to wait, and what is kept of it.

Error pages like to repeat the request, and a request carries secrets in its URL and headers: whatever is taken from
an answer is read through a veil over them.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.transport import Kit, Reply, Request

if TYPE_CHECKING:
    from noti_worker.transport.http import Translation

BY_STATUS = (
    Rule("api.accepted", Kind.OK, status="2.."),
    Rule("api.moved", Kind.CONFIG, Scope.ACCOUNT, status="3.."),  # redirects are not followed
    Rule("api.login", Kind.CONFIG, Scope.ACCOUNT, status="401|402|403", last_resort=True),
    Rule("api.wrong_url", Kind.CONFIG, Scope.ACCOUNT, status="404|405|501", last_resort=True),
    Rule("api.too_early", Kind.TRANSIENT, Scope.PROVIDER, status="408|425"),
    Rule("api.too_fast", Kind.THROTTLED, Scope.ACCOUNT, status="429"),
    Rule("api.refused", Kind.PERMANENT, status="4..", last_resort=True),
    Rule("api.trouble", Kind.TRANSIENT, Scope.PROVIDER, status="5.."),
)
"""What a status means where a provider's own rules, which stand before these, have no opinion.

Those that end a message or stop an account are a last resort: an unknown code may mean something else.
"""

KEPT = ("content-type", "date", "retry-after", "server", "x-request-id")
"""The answer's headers that are kept: none of these echoes the URL."""

_KEPT_BODY = 18_000  # bytes; with the headers less than the 20 kB that the attempts log keeps
_MOST = {"id": 200, "code": 100, "words": 2_000}
_LATEST = 2**33  # seconds of the epoch: a larger number counts milliseconds
_NUMBER = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?")


def open_api(kit: Kit, translation: "Translation", api_url: str, *, setting: str = "api_url") -> Sender:
    """A sender of `translation` to the service at `api_url`, which the operator chose: it may be a private address.

    Raises ConfigurationError that names the `setting` when it is no URL, or would send the key unencrypted over a
    network.
    """
    parts = urlsplit(api_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(f"{setting} is no URL of a service: write https://HOST, with a path where it has one")
    here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme == "http" and not here:
        raise ConfigurationError(f"{setting} would send the account's key unencrypted: write https://")
    anywhere = () if kit.proxy_guards else ("0.0.0.0/0", "::/0")
    return kit.http(translation, allow_networks=anywhere, allow_http=here)


def read_json(
    reply: Reply,
    *,
    id: str = "",  # noqa: A002 - as in Said
    code: str = "",
    words: str = "",
    hint: str = "",
    keep: Iterable[str] = KEPT,
    secret_path: bool = False,
) -> Said:
    """What an answer in JSON says. Each of the four is a path into it, `a.0.b`, or several, `a.b|c`: the first found.

    `hint` is a wish to wait in seconds, beside the headers'. What is not there, or no text or number, is missing;
    without words the beginning of the body stands for them, so that an error page in HTML is told as well.
    With `secret_path` the whole URL of the request is a secret.
    """
    document = _parsed(reply.body)
    veil = Veil(reply.request, secret_path=secret_path)
    text = _text(reply, veil)
    found = {
        name: veil.over(_line(_at(document, path)[:_KEPT_BODY]))[: _MOST[name]]
        for name, path in (("id", id), ("code", code), ("words", words))
    }
    wish = _at(document, hint)
    return Said(
        "answer",
        str(reply.status),
        found["code"],
        found["words"] or _line(text[: _MOST["words"]]),
        id=found["id"] or None,
        hint=_longest(asked_wait(reply), float(wish) if _NUMBER.fullmatch(wish) else None),
        response=_kept(reply, text, veil, keep),
    )


def read_text(reply: Reply, *, keep: Iterable[str] = KEPT) -> Said:
    """What an answer says whose body is only for people, to a request whose whole URL is a secret."""
    veil = Veil(reply.request, secret_path=True)
    text = _text(reply, veil)
    return Said(
        "answer",
        str(reply.status),
        words=_line(text[: _MOST["words"]]),
        hint=asked_wait(reply),
        response=_kept(reply, text, veil, keep),
    )


def asked_wait(reply: Reply, *, after: Iterable[str] = ("retry-after",), reset: Iterable[str] = ()) -> float | None:
    """The longest wish of the headers in seconds from the answer on; None when there is none that makes sense.

    Those of `after` hold seconds (fractions too) or an HTTP date (RFC 9110, 10.2.3), those of `reset` the epoch's
    seconds or milliseconds. Long wishes are given as they are: the domain bounds them.
    """
    return _longest(
        *(_seconds(reply.headers.get(name, "").strip(), reply.at) for name in after),
        *(_until(reply.headers.get(name, "").strip(), reply.at) for name in reset),
    )


class Veil:
    """Hides what a request carried in confidence.

    The URL of an API has plain words in its path ("messages", "v1"), which its answers may use; with `secret_path`
    every part of the path is hidden.
    """

    def __init__(self, request: Request, *, secret_path: bool = False) -> None:
        words: set[str] = set()
        for name, value in request.headers.items():
            if name.lower() not in _PLAIN:
                words |= {value, *(word for word in value.split() if len(word) >= 16), *_login(value)}
        self._longest_first = sorted(_in_url(request.url, secret_path) | _written(words), key=len, reverse=True)

    def over(self, text: str) -> str:
        """`text` with stars for what must not be seen."""
        for spelling in self._longest_first:
            text = text.replace(spelling, "***")
        return text


@lru_cache(maxsize=64)  # most requests of an account go to one URL
def _in_url(url: str, secret_path: bool) -> frozenset[str]:
    parts = urlsplit(url)
    words = {f"{parts.path}?{parts.query}", parts.query, parts.path}
    words |= {
        word
        for segment in parts.path.split("/")
        for word in (segment, *segment.split(":"))
        if len(word) >= 6 and (secret_path or not _API_WORD.fullmatch(word))
    }
    words |= {value for _, value in parse_qsl(parts.query)}
    words |= {pair.partition("=")[2] for pair in parts.query.split("&")}
    return _written(words)


def _written(words: Iterable[str]) -> frozenset[str]:
    return frozenset(spelling for word in words for spelling in _spellings(word) if len(spelling) >= 4)


def _login(header: str) -> Iterable[str]:
    """Name and password that a header of the scheme Basic holds: who decodes them may repeat them."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            login = base64.b64decode(encoded, validate=True).decode()
            yield from (login, *login.split(":", 1))


_PLAIN = frozenset({"content-type", "accept", "user-agent", "webhook-id", "webhook-timestamp"})
_API_WORD = re.compile(r"[A-Za-z_.-]{1,15}|v?[0-9.]{1,8}")
_ONE_SPELLING = re.compile(r"[A-Za-z0-9._~=+ -]*")


def _spellings(word: str) -> Iterable[str]:
    if _ONE_SPELLING.fullmatch(word):
        return (word,)
    plain = unquote(word)
    quoted = json.dumps(plain)[1:-1]
    return word, plain, escape(word), escape(plain), quoted, quoted.replace("/", "\\/")


def is_json(text: str | bytes, found: Callable[[Any], None] = lambda _: None) -> bool:
    """Tell whether a text is JSON as the standard has it: NaN and Infinity are none. `found` is given the document."""
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    found(document)
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _parsed(body: bytes) -> Any:
    documents: list[Any] = []
    is_json(body, documents.append)
    return documents[0] if documents else None


def _at(document: Any, paths: str) -> str:
    """The first text or number that one of the paths leads to; empty when none does."""
    for path in filter(None, paths.split("|")):
        found = document
        for step in path.split("."):
            if isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(found, list) and step.isdecimal() and len(step) < 6 and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
        if isinstance(found, str | int | float) and not isinstance(found, bool) and found != "":
            return str(found)
    return ""


def _text(reply: Reply, veil: Veil) -> str:
    return veil.over(reply.body.decode(errors="replace"))


def _line(text: str) -> str:
    """A text on one line, without what is no letter, digit or sign."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())


def _kept(reply: Reply, text: str, veil: Veil, keep: Iterable[str]) -> dict[str, Any]:
    excerpt = _excerpt(text)
    kept = {
        "status": reply.status,
        "headers": {name: veil.over(reply.headers[name])[:200] for name in keep if name in reply.headers},
        "body": excerpt,
    }
    return kept | {"truncated": True} if reply.truncated or len(excerpt) < len(text) else kept


def _excerpt(text: str) -> str:
    """The beginning of a text: as much of it as takes less than `_KEPT_BODY` bytes as JSON."""
    kept = text[:_KEPT_BODY]
    while len(json.dumps(kept, ensure_ascii=False).encode()) > _KEPT_BODY:
        kept = kept[: len(kept) * 3 // 4]
    return kept


def _seconds(value: str, now: datetime) -> float | None:
    if _NUMBER.fullmatch(value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()


def _until(value: str, now: datetime) -> float | None:
    if not _NUMBER.fullmatch(value):
        return None
    instant = float(value)
    return (instant if instant < _LATEST else instant / 1000) - now.timestamp()


def _longest(*waits: float | None) -> float | None:
    return max((wait for wait in waits if wait is not None and wait > 0), default=None)
