"""What an application calls: notifications enqueued in its own transaction, on its own connection.

Nothing here needs SQLAlchemy, psycopg or settings to be imported: whoever passes a connection has loaded its
library already. Nothing commits, rolls back or opens anything.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, Required, TypedDict, Unpack, overload
from uuid import UUID

from noti_worker.domain.notification import Channel, OnUncertain, Priority

LARGEST = 200_000_000
"""Characters that one call may hand over; PostgreSQL refuses a value of 1 GB, and memory suffers long before."""


class Fields(TypedDict, total=False):
    """The columns of `noti.notifications_log` that an application sets; what is left out has the table's default.

    Either `body` or `template_id` is needed, and `entity_type` and `entity_id` come together. Instants are aware. What
    JSON has no type for (UUID, Decimal, date, datetime) becomes text in template_data, options and metadata.
    """

    channel: Required[str]
    recipient: Required[str]
    subject: str | None
    body: str | None
    template_id: str | None
    template_data: Mapping[str, Any] | None
    locale: str | None
    tenant_id: str | None
    entity_type: str | None
    entity_id: str | None
    priority: str | None
    send_at: datetime | None
    expires_at: datetime | None
    idempotency_key: str | None
    max_retries: int | None
    category: str | None
    provider: str | None
    collapse_key: str | None
    on_uncertain: str | None
    options: Mapping[str, Any] | None
    metadata: Mapping[str, Any] | None
    traceparent: str | None
    template_version: int | None
    digest_key: str | None


_TYPES = {
    **dict.fromkeys(Fields.__annotations__, "text"),
    **dict.fromkeys(("template_data", "options", "metadata"), "jsonb"),
    **dict.fromkeys(("send_at", "expires_at"), "timestamptz"),
    **dict.fromkeys(("max_retries", "template_version"), "integer"),
}
_SAY_SOMETHING = frozenset({"channel", "recipient", "subject", "body", "tenant_id"})
"""Where an empty text is a value, or wrong. Elsewhere it counts as not said, as it does in a plain INSERT."""
_OWN = "coalesce(nullif(current_setting('noti.tenant', true), ''), 'default')"
"""The tenant of who says none, as the column's default is: the one that the database role has set."""
_DEFAULTS = {"tenant_id": _OWN, "priority": "'normal'"}
_WITHIN = {"max_retries": (0, 1000), "template_version": (1, 2**31 - 1)}
_KNOWN: dict[str, tuple[str, ...]] = {
    "channel": tuple(known.value for known in Channel),
    "priority": tuple(known.value for known in Priority),
    "on_uncertain": tuple(known.value for known in OnUncertain),
}


def _statement() -> str:
    """One statement for one row and for thousands.

    The rows travel as one JSON text, which every driver can pass. A row whose key is taken does not come back from
    the INSERT; `noti.send` then compares it with the first one, gives that one's id or refuses. Everybody inserts in
    the order of the keys: two applications with the same keys wait for each other instead of deadlocking.

    RETURNING promises no order, but ids are given in the order of the INSERT's ORDER BY. So of each tenant and key the
    first row is the one that comes back, and the rows without a key are told apart by their number. Should a trigger
    of the application drop one of those, nobody can tell which: that is an error.
    """
    declared = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
    values = ", ".join(f"coalesce(r.{n}, {_DEFAULTS[n]})" if n in _DEFAULTS else f"r.{n}" for n in _TYPES)
    return f"""\
WITH g AS (
  SELECT *, CASE WHEN g.idempotency_key IS NULL THEN '{{}}'
                 ELSE ARRAY[coalesce(g.tenant_id, {_OWN}), g.idempotency_key] END AS mark
  FROM json_to_recordset(CAST(:rows AS json)) AS g(row_number integer, {declared})),
r AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY g.mark ORDER BY g.tenant_id, g.row_number) AS place FROM g),
i AS (
  INSERT INTO noti.notifications_log ({", ".join(_TYPES)})
  SELECT {values} FROM r ORDER BY r.tenant_id, r.idempotency_key, r.row_number
  ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
  RETURNING notification_id,
            CASE WHEN idempotency_key IS NULL THEN '{{}}' ELSE ARRAY[tenant_id, idempotency_key] END AS mark),
made AS (
  SELECT *, row_number() OVER (PARTITION BY i.mark ORDER BY i.notification_id) AS place FROM i)
SELECT CASE WHEN m.notification_id IS NOT NULL THEN m.notification_id
            WHEN r.idempotency_key IS NOT NULL THEN noti.send({", ".join(f"{n} => r.{n}" for n in _TYPES)})
            ELSE CAST('a trigger dropped one of ' || CAST(r.place AS text) || ' rows or more' AS bigint) END
FROM r LEFT JOIN made m ON m.mark = r.mark AND m.place = r.place ORDER BY r.row_number"""


_OF_ONE_CHANNEL = ("channel", "digest_key")


def _statement_for_each() -> str:
    """The channels of one message: all but the channel goes to `noti.send` as it stands."""
    names = [name for name in _TYPES if name not in _OF_ONE_CHANNEL]
    declared = ", ".join(f"{name} {_TYPES[name]}" for name in names)
    given = ", ".join(f"{name} => r.{name}" for name in names)
    return f"""\
SELECT s.channel, s.notification_id
FROM json_to_recordset(CAST(:rows AS json)) AS r(channels text[], policy text, {declared})
CROSS JOIN LATERAL noti.send(channels => r.channels, policy => r.policy, {given}) AS s"""


_STATEMENT = _statement()
_EACH = _statement_for_each()


def enqueue(conn: Any, **fields: Unpack[Fields]) -> int:
    """Insert one notification in the caller's transaction and give its notification_id.

    `conn` is a psycopg 3 connection or cursor, or a SQLAlchemy 2 Connection or Session, in any mode. The message goes
    out after the caller's commit; a rollback sends nothing. A used `idempotency_key` (per tenant) gives the first
    notification's id when the content is the same, also when that one failed, and is an error when it is not.
    Raises TypeError or ValueError for bad fields before the database is touched; the driver's errors come through.
    """
    return _insert_rows(conn, [_checked(fields, "")])[0]


def enqueue_many(conn: Any, rows: Iterable[Fields]) -> list[int]:
    """Insert many notifications with one statement, all or none; gives their ids in the order of the rows.

    See `enqueue`; errors about a row name its index, the first is row 0.
    """
    checked = [_checked(row, f"row {index}: ") for index, row in enumerate(rows)]
    return _insert_rows(conn, checked) if checked else []


def enqueue_each(
    conn: Any, channels: Iterable[str], *, policy: Literal["all", "first_success"] = "all", **fields: Any
) -> dict[str, int]:
    """Insert one message on several channels, in the caller's transaction; gives the id of each by its channel.

    `fields` are those of `enqueue` without channel; `options` are given by channel. `preferred` among the channels
    stands for those that the person named by the recipient is reached on. With `first_success` a channel is used only
    when those before it have failed. See `noti.send`. Raises as `enqueue` does.
    """
    if "channel" in fields:
        raise TypeError("the channels are given, not a channel: leave it out")
    if fields.get("digest_key") is not None:
        raise TypeError("a digest gathers on one channel: leave digest_key out, or enqueue it for that channel alone")
    wanted = [_text("channel", channel, "") if channel != "preferred" else channel for channel in channels]
    row = _checked({"channel": "email"} | fields, "")
    document = _document([row | {"channels": wanted, "policy": policy}])
    return {row[0]: row[1] for row in _execute(conn, _EACH, document)}


@overload
def insert(
    *, paramstyle: Literal["format", "numeric_dollar"] = "format", **fields: Unpack[Fields]
) -> tuple[str, list[Any]]: ...


@overload
def insert(*, paramstyle: Literal["named"], **fields: Unpack[Fields]) -> tuple[str, dict[str, Any]]: ...


def insert(*, paramstyle: str = "format", **fields: Unpack[Fields]) -> tuple[str, list[Any] | dict[str, Any]]:
    """Give the statement and parameters that enqueue one notification, for drivers that `enqueue` does not take.

    `paramstyle` is `format` (`%s`: Django, psycopg sync and async), `numeric_dollar` (`$1`: asyncpg) or `named`
    (`:name`: SQLAlchemy's `text`). The statement gives one row with one column, notification_id; keys work as in
    `enqueue`. Raises TypeError or ValueError for bad fields.
    """
    given = {name: value for name, value in _checked(fields, "").items() if value is not None}
    if paramstyle == "format":
        marks = dict.fromkeys(given, "%s")
    elif paramstyle == "numeric_dollar":
        marks = {name: f"${number}" for number, name in enumerate(given, 1)}
    elif paramstyle == "named":
        marks = {name: f":{name}" for name in given}
    else:
        raise ValueError(f"paramstyle {paramstyle!r} is unknown: use 'format', 'numeric_dollar' or 'named'")
    arguments = ", ".join(f"{name} => {_cast(name, mark)}" for name, mark in marks.items())
    statement = f"SELECT noti.send({arguments}) AS notification_id"
    values = {name: _dumps(value) if _TYPES[name] == "jsonb" else value for name, value in given.items()}
    return statement, values if paramstyle == "named" else list(values.values())


def _cast(name: str, mark: str) -> str:
    # JSON goes as text: a driver with a JSON codec of its own would encode the text a second time.
    return f"CAST(CAST({mark} AS text) AS jsonb)" if _TYPES[name] == "jsonb" else f"CAST({mark} AS {_TYPES[name]})"


# ---------------------------------------------------------------- checks, before the database is touched


def _checked(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields as plain values; `where` names the row in errors, which never show content."""
    for name in fields:
        if name not in _TYPES:
            raise TypeError(f"{where}there is no field {name!r}{_nearest(name, _TYPES)}")
    for name in ("channel", "recipient"):
        if fields.get(name) is None:
            raise TypeError(f"{where}{name} is missing")
    row = {
        name: _value(name, value, where)
        for name, value in fields.items()
        if value is not None and (value != "" or name in _SAY_SOMETHING)
    }
    if "body" not in row and "template_id" not in row:
        raise ValueError(f"{where}there is nothing to send: give a body or a template_id")
    if ("entity_type" in row) != ("entity_id" in row):
        raise ValueError(f"{where}entity_type and entity_id come together: give both or neither")
    return row


def _value(name: str, value: Any, where: str) -> Any:
    match _TYPES[name]:
        case "timestamptz":
            if not isinstance(value, datetime):
                raise TypeError(f"{where}{name} must be a datetime, not {type(value).__name__}")
            if value.utcoffset() is None:
                raise ValueError(f"{where}{name} has no time zone: use datetime.now(timezone.utc) or another zone")
            return value
        case "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{where}{name} must be a whole number, not {type(value).__name__}")
            least, most = _WITHIN[name]
            if not least <= value <= most:
                raise ValueError(f"{where}{name} must be between {least} and {most}")
            return value
        case "jsonb":
            if not isinstance(value, Mapping):
                raise TypeError(f"{where}{name} must be a mapping, not {type(value).__name__}")
            return _json_value(name, value, where)
        case _:
            return _text(name, value, where)


def _text(name: str, value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where}{name} must be text, not {type(value).__name__}")
    text = str.__str__(value)  # the value of a string enum, whatever its own __str__ says
    if name in _KNOWN and text not in _KNOWN[name]:
        known = ", ".join(_KNOWN[name])
        raise ValueError(f"{where}{name} {text[:40]!r} is unknown{_nearest(text, _KNOWN[name])} Known: {known}.")
    if not text and name in {"recipient", "tenant_id"}:
        raise ValueError(f"{where}{name} is empty")
    _storable(name, text, where)
    return text


def _json_value(name: str, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        plain = dict(value)
        document = _dumps(plain)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}{name} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{where}{name} is nested too deeply") from None
    # In the document NUL and surrogates stand as escapes; read back they show themselves.
    for text in _texts(json.loads(document)):
        _storable(name, text, where)
    return plain


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as table:
                yield from table
                waiting.extend(table.values())
            case list() as items:
                waiting.extend(items)


def _storable(name: str, text: str, where: str) -> None:
    if "\0" in text:
        raise ValueError(f"{where}{name} contains a NUL character, which PostgreSQL cannot store")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{where}{name} contains half of a character (a lone surrogate)") from None


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value: Any) -> str:
    """What JSON has no type for, as the text that everybody reads the same; an amount keeps its digits."""
    match value:
        case date():  # and datetime
            return value.isoformat()
        case UUID():
            return str(value)
        case Decimal():
            if not value.is_finite():
                raise ValueError("Out of range Decimal values are not JSON compliant")
            return f"{value:f}"
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _nearest(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else "."


# ---------------------------------------------------------------- the caller's connection


def _insert_rows(conn: Any, rows: list[dict[str, Any]]) -> list[int]:
    document = _document([{"row_number": number, **row} for number, row in enumerate(rows)])
    return [row[0] for row in _execute(conn, _STATEMENT, document)]


def _document(rows: list[dict[str, Any]]) -> str:
    document = json.dumps(rows, default=_plain)
    if len(document) > LARGEST:
        raise ValueError(f"{len(rows)} rows are too much for one call: {len(document)} characters, at most {LARGEST}")
    return document


def _execute(conn: Any, statement: str, document: str) -> list[Any]:
    if (psycopg := sys.modules.get("psycopg")) is not None:
        if isinstance(conn, psycopg.Cursor):
            conn = conn.connection
        if isinstance(conn, psycopg.Connection):
            # A cursor of our own: the caller's results, row factory and parameter style stay as they are.
            with psycopg.Cursor(conn, row_factory=psycopg.rows.tuple_row) as cursor:
                return list(cursor.execute(statement.replace(":rows", "%s"), (document,)))
    if (sqlalchemy := sys.modules.get("sqlalchemy")) is not None:
        if (orm := sys.modules.get("sqlalchemy.orm")) is not None:
            if isinstance(conn, orm.scoped_session):
                conn = conn()
            if isinstance(conn, orm.Session):
                conn = conn.connection()
        if isinstance(conn, sqlalchemy.Connection):
            try:
                return list(conn.execute(sqlalchemy.text(statement), {"rows": document}))
            except sqlalchemy.exc.StatementError as error:
                error.hide_parameters = True  # its text would carry addresses and bodies into logs
                raise
    raise TypeError(
        f"cannot enqueue through a {type(conn).__module__}.{type(conn).__qualname__}: pass a psycopg 3 or SQLAlchemy 2 "
        "connection, cursor or session, or execute what noti_worker.insert(...) gives (async drivers, Django)"
    )
