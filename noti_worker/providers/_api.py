"""One reading of HTTP answers for all providers: status, id, code, words, wish to wait, and what is kept of it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from noti_worker.domain import strict_json
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.providers._veil import Veil
from noti_worker.transport import Kit, Reply, Request, Steps

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

ON_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
"""The hosts of a URL to which secrets may go unencrypted."""

ANYWHERE = ("0.0.0.0/0", "::/0")
"""The networks of an account whose URL the operator chose, and no row."""

_KEPT_BODY = 18_000  # bytes; with the headers less than the 20 kB that the attempts log keeps
_MOST = {"id": 200, "code": 100, "words": 2_000}
_LATEST = 2**33  # seconds of the epoch: a larger number counts milliseconds
_NUMBER = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?")


def open_api(kit: Kit, translation: "Translation", api_url: str, *, setting: str = "api_url") -> Sender:
    """A sender of `translation` to the service at `api_url`, which the operator chose: it may be a private address.

    Raises ConfigurationError that names the `setting`, as `read_url` does.
    """
    here = read_url(api_url, setting).hostname in ON_THIS_MACHINE
    return kit.http(translation, allow_networks=anywhere(kit), allow_http=here)


def anywhere(kit: Kit) -> tuple[str, ...]:
    """The networks that are open to what the operator chose; none where the proxy decides where requests may go."""
    return () if kit.proxy_guards else ANYWHERE


def read_url(url: str, setting: str) -> SplitResult:
    """The parts of a service's URL; raises ConfigurationError that names the `setting`, and shows nothing of it.

    It is refused when it is no URL, or would send the account's secrets unencrypted over a network.
    """
    parts = url_parts(url)
    if not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"{setting} is no URL of a service: write https://HOST, with a path where it has one")
    if parts.scheme == "http" and parts.hostname not in ON_THIS_MACHINE:
        raise ConfigurationError(f"{setting} would send the account's secrets unencrypted: write https://")
    return parts


def url_parts(url: str) -> SplitResult:
    """The parts of a URL of HTTP; all empty when it is none, or holds a login."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc:
            return parts
    return urlsplit("")


def asking(url: str, headers: Mapping[str, str], *, method: str = "GET") -> Request:
    """A request that sends nothing: for a look at the account."""
    return Request(method, url, headers, b"")


def look(request: Request, read: Callable[[Reply], Said], *, holds: str = "") -> Steps:
    """What the service says to a request that sends nothing, read by `read`.

    A success that is no document in JSON, or does not hold the text `holds`, is the page of somebody in between.
    """
    reply = yield request
    ours = holds.encode() in reply.body if holds else bool(json_object(reply.body))
    if 200 <= reply.status < 300 and not ours:
        return Said(
            "check",
            code="unreadable",
            error=f"answered {reply.status}, but not as the service does: mend the URL, or what stands in between",
        )
    return read(reply)


def read_json(
    reply: Reply,
    *,
    id: str = "",  # noqa: A002 - as in Said
    code: str = "",
    words: str = "",
    hint: str = "",
    keep: Iterable[str] = KEPT,
    hidden: Iterable[str] = (),
    secret_path: bool = False,
) -> Said:
    """What an answer in JSON says. Each of the four is a path into it, `a.0.b`, or several, `a.b|c`: the first found.

    `hint` is a wish to wait in seconds, beside the headers'. What is not there, or no text or number, is missing. The
    rest is as in `read_found`.
    """
    document = _parsed(reply.body)
    said = read_found(
        reply,
        id=_at(document, id),
        code=_at(document, code),
        words=_at(document, words),
        keep=keep,
        hidden=hidden,
        secret_path=secret_path,
    )
    wish = _at(document, hint)
    return replace(said, hint=_longest(said.hint, float(wish))) if _NUMBER.fullmatch(wish) else said


def read_text(reply: Reply, *, keep: Iterable[str] = KEPT) -> Said:
    """What an answer says whose body is only for people, to a request whose whole URL is a secret."""
    return read_found(reply, keep=keep, secret_path=True)


def read_found(
    reply: Reply,
    *,
    id: str = "",  # noqa: A002 - as in Said
    code: str = "",
    words: str = "",
    keep: Iterable[str] = KEPT,
    hidden: Iterable[str] = (),
    secret_path: bool = False,
) -> Said:
    """What an answer says, in which these were found; of its headers those of `keep` are kept.

    Without words the beginning of the body stands for them, so that an error page in HTML is told as well. All of it is
    read through a veil over the request's headers, its URL (with `secret_path` every part of it), and the words
    `hidden`: what is secret in its body, or a part of a header.
    """
    veil = Veil(reply.request, hidden, secret_path=secret_path)
    text = veil.over(reply.body.decode(errors="replace"))
    found = {
        name: veil.over(_line(value[:_KEPT_BODY]))[: _MOST[name]]
        for name, value in (("id", id), ("code", code), ("words", words))
    }
    return Said(
        "answer",
        str(reply.status),
        found["code"],
        found["words"] or _line(text[: _MOST["words"]]),
        id=found["id"] or None,
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


def is_json(text: str | bytes) -> bool:
    """Tell whether a text is JSON as the standard has it: NaN and Infinity are none."""
    return _parsed(text, default=_NONE) is not _NONE


def json_object(text: str | bytes) -> Mapping[str, Any]:
    """The object that a text is in JSON; an empty one when it is anything else."""
    document = _parsed(text)
    return document if isinstance(document, Mapping) else {}


_NONE = object()


def _parsed(text: str | bytes, default: Any = None) -> Any:
    try:
        return strict_json.read_json(text)
    except (ValueError, RecursionError):
        return default


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
