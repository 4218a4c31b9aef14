"""procrastinate, a no-op task, as its documentation runs a worker."""

import asyncio

from procrastinate import App, PsycopgConnector

from tests.bench.peers.stopwatch import BODY, Stopwatch, asked

_AT_A_TIME = 1_000


async def main() -> None:
    """Fill or work."""
    what, url, rows = asked()
    app = App(connector=PsycopgConnector(conninfo=url))
    stopwatch = Stopwatch(rows)

    async def send(body: str) -> None:
        stopwatch.tick()

    task = app.task(name="send")(send)
    async with app.open_async():
        if what == "fill":
            await app.schema_manager.apply_schema_async()
            for first in range(0, rows, _AT_A_TIME):
                await task.batch_defer_async(*({"body": BODY} for _ in range(first, min(rows, first + _AT_A_TIME))))
        else:
            await app.run_worker_async(concurrency=20, wait=True, install_signal_handlers=True)


if __name__ == "__main__":
    asyncio.run(main())
