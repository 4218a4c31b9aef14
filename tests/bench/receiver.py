"""Pickup latency while strangers flood the process that takes what providers post, and what becomes of the genuine."""

import json
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException

import psycopg

from tests.bench.figures import Book, percentile
from tests.bench.latency import produce
from tests.bench.ours import pause, wait_for, workers
from tests.bench.probe import Probe
from tests.bench.processes import cpu_seconds
from tests.bench.server import Bench, scalar
from tests.web.posting import post

RATE, SECONDS = 100, 15
"""Rows a second, and for how long."""

GENUINE_EVERY = 0.05
_SETTLED = 2.0
_TOKEN = "0123456789abcdef"
_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
    "Ec6wEA3F+g=="
)
"""Public, of SendGrid's library: whatever is posted, its signature is wrong."""
_ACCOUNTS = """
[accounts.flooded]
provider = "sendgrid"
api_key = "env:BENCH_TOKEN"
from = "a@example.com"
receipt_token = "env:BENCH_TOKEN"
verification_key = "env:BENCH_KEY"
[accounts.genuine]
provider = "postmark"
server_token = "env:BENCH_TOKEN"
from = "a@example.com"
receipt_token = "env:BENCH_TOKEN"
[routes]
email = ["box"]
[web]
listen = "127.0.0.1:0"
url = "https://hooks.example.com"
[log]
format = "json"
"""


def run(bench: Bench, book: Book) -> None:
    """Quiet, then flooded, by the same worker."""
    bench.say("receiver")
    probe = Probe(bench, "receiver")
    environ = probe.environ | {"BENCH_TOKEN": _TOKEN, "BENCH_KEY": _KEY}
    with bench.database() as url, workers(bench, url, probe.account + _ACCOUNTS, environ=environ):
        config = bench.directory / "web.toml"
        config.write_text(f'[database]\nurl = "{url}"\n[http]\nlisten = "127.0.0.1:0"\n{probe.account}{_ACCOUNTS}')
        web = bench.children.start(
            [sys.executable, "-m", "noti_worker", "--config", str(config), "web"], "web", environ
        )
        wait_for(lambda: "web_listening" in bench.children.said(web), 60.0, "it listens")
        lines = [json.loads(line) for line in bench.children.said(web).splitlines() if line.startswith("{")]
        address = next(line["listen"] for line in lines if line["event"] == "web_listening")
        pause(_SETTLED)
        count = RATE * bench.number(SECONDS, 3)
        book.add("receiver.quiet.p99", _pickup(bench, probe, url, 0, count))

        command = [
            sys.executable,
            "-m",
            "tests.web.flood",
            address,
            f"/receipts/flooded/{_TOKEN}",
            str(count / RATE + 1),
        ]
        flood = bench.children.start(command, "flood", piped=True)
        spent, began = cpu_seconds([web.pid]), time.monotonic()
        genuine = _Genuine(address)
        p99 = _pickup(bench, probe, url, count, count)
        taken = genuine.stop()
        book.add("receiver.web_cpu", 100 * (cpu_seconds([web.pid]) - spent) / (time.monotonic() - began))
        assert flood.stdout is not None
        answers = json.loads(flood.stdout.read())
        bench.say(f"  the strangers were answered {answers}; {taken} of {genuine.posted} genuine ones were taken")
        book.add("receiver.flooded.p99", p99)
        book.add("receiver.refused", answers["403"] / (count / RATE + 1))
        with psycopg.connect(url, autocommit=True) as connection:
            wait_for(
                lambda: not scalar(connection, "SELECT count(*) FROM noti.receipts_raw WHERE read_at IS NULL"),
                60.0,
                "all is read",
            )
            book.add("receiver.lost", taken - int(scalar(connection, "SELECT count(*) FROM noti.receipts")))
        bench.children.end(flood)
        bench.children.end(web)
    probe.remove()


def _pickup(bench: Bench, probe: Probe, url: str, first: int, count: int) -> float:
    """The p99 of so many rows in milliseconds; all are picked up."""
    stamps = produce(bench, url, first, count, RATE, 1, 1)
    wait_for(lambda: stamps.keys() <= probe.began().keys(), 60.0, "all are picked up")
    delays = [(probe.began()[recipient] - at) * 1000 for recipient, at in stamps.items()]
    p50, p99 = percentile(delays, 0.5), percentile(delays, 0.99)
    bench.say(f"  p50 {p50:7.1f} ms  p99 {p99:7.1f}  max {max(delays):7.1f}")
    return p99


class _Genuine:
    """A provider that posts what it has to tell, and does not come again with what was not taken."""

    def __init__(self, address: str) -> None:
        self.posted = 0
        self._taken = 0
        self._address = address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """How many were taken."""
        self._over.set()
        self._thread.join()
        return self._taken

    def _run(self) -> None:
        while not self._over.wait(GENUINE_EVERY):
            self.posted += 1
            told = {
                "RecordType": "Delivery",
                "MessageID": f"00000000-0000-0000-0000-{self.posted:012}",
                "Recipient": "ada@example.com",
                "DeliveredAt": "2026-03-01T12:00:00Z",
            }
            with suppress(OSError, HTTPException):
                answer = post(self._address, f"/receipts/genuine/{_TOKEN}", json.dumps(told).encode())
                self._taken += answer[0] == 200
