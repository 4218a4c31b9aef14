"""Two services behind one channel, the first of them in trouble: everything goes out by the other, once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from tests.providers.api import ApiServer
from tests.system.daemon import Daemons
from tests.system.test_circuits import reserved_port

ROWS = 60
SETTINGS = """
[channels.sms]
retry = { initial_delay = "100ms", max_delay = "100ms", jitter = 0.0, max_retries = 3 }
[worker]
lease = "10s"
poll_interval = "100ms"
circuit_wait = "10m"
circuit_wait_refused = "10m"
"""

Connection = psycopg.Connection[Any]
Trouble = Callable[[], AbstractContextManager[str]]
"""Makes a service that takes nothing; gives its URL."""


def account(name: str, url: str) -> str:
    body = '{"to": {{ recipient }}, "text": {{ text }}, "id": {{ message_id }}}'
    return (
        f'[accounts.{name}]\nprovider = "http"\nchannels = ["sms"]\nurl = "{url}/messages"\nbody = \'{body}\'\n'
        'id = "id"\ncode = "code"\nwords = "error"\n'
    )


@contextmanager
def refusing() -> Iterator[str]:
    with reserved_port() as port:
        yield f"http://127.0.0.1:{port}"


def answering(status: int, code: str, words: str, **headers: str) -> Trouble:
    @contextmanager
    def service() -> Iterator[str]:
        with ApiServer() as server:
            server.answers(status, {"code": code, "error": words}, **headers)()
            yield server.url

    return service


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        pytest.param(refusing, "transient", "refused", id="refuses connections"),
        pytest.param(answering(429, "slow", "too many"), "throttled", "slow: too many", id="429"),
        pytest.param(answering(500, "broken", "database down"), "transient", "broken: database down", id="500"),
    ],
)
@pytest.mark.parametrize("route", ['["first", "second"]', "{ first = 3, second = 1 }"], ids=["in order", "by weight"])
def test_what_the_first_service_does_not_take_goes_out_by_the_second_once(
    daemons: Daemons,
    connection: Connection,
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
    trouble: Trouble,
    kind: str,
    words: str,
    route: str,
) -> None:
    with trouble() as url, ApiServer() as second:
        second.answers(202, {"id": "m-1"})()
        daemons.configure(f"{account('first', url)}{account('second', second.url)}[routes]\nsms = {route}\n{SETTINGS}")
        daemon = daemons.start_ready()
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body)"
            " SELECT 'sms', '+1555' || 1000 + n, 'Your code' FROM generate_series(1, %s) n",
            [ROWS],
        )
        finished(120)
        sent = connection.execute("SELECT message_id::text FROM noti.notifications_log WHERE status = 'sent'")
        assert Counter(asked.json()["id"] for asked in second.asked) == Counter(message_id for (message_id,) in sent)
        assert len(second.asked) == ROWS
    tries = connection.execute(
        "SELECT notification_id, array_agg(account || ' ' || kind ORDER BY log_id)"
        " FROM noti.notification_attempts_log GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert {tuple(each) for _, each in tries} <= {(f"first {kind}", "second ok"), ("second ok",)}
    both = [number for number, each in tries if len(each) == 2]
    assert both
    for number in both:
        told = "\n".join(detail for (detail,) in connection.execute("SELECT detail FROM noti.why(%s)", [number]))
        assert "first (http)" in told
        assert words in told
        assert "second (http) accepted it" in told
        assert "asked because the account of the last try did not send it" in told
    assert invariants() == []
    assert daemon.stop() == 0
