"""pgqueuer at its best setting: asyncpg on uvloop, one consumer, batches of 500."""

import asyncio
import signal

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from tests.bench.peers.stopwatch import BODY, Stopwatch, asked

_AT_A_TIME = 1_000
_BATCH = 500


async def main() -> None:
    """Fill or work."""
    what, url, rows = asked()
    driver = AsyncpgDriver(await asyncpg.connect(url))
    if what == "fill":
        queries = Queries(driver)
        await queries.install()
        for first in range(0, rows, _AT_A_TIME):
            count = min(rows, first + _AT_A_TIME) - first
            await queries.enqueue(["send"] * count, [BODY.encode()] * count, [0] * count)
        return
    stopwatch = Stopwatch(rows)
    queuer = PgQueuer(driver)

    async def send(job: Job) -> None:
        stopwatch.tick()

    queuer.entrypoint("send")(send)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
    await queuer.run(batch_size=_BATCH)


if __name__ == "__main__":
    uvloop.run(main())
