"""`python -m tests.web.flood ADDRESS PATH SECONDS`: strangers who post what is not genuine, large, or slowly.

Each seems to be another client behind the proxy, so that none is refused for being tiresome. Prints as JSON how often
each status was answered, and what the slow ones heard.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count

RATE = 200
"""Requests a second."""

LARGE = 10
"""Every so manieth has a body of LARGEST bytes."""

LARGEST = 1024 * 1024
SLOW = 150
"""Clients at a time who send a byte a second."""


class Flood:
    """Posts for some seconds, whatever the answers are."""

    def __init__(self, address: str, path: str) -> None:
        host, _, port = address.rpartition(":")
        self._place = host, int(port)
        self._path = path
        self._numbers = count()
        self.answers: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        slow = [asyncio.create_task(self._slowly(ends)) for _ in range(SLOW)]
        running = set()
        began = time.monotonic()
        for number in range(int(seconds * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            task = asyncio.create_task(self._post(b"x" * LARGEST if number % LARGE == 0 else b"[]"))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running, *slow)

    def _head(self, length: int) -> bytes:
        number = next(self._numbers)
        client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return (
            f"POST {self._path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nX-Forwarded-For: {client}\r\n\r\n"
        ).encode()

    async def _post(self, body: bytes) -> None:
        try:
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_connection(*self._place)
                writer.write(self._head(len(body)) + body)
                line = await reader.readline()
                self.answers[line.split(b" ")[1].decode() if line else "nothing"] += 1
                writer.close()
        except (OSError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1

    async def _slowly(self, ends: float) -> None:
        while time.monotonic() < ends:
            try:
                _, writer = await asyncio.open_connection(*self._place)
                for byte in self._head(100):
                    if time.monotonic() >= ends:
                        break
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
                writer.close()
            except OSError:
                self.answers["slow one dropped"] += 1
                await asyncio.sleep(0.1)


if __name__ == "__main__":
    flood = Flood(sys.argv[1], sys.argv[2])
    asyncio.run(flood.run(float(sys.argv[3])))
    sys.stdout.write(json.dumps(flood.answers))
