"""Connections: settings, errors without row content, and making up after the database was away."""

import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError, DatabaseAway, DatabaseBusy, DatabaseRefused
from noti_worker.domain.secret import Secret
from noti_worker.store import connect as connecting
from noti_worker.store import migrate
from noti_worker.store.connect import Database, Session, connect, named_in
from noti_worker.store.people.source import for_people
from noti_worker.store.settings import RELIED_ON, SETTINGS
from noti_worker.store.statements import Statement
from tests.store.rows import Connection

ONE = Statement("one", "SELECT 1 AS one", frozenset())
BACKEND = Statement("backend", "SELECT pg_backend_pid() AS pid", frozenset())
SHOW = Statement("show", "SELECT current_setting(%(name)s) AS value", frozenset({"name"}))
SET = Statement("set", "SELECT set_config(%(name)s, %(value)s, false)", frozenset({"name", "value"}))
NAP = Statement("nap", "SELECT pg_sleep(60)", frozenset())
DELETE = Statement("delete", "DELETE FROM noti.duties", frozenset())
CODE = str(993_000 + 211)  # not as it stands in the source, which a traceback shows
SEND = Statement(
    "send",
    "INSERT INTO noti.notifications_log (channel, recipient, subject, body, max_retries)"
    " VALUES ('email', 'ann@example.com', 'Your code', %(body)s, %(max_retries)s)",
    frozenset({"body", "max_retries"}),
)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    opened = database.session("test")
    yield opened
    opened.close()


@pytest.fixture
def pooled(database: Database) -> Iterator[Session]:
    """A session as it is behind PgBouncer in transaction mode."""
    opened = Database(database.url, pgbouncer=True).session("test")
    yield opened
    opened.close()


@pytest.fixture
def frozen() -> threading.Event:
    """Set: the way to the server stays open and carries nothing."""
    return threading.Event()


@pytest.fixture
def through(connection: Connection, frozen: threading.Event) -> Iterator[Session]:
    """A session by way of a proxy that can freeze."""
    server = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
    listener = socket.create_server(("127.0.0.1", 0))
    opened = [listener]

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not frozen.is_set():
                    target.sendall(data)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(server)
                opened.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    where = f"host=127.0.0.1 port={listener.getsockname()[1]} sslmode=disable gssencmode=disable"
    session = Database(Secret(f"{where} user={connection.info.user} dbname={connection.info.dbname}")).session("test")
    yield session
    session.close()
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def _pid(session: Session) -> int:
    return int(session.run(BACKEND, {})[0]["pid"])


def _shown(session: Session, name: str) -> str:
    return str(session.run(SHOW, {"name": name})[0]["value"])


def test_a_connection_is_limited_in_time_and_free_of_statistics(session: Session) -> None:
    assert {name: _shown(session, name) for name in SETTINGS} == {**SETTINGS, "datestyle": "ISO, MDY"}
    assert _shown(session, "application_name") == "noti-worker test"


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_what_a_session_relies_on_nobody_can_change(
    connection: Connection, database: Database, monkeypatch: pytest.MonkeyPatch, pgbouncer: bool
) -> None:
    odd = {
        "search_path": "public", "datestyle": "German", "intervalstyle": "sql_standard", "timezone": "Asia/Kolkata",
        "bytea_output": "escape", "standard_conforming_strings": "off", "extra_float_digits": "-10",
        "default_transaction_isolation": "serializable",
    }  # fmt: skip
    assert odd.keys() == RELIED_ON.keys()
    for name, value in odd.items():
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'".encode())
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    mark = "&" if "?" in database.url.reveal() else "?"
    named = "" if pgbouncer else f"{mark}options=-c%20search_path%3Dpublic&client_encoding=LATIN1"
    for opened in (
        connect(database.url.reveal() + named, pgbouncer=pgbouncer),
        for_people(database.url.reveal() + named, pgbouncer=pgbouncer),
    ):
        with opened:
            for given in RELIED_ON:
                name = given.removeprefix("default_")
                shown = opened.execute("SELECT current_setting(%s) AS value", [name]).fetchone()
                assert shown is not None
                assert shown["value"].replace(" ", "").startswith(RELIED_ON[given].replace(" ", ""))
            with opened.transaction(), opened.transaction():
                shown = opened.execute("SELECT interval '1 day 2 hours'::text AS value").fetchone()
                assert shown == {"value": "1 day 02:00:00"}
            assert opened.info.encoding == "utf-8"
            assert opened.execute("SELECT '…' AS value").fetchone() == {"value": "…"}


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_several_statements_are_one_trip_and_the_first_error_is_theirs(
    session: Session, pooled: Session, pgbouncer: bool
) -> None:
    used = pooled if pgbouncer else session
    broken = Statement("broken", "SELECT 1 / %(one)s::int - 1 AS one", frozenset({"one"}))
    assert used.together([(ONE, {}), (SHOW, {"name": "jit"})]) == [[{"one": 1}], [{"value": "off"}]]
    pid = _pid(used)
    with pytest.raises(DatabaseRefused, match="22012"):
        used.together([(ONE, {}), (broken, {"one": 0}), (ONE, {})])
    assert used.together([(ONE, {})]) == [[{"one": 1}]]
    assert _pid(used) == pid


def test_an_option_of_the_url_wins_over_ours(database_url: str) -> None:
    mark = "&" if "?" in database_url else "?"
    with connect(f"{database_url}{mark}options=-c%20statement_timeout%3D3s&application_name=mine") as connection:
        shown = connection.execute("SELECT current_setting('statement_timeout') AS it").fetchone()
        assert shown == {"it": "3s"}
        assert connection.info.parameter_status("application_name") == "mine"


def test_the_form_of_sqlalchemy_is_understood(database_url: str) -> None:
    with connect(Secret(database_url.replace("postgresql://", "postgresql+psycopg://", 1))) as connection:
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


@pytest.mark.parametrize(
    "url", ["postgresql://noti:hunter2@host:port:1/x?what=hunter2", "hunter2 hunter2", "http://hunter2"]
)
def test_a_url_that_cannot_be_read_is_a_configuration_error_that_keeps_it_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url") as caught:
        connect(Secret(url))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("enter", [connect, migrate.pending])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@pytest.mark.parametrize(
    "rest",
    [
        "noti:a@hunter2@127.0.0.1:1/x",
        "noti:a@hunter2@127.0.0.1,127.0.0.2/x",
        "noti:17/hunter2@127.0.0.1:1/x",
        "noti:a/hunter2@127.0.0.1:1/x",
        "noti:hunter2/a@127.0.0.1:1/x",
        "noti:/hunter2@127.0.0.1:1/x",
        "noti:hunter2@hunter2@/x?host=127.0.0.1&port=1",
        "noti:a?@hunter2@127.0.0.1:1/x",
        "noti:a?b@c@hunter2@127.0.0.1/x",
        "noti@127.0.0.1:hunter2/x",
    ],
)
def test_a_password_that_divides_the_url_is_told_without_showing_it(
    enter: Callable[..., Any], scheme: str, rest: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url: a @ or / .* write %40 for @") as caught:
        enter(f"{scheme}://{rest}")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://noti:a%40b%2Fc@db/app", {"user": "noti", "password": "a@b/c", "host": "db", "dbname": "app"}),
        ("postgresql://noti@/app?host=@abstract", {"user": "noti", "host": "@abstract", "dbname": "app"}),
        ("postgresql://noti@a:1,b:2/app", {"user": "noti", "host": "a,b", "port": "1,2", "dbname": "app"}),
        ("postgresql:///a%40b?user=x%40y", {"user": "x@y", "dbname": "a@b"}),
        ("host=db user=a@b password='c@d/e'", {"user": "a@b", "password": "c@d/e", "host": "db"}),
    ],
)
def test_what_is_written_right_is_read_as_written(url: str, named: dict[str, str]) -> None:
    assert named_in(url) == named


@pytest.mark.parametrize("enter", [connect, migrate.pending])
@pytest.mark.parametrize("url", ["", " ", "postgresql://"])
def test_a_url_that_names_nothing_leads_to_no_server_that_happens_to_run(enter: Callable[..., Any], url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url names no database: give postgresql://"):
        enter(url)


@pytest.mark.parametrize("word", ["connect_timeout=soon", "tcp_user_timeout=1.5"])
def test_a_time_limit_that_is_no_number_is_a_configuration_error(word: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{word.replace('=', ' is .')}.; give a whole number, like"):
        connect(f"postgresql://noti:hunter2@db/app?{word}")


def test_nobody_listening_is_a_database_that_is_away() -> None:
    with pytest.raises(DatabaseAway, match="refused"):
        connect("postgresql://noti:hunter2@127.0.0.1:1/noti")


def test_a_session_makes_up_after_its_backend_was_terminated(session: Session, connection: Connection) -> None:
    pid = _pid(session)
    connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(DatabaseAway, match=r"57P01|connection is lost"):
        session.run(ONE, {})
    assert session.run(ONE, {}) == [{"one": 1}]
    assert _pid(session) != pid


@pytest.mark.parametrize(
    ("setting", "value", "statement", "expected"),
    [
        ("statement_timeout", "20ms", NAP, "57014"),
        ("lock_timeout", "20ms", DELETE, "55P03"),
    ],
)
def test_running_out_of_time_is_passing_weather_and_keeps_the_connection(
    session: Session, connection: Connection, setting: str, value: str, statement: Statement, expected: str
) -> None:
    pid = _pid(session)
    session.run(SET, {"name": setting, "value": value})
    with connection.transaction():
        connection.execute("LOCK TABLE noti.duties")
        with pytest.raises(DatabaseBusy, match=expected):
            session.run(statement, {})
    assert _pid(session) == pid


@pytest.mark.fault("F58")
def test_a_standby_is_left_for_another_connection(session: Session) -> None:
    pid = _pid(session)
    session.run(SET, {"name": "default_transaction_read_only", "value": "on"})
    with pytest.raises(DatabaseAway, match="25006"):
        session.run(SEND, {"body": "x", "max_retries": 3})
    assert _pid(session) != pid


@pytest.mark.parametrize("name", ["session", "pooled"])
def test_a_refusal_shows_its_code_and_never_the_row(
    request: pytest.FixtureRequest, connection: Connection, name: str
) -> None:
    # The wall behind the doorman: its own message holds the whole row.
    connection.execute("ALTER TABLE noti.notifications_log DISABLE TRIGGER USER")
    session: Session = request.getfixturevalue(name)
    with pytest.raises(DatabaseRefused, match="23514") as caught:
        session.run(SEND, {"body": f"your code is {CODE}", "max_retries": 1_000_000})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert CODE not in shown
    assert "Failing row" not in shown
    assert session.run(ONE, {}) == [{"one": 1}]


@pytest.mark.parametrize("body", ["secret\x00", "secret\ud800"])
def test_a_text_that_the_driver_refuses_is_a_refusal_too(session: Session, body: str) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        session.run(SEND, {"body": body, "max_retries": 3})
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_behind_a_pooler_nothing_outlives_a_transaction(pooled: Session, connection: Connection) -> None:
    for _ in range(10):
        assert _shown(pooled, "enable_seqscan") == "off"
        assert _shown(pooled, "statement_timeout") == "10s"
    opened = pooled._connected()
    assert opened.execute("SELECT count(*) AS n FROM pg_prepared_statements").fetchone() == {"n": 0}
    for name in ("enable_seqscan", "statement_timeout", "jit"):
        here = opened.cursor().execute("SELECT current_setting(%s) AS value", [name]).fetchone()
        plain = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert plain is not None
        assert here == {"value": plain[0]}


def test_threads_take_turns_on_one_session(session: Session) -> None:
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.extend(_pid(session) for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 80
    assert len(set(pids)) == 1


@pytest.mark.fault("F18")
def test_a_server_that_falls_silent_is_given_up(
    connection: Connection, frozen: threading.Event, through: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_WITHIN", 0.3)
    assert through.run(ONE, {}) == [{"one": 1}]
    frozen.set()
    with pytest.raises(DatabaseAway, match="lost"):
        through.run(ONE, {})
    frozen.clear()
    assert through.run(ONE, {}) == [{"one": 1}]


def test_a_call_under_way_ends_when_the_patience_is_shortened(
    connection: Connection, frozen: threading.Event, through: Session
) -> None:
    assert through.run(ONE, {}) == [{"one": 1}]
    frozen.set()
    threading.Timer(0.2, lambda: through._database.patience.shorten(0.3)).start()
    with pytest.raises(DatabaseAway, match="lost"):
        through.run(ONE, {})


def test_a_session_whose_worker_stops_connects_within_its_patience(
    connection: Connection, frozen: threading.Event, through: Session
) -> None:
    frozen.set()  # the line opens, and nobody speaks
    through._database.patience.shorten(0.3)
    began = time.monotonic()
    with pytest.raises(DatabaseAway, match="timeout"):
        through.run(ONE, {})
    assert time.monotonic() - began < 4  # libpq counts in whole seconds, two at least; it was five


def test_closing_a_session_does_not_wait_for_a_connection_that_hangs(
    connection: Connection, frozen: threading.Event, through: Session, wait_for: Callable[..., Any]
) -> None:
    frozen.set()
    said: list[str] = []

    def call() -> None:
        try:
            through.run(ONE, {})
        except DatabaseAway as error:
            said.append(str(error))

    caller = threading.Thread(target=call)
    caller.start()
    wait_for(through._lock.locked)
    through._database.patience.shorten(0.2)
    through.close()
    assert said == []
    frozen.clear()
    caller.join(20)


def test_a_long_answer_is_waited_for(through: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "ANSWER_WITHIN", 5.0)
    assert len(through.run(Statement("nap", "SELECT pg_sleep(0.5)", frozenset()), {})) == 1


def test_a_closed_session_has_left_the_server(
    session: Session, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    pid = _pid(session)
    session.close()
    gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
    wait_for(lambda: connection.execute(gone, [pid]).fetchone() is None)
