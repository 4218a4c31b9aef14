"""A connection of HTTP/2: one request at a time, within a limit, telling whether the server took it.

h2 keeps the state of the protocol and does no I/O. Its connection is not for two threads at once, so whoever sends
several requests at once opens several connections.
"""

import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

BROKEN = (OSError, ProtocolError)
"""What a connection raises when it is of no more use; TimeoutError is among them."""

# hpack writes whole headers and paths into its log, at DEBUG; they hold logins and device tokens.
logging.getLogger("hpack").setLevel(logging.CRITICAL)

_CHUNK = 65536
_FRAME_HEADER = 9
_LAST_STREAM = 2**30
_PING = b"noti-wrk"


class NotTaken(Exception):
    """The server says that it did not and will not look at the request; its own words may follow."""


@dataclass
class Answer:
    """What came back on a stream; `status` is 0 until its headers came, `ended` tells that no more will come."""

    stream: int
    most: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytearray = field(default_factory=bytearray, repr=False)
    ended: bool = False
    truncated: bool = False

    def take(self, event: Event) -> None:
        """Note what happened on the stream; raises NotTaken, or ConnectionError when it ended without an answer."""
        if getattr(event, "stream_id", None) != self.stream:
            return
        if isinstance(event, ResponseReceived):
            pairs = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in event.headers]
            status = dict(pairs).get(":status", "")
            self.status = int(status) if status.isdecimal() else 0
            self.headers = {name.lower(): value for name, value in pairs if not name.startswith(":")}
        elif isinstance(event, DataReceived) and event.data is not None:
            self.truncated |= len(self.body) + len(event.data) > self.most
            self.body += event.data[: self.most - len(self.body)]
        elif isinstance(event, StreamEnded):
            self.ended = True
        elif isinstance(event, StreamReset):
            self.ended = True
            if not self.status and event.error_code == ErrorCodes.REFUSED_STREAM:
                raise NotTaken
            self.truncated = True


class Connection:
    """A connection over TLS; `idle_since` is the monotonic instant of the last answer's end."""

    def __init__(self, secured: ssl.SSLSocket, authority: str) -> None:
        self._socket = secured
        self._authority = authority
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._received = b""
        self._going: ConnectionTerminated | None = None
        self._worn_out = False
        self.idle_since = monotonic()

    @property
    def reusable(self) -> bool:
        """True while it may take another request."""
        return self._going is None and not self._worn_out

    def begin(self, ends_at: float) -> None:
        """Greet, and wait for the server's greeting; raises one of BROKEN."""
        self._h2.local_settings = Settings(client=True, initial_values={SettingCodes.ENABLE_PUSH: 0})
        self._h2.initiate_connection()
        self._flush(ends_at)
        self._wait_for(RemoteSettingsChanged, ends_at)

    def is_alive(self, ends_at: float, *, ask: bool) -> bool:
        """Read what came meanwhile, and with `ask` have the server answer before the monotonic instant `ends_at`."""
        try:
            self._drain()
            self._flush(ends_at)
            if ask and self.reusable:
                self._h2.ping(_PING)
                self._flush(ends_at)
                self._wait_for(PingAckReceived, ends_at)
        except BROKEN:
            return False
        return self.reusable

    def exchange(self, path: str, headers: Mapping[str, str], body: bytes, ends_at: float, most: int) -> Answer:
        """Post `body` and read the answer, at most `most` bytes of it.

        Raises NotTaken when the server surely did not look at the request, else one of BROKEN when no answer came.
        A line that breaks within an answer leaves a truncated one.
        """
        answer = Answer(self._h2.get_next_available_stream_id(), most)
        self._worn_out = True  # unless it comes to a good end
        try:
            self._send(answer, path, headers, body, ends_at)
            while not answer.ended and not answer.truncated:
                self._hear(answer, ends_at)
        except BROKEN:
            if not answer.status:
                raise
            answer.truncated = True
        if not answer.status:
            raise ConnectionError("the stream ended without an answer")
        self._worn_out = answer.truncated or answer.stream > _LAST_STREAM
        self.idle_since = monotonic()
        return answer

    def leave(self) -> None:
        """Say goodbye and hang up; failing to is no failure."""
        try:
            self._h2.close_connection()
            self._flush(monotonic() + 0.1)
        except BROKEN:
            pass
        self.drop()

    def drop(self) -> None:
        """Hang up."""
        self._socket.close()

    def _send(self, answer: Answer, path: str, headers: Mapping[str, str], body: bytes, ends_at: float) -> None:
        pseudo = {":method": "POST", ":scheme": "https", ":authority": self._authority, ":path": path}
        try:
            self._h2.send_headers(answer.stream, [*pseudo.items(), *headers.items()], end_stream=not body)
        except ProtocolError:  # the server allows no stream at all
            raise NotTaken from None
        rest = memoryview(body)
        while rest and not answer.ended:
            room = min(self._h2.local_flow_control_window(answer.stream), self._h2.max_outbound_frame_size, len(rest))
            if room:
                self._h2.send_data(answer.stream, rest[:room].tobytes(), end_stream=room == len(rest))
                rest = rest[room:]
            else:
                self._hear(answer, ends_at)
            self._flush(ends_at)
        self._flush(ends_at)

    def _hear(self, answer: Answer, ends_at: float) -> None:
        for event in self._next(ends_at):
            answer.take(event)
            if isinstance(event, DataReceived) and not answer.ended:
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        if self._going is not None and (self._going.last_stream_id or 0) < answer.stream and not answer.status:
            raise NotTaken((self._going.additional_data or b"")[:200].decode(errors="replace"))
        self._flush(ends_at)

    def _drain(self) -> None:
        """Read what is there, waiting for nothing; raises one of BROKEN."""
        self._socket.setblocking(False)
        try:
            while received := self._socket.recv(_CHUNK):
                self._understand(received)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        raise ConnectionError("the server closed the connection")

    def _wait_for(self, kind: type[Event], ends_at: float) -> None:
        while not any(isinstance(event, kind) for event in self._next(ends_at)):
            if self._going is not None:
                raise ConnectionError("the server says goodbye")
        self._flush(ends_at)

    def _next(self, ends_at: float) -> list[Event]:
        """What happens next; raises one of BROKEN."""
        self._socket.settimeout(_left(ends_at))
        received = self._socket.recv(_CHUNK)
        if not received:
            raise ConnectionError("the server closed the connection")
        return self._understand(received)

    def _understand(self, received: bytes) -> list[Event]:
        events: list[Event] = []
        self._received += received
        while len(self._received) >= _FRAME_HEADER:
            size = int.from_bytes(self._received[:3], "big")
            if size > self._h2.max_inbound_frame_size:
                raise ProtocolError("a frame is too large: this is no HTTP/2")
            if len(self._received) < _FRAME_HEADER + size:
                break
            frame, self._received = self._received[: _FRAME_HEADER + size], self._received[_FRAME_HEADER + size :]
            for event in self._h2.receive_data(frame):
                if isinstance(event, ConnectionTerminated):
                    self._going = event
                    # h2 would hear nothing after a goodbye, but streams that began before it are still answered.
                    self._h2.state_machine.state = ConnectionState.CLIENT_OPEN
                events.append(event)
        return events

    def _flush(self, ends_at: float) -> None:
        if waiting := self._h2.data_to_send():
            self._socket.settimeout(_left(ends_at))
            self._socket.sendall(waiting)


def secured(sock: socket.socket, context: ssl.SSLContext, host: str, ends_at: float) -> ssl.SSLSocket:
    """The socket over TLS; raises OSError, ssl.SSLError among them."""
    sock.settimeout(_left(ends_at))
    return context.wrap_socket(sock, server_hostname=host)


def _left(ends_at: float) -> float:
    left = ends_at - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
