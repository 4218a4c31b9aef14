"""`enqueue`, `enqueue_many` and `insert`: the caller's connection, the caller's transaction."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row, namedtuple_row
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import noti_worker
from noti_worker import enqueue, enqueue_many, insert
from noti_worker.store import client

SOON = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EVERYTHING: client.Fields = {
    "channel": "email",
    "recipient": "jürgen@example.com",
    "subject": "Grüße",
    "body": "100 % \u2028 'quoted' \\ :colon",
    "template_id": "hello",
    "template_data": {"name": "Zoë", "deep": {"list": [1, 2.5, None, True]}},
    "locale": "de",
    "tenant_id": "acme",
    "entity_type": "order",
    "entity_id": "17",
    "priority": "high",
    "send_at": SOON,
    "expires_at": SOON + timedelta(hours=1),
    "idempotency_key": "order-17",
    "max_retries": 7,
    "category": "billing",
    "provider": "relay",
    "collapse_key": "orders",
    "on_uncertain": "hold",
    "options": {"cc": ["boss@example.com"]},
    "metadata": {"source": "test"},
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
Connection = psycopg.Connection[Any]


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
    yield engine
    engine.dispose()


def stored(connection: Connection, notification_id: int) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT * FROM noti.notifications_log WHERE notification_id = %s", (notification_id,)
        ).fetchone()
    assert row is not None
    return row


def count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone()
    assert row is not None
    return int(row[0])


def test_every_field_arrives_as_it_was_given(connection: Connection) -> None:
    row = stored(connection, enqueue(connection, **EVERYTHING))
    assert {name: row[name] for name in EVERYTHING} == EVERYTHING


def test_the_fields_are_those_of_the_send_function(connection: Connection) -> None:
    sends = "FROM pg_proc WHERE pronamespace = 'noti'::regnamespace AND proname = 'send' ORDER BY prorettype DESC"
    each, one = [set(names) for (names,) in connection.execute(f"SELECT proargnames {sends}").fetchall()]
    assert one == set(client.Fields.__annotations__)
    assert each == one - {"digest_key"} | {"channels", "policy", "notification_id"}


def test_what_json_has_no_type_for_becomes_text(connection: Connection) -> None:
    """What a row of the application's own tables holds may be handed on as it is."""
    order = UUID("0190c7e2-5a6f-7c11-8f3d-2b1e5c9f0a11")
    data = {"id": order, "total": Decimal("12345678901234567.890"), "tiny": Decimal("1E-7"), "day": date(2026, 3, 1),
            "deep": [{"at": SOON}]}  # fmt: skip
    text = {"id": str(order), "total": "12345678901234567.890", "tiny": "0.0000001", "day": "2026-03-01",
            "deep": [{"at": SOON.isoformat()}]}  # fmt: skip
    fields: Any = {"channel": "email", "recipient": "a@example.com", "template_id": "hello"}
    given: Any = {**fields, "template_data": data, "metadata": data}
    first, second = enqueue(connection, **given), enqueue_many(connection, [given])[0]
    statement, values = insert(**given)
    third = connection.execute(statement.encode(), values).fetchone()
    assert third is not None
    for number in (first, second, third[0]):
        row = stored(connection, number)
        assert (row["template_data"], row["metadata"]) == (text, text)


def test_what_is_left_out_has_the_defaults_of_the_table(connection: Connection) -> None:
    given = stored(connection, enqueue(connection, channel="sms", recipient="+4912345", body="Hello"))
    plain = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body) "
        "VALUES ('sms', '+4912345', 'Hello') RETURNING notification_id"
    ).fetchone()
    assert plain is not None
    differs = {"notification_id", "message_id", "created_at", "updated_at", "due_at"}
    expected = {name: value for name, value in stored(connection, plain[0]).items() if name not in differs}
    assert {name: value for name, value in given.items() if name not in differs} == expected


def test_a_rollback_sends_nothing(database_url: str, connection: Connection) -> None:
    with psycopg.connect(database_url) as application:
        enqueue(application, channel="email", recipient="a@example.com", body="Hello")
        assert count(connection) == 0, "nothing may commit before the caller does"
        application.rollback()
        assert count(connection) == 0
        enqueue(application, channel="email", recipient="a@example.com", body="Hello")
        application.commit()
    assert count(connection) == 1


@pytest.mark.parametrize("factory", [dict_row, namedtuple_row])
def test_any_row_factory_and_a_cursor_will_do(database_url: str, connection: Connection, factory: Any) -> None:
    with psycopg.connect(database_url, row_factory=factory) as application, application.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        first = enqueue(cursor, channel="email", recipient="a@example.com", body="Hello")
        second = enqueue(application, channel="email", recipient="a@example.com", body="Hello")
        assert cursor.fetchone() is not None, "the caller's own result is untouched"
    assert (first, second) == (1, 2)
    assert count(connection) == 2


@pytest.mark.parametrize("factory", [psycopg.RawCursor, psycopg.ClientCursor])
def test_any_cursor_class_will_do(connection: Connection, factory: type[psycopg.Cursor[Any]]) -> None:
    connection.cursor_factory = factory
    assert enqueue(connection, channel="email", recipient="a@example.com", body="100 %s $1") == 1


def test_a_sqlalchemy_connection_keeps_its_transaction(engine: sqlalchemy.Engine, connection: Connection) -> None:
    with engine.connect() as application:
        enqueue(application, **EVERYTHING)
        application.rollback()
        assert count(connection) == 0
        kept = enqueue(application, **EVERYTHING)
        application.commit()
    assert stored(connection, kept)["template_data"] == EVERYTHING["template_data"]


def test_a_sqlalchemy_session_keeps_its_transaction(engine: sqlalchemy.Engine, connection: Connection) -> None:
    with Session(engine) as session:
        enqueue(session, channel="email", recipient="a@example.com", body="Hello")
        session.rollback()
        kept = enqueue_many(session, [EVERYTHING, EVERYTHING])
        assert kept[0] == kept[1]
        session.commit()
    assert count(connection) == 1


def test_a_scoped_session_is_a_session(engine: sqlalchemy.Engine, connection: Connection) -> None:
    session = scoped_session(sessionmaker(engine))
    enqueue(session, channel="email", recipient="a@example.com", body="Hello")
    session.commit()
    session.remove()
    assert count(connection) == 1


def test_five_thousand_rows_come_back_in_their_order(connection: Connection) -> None:
    rows: list[client.Fields] = [
        {"channel": "email", "recipient": f"{number}@example.com", "body": "x" * 200} for number in range(5000)
    ]
    ids = enqueue_many(connection, rows)
    found = connection.execute("SELECT notification_id, recipient FROM noti.notifications_log").fetchall()
    by_id = dict(found)
    assert [by_id[id_] for id_ in ids] == [row["recipient"] for row in rows]
    audited = connection.execute(
        "SELECT count(*) FROM noti.audit_log WHERE action = 'notification_triggered'"
    ).fetchone()
    assert audited == (5000,)


def test_each_row_gets_its_own_id_whatever_its_key_and_tenant(connection: Connection) -> None:
    """With and without a key, used before, used twice in the batch, in several tenants, in no order."""
    keys = [None, "a", None, "b", "a", None, "used", "c", "b", None]
    tenants = ["acme", None, "zebra", "default"]
    first = {
        tenant: enqueue(
            connection, channel="sms", recipient="to used", body="x", idempotency_key="used", tenant_id=tenant
        )
        for tenant in ("acme", "default", "zebra")
    }
    rows = [
        client.Fields(
            channel="sms",
            recipient=f"to {key or number}",
            body="x",
            tenant_id=tenants[number % 7 % 4],
            idempotency_key=key,
        )
        for number, key in enumerate(keys * 30)
    ]
    for row, number in zip(rows, enqueue_many(connection, rows), strict=True):
        found = stored(connection, number)
        tenant = row["tenant_id"] or "default"
        assert (found["recipient"], found["idempotency_key"], found["tenant_id"]) == (
            row["recipient"],
            row["idempotency_key"],
            tenant,
        )
        if row["idempotency_key"] == "used":
            assert number == first[tenant]
    assert count(connection) == 3 + 3 * 3 + keys.count(None) * 30


def test_a_trigger_that_drops_a_row_without_a_key_is_told(connection: Connection) -> None:
    """Of several that look alike nobody could say which one is missing."""
    connection.execute(
        "CREATE FUNCTION public.drop_one() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN RETURN CASE WHEN NEW.recipient = '+492' THEN NULL ELSE NEW END; END$$;"
        "CREATE TRIGGER drop_one BEFORE INSERT ON noti.notifications_log FOR EACH ROW"
        " EXECUTE FUNCTION public.drop_one()"
    )
    rows = [client.Fields(channel="sms", recipient=f"+49{number}", body="x") for number in range(4)]
    with pytest.raises(psycopg.DataError, match="a trigger dropped one of 4 rows or more"):
        enqueue_many(connection, rows)
    assert count(connection) == 0


def test_no_rows_need_no_database() -> None:
    assert enqueue_many(object(), []) == []


def test_the_same_key_and_content_is_the_same_notification(connection: Connection) -> None:
    assert enqueue(connection, **EVERYTHING) == enqueue(connection, **EVERYTHING)
    other_tenant: client.Fields = {**EVERYTHING, "tenant_id": "globex"}
    without: client.Fields = {**EVERYTHING, "idempotency_key": None}
    ids = enqueue_many(connection, [without, EVERYTHING, other_tenant, EVERYTHING])
    assert ids[1] == ids[3] == 1
    assert len(set(ids)) == 3
    assert count(connection) == 3


def test_a_key_used_for_other_content_is_refused_and_nothing_is_inserted(connection: Connection) -> None:
    other: client.Fields = {**EVERYTHING, "body": "another text"}
    enqueue(connection, **EVERYTHING)
    with pytest.raises(psycopg.errors.UniqueViolation, match="another") as caught:
        enqueue_many(connection, [{"channel": "email", "recipient": "a@example.com", "body": "first"}, other])
    assert "another text" not in str(caught.value)
    assert count(connection) == 1


def test_errors_through_sqlalchemy_show_no_content(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as application:
        enqueue(application, **EVERYTHING)
        other: client.Fields = {**EVERYTHING, "recipient": "secret@example.com"}
        with pytest.raises(sqlalchemy.exc.IntegrityError) as caught:
            enqueue(application, **other)
    assert "secret@example.com" not in str(caught.value)


def test_two_batches_with_crossed_keys_do_not_deadlock(database_url: str) -> None:
    one: client.Fields = {"channel": "email", "recipient": "a@example.com", "body": "x", "idempotency_key": "1"}
    two: client.Fields = {**one, "idempotency_key": "2"}
    with psycopg.connect(database_url) as first:
        ids = enqueue_many(first, [two, one])
        rows = first.execute("SELECT idempotency_key FROM noti.notifications_log ORDER BY notification_id").fetchall()
        assert rows == [("1",), ("2",)], "the keys are taken in their own order, whatever the caller's"
        assert ids == [2, 1]


# ---------------------------------------------------------------- insert: statement and parameters


def test_format_style_runs_through_a_cursor_of_the_application(connection: Connection) -> None:
    statement, parameters = insert(**EVERYTHING)
    with connection.cursor() as cursor:
        cursor.execute(statement.encode(), parameters)
        row = cursor.fetchone()
    assert row is not None
    found = stored(connection, row[0])
    assert {name: found[name] for name in EVERYTHING} == EVERYTHING


def test_numbered_style_runs_as_a_prepared_statement_of_the_server(connection: Connection) -> None:
    statement, parameters = insert(paramstyle="numeric_dollar", **EVERYTHING)
    connection.execute(f"PREPARE noti_insert AS {statement}".encode())
    marks = ", ".join(["%s"] * len(parameters))
    row = psycopg.ClientCursor(connection).execute(f"EXECUTE noti_insert ({marks})".encode(), parameters).fetchone()
    assert row is not None
    found = stored(connection, row[0])
    assert {name: found[name] for name in EVERYTHING} == EVERYTHING


def test_numbered_style_declares_the_types_that_asyncpg_encodes_by(connection: Connection) -> None:
    statement, parameters = insert(paramstyle="numeric_dollar", **EVERYTHING)
    connection.execute(f"PREPARE noti_insert AS {statement}".encode())
    row = connection.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'noti_insert'"
    ).fetchone()
    python = {"text": str, "integer": int, "timestamp with time zone": datetime}
    assert row is not None
    assert [python[kind] for kind in row[0]] == [type(value) for value in parameters]


def test_named_style_runs_through_sqlalchemy_text(engine: sqlalchemy.Engine, connection: Connection) -> None:
    statement, parameters = insert(paramstyle="named", **EVERYTHING)
    with engine.begin() as application:
        kept = application.execute(sqlalchemy.text(statement), parameters).scalar_one()
    assert stored(connection, kept)["options"] == EVERYTHING["options"]


def test_insert_knows_only_its_three_styles() -> None:
    with pytest.raises(ValueError, match="pyformat"):
        insert(paramstyle="pyformat", channel="email", recipient="a@example.com", body="x")  # type: ignore[call-overload]


# ---------------------------------------------------------------- bad input never reaches the database


class Colour(str, Enum):  # noqa: UP042 - the older kind, which prints itself as Colour.EMAIL
    EMAIL = "email"


def test_a_string_enum_counts_by_its_value() -> None:
    assert insert(channel=Colour.EMAIL, recipient="a@example.com", body="x")[1] == ["email", "a@example.com", "x"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"recipent": "a@example.com"}, TypeError, "did you mean 'recipient'"),
        ({"status": "sent"}, TypeError, "no field 'status'"),
        ({"recipient": None}, TypeError, "recipient is missing"),
        ({"recipient": ""}, ValueError, "recipient is empty"),
        ({"channel": "emial"}, ValueError, "did you mean 'email'"),
        ({"priority": "asap"}, ValueError, "low"),
        ({"on_uncertain": "ignore"}, ValueError, "retry"),
        ({"body": None}, ValueError, "body or a template_id"),
        ({"entity_id": "17"}, ValueError, "entity_type and entity_id"),
        ({"entity_type": "order", "entity_id": 17}, TypeError, "entity_id must be text, not int"),
        ({"body": b"bytes"}, TypeError, "body must be text, not bytes"),
        ({"send_at": datetime(2030, 1, 1)}, ValueError, "send_at has no time zone"),  # noqa: DTZ001
        ({"expires_at": "tomorrow"}, TypeError, "expires_at must be a datetime"),
        ({"max_retries": True}, TypeError, "whole number"),
        ({"max_retries": 1001}, ValueError, "between 0 and 1000"),
        ({"template_data": [1]}, TypeError, "template_data must be a mapping"),
        ({"template_data": {"blob": b"x"}}, TypeError, "template_data is not JSON"),
        ({"template_data": {"total": Decimal("NaN")}}, ValueError, "template_data is not JSON"),
        ({"metadata": {"a": [{"b": {1, 2}}]}}, TypeError, "metadata is not JSON"),
        ({"options": {"ratio": float("nan")}}, ValueError, "options is not JSON"),
        ({"metadata": {"key\0": 1}}, ValueError, "metadata contains a NUL"),
        ({"metadata": {"a": [{"b": "\ud800"}]}}, ValueError, "lone surrogate"),
        ({"body": "a\0b"}, ValueError, "body contains a NUL"),
        ({"subject": "\udcff"}, ValueError, "lone surrogate"),
    ],
)
def test_bad_input_is_refused_before_the_database_is_touched(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    fields: Any = {"channel": "email", "recipient": "a@example.com", "body": "x", **change}
    with pytest.raises(error, match=words):
        enqueue(object(), **fields)
    with pytest.raises(error, match=f"row 1: .*{words}"):
        enqueue_many(object(), [{"channel": "sms", "recipient": "+49", "body": "x"}, fields])
    with pytest.raises(error, match=words):
        insert(**fields)


def test_too_deep_data_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="nested too deeply"):
        insert(channel="email", recipient="a@example.com", body="x", metadata=deep)


def test_a_strange_connection_is_refused_with_the_way_out(database_url: str) -> None:
    with pytest.raises(TypeError, match=r"noti_worker\.insert"):
        enqueue(object(), channel="email", recipient="a@example.com", body="x")


def test_importing_enqueue_loads_neither_sqlalchemy_nor_psycopg() -> None:
    code = (
        "import sys; from noti_worker import enqueue, insert; "
        "print(sorted({'sqlalchemy', 'psycopg', 'click', 'alembic', 'tomllib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="enqueu"):
        _ = noti_worker.enqueu  # type: ignore[attr-defined]
