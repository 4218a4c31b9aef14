"""Events to the application from end to end: a worker, a receiver that verifies, and what it hears in which order."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook

from noti_worker.cli.main import main
from noti_worker.domain.secret import Secret
from noti_worker.providers._keys import endpoint_key, origin, read_key, written
from noti_worker.store.statements import statement
from tests.system.conftest import SANDBOX, SECRET
from tests.system.daemon import Daemons

Connection = psycopg.Connection[Any]
WAIT = 60.0


class Receiver(ThreadingHTTPServer):
    """The application's end: it verifies what comes and answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.status = 204
        self.tenant = "acme"
        self.came: list[tuple[str, int, dict[str, Any]]] = []  # webhook-id, the answer, what it said
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/events"

    @property
    def secret(self) -> str:
        return written(endpoint_key(read_key("secret", Secret(SECRET)), self.tenant, origin(self.url)))

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The webhooks that were taken, in order."""
        return [said for _, status, said in self.came if status < 300]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What they told, in order."""
        return [event for said in self.taken for event in said["events"]]

    def told(self, kind: str) -> list[int]:
        return [e["data"]["notification_id"] for e in self.events if e["type"] == f"notification.{kind}"]


class _Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        server = self.server
        with server.lock:
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            said = Webhook(server.secret).verify(body, {key.lower(): value for key, value in self.headers.items()})
            status = server.status
        except Exception:
            said, status = {}, 401
        with server.lock:
            server.came.append((self.headers["webhook-id"], status, said))
            server.at_once -= 1
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def configured(daemons: Daemons, hooks: str) -> Daemons:
    quick = '[channels.webhook]\nretry = { initial_delay = "100ms", max_delay = "200ms" }\n'
    worker = '[worker]\npoll_interval = "100ms"\n'
    daemons.configure(f'{SANDBOX}{hooks}sign_with = "endpoint"\n{quick}{worker}[routes]\nemail = ["box"]\n')
    return daemons


def endpoint(connection: Connection, url: str, **columns: Any) -> int:
    given = {"tenant_id": "acme", "name": "crm", "url": url} | columns
    row = connection.execute(
        f"INSERT INTO noti.endpoints ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})"
        " RETURNING endpoint_id".encode(),
        [*given.values()],
    ).fetchone()
    assert row is not None
    return int(row[0])


def send(connection: Connection, count: int, tenant: str = "acme", address: str = "x@example.com") -> list[int]:
    rows = connection.execute(
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, subject, body, entity_type, entity_id)"
        " SELECT %s, 'email', %s, 'Hello', 'x', 'order', n::text FROM generate_series(1, %s) AS n"
        " RETURNING notification_id",
        (tenant, address, count),
    ).fetchall()
    return [row[0] for row in rows]


def test_an_endpoint_hears_in_signed_envelopes_and_in_order_what_became_of_each_message(
    configured: Daemons,
    connection: Connection,
    receiver: Receiver,
    wait_for: Callable[..., Any],
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    endpoint(connection, receiver.url)
    configured.start_ready()
    ids = send(connection, 350)
    others = send(connection, 20, "other")
    bad = send(connection, 1, address="no address")
    cancelled = connection.execute(
        "INSERT INTO noti.notifications_log (tenant_id, channel, recipient, body, send_at)"
        " VALUES ('acme', 'email', 'x@example.com', 'x', now() + interval '1 day') RETURNING notification_id"
    ).fetchone()
    assert cancelled is not None
    connection.execute("SELECT noti.cancel(%s)", cancelled)

    wait_for(lambda: len(receiver.events) >= 352, WAIT, "all are told")
    finished(WAIT)
    assert {status for _, status, _ in receiver.came} == {204}, "each is signed by the key of the endpoint"
    assert receiver.most_at_once == 1, "the next one waits for the one before"
    assert sorted(receiver.told("sent")) == ids
    assert receiver.told("failed") == bad
    assert receiver.told("cancelled") == [cancelled[0]]
    assert not {e["data"]["notification_id"] for e in receiver.events} & set(others)
    assert max(len(said["events"]) for said in receiver.taken) <= 100
    assert len(receiver.taken) < 60, "they are told together"
    places = dict(connection.execute("SELECT event_id::text, place FROM noti.events").fetchall())
    order = [places[event["id"]] for event in receiver.events]
    assert order == sorted(order)
    first = next(e for e in receiver.events if e["type"] == "notification.sent")
    assert first["data"].keys() >= {"channel", "entity_type", "entity_id", "message_id", "source", "kind"}
    assert "example.com" not in json.dumps(receiver.taken)
    made = dict(connection.execute("SELECT category, count(*) FROM noti.notifications_log GROUP BY 1").fetchall())
    assert made["noti.event"] == len(receiver.came), "no events about events"
    assert invariants() == []
    story = connection.execute("SELECT event, detail FROM noti.why(%s)", (ids[0],)).fetchall()
    assert next(detail for event, detail in story if event == "told").startswith("endpoint crm that it is sent")


def test_what_a_receiver_that_fails_misses_comes_when_it_is_back_and_what_it_lost_when_asked_for(
    configured: Daemons, connection: Connection, receiver: Receiver, wait_for: Callable[..., Any]
) -> None:
    endpoint(connection, receiver.url, events=["sent"])
    configured.start_ready()
    receiver.status = 500
    ids = send(connection, 120)
    failing = "SELECT failing_since IS NOT NULL FROM noti.endpoints"
    wait_for(lambda: connection.execute(failing).fetchone() == (True,), WAIT, "it is known to fail")
    wait_for(lambda: len(receiver.came) >= 3, WAIT, "it is tried again")
    assert len({webhook_id for webhook_id, _, _ in receiver.came}) == 1, "nothing else is sent before"
    receiver.status = 413  # refused for good: the same events come in another one
    wait_for(lambda: any(status == 413 for _, status, _ in receiver.came), WAIT, "it is refused")
    receiver.status = 204
    wait_for(lambda: len(receiver.told("sent")) >= 120, WAIT, "all came")
    assert sorted(receiver.told("sent")) == ids
    wait_for(lambda: connection.execute(failing).fetchone() == (False,), WAIT, "it is known to be well")

    receiver.came.clear()
    again = connection.execute("SELECT noti.recover_endpoint('acme', 'crm', now() - interval '1 hour')").fetchone()
    assert again == (120,)
    wait_for(lambda: len(receiver.told("sent")) >= 120, WAIT, "all come again")
    assert sorted(receiver.told("sent")) == ids
    later = send(connection, 1)
    wait_for(lambda: receiver.told("sent")[120:], WAIT, "and what happens now")
    assert receiver.told("sent")[120:] == later


def test_a_test_event_shows_what_the_receiver_answered(
    configured: Daemons, connection: Connection, receiver: Receiver, database_url: str
) -> None:
    endpoint(connection, receiver.url)
    configured.start_ready()
    command = ["--database-url", database_url, "endpoint", "test", "crm", "--tenant", "acme", "--timeout", "60s"]
    taken = CliRunner().invoke(main, command)
    assert (taken.exit_code, "204" in taken.output) == (0, True), taken.output
    assert [said["type"] for said in receiver.taken] == ["noti.test"]
    receiver.status = 404
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, "404" in refused.output) == (1, True), refused.output


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_its_owner_told(
    configured: Daemons, connection: Connection, receiver: Receiver, wait_for: Callable[..., Any]
) -> None:
    number = endpoint(connection, receiver.url, owner_channel="email", owner="ops@example.com")
    with Receiver() as well:
        thread = threading.Thread(target=well.serve_forever, daemon=True)
        thread.start()
        endpoint(connection, well.url, name="well")
        daemon = configured.start_ready()
        receiver.status = 503
        first = send(connection, 5)
        wait_for(lambda: len(well.told("sent")) == 5, WAIT, "the other one hears")
        wait_for(
            lambda: connection.execute(
                "SELECT failing_since FROM noti.endpoints WHERE endpoint_id = %s AND failing_since IS NOT NULL",
                (number,),
            ).fetchone(),
            WAIT,
            "it fails",
        )
        connection.execute(
            "UPDATE noti.endpoints SET failing_since = now() - interval '5 days 1 minute' WHERE endpoint_id = %s",
            (number,),
        )
        wait_for(lambda: daemon.said("endpoint_disabled"), WAIT, "it is disabled")
        [line] = daemon.said("endpoint_disabled")
        assert (line["tenant"], line["endpoint"]) == ("acme", "crm")
        told = (
            "SELECT status FROM noti.notifications_log"
            " WHERE category = 'noti.endpoint' AND recipient = 'ops@example.com'"
        )
        wait_for(lambda: connection.execute(told).fetchall() == [("sent",)], WAIT, "its owner is told, once")
        audit = "SELECT action FROM noti.audit_log WHERE entity_type = 'endpoint' AND entity_id = %s ORDER BY audit_id"
        assert connection.execute(audit, (str(number),)).fetchall() == [("endpoint_added",), ("endpoint_failed",)]
        second = send(connection, 3)
        wait_for(lambda: len(well.told("sent")) == 8, WAIT, "the other one goes on")
        well.shutdown()
        thread.join()
    assert Counter(e["type"] for e in well.events) == {"notification.sent": 8}, "nobody is told about endpoints"
    receiver.status = 204
    receiver.came.clear()
    connection.execute("UPDATE noti.endpoints SET state = 'enabled' WHERE endpoint_id = %s", (number,))
    wait_for(lambda: len(receiver.told("sent")) >= 8, WAIT, "it goes on with what it missed")
    assert sorted(receiver.told("sent")) == first + second


def test_without_endpoints_nothing_is_asked_or_written(
    configured: Daemons, connection: Connection, wait_for: Callable[..., Any], finished: Callable[..., None]
) -> None:
    configured.start_ready()
    send(connection, 500)
    finished(WAIT)
    connection.execute("SELECT pg_stat_force_next_flush()")
    tables = (
        "SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)), sum(n_tup_ins)::int FROM pg_stat_user_tables"
        " WHERE schemaname = 'noti' AND relname IN ('events', 'envelopes')"
    )
    looks = connection.execute(tables).fetchone()
    assert looks is not None
    assert looks[1] == 0
    assert looks[0] <= 6, "chores alone look, however much is sent"
    assert not [name for name in ("record", "record_sent") if "noti.e" in statement(name).sql]
