"""Where the link of a message leads: a page that asks, and the POST that does it, from there or from a mail program.

A GET changes nothing and asks the database nothing: programs that look at links open each of them (RFC 8058 section 1).
"""

import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from typing import Protocol
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.facts import LinkUsed, Trouble
from noti_worker.domain.ports import Observer
from noti_worker.domain.subscription import Links, Subscription
from noti_worker.web.page import button, page
from noti_worker.web.receipts import COME_AGAIN, body_of
from noti_worker.web.strangers import Strangers
from noti_worker.web.words import LANGUAGES, language_of

LARGEST_FORM = 16 * 1024
"""Bytes; a form of ours has 30."""

AT_ONCE = 4
"""Requests that ask the database at the same time; the others wait."""

LEAVE = ("List-Unsubscribe", "One-Click")
"""RFC 8058 section 3.2: what the POST says."""

STAY = ("noti", "stay")
"""What the button says that takes it back."""


class Subscriptions(Protocol):
    """Who wants what. Used by several threads at once; every call raises DatabaseError, and then nothing is changed."""

    def leave(self, subscription: Subscription) -> None:
        """Send no more of it."""
        ...

    def stay(self, subscription: Subscription) -> bool:
        """Take back what `leave` did; False where something else keeps the messages from the recipient."""
        ...


class Unsubscribe:
    """The pages of the links."""

    def __init__(
        self,
        links: Links,
        subscriptions: Subscriptions,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer what `links` can read."""
        self._links = links
        self._subscriptions = subscriptions
        self._observer = observer
        self._strangers = Strangers(monotonic)
        self._threads: CapacityLimiter | None = None

    def routes(self) -> list[Route]:
        """The one URL that there is, for one event loop."""
        return [Route("/unsubscribe/{token}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        subscription = self._links.read(request.path_params["token"])
        language = language_of(
            subscription.language if subscription is not None else "", request.headers.get("accept-language", "")
        )
        words = LANGUAGES[language]
        if subscription is None:
            return self._unknown(request, language)
        if request.method != "POST":
            return _asks(language, subscription)
        body = await body_of(request, LARGEST_FORM)
        if body is None:
            return Response(status_code=413)
        said = _fields(request.headers.get("content-type", ""), body)
        if LEAVE not in said and STAY not in said:
            return _asks(language, subscription, 400)
        self._threads = self._threads or CapacityLimiter(AT_ONCE)
        act = self._stay if STAY in said else self._leave
        try:
            return await to_thread.run_sync(act, language, subscription, limiter=self._threads)
        except DatabaseError as error:
            self._observer.on(Trouble("unsubscribe", str(error)))
            answer = page(language, words.later, words.later_text, 503)
            answer.headers["retry-after"] = COME_AGAIN
            return answer

    def _unknown(self, request: Request, language: str) -> Response:
        """Not one of ours. Whoever tries many is not worth a page."""
        client = request.client.host if request.client else ""
        self._observer.on(LinkUsed("unknown"))
        if self._strangers.tiresome(client):
            return Response(status_code=429, headers={"retry-after": "60"})
        self._strangers.refused(client)
        words = LANGUAGES[language]
        return page(language, words.unknown, words.unknown_text, 404)

    def _leave(self, language: str, subscription: Subscription) -> HTMLResponse:
        self._subscriptions.leave(subscription)
        self._observer.on(LinkUsed("left"))
        words = LANGUAGES[language]
        form = button(*STAY, words.stay, words.mistake)
        return page(language, words.left, words.left_text, category=subscription.category, form=form)

    def _stay(self, language: str, subscription: Subscription) -> HTMLResponse:
        stays = self._subscriptions.stay(subscription)
        self._observer.on(LinkUsed("stayed" if stays else "kept"))
        words = LANGUAGES[language]
        if not stays:
            return page(language, words.kept, words.kept_text, 409)
        return page(language, words.stayed, words.stayed_text, category=subscription.category)


def _asks(language: str, subscription: Subscription, status: int = 200) -> HTMLResponse:
    words = LANGUAGES[language]
    form = button(*LEAVE, words.leave)
    return page(language, words.ask, words.ask_text, status, category=subscription.category, form=form)


def _fields(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, in either of the two ways in which forms are posted; other bodies have none."""
    if not content_type.isascii() or not content_type.isprintable():
        return []
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            found = parse_qs(body.decode("ascii"), max_num_fields=20)
        except ValueError:
            return []
        return [(name, value) for name, values in found.items() for value in values]
    if kind != "multipart/form-data":
        return []
    whole = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = whole.get_payload()
    return [_field(part) for part in parts if isinstance(part, Message)] if isinstance(parts, list) else []


def _field(part: Message) -> tuple[str, str]:
    content = part.get_payload(decode=True)
    text = content.decode("latin-1") if isinstance(content, bytes) else ""
    return str(part.get_param("name", "", "content-disposition")), text.strip()
