"""A sender over HTTP, made of a translation that does no I/O."""

from dataclasses import replace
from time import monotonic
from typing import Protocol, runtime_checkable

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Message
from noti_worker.domain.said import Said
from noti_worker.transport.client import Client
from noti_worker.transport.http2 import Http2Client
from noti_worker.transport.messages import Reply, Request, Steps


class Translation(Protocol):
    """A provider over HTTP: two translations, used by several threads at once."""

    def request(self, message: Message) -> Request | Steps:
        """The request for a message, or a generator of several; raises BadNotification when there can be none."""
        ...

    def read(self, reply: Reply) -> Said:
        """What the provider said."""
        ...


@runtime_checkable
class Asks(Protocol):
    """What a translation may do besides, where the service has a call for it."""

    def check(self) -> Request | Steps | None:
        """A request that sends nothing, and whose answer tells whether the service knows us.

        It is read and judged as that to a message, at the stage `check`. None: not with this account's settings.
        """
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
            return self._told(self._translation.request(message), limit)
        except BadNotification as bad:
            return Said("compose", error=str(bad))

    def check(self, limit: float) -> Said | None:
        """Ask within `limit` seconds whether the service knows us; None when it has no call for that.

        Of a success only the status is kept: services tell keys and addresses of the account in it.
        """
        asked = self._translation.check() if isinstance(self._translation, Asks) else None
        if asked is None:
            return None
        said = self._told(asked, limit)
        if said.status.startswith("2"):
            said = replace(said, id=None, response={"status": int(said.status)})
        if said.stage != "answer":
            return said
        lost = not said.status  # there was nothing to receive
        return replace(said, stage="check", error=(said.error or "").partition(";")[0] if lost else said.error)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _told(self, asked: Request | Steps, limit: float) -> Said:
        if not isinstance(asked, Request):
            return self._steps(asked, limit)
        reply = self._client.send(asked, limit)
        return reply if isinstance(reply, Said) else self._translation.read(reply)

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
