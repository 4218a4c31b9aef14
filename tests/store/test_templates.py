"""Versions, languages and channels of templates: what is published, what a row gets, and what its try says."""

from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from noti_worker import enqueue
from noti_worker.domain.lanes import Lane
from noti_worker.domain.language import languages
from noti_worker.domain.notification import Channel, Notification, Priority, Template
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import Connection, attempts, claim, insert, tried

LANES = [Lane(channel, Priority.NORMAL, "default") for channel in (Channel.EMAIL, Channel.SMS)]


def publish(connection: Connection, template_id: str, *texts: dict[str, Any]) -> int:
    found = connection.execute("SELECT noti.publish(%s, %s)", [template_id, Jsonb(texts)]).fetchone()
    assert found is not None
    return int(found[0])


def got(queue: PostgresQueue, rows: list[Notification]) -> list[Template | None]:
    briefings = queue.brief(rows)
    return [briefings[row.notification_id].template for row in sorted(rows, key=lambda row: row.notification_id)]


def told(queue: PostgresQueue) -> list[tuple[str | None, str | None]]:
    """Of each row that is due the words and the version of its template."""
    found = got(queue, list(claim(queue, lanes=LANES)))
    return [(template.body, template.version) if template else (None, None) for template in found]


def test_a_row_gets_its_language_or_what_stands_in_for_it(queue: PostgresQueue, connection: Connection) -> None:
    publish(
        connection,
        "hi",
        {"body": "hello"},
        {"locale": "pt", "body": "olá"},
        {"locale": "PT_br", "body": "oi"},
        {"locale": "de", "body": "hallo"},
        {"channel": "sms", "locale": "de", "body": "kurz"},
        {"channel": "sms", "body": "short"},
    )
    publish(connection, "only", {"locale": "de", "body": "nur"})
    for locale in ("pt-BR", "pt_br", "pt-PT", "fr", "no tag", None):
        insert(connection, template_id="hi", body=None, locale=locale)
    for locale in ("de-AT", "pt"):
        insert(connection, template_id="hi", body=None, locale=locale, channel="sms", recipient="+491701234567")
    insert(connection, template_id="only", body=None, locale="fr")
    assert told(queue) == [
        ("oi", "hi version 1 (pt-BR)"),
        ("oi", "hi version 1 (pt-BR)"),
        ("olá", "hi version 1 (pt)"),
        ("hello", "hi version 1"),
        ("hello", "hi version 1"),
        ("hello", "hi version 1"),
        ("kurz", "hi version 1 (de)"),
        ("short", "hi version 1"),  # not the mail's text, although that is there in Portuguese
        (None, None),
    ]


def test_the_default_language_of_the_tenant_and_else_of_the_database_stands_in(
    database_url: str, connection: Connection
) -> None:
    publish(connection, "hi", {"locale": "en", "body": "hello"}, {"body": "?"})
    insert(connection, template_id="hi", body=None, locale="fr")
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    connection.execute(f"ALTER DATABASE \"{name}\" SET noti.default_locale = 'en-GB'".encode())
    with closing(PostgresQueue(Database(Secret(database_url)))) as queue:
        assert told(queue) == [("hello", "hi version 1 (en)")]
        publish(connection, "hi", {"locale": "pt", "body": "oi"})
        connection.execute("INSERT INTO noti.settings (key, value) VALUES ('locale', '\"pt-BR\"')")
        insert(connection, template_id="hi", body=None, locale="fr")
        assert told(queue) == [("oi", "hi version 2 (pt)")]


def test_a_row_pins_a_version_or_takes_the_newest(queue: PostgresQueue, connection: Connection) -> None:
    publish(connection, "hi", {"body": "one"}, {"locale": "de", "body": "eins"})
    publish(connection, "hi", {"body": "two"})
    publish(connection, "hi", {"locale": "de", "body": "drei"}, {"locale": "fr", "body": "trois"})
    for version, locale in [(1, None), (2, None), (2, "de"), (3, "de"), (99, "de"), (None, "de"), (2, "fr"), (0, "de")]:
        insert(connection, template_id="hi", body=None, template_version=version, locale=locale)
    enqueue(connection, channel="email", recipient="a@example.com", template_id="hi", template_version=1, locale="de")
    assert told(queue) == [
        ("one", "hi version 1"),
        ("two", "hi version 2"),
        ("eins", "hi version 1 (de)"),
        ("drei", "hi version 3 (de)"),
        ("drei", "hi version 3 (de)"),
        ("drei", "hi version 3 (de)"),
        ("two", "hi version 2"),  # there was no French text yet
        ("drei", "hi version 3 (de)"),
        ("eins", "hi version 1 (de)"),
    ]
    with pytest.raises(psycopg.errors.CheckViolation, match="template_version is out of range"):
        connection.execute("SELECT noti.send('email', 'a@example.com', template_id => 'hi', template_version => 0)")
    with pytest.raises(ValueError, match="template_version must be between 1"):
        enqueue(connection, channel="email", recipient="a@example.com", template_id="hi", template_version=0)


def test_the_same_key_with_another_version_is_another_message(connection: Connection) -> None:
    sent = "SELECT noti.send('email', 'a@b.de', template_id => 'hi', idempotency_key => 'k', template_version => %s)"
    assert connection.execute(sent, [1]).fetchone() == connection.execute(sent, [1]).fetchone()
    with pytest.raises(psycopg.errors.UniqueViolation, match="belongs to another message"):
        connection.execute(sent, [2])


def versions(connection: Connection, template_id: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT version, channel, locale, body FROM noti.template_versions WHERE template_id = %s"
        " ORDER BY version, channel, locale",
        [template_id],
    ).fetchall()


def test_who_writes_noti_templates_as_ever_makes_versions(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('hi', 'one')")
    connection.execute("UPDATE noti.templates SET body = 'two'")
    connection.execute("UPDATE noti.templates SET updated_at = now()")  # says nothing new
    publish(connection, "hi", {"locale": "de", "body": "drei"})
    publish(connection, "hi", {"body": "four"})
    assert connection.execute("SELECT body FROM noti.templates").fetchall() == [("four",)]
    insert(connection, template_id="hi", body=None)
    assert told(queue) == [("four", "hi version 4")]
    connection.execute("UPDATE noti.templates SET template_id = 'ho'")
    assert versions(connection, "hi") == [
        (1, "", "", "one"),
        (2, "", "", "two"),
        (3, "", "de", "drei"),
        (4, "", "", "four"),
        (5, "", "", None),
    ]
    assert versions(connection, "ho") == [(1, "", "", "four")]
    connection.execute("DELETE FROM noti.templates")
    insert(connection, template_id="ho", body=None)
    insert(connection, template_id="ho", body=None, template_version=1)
    assert told(queue) == [(None, None), ("four", "ho version 1")]


def test_a_version_never_changes_and_what_is_odd_is_refused(connection: Connection) -> None:
    publish(connection, "hi", {"body": "one"})
    with pytest.raises(psycopg.errors.CheckViolation, match="a version of a template never changes"):
        connection.execute("UPDATE noti.template_versions SET body = 'two'")
    for texts, words in {
        "[]": "texts is no JSON array",
        '["x"]': "no JSON object",
        '[{"bodi": "x"}]': "nothing else",
        '[{"channel": "fax", "body": "x"}]': "the channel of a text is unknown",
        '[{"locale": "german!", "body": "x"}]': "no language tag",
        '[{"subject": "x"}]': "neither body nor html",
        '[{"locale": "de"}]': "a body or html, or it is withdrawn",
        '[{"withdrawn": true, "body": "x"}]': "a body or html, or it is withdrawn",
    }.items():
        with pytest.raises(psycopg.errors.CheckViolation, match=words):
            connection.execute("SELECT noti.publish('hi', %s)", [texts])
    assert versions(connection, "hi") == [(1, "", "", "one")]


def test_a_withdrawn_language_is_there_no_more(queue: PostgresQueue, connection: Connection) -> None:
    publish(connection, "hi", {"body": "hello"}, {"locale": "de", "body": "hallo"})
    publish(connection, "hi", {"locale": "de", "withdrawn": True})
    insert(connection, template_id="hi", body=None, locale="de")
    assert told(queue) == [("hello", "hi version 1")]


def test_the_try_and_why_say_which_version_it_was(
    queue: PostgresQueue, connection: Connection, either_way: None
) -> None:
    publish(connection, "hi", {"locale": "pt", "body": "olá"})
    named = insert(connection, 10, template_id="hi", body=None, locale="pt-BR")
    plain = insert(connection)
    rows = claim(queue)
    briefings = queue.brief(rows)
    for row in rows:
        template = briefings[row.notification_id].template if row.notification_id in briefings else None
        assert (template is None) == (row.notification_id in plain)
    queue.record(1, [tried(row, template="hi version 1 (pt)" if row.template_id else None) for row in rows])
    for id_ in named:
        assert [attempt["template"] for attempt in attempts(connection, id_)] == ["hi version 1 (pt)"]
    assert attempts(connection, plain[0])[0]["template"] is None
    said = connection.execute("SELECT detail FROM noti.why(%s) WHERE event = 'try 1'", named[:1]).fetchone()
    assert said is not None
    assert "written from hi version 1 (pt)" in said[0]


def test_parts_come_along_within_bounds(queue: PostgresQueue, connection: Connection) -> None:
    publish(connection, "page", {"body": "{% extends 'layout' %}"}, {"locale": "de", "body": '{%- extends "layout" %}'})
    publish(connection, "layout", {"body": "{% include 'foot' %}"}, {"locale": "de", "body": "{% include 'foot' %} de"})
    publish(connection, "foot", {"body": "{% from 'layout' import x %} foot"})  # a circle
    publish(connection, "wide", {"body": "".join(f"{{% include 'part{n}' %}}" for n in range(100))})
    for number in range(100):
        publish(connection, f"part{number}", {"body": f"{{% include 'part{number + 1}' %}}"})
    publish(connection, "large", {"body": "".join(f"{{% include 'mega{n}' %}}" for n in range(4))})
    for number in range(4):
        publish(connection, f"mega{number}", {"body": "x" * 100_000})
    for template_id, locale in [("page", None), ("page", "de"), ("wide", None), ("part7", None), ("large", None)]:
        insert(connection, template_id=template_id, body=None, locale=locale)
    page, german, wide, chain, large = (template for template in got(queue, list(claim(queue))) if template)
    assert [(part.template_id, part.body) for part in page.parts] == [
        ("foot", "{% from 'layout' import x %} foot"),
        ("layout", "{% include 'foot' %}"),
    ]
    assert [part.body for part in german.parts] == ["{% from 'layout' import x %} foot", "{% include 'foot' %} de"]
    assert len(wide.parts) == 32
    assert len(chain.parts) == 32
    assert len(large.parts) == 2


@pytest.mark.parametrize(
    "tag", ["de", "pt-BR", "PT_br", "zh-hant-tw", "x", "de-", "en-us-x-y", "a b", "sl-rozaj-biske"]
)
def test_the_database_reads_language_tags_alike(connection: Connection, tag: str) -> None:
    assert connection.execute("SELECT noti.languages(%s)", [tag]).fetchone() == (list(languages(tag)) or None,)


def test_the_look_up_goes_by_the_key_whatever_it_holds(queue: PostgresQueue, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO noti.template_versions (template_id, version, body)"
        " SELECT 'hi', n, 'x' FROM generate_series(1, 3000) n"
    )
    insert(connection, template_id="hi", body=None, locale="pt-BR")
    assert told(queue) == [("x", "hi version 3000")]
    queue.close()
    connection.execute("SELECT pg_stat_force_next_flush()")
    looks = connection.execute(
        "SELECT seq_scan, idx_tup_fetch < 100 FROM pg_stat_user_tables WHERE relname = 'template_versions'"
    ).fetchone()
    assert looks is not None
    assert looks[1]
