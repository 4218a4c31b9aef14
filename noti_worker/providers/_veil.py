"""What a request carried in confidence, hidden in its answer: error pages like to repeat what they were asked."""

import base64
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from html import escape
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from noti_worker.transport import Request


class Veil:
    """Hides what a request carried in confidence.

    That is what stands in its URL and its headers, and the words `hidden`. The URL of an API has plain words in its
    path ("messages", "v1"), which its answers may use; with `secret_path` every part of the path is hidden.
    """

    def __init__(self, request: Request, hidden: Iterable[str] = (), *, secret_path: bool = False) -> None:
        headers = (_in_header(value) for name, value in request.headers.items() if name.lower() not in _PLAIN)
        spellings = _in_url(request.url, secret_path).union(_written(hidden), *headers)
        self._longest_first = sorted(spellings, key=len, reverse=True)

    def over(self, text: str) -> str:
        """`text` with stars for what must not be seen."""
        for spelling in self._longest_first:
            text = text.replace(spelling, "***")
        return text


# Most requests of an account go to one URL and have one login.
@lru_cache(maxsize=64)
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


@lru_cache(maxsize=64)
def _in_header(value: str) -> frozenset[str]:
    return _written({value, *(word for word in value.split() if len(word) >= 16), *_login(value)})


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
_ONE_SPELLING = re.compile(r"[A-Za-z0-9._~-]*")


def _spellings(word: str) -> Iterable[str]:
    """A word as it is, and as HTML, JSON and URLs have it."""
    if _ONE_SPELLING.fullmatch(word):
        yield word
        return
    for plain in {word, unquote(word)}:
        yield from (plain, escape(plain), quote(plain, safe="", errors="replace"), quote_plus(plain, errors="replace"))
        yield from (quoted := json.dumps(plain)[1:-1], quoted.replace("/", "\\/"))
