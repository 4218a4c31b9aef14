"""How large the documents of a row may be: as jsonb and as text, without making the text of a large one first."""

from typing import Any

import psycopg
import pytest

from tests.memory import peak
from tests.store.changes import refusal
from tests.store.rows import row

Connection = psycopg.Connection[Any]

DOCUMENTS = ("template_data", "options", "metadata")
STORED = "is larger than 256 kB. Make it smaller, or store it elsewhere and send a link."
WRITTEN = "is larger than 256 kB as text. Make it smaller, or store it elsewhere and send a link."


def statement(column: str, value: str) -> str:
    return (
        f"INSERT INTO noti.notifications_log (channel, recipient, body, {column}) "
        f"VALUES ('email', 'ann@example.com', 'Hi', (SELECT {value})::jsonb)"
    )


def many(number: str, count: int) -> str:
    return f"'[' || string_agg('{number}', ',') || ']' FROM generate_series(1, {count})"


TOO_LARGE = {
    "one text": ("jsonb_build_object('a', repeat('x', 262144))", STORED),
    "many small numbers": ("jsonb_agg(n) FROM generate_series(1, 40000) n", STORED),
    "two endless numbers": (many("1e131071", 2), WRITTEN),
    "two kilobytes of endless numbers": (many("1e131071", 120), WRITTEN),
    "four kilobytes of endless numbers": (many("1e131071", 240), WRITTEN),
    "a quarter of a megabyte of endless numbers": (many("-9e131071", 12000), WRITTEN),
    "endless fractions": (many("0e-16383", 18000), WRITTEN),
    "endless numbers deep inside": ("'{\"a\": [' || repeat('{\"b\": 1e131071},', 300) || '1]}'", WRITTEN),
    "control characters": ("jsonb_build_object('a', repeat(chr(1), 60000))", WRITTEN),
}


@pytest.mark.fault("F61")
@pytest.mark.parametrize(("value", "words"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused_in_words(connection: Connection, value: str, words: str) -> None:
    for column in DOCUMENTS:
        assert refusal(connection, statement(column, value)) == ("23514", f"noti: {column} {words}")


SOUND = {
    "one text": "jsonb_build_object('a', repeat('x', 250000))",
    "many small numbers": "jsonb_agg(n) FROM generate_series(1, 15000) n",
    "many fractions": "jsonb_agg(n / 7.0) FROM generate_series(1, 6000) n",
    "one endless number": "'1e131071'",
    "a thousand deep": "repeat('{\"a\": ', 3000) || '1' || repeat('}', 3000)",
    "many line ends": "jsonb_build_object('a', repeat(chr(10), 100000))",
}


@pytest.mark.parametrize("value", SOUND.values(), ids=SOUND)
def test_what_is_not_too_large_comes_in(connection: Connection, value: str) -> None:
    for column in DOCUMENTS:
        connection.execute(statement(column, value).encode())
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (3,)


def test_what_was_stored_compressed_is_measured_open(connection: Connection) -> None:
    """A value that comes out of a table comes as it is stored there, and small."""
    connection.execute(
        "CREATE TABLE source AS SELECT jsonb_build_object('a', repeat('x', 62000000)) AS large, "
        f"(SELECT {many('1e131071', 100000)})::jsonb AS endless, jsonb_build_object('a', repeat('x', 200000)) AS small"
    )
    assert connection.execute("SELECT pg_column_size(small) < 20000 FROM source").fetchone() == (True,)
    for column in DOCUMENTS:
        for value in ("large", "endless"):
            assert refusal(connection, statement(column, f"{value} FROM source")) == (
                "23514",
                f"noti: {column} {STORED}",
            )
        connection.execute(statement(column, "small FROM source").encode())


def test_no_text_of_a_gigabyte_is_made_to_find_out(connection: Connection) -> None:
    connection.execute(statement("options", many("1", 12000)).encode())
    before = peak(connection.info.backend_pid)
    refusal(connection, statement("options", many("1e131071", 12000)))  # would be 1.5 GB of text
    assert peak(connection.info.backend_pid) - before < 100_000_000


def test_a_row_as_most_are_asks_no_function(connection: Connection) -> None:
    """What is usual is measured in the trigger itself, where it costs next to nothing."""
    connection.execute(
        "CREATE OR REPLACE FUNCTION noti.too_large(template_data jsonb, options jsonb, metadata jsonb) RETURNS text "
        "LANGUAGE plpgsql AS $$BEGIN RAISE 'it was asked'; END$$"
    )
    connection.execute(statement("options", "jsonb_build_object('cc', repeat('x', 1500))").encode())
    assert row(connection, 1)["options"] is not None
    with pytest.raises(psycopg.errors.RaiseException, match="it was asked"):
        connection.execute(statement("options", "jsonb_build_object('cc', repeat('x', 3000))").encode())
