"""A provider that posts to a web server of ours, over real sockets."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from noti_worker.domain.receipts import Posted


@dataclass
class Kept:
    """A letterbox that keeps in memory; `broken` is raised instead."""

    requests: list[tuple[str, str, Posted]] = field(default_factory=list)
    broken: Exception | None = None

    def keep(self, account: str, provider: str, posted: Posted) -> None:
        if self.broken is not None:
            raise self.broken
        self.requests.append((account, provider, posted))


def post(
    address: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (in lower case) and body of the answer."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def status_of(client: socket.socket) -> bytes:
    """The first line of the answer, as far as the line was not cut."""
    answer = b""
    try:
        while not answer.partition(b"\r\n")[1]:
            more: Any = client.recv(4096)
            if not more:
                break
            answer += more
    except (ConnectionResetError, BrokenPipeError):
        pass
    return answer.partition(b"\r\n")[0]
