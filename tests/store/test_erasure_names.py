"""Erasure compares whole names: of people whose names are alike, only the one asked for goes; the others keep all."""

# ruff: noqa: RUF001, RUF002 (letters that look alike are what this is about)

import json
import unicodedata

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from noti_worker.domain.errors import DatabaseError
from noti_worker.store.upkeep import erasure
from tests.store.rows import Connection, insert, row

ADA = "ada@example.com"

# ------------------------------------------------------------------------------------------------ in one text


@pytest.mark.parametrize(
    ("who", "words", "left"),
    [
        (ADA, f"<{ADA}>: no such user", "<[erased]>: no such user"),
        (ADA, "ADA@Example.COM, gone.", "[erased], gone."),
        (ADA, f"RCPT TO:{ADA}", "RCPT TO:[erased]"),
        (ADA, f"to={ADA}; relay=x", "to=[erased]; relay=x"),
        (ADA, f"mailto:{ADA}?subject=x", "mailto:[erased]?subject=x"),
        (ADA, f"{{'{ADA}': (550, b'gone')}}", "{'[erased]': (550, b'gone')}"),
        (ADA, f'{{"to":"{ADA}"}}', '{"to":"[erased]"}'),
        (ADA, f"„{ADA}“ ist unbekannt: {ADA}.", "„[erased]“ ist unbekannt: [erased]."),
        (ADA, f"{ADA} {ADA},{ADA}", "[erased] [erased],[erased]"),
        ("da@example.com", f"{ADA} x.da@example.com +da@example.com o'da@example.com", None),
        (ADA, "ada@example.com.au ada@example.community ada@example.com-x.org xada@example.com", None),
        ("ada@example.com.au", ADA, None),
        (ADA, "äada@example.com ada@example.comé", None),
        ("Ada L <ada@example.com>", f"<{ADA}>", "<[erased]>"),
        ("ÉMILE@bücher.example", "émile@BÜCHER.example is gone", "[erased] is gone"),
        ("ÉMILE@bücher.example", unicodedata.normalize("NFD", "émile@bücher.example") + " is gone", "[erased] is gone"),
        ("strasse@x.example", "straße@x.example", None),
        ("ISTANBUL@x.example", "istanbul@x.example, ıstanbul@x.example", "[erased], ıstanbul@x.example"),
        ("user:1", "user:1 is unknown, (user:1) too: user:1.", "[erased] is unknown, ([erased]) too: [erased]."),
        ("user:1", "user:17 superuser:1 x-user:1 user:1-b user:1.5 user:1:2 user:1@host User:1", None),
        ("user:1", 'user "user:1" is gone', 'user "[erased]" is gone'),
        ("user:1", r'{\"to\": \"user:1\"}', r'{\"to\": \"[erased]\"}'),
        ("user:1", "user:1\"b user:1'b user:1\\b x\\user:1 user:1\" user:1\\", None),
        ('o"neil', 'o"neil is gone', "[erased] is gone"),
        (r"CORP\ada", r"CORP\ada is gone, CORP\adam is not", r"[erased] is gone, CORP\adam is not"),
        ("+4915112340001", "to +4915112340001: blocked", "to [erased]: blocked"),
        ("+4915112340001", "+49151123400012 1+4915112340001", None),
        ("2026", "until 2026-11-30 12:00:2026.5, in 2026 too", "until 2026-11-30 12:00:2026.5, in [erased] too"),
        ("app", "in_app app-store the app", "in_app app-store the [erased]"),
        ("$1.*[a", "the $1.*[a and $1a*[a", "the [erased] and $1a*[a"),
        ("user_1", "userx1 user_1 user_11 user1 USER_1", "userx1 [erased] user_11 user1 USER_1"),
        ("100%", "100% of 100 or 1000, 100%x", "[erased] of 100 or 1000, 100%x"),
        ("a_a@example.com", "axa@example.com a_a@example.com A_A@EXAMPLE.com", "axa@example.com [erased] [erased]"),
        ("%@example.com", "ada@example.com <%@example.com>", "ada@example.com <[erased]>"),
        ("имя Фамилия", "Имя Фамилия, имя Фамилия", "Имя Фамилия, [erased]"),
        ("ab", "ab is too short to be looked for", None),
        (ADA, "", None),
        (None, "nobody", None),
    ],
)  # fmt: skip
def test_a_text_loses_the_whole_name_and_nothing_else(
    connection: Connection, who: str | None, words: str, left: str | None
) -> None:
    found = connection.execute("SELECT noti.unnamed(%s, %s, false, '[erased]')", [words, who]).fetchone()
    assert found == (words if left is None else left,)


@pytest.mark.parametrize(
    ("who", "left"),
    [
        ("100.000", {"100.000": "[erased] of 100.0000", "deep": [{"to": ["user:17", None, True, 1e3]}], "empty": {}}),
        ("user:17", {"100.000": "100.000 of 100.0000", "deep": [{"to": ["[erased]", None, True, 1e3]}], "empty": {}}),
    ],
)
def test_a_document_keeps_its_numbers_and_everything_else(
    connection: Connection, who: str, left: dict[str, object]
) -> None:
    document = (
        '{"n": 100.000, "100.000": "100.000 of 100.0000", "deep": [{"to": ["user:17", null, true, 1e3]}], "empty": {}}'
    )
    found = connection.execute("SELECT noti.unnamed_json(%s::jsonb, %s, false, false)::text", [document, who])
    text = str(found.fetchall()[0][0])
    assert json.loads(text) == {"n": 100.0} | left
    assert '"n": 100.000' in text


def test_keys_of_a_providers_document_are_looked_at_too(connection: Connection) -> None:
    asked = "SELECT noti.unnamed_json(%s, 'user:17', false, true)"
    assert connection.execute(asked.encode(), ['{"user:17": 1700}']).fetchone() == ({"[erased]": 1700},)
    assert connection.execute(asked.encode(), ['{"a":' * 100 + "1" + "}" * 100]).fetchone() == ("[erased]",)


def test_capitals_are_folded_by_unicode(connection: Connection) -> None:
    """Whatever the collation says; `ß` and `ss` are two names, and so are `ı` and `i`."""
    letters = [
        chr(code)
        for code in range(0x20, 0x10000)
        if not 0xD800 <= code < 0xE000 and unicodedata.normalize("NFC", chr(code)) == chr(code)
    ]
    small = [next((s for s in (c.casefold(), c.lower()) if len(s) == 1), c) for c in letters]
    found = [f for (f,) in connection.execute("SELECT noti.folded(c) FROM unnest(%s::text[]) AS c", [letters])]
    wrong = [(c, f, g) for c, f, g in zip(letters, small, found, strict=True) if f != g]
    assert [c for c, _, _ in wrong] == ["ſ"]  # a letter of old prints, which folds to a plain s


# ------------------------------------------------------------------------------------------- in all that is kept


BEFORE = st.sampled_from(["", "", "", "a", "x.", "x-", "+", "_", "%", "2", "ü", "o'", "'", "#", "&x"])
INSIDE = st.sampled_from(["", "", "", "+tag", ".", "1", "'s", "é", "é".upper(), "-"])
AFTER = st.sampled_from(["", "", "", ".au", "x", "-y", "2"])
DOMAINS = st.sampled_from(
    ["example.com", "bücher.example", "xn--bcher-kva.example", "BÜCHER.Example", "straße.example", "strasse.example"]
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    local = draw(BEFORE) + draw(st.sampled_from(["ada", "da", "Ada", "ADA"])) + draw(INSIDE)
    return f"{local.rstrip('.')}@{draw(DOMAINS)}{draw(AFTER)}"


QUOTES = "\"'"
AUDITED = '{"n": 100.000, "kind": "dead", "reason": "gone: ?", "attempt": 1}'
UNNAMED = (
    "[erased]: gone, see <[erased]>",
    {"rcpt": "<[erased]> gone", "list": [{"n": 7, "to": "[erased]"}], "[erased]": 1},
)

NAMES = st.builds(
    lambda before, name, after: before + name + after,
    st.sampled_from(["", "", "", "x", "x-", "super", "a:", '"', "'", "\\", "é"]),
    st.sampled_from(["user:1", "User:1", "user_1", "100%", "o'neil", "100.000", "ada", "app", "2026"]),
    st.sampled_from(["", "", "", "7", ".5", "-b", ":2", '"', '"b', "\\", "\\b", "'x", "é", "@x"]),
).filter(
    # That is how texts quote the name within, and name an address (`mailto:ada@x`).
    lambda name: not ((name[0] in QUOTES and name[-1] in QUOTES) or (name.startswith("a:") and name.endswith("@x")))
)
PLACES = st.sampled_from(["alone", "displayed", "copied", "outlived"])


def same(one: str, other: str, *, email: bool) -> bool:
    """What the erasure must take for one name, said by other means than its own."""
    return one == other or (email and _canonical(one) == _canonical(other))


def _canonical(address: str) -> str:
    local, _, domain = unicodedata.normalize("NFC", address).rpartition("@")
    labels = [label.lower() for label in domain.split(".")]
    known = {"xn--bcher-kva": "bücher"}
    return f"{local.lower()}@{'.'.join(known.get(label, label) for label in labels)}"


def written(connection: Connection, who: str, place: str, *, email: bool) -> int:
    """One notification that has to do with somebody, and everything that the logs say of it; gives its id."""
    recipient = {"displayed": f'"The \\"one\\", Ada" <{who}>', "copied": "bob@elsewhere.example"}.get(place, who)
    options = {"cc": [f"Ada <{who}>", "eve@elsewhere.example"], "tags": [100, "x"]} if place == "copied" else None
    [number] = insert(
        connection,
        channel="email" if email else "chat",
        recipient=recipient if email else who,
        status="failed",
        options=json.dumps(options) if options and email else None,
        error_message=f"<{who}>: gone",
    )
    said = {"rcpt": f"<{who}> gone", "list": [{"n": 7, "to": who}], who: 1}
    connection.execute(
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, claim_count,"
        " error_message, response_data) VALUES (%s, 1, 'failed', 1, %s, %s)",
        [number, f"{who}: gone, see <{who}>", json.dumps(said)],
    )
    connection.execute(
        "INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)"
        " VALUES ('default', 'notification', %s, 'notification_failed', 'worker', 'worker 1', %s)",
        [str(number), AUDITED.replace('"gone: ?"', json.dumps(f"gone: {who}"))],
    )
    if place == "outlived":
        connection.execute("DELETE FROM noti.notifications_log WHERE notification_id = %s", [number])
    return number


def kept(connection: Connection, numbers: list[int]) -> list[str]:
    """Every byte that is kept of these notifications."""
    wanted = {"ids": numbers, "texts": [str(number) for number in numbers]}
    return [
        str(line)
        for question in (
            "SELECT n::text FROM noti.notifications_log n WHERE notification_id = ANY (%(ids)s) ORDER BY 1",
            "SELECT t::text FROM noti.notification_attempts_log t WHERE notification_id = ANY (%(ids)s) ORDER BY 1",
            "SELECT a::text FROM noti.audit_log a WHERE entity_id = ANY (%(texts)s) ORDER BY audit_id",
        )
        for (line,) in connection.execute(question.encode(), wanted)
    ]


def erase(connection: Connection, who: str) -> erasure.Erased:
    connection.row_factory = dict_row
    try:
        return erasure.erase(connection, who)
    finally:
        connection.row_factory = psycopg.rows.tuple_row


def only_one_goes(connection: Connection, people: list[tuple[str, str]], *, email: bool) -> None:
    """Erase the first of the people: they are named nowhere, and the others keep every byte."""
    who = people[0][0]
    numbers = [written(connection, name, place, email=email) for name, place in people]
    mine = {n: place for n, (name, place) in zip(numbers, people, strict=True) if same(name, who, email=email)}
    others = [n for n in numbers if n not in mine]
    before = kept(connection, others)
    erase(connection, who)
    assert kept(connection, others) == before
    for number, place in mine.items():
        theirs = place == "outlived" or (email and place == "copied")  # somebody else's message, or nobody's
        assert connection.execute(
            "SELECT error_message, response_data FROM noti.notification_attempts_log WHERE notification_id = %s",
            [number],
        ).fetchone() == (UNNAMED if theirs else ("[erased]", None))
        assert connection.execute(
            "SELECT metadata::text FROM noti.audit_log WHERE entity_id = %s AND action_by_type = 'worker'",
            [str(number)],
        ).fetchone() == (AUDITED.replace("gone: ?", "gone: [erased]" if theirs else "[erased]"),)
        if place == "outlived":
            continue
        left = row(connection, number)
        assert left["recipient"] == ("bob@elsewhere.example" if theirs else "[erased]")
        assert left["error_message"] == ("<[erased]>: gone" if theirs else "[erased]")
        assert left["options"] == ({"cc": ["eve@elsewhere.example"], "tags": [100, "x"]} if theirs else None)
    assert erase(connection, who) == erasure.Erased()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(people=st.lists(st.tuples(addresses(), PLACES), min_size=2, max_size=6))
@example(people=[("da@example.com", "outlived"), ("ada@example.com", "outlived"), ("da@example.com.au", "outlived")])
def test_of_addresses_that_are_alike_only_the_one_asked_for_goes(
    connection: Connection, people: list[tuple[str, str]]
) -> None:
    only_one_goes(connection, people, email=True)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(people=st.lists(st.tuples(NAMES, PLACES), min_size=2, max_size=6))
@example(people=[("user:1", "outlived"), ("user:17", "outlived"), ("a-user:1", "outlived")])
def test_of_names_that_are_alike_only_the_one_asked_for_goes(
    connection: Connection, people: list[tuple[str, str]]
) -> None:
    only_one_goes(connection, people, email=False)


# ------------------------------------------------------------------------------------------------ in any database


def test_capitals_go_whatever_the_database_takes_for_small_letters(sorted_databases: list[str]) -> None:
    for url in sorted_databases:
        with psycopg.connect(url, autocommit=True) as connection:
            only_one_goes(
                connection,
                [
                    ("isil@example.com", "alone"),
                    ("ISIL@EXAMPLE.COM", "alone"),
                    ("IsIl@Example.Com", "displayed"),
                    ("ISIL@example.com", "copied"),
                    ("ISIL@EXAMPLE.COM", "outlived"),
                    ("ışıl@example.com", "alone"),
                    ("ısıl@example.com", "copied"),
                ],
                email=True,
            )
            only_one_goes(
                connection,
                [("ünal@bücher.example", place) for place in ("alone", "copied")]
                + [("ÜNAL@BÜCHER.EXAMPLE", place) for place in ("alone", "displayed", "copied", "outlived")]
                + [("Ünal@XN--BCHER-KVA.example", place) for place in ("alone", "displayed", "copied", "outlived")]
                + [("unal@bucher.example", "alone")],
                email=True,
            )


# ------------------------------------------------------------------------------------------------ in steps


def test_what_was_stopped_half_way_goes_on_when_called_again(
    connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is one transaction: what it did is there, and what it did not do is untouched."""
    monkeypatch.setattr(erasure, "STEP", 2)
    numbers = [written(connection, name, "alone", email=True) for name in (ADA, "bob@example.com") * 4]
    others = numbers[1::2]
    before = kept(connection, others)
    steps = 0

    class Crash(Exception):
        pass

    def crash(_what: str, _seen: int) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:
            raise Crash

    connection.row_factory = dict_row
    with pytest.raises(Crash):
        erasure.erase(connection, ADA, progress=crash)
    connection.row_factory = psycopg.rows.tuple_row
    assert [row(connection, number)["recipient"] == "[erased]" for number in numbers[::2]] == [True, True, False, False]
    done = erase(connection, ADA)
    assert (done.erased, done.tries) == (2, 2)
    assert erase(connection, ADA) == erasure.Erased()
    assert kept(connection, others) == before


def test_a_step_that_the_database_refuses_half_way_changed_nothing_and_can_be_repeated(connection: Connection) -> None:
    """A trigger of the application's ends the step at its third row: what it had done of the first two is undone."""
    numbers = [written(connection, ADA, place, email=True) for place in ("alone", "displayed", "copied", "alone")]
    before = kept(connection, numbers)
    connection.execute(
        "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
        f" CREATE TRIGGER zz_no BEFORE UPDATE ON noti.notifications_log FOR EACH ROW"
        f" WHEN (old.notification_id = {numbers[2]}) EXECUTE FUNCTION public.no()"
    )
    for _ in range(2):
        with pytest.raises(DatabaseError, match="P0001"):
            erase(connection, ADA)
        assert kept(connection, numbers) == before
    connection.execute("DROP TRIGGER zz_no ON noti.notifications_log")
    done = erase(connection, ADA)
    assert (done.erased, done.copies, done.tries) == (3, 1, 4)
    assert erase(connection, ADA) == erasure.Erased()
