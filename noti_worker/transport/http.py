"""A sender over HTTP, made of a translation that does no I/O."""

from collections.abc import Generator
from dataclasses import replace
from time import monotonic
from typing import Protocol

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Message
from noti_worker.domain.said import Said
from noti_worker.transport.client import Client
from noti_worker.transport.http2 import Http2Client
from noti_worker.transport.messages import Reply, Request

Steps = Generator[Request, Reply, Said | None]
"""Several requests for one message; gives what was said, or None: then the last reply is read."""


class Translation(Protocol):
    """A provider over HTTP: two translations, used by several threads at once."""

    def request(self, message: Message) -> Request | Steps:
        """The request for a message, or a generator of several; raises BadNotification when there can be none."""
        ...

    def read(self, reply: Reply) -> Said:
        """What the provider said."""
        ...


class HttpSender:
    """Sends what a translation asks for, and knows what a broken line means."""

    def __init__(self, translation: Translation, client: Client | Http2Client) -> None:
        self._translation = translation
        self._client = client

    @property
    def proxied(self) -> bool:
        """True when it goes out through a proxy."""
        return self._client.proxied

    def send(self, message: Message, limit: float) -> Said:
        """One message, all its requests within `limit` seconds."""
        try:
            asked = self._translation.request(message)
            if not isinstance(asked, Request):
                return self._steps(asked, limit)
        except BadNotification as bad:
            return Said("compose", error=str(bad))
        reply = self._client.send(asked, limit)
        return reply if isinstance(reply, Said) else self._translation.read(reply)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _steps(self, steps: Steps, limit: float) -> Said:
        ends_at = monotonic() + limit
        reply: Reply | None = None
        try:
            request = next(steps)
            while True:
                answer = self._client.send(request, max(0.0, ends_at - monotonic()))
                if isinstance(answer, Said):
                    lost_before = answer.stage == "answer" and not request.sends
                    return replace(answer, stage="connect") if lost_before else answer
                reply = answer
                request = steps.send(reply)
        except StopIteration as over:
            said: Said | None = over.value
            if said is not None:
                return said
            if reply is None:
                raise RuntimeError("the translation asked for nothing") from None
            return self._translation.read(reply)
        finally:
            steps.close()
