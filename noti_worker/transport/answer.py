"""Reading an HTTP/1.1 answer (RFC 9112), from a stranger: within the call's time, bounded in size.

The standard library reads the headers with its parser for e-mail, which costs more than all the rest of a
request, and waits for each read as long as for the whole.
"""

import re
import socket
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, LineTooLong, RemoteDisconnected
from typing import Any

from noti_worker.transport.deadline import Call

_LARGEST_HEAD = 64 * 1024
_MOST_HEADERS = 100
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.(\d) (\d{3})(?:[ \t].*)?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r?\n")
_WITHOUT_BODY = frozenset({204, 304})


class Answer:
    """Status and headers of an answer, and its body, which is read once.

    Names are in lower case; of a header that comes twice the last one stands. It takes the place of urllib3's own
    response, whose pools ask for the further attributes.
    """

    version_string = "HTTP/1.1"
    length_remaining = None
    retries: Any = None
    _connection: Any = None
    _pool: Any = None

    def __init__(self, sock: socket.socket, call: Call, method: str) -> None:
        """Read up to the body; raises TimeoutError, OSError or HTTPException."""
        self._socket = sock
        self._call = call
        self._buffer = bytearray()
        minor = self._read_head()
        while 100 <= self.status < 200:  # `100 Continue` and the like come before the answer
            minor = self._read_head()
        connection = self.headers.get("connection", "").lower()
        self._keeps_open = "close" not in connection and (minor >= 1 or "keep-alive" in connection)
        self._has_body = method != "HEAD" and self.status not in _WITHOUT_BODY

    @property
    def rest(self) -> bool:
        """True when more was read than the head."""
        return bool(self._buffer)

    def body(self, most: int) -> tuple[bytes, bool]:
        """What came of the body, and whether anything of it is missing: the status counts, with or without it.

        The connection goes back to its pool when it is of further use.
        """
        body = bytearray()
        missing = True
        try:
            for piece in self._pieces():
                body += piece
                if len(body) > most:
                    break
            else:
                missing = False
        except (HTTPException, OSError):
            pass
        if missing or self._buffer or not self._keeps_open:  # who goes on talking would answer the next request
            self._connection.close()
        self._pool._put_conn(self._connection)  # noqa: SLF001 - urllib3's own responses do the same
        return bytes(body[:most]), missing

    def _read_head(self) -> int:
        """Set status and headers; gives the minor version."""
        searched = 0
        while (end := _END_OF_HEAD.search(self._buffer, searched, _LARGEST_HEAD)) is None:
            searched = max(0, len(self._buffer) - 3)
            if searched >= _LARGEST_HEAD - 3:
                raise LineTooLong("header")
            if not self._more():
                speaks_http = b"HTTP/".startswith(self._buffer[:5])
                raise RemoteDisconnected("closed") if speaks_http else BadStatusLine("")
        head = self._take(end.end())
        first, *lines = head.rstrip(b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise BadStatusLine("")
        if len(lines) > _MOST_HEADERS:
            raise HTTPException("too many headers")
        self.status = int(status[2])
        self.headers = _fields(lines)
        return int(status[1])

    def _pieces(self) -> Iterator[bytes]:
        length = self.headers.get("content-length", "")
        if not self._has_body:
            return
        if self.headers.get("transfer-encoding", "").lower().endswith("chunked"):
            yield from self._chunks()
        elif length.isdecimal() and len(length) < 16:
            yield from self._sized(int(length))
        else:
            self._keeps_open = False
            while self._buffer or self._more():
                yield self._take(len(self._buffer))

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._sized(size)
            if self._line().strip():
                raise HTTPException("a chunk is longer than it said")
        for _ in range(_MOST_HEADERS):  # trailers
            if not self._line().strip():
                return
        raise HTTPException("too many trailers")

    def _chunk_size(self) -> int:
        size = _CHUNK.fullmatch(self._line())
        if size is None:
            raise HTTPException("a chunk without size")
        return int(size[1], 16)

    def _sized(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer and not self._more():
                raise RemoteDisconnected("closed")
            piece = self._take(size)
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                raise LineTooLong("chunk")
            if not self._more():
                raise RemoteDisconnected("closed")
        return self._take(end + 1)

    def _take(self, most: int) -> bytes:
        taken = bytes(self._buffer[:most])
        del self._buffer[:most]
        return taken

    def _more(self) -> bool:
        """Wait for more; False when there is no more."""
        self._socket.settimeout(self._call.remaining())
        received = self._socket.recv(65536)
        self._buffer += received
        return bool(received)


def _fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.decode("latin-1")
        if text[:1] in {" ", "\t"} and name:  # folded, as of old
            headers[name] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or (name == "content-length" and headers.get(name, value) != value):
            headers["connection"] = "close"  # who writes such headers is not trusted with another request
            break
        headers[name] = value
    return headers
