"""Real sends by one worker, everything included, against the textbook loop in the same rounds."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg

from tests.bench import ours
from tests.bench.content import DATA, HTML, KEY, PAYLOAD, SUBJECT, TEXT
from tests.bench.figures import Book
from tests.bench.processes import ROOT
from tests.bench.rows import fill
from tests.bench.server import Bench
from tests.bench.sinks import nginx, slow_http, smtp_sink

_RELAY = """
[accounts.relay]
provider = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
from = "Shop <no-reply@example.com>"
"""
_HOOKS = """
[accounts.hooks]
provider = "webhook"
secret = "env:NOTI_BENCH_SECRET"
allow_http = true
allow_networks = ["127.0.0.0/8"]
"""
_GATEWAY = """
[accounts.gateway]
provider = "http"
channels = ["sms"]
url = "http://127.0.0.1:{port}/messages"
headers = {{ Authorization = "env:NOTI_BENCH_SECRET" }}
body = '{{"to": {{{{ recipient }}}}, "text": {{{{ text }}}}, "id": {{{{ message_id }}}}}}'
id = "id"

[channels.sms]
concurrency = 200
"""
_ANSWER_AFTER = 0.2  # seconds
_SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
Fill = Callable[[psycopg.Connection[Any], int], None]


def mail(bench: Bench, book: Book) -> None:
    """E-mail, text and HTML, its template rendered, to smtp-sink."""

    def rows(connection: psycopg.Connection[Any], count: int) -> None:
        connection.execute(
            "INSERT INTO noti.templates (template_id, subject, body, html) VALUES ('order', %s, %s, %s)",
            [SUBJECT, TEXT, HTML],
        )
        data = json.dumps(DATA).replace("'", "''")
        numbered = f"""'{data}'::jsonb || jsonb_build_object('number', i)"""
        fill(connection, count, subject="NULL", body="NULL", template_id="'order'", template_data=numbered)

    with smtp_sink(bench) as port:
        _compare(bench, book, "mail", port, "email", _RELAY.format(port=port), rows, 12_000, 3_000)


def webhook(bench: Bench, book: Book) -> None:
    """Signed webhooks to nginx."""
    with nginx(bench) as port:

        def rows(connection: psycopg.Connection[Any], count: int) -> None:
            body = f"""('{json.dumps(PAYLOAD)}'::jsonb || jsonb_build_object('number', i))::text"""
            url = f"'http://127.0.0.1:{port}/hook'"
            fill(connection, count, channel="'webhook'", recipient=url, subject="NULL", body=body)

        _compare(bench, book, "webhook", port, "webhook", _HOOKS, rows, 12_000, 6_000)


def slow(bench: Bench, book: Book) -> None:
    """SMS by an account of `http` whose server answers after 200 ms, 200 at a time: nobody sends more than 1,000/s."""
    count = bench.number(20_000, 1_000)
    for number in range(1, bench.rounds + 1):
        bench.say(f"slow, round {number} of {bench.rounds}")
        with slow_http(bench, _ANSWER_AFTER) as port, bench.database() as url:
            drained = ours.drain(
                bench,
                url,
                count,
                _GATEWAY.format(port=port),
                filled=lambda connection: fill(
                    connection, count, channel="'sms'", recipient="'+4915' || 10000000 + i", subject="NULL"
                ),
                channel="sms",
                environ={"NOTI_BENCH_SECRET": _SECRET},
            )
        bench.say(f"  {drained.rate:7,.0f}/s, {drained.worker_us:,.0f} µs each, {drained.rss_mb:,.0f} MB")
        book.add_all("slow", {"rate": drained.rate, "worker_us": drained.worker_us, "rss_mb": drained.rss_mb})


def _compare(
    bench: Bench,
    book: Book,
    what: str,
    port: int,
    channel: str,
    accounts: str,
    rows: Fill,
    ours_rows: int,
    loop_rows: int,
) -> None:
    for number in range(1, bench.rounds + 1):
        bench.say(f"{what}, round {number} of {bench.rounds}")
        count = bench.number(loop_rows, 200)
        loop = count / _textbook(what, port, count)
        count = bench.number(ours_rows, 500)
        with bench.database() as url:
            drained = ours.drain(
                bench,
                url,
                count,
                accounts,
                filled=lambda connection: rows(connection, count),  # noqa: B023
                channel=channel,
                environ={"NOTI_BENCH_SECRET": _SECRET},
            )
        bench.say(f"  textbook {loop:7,.0f}/s   worker {drained.rate:7,.0f}/s, {drained.worker_us:,.0f} µs each")
        book.add_all(
            what,
            {
                "textbook": loop,
                "rate": drained.rate,
                "of_textbook": drained.rate / loop,
                "worker_us": drained.worker_us,
                "peak_mb": drained.peak_mb,
            },
        )


def _textbook(what: str, port: int, count: int) -> float:
    command = [sys.executable, "-m", "tests.bench.textbook", what, str(port), str(count)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
