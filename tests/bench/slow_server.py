"""An HTTP server that takes everything and answers late.

`python -m tests.bench.slow_server SECONDS` prints its port, and answers each request after so many seconds.
"""

import asyncio
import json
import re
import sys

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One kept connection: each request is answered by itself, `seconds` after it came."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, ended, body = self._got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if ended and length and len(body) >= int(length[1]):
            self._got = body[int(length[1]) :]
            asyncio.get_running_loop().call_later(self._seconds, self._answer, body)

    def _answer(self, body: bytes) -> None:
        told = json.dumps({"id": json.loads(body)["id"], "status": "queued"}).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told)
        )


async def serve(seconds: float) -> None:
    """Listen on a free port of this machine until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(seconds), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
