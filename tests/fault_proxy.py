"""A line that misbehaves on request: a TCP proxy of our own between a worker and its database or provider.

In the test's process it is told what to do by its attributes; `python -m tests.fault_proxy HOST PORT TARGET` is one
that only carries, for a network namespace. TARGET is host:port or the path of a Unix socket.
"""

import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class FaultProxy:
    """Listens while it is entered. All faults end with `heal`, except that what was cut stays cut."""

    def __init__(self, target: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self._target = target
        self._host = host
        self._wanted = port
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.connections = 0
        self.carried = 0  # bytes, both ways
        self.heal()

    def heal(self) -> None:
        """Carry everything from now on."""
        self.latency = 0.0
        """Seconds that each piece waits, both ways."""
        self.trickle: float | None = None
        """Answers come in small pieces, this many bytes a second."""
        self.hanging = False
        """Lines stay open and carry nothing; what was said meanwhile is lost, as in a NAT that forgot us."""
        self.refusing = False
        """New lines are reset at once."""
        self.asked: Callable[[bytes], None] = lambda _: None
        """Called with each piece on its way to the target, before it is carried."""
        self.answers: Callable[[bytes], bool] = lambda _: True
        """Called with what was asked last on a line when its answer comes; False: that is lost, and the line cut."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self._host, self._wanted))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset every line."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _reset(end)

    def half_close(self) -> None:
        """Say goodbye to the clients, and go on listening to them."""
        with self._lock:
            for near, _ in self._pairs:
                with suppress(OSError):
                    near.shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self.connections += 1
                if self.refusing:
                    _reset(near)
                    continue
                try:
                    far = _dial(self._target)
                except OSError:
                    _reset(near)
                    continue
                with self._lock:
                    self._pairs.append((near, far))
                line = _Line()
                for way in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=(line, *way), daemon=True).start()

    def _carry(self, line: "_Line", source: socket.socket, target: socket.socket, back: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.hanging:
                    continue
                if self.latency:
                    threading.Event().wait(self.latency)
                if not back:
                    line.asked = data
                    self.asked(data)
                elif not self.answers(line.asked):
                    _reset(source)
                    _reset(target)
                    return
                self._send(target, data, back)
            if not self.hanging:
                target.shutdown(socket.SHUT_WR)

    def _send(self, target: socket.socket, data: bytes, back: bool) -> None:
        self.carried += len(data)
        trickle = self.trickle  # a test may end it meanwhile
        if not back or trickle is None:
            target.sendall(data)
            return
        piece = max(1, int(trickle / 100))
        for at in range(0, len(data), piece):
            target.sendall(data[at : at + piece])
            threading.Event().wait(piece / trickle)


class _Line:
    asked = b""


def socket_of(url: str) -> str:
    """The target for the server of a libpq URL that names a socket directory."""
    given = conninfo_to_dict(url)
    return f"{given['host']}/.s.PGSQL.{given['port']}"


def through(url: str, port: int, host: str = "127.0.0.1") -> str:
    """The URL of the same database by way of a proxy."""
    return make_conninfo(url, host=host, port=port, sslmode="disable", gssencmode="disable")


def _dial(target: str) -> socket.socket:
    if target.startswith("/"):
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(target)
        except OSError:
            far.close()
            raise
        return far
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)))


def _reset(end: socket.socket) -> None:
    """A TCP line ends with RST, a thread that waits in it wakes up."""
    with suppress(OSError):
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()


if __name__ == "__main__":
    with FaultProxy(sys.argv[3], sys.argv[1], int(sys.argv[2])) as proxy:
        sys.stdout.write(f"{proxy.port}\n")
        sys.stdout.flush()
        sys.stdin.read()  # until the test lets go of it
