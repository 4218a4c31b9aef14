"""Takes what providers post: sees that it is theirs, keeps it as it came, and answers at once."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from noti_worker.domain.errors import DatabaseAway, DatabaseError
from noti_worker.domain.facts import DatabaseBack, DatabaseLost, ReceiptRefused, ReceiptTaken, Trouble
from noti_worker.domain.ports import Observer
from noti_worker.domain.receipts import GREETING, Inlet, NotGenuine, NotNow, Posted, Taken
from noti_worker.web.strangers import Strangers

LARGEST_BODY = 1024 * 1024
"""Bytes; the largest that is known to be posted are SendGrid's lists of events, of up to 768 kB."""

AT_ONCE = 8
"""Requests that are looked at and kept at the same time; the others wait, read already."""

COME_AGAIN = "30"
"""Seconds after which a provider may post again what could not be kept."""


class Letterbox(Protocol):
    """Where requests are kept. Used by several threads at once."""

    def keep(self, account: str, provider: str, posted: Posted) -> None:
        """Keep a request for good; raises DatabaseError, and then it is not kept."""
        ...


class Receipts:
    """The pages of the receipts: one URL for each account, with its token at the end."""

    def __init__(
        self,
        inlets: Mapping[str, Inlet],
        letterbox: Letterbox,
        now: Callable[[], datetime],
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is posted to `inlets`, by the name of the account."""
        self._inlets = inlets
        self._letterbox = letterbox
        self._now = now
        self._observer = observer
        self._monotonic = monotonic
        self._strangers = Strangers(monotonic)
        self._threads: CapacityLimiter | None = None
        self._away_since: float | None = None

    def app(self, further: Sequence[Route] = ()) -> Starlette:
        """The application, for one event loop, with the pages of others."""
        path = "/receipts/{account}/{token}"
        app = Starlette(routes=[Route("/", _greet), Route(path, self._receive, methods=["GET", "POST"]), *further])
        app.router.redirect_slashes = False
        return app

    async def _receive(self, request: Request) -> Response:
        inlet = self._inlet(request.path_params["account"], request.path_params["token"])
        if inlet is None:
            return Response(status_code=404)
        client = request.client.host if request.client else ""
        if self._strangers.tiresome(client):
            return self._refuse(inlet, 429, "often", {"retry-after": "60"})
        body = await body_of(request, LARGEST_BODY)
        if body is None:
            return self._refuse(inlet, 413, "size")
        posted = Posted(body, dict(request.headers), request.url.query, request.method)
        self._threads = self._threads or CapacityLimiter(AT_ONCE)
        try:
            taken = await to_thread.run_sync(self._take, inlet, posted, limiter=self._threads)
        except NotGenuine as stranger:
            self._strangers.refused(client)
            return self._refuse(inlet, 403, stranger.why)
        except NotNow as error:
            self._observer.on(Trouble(f"receipts of {inlet.account}", str(error)))
            return Response(status_code=503, headers={"retry-after": COME_AGAIN})
        except DatabaseError as error:
            self._tell(error)
            return Response(status_code=503, headers={"retry-after": COME_AGAIN})
        return Response(taken.body, media_type=taken.media_type)

    def _inlet(self, account: str, token: str) -> Inlet | None:
        """The inlet behind the token; how long it takes tells nothing of either."""
        inlet = self._inlets.get(account)
        ours = inlet.token.reveal() if inlet is not None else "-" * len(token)
        same = hmac.compare_digest(token.encode(errors="replace"), ours.encode())
        return inlet if same else None

    def _take(self, inlet: Inlet, posted: Posted) -> Taken:
        """See whether it is the provider's, before anything else is done with it; then keep it."""
        taken = inlet.receiver.take(posted, self._now())
        if taken.keep:
            self._letterbox.keep(inlet.account, inlet.provider, posted)
            self._kept()
            self._observer.on(ReceiptTaken(inlet.account))
        return taken

    def _refuse(self, inlet: Inlet, status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
        self._observer.on(ReceiptRefused(inlet.account, why))
        return Response(status_code=status, headers=headers)

    def _kept(self) -> None:
        if (since := self._away_since) is not None:
            self._away_since = None
            self._observer.on(DatabaseBack(self._monotonic() - since))

    def _tell(self, error: DatabaseError) -> None:
        now = self._monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        if isinstance(error, DatabaseAway):
            self._observer.on(DatabaseLost(str(error), now - self._away_since, 0))
        else:
            self._observer.on(Trouble("receipts", str(error)))


async def _greet(_: Request) -> Response:
    return PlainTextResponse(GREETING)


async def body_of(request: Request, largest: int) -> bytes | None:
    """The body; None when it has more than `largest` bytes, and then the rest of it is not read."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said[:12]) > largest:
        return None
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > largest:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)
