"""A forward proxy of our own: CONNECT and absolute URLs, a login where one is wanted, and what goes wrong with them."""

import socket
from base64 import b64encode
from contextlib import suppress
from threading import Event, Thread
from typing import Self
from urllib.parse import quote, urlsplit


class ForwardProxy:
    """Listens while it is entered, and carries what it is asked for; its attributes make it misbehave."""

    def __init__(self, login: str | None = None, port: int = 0) -> None:
        self.login = login
        self._wanted = port
        self.names: dict[str, str] = {}
        """Addresses of hosts that only this proxy can resolve; with a port, theirs is that one."""
        self.asked: list[str] = []
        """The target of each request: host:port, or a URL."""
        self.says: bytes | None = None
        """What it answers instead of carrying anything."""
        self.hangs: set[str] = set()
        """It never answers who asks for these targets; `*` is every target."""
        self._over = Event()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._wanted))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """What `proxy` of an account holds."""
        user, colon, password = (self.login or "").partition(":")
        return f"http://{quote(user)}{colon}{quote(password)}{colon and '@'}127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := line.recv(65536)):
                    return
                head += more
            head, _, body = head.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append(target)
            if self.hangs & {"*", target}:
                self._over.wait(60)
            elif self.says is not None:
                line.sendall(self.says)
            elif self.login is not None and f"Basic {b64encode(self.login.encode()).decode()}".encode() not in head:
                line.sendall(b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
            else:
                self._carry(line, method, target, head, body)

    def _carry(self, line: socket.socket, method: str, target: str, head: bytes, body: bytes) -> None:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, _, port = self.names.get(parts.hostname or "", parts.hostname or "").partition(":")
        try:
            far = socket.create_connection((host, int(port or parts.port or 80)), 20)
        except OSError:
            line.sendall(b"HTTP/1.1 503 Unreachable\r\nContent-Length: 0\r\n\r\n")
            return
        with far:
            if method == "CONNECT":
                line.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                fields = [one for one in head.split(b"\r\n")[1:] if not one.lower().startswith(b"proxy-")]
                far.sendall(b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *fields, b"", body]))
            back = Thread(target=_copy, args=(far, line), daemon=True)
            back.start()
            _copy(line, far)
            back.join(20)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
