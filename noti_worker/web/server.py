"""Serves the pages over HTTP: few connections, bounded in time, so that slow or many clients keep nobody out."""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 200
PATIENCE = 15.0
"""Seconds from the first byte that could come to the last one that must have gone; SNS waits no longer either."""

LARGEST_HEAD = 32 * 1024
STOP_WITHIN = 5.0
"""Seconds for the requests under way when it is asked to stop."""

# It warns of each request that is no HTTP: strangers could fill the log.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class WebServer:
    """Answers from `start` on, on a thread of its own."""

    def __init__(self, app: Starlette, listener: socket.socket, proxies: Sequence[str]) -> None:
        """Serve on `listener`, which is closed in the end; what `proxies` say of the client is believed."""
        self._socket = listener
        self._server = Server(
            Config(
                app,
                http=_Bounded,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                headers=[("connection", "close"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")],
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                h11_max_incomplete_event_size=LARGEST_HEAD,
                timeout_graceful_shutdown=int(STOP_WITHIN),
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; requests under way are answered."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOP_WITHIN + 2.0)
        self._socket.close()


class _Bounded(H11Protocol):
    """One request a connection, all of it within PATIENCE. uvicorn itself waits for slow clients for ever."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._since = 0.0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._deadline = self.loop.call_later(PATIENCE, transport.abort)
        if len(self.connections) > MOST_CONNECTIONS:
            # Whoever has waited longest and not said all goes: half-open connections keep nobody out.
            oldest = min((one for one in self.connections if isinstance(one, _Bounded)), key=_Bounded._claim_to_stay)
            self.connections.discard(oldest)  # it is lost a moment later, and others may come before that
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _claim_to_stay(self) -> tuple[bool, float]:
        said_all = self.cycle is not None and not self.cycle.more_body
        return said_all, self._since
