"""`suppression` from the command line: list, add, lift, why; import and export as CSV."""

import csv
import io
import stat
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.cli.suppression_csv import COLUMNS, LONGEST_LINE
from noti_worker.store.people import suppressions
from tests.cli.conftest import Invoke, read
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
ADA = "ada@example.com"


@pytest.fixture
def operator(bare: Invoke, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("NOTI_DATABASE_URL", member_of("noti_operator", database_url))
    monkeypatch.setenv("SUDO_USER", "grace")
    return bare


def stored(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT tenant_id, channel, address, category, reason, hits, lifted_at IS NULL FROM noti.suppressions"
        " ORDER BY suppression_id"
    ).fetchall()


def test_an_entry_is_added_shown_explained_and_lifted(operator: Invoke, connection: Connection) -> None:
    assert operator("suppression", "list").stderr == "nothing fits\n"
    dry = operator("suppression", "add", "email", ADA, "--dry-run")
    assert (dry.exit_code, dry.stdout) == (
        0,
        "would be added: email ada@example.com is manual for tenant default, until it is lifted\n",
    )
    assert stored(connection) == []
    added = read(operator("suppression", "add", "email", f"Ada <{ADA.upper()}>", "--note", "told us", "--json"))
    assert (added["address"], added["reason"], added["source"], added["added_by"]) == (ADA, "manual", "cli", "grace")
    shown = operator("suppression", "list").stdout
    assert ADA in shown
    assert "manual" in shown
    told = operator("suppression", "why", ADA).stdout
    assert f"entry {added['suppression_id']}: email {ADA} is manual for tenant default, until it is lifted" in told
    assert "added    by noti_operator_member from cli" in told
    assert "note: told us" in told
    would = operator("suppression", "lift", ADA, "--dry-run").stdout
    assert would.startswith(f"would be lifted: entry {added['suppression_id']}, email {ADA} is manual")
    assert stored(connection)[0][-1] is True
    assert operator("suppression", "lift", ADA).stdout.startswith("lifted: entry")
    assert stored(connection)[0][-1] is False
    assert "lifted   by grace" in operator("suppression", "why", ADA).stdout
    nothing = operator("suppression", "lift", ADA)
    assert (nothing.exit_code, nothing.stderr) == (1, "no entry in force speaks of this address\n")
    assert operator("suppression", "list").stderr == "nothing fits\n"
    assert "lifted 20" in operator("suppression", "list", "--past").stdout


@pytest.mark.parametrize("reason", ["optout", "complaint"])
def test_what_a_person_asked_for_is_lifted_only_at_the_persons_request(
    operator: Invoke, connection: Connection, reason: str
) -> None:
    operator("suppression", "add", "sms", "+4915112345", "--reason", "dead")
    operator("suppression", "add", "sms", "+4915112345", "--reason", reason)
    for more in ((), ("--as-requested-by", "  ")):
        refused = operator("suppression", "lift", "+4915112345", *more)
        assert refused.exit_code == 1
        assert f"({reason}) is lifted when the person asks for it, and not otherwise" in refused.stderr
    assert [line[-1] for line in stored(connection)] == [True, True]  # all or none
    done = operator("suppression", "lift", "0049 151 12345", "--as-requested-by", "by telephone")
    assert done.exit_code == 0
    assert [line[-1] for line in stored(connection)] == [False, False]
    assert "lifted   by grace as requested by by telephone" in operator("suppression", "why", "+4915112345").stdout


def test_lists_are_narrowed(operator: Invoke) -> None:
    for words in (
        ("email", ADA, "--reason", "dead"),
        ("email", ADA, "--category", "news", "--reason", "optout"),
        ("email", "bea@example.com", "--tenant", "acme"),
        ("sms", "+4915112345", "--tenant", ""),
    ):
        assert operator("suppression", "add", *words).exit_code == 0

    def found(*words: str) -> list[str]:
        return [entry["reason"] for entry in read(operator("suppression", "list", "--json", *words))]

    assert found() == ["manual", "manual", "optout", "dead"]
    assert found("--address", ADA) == ["optout", "dead"]
    assert found("--address", "0049 151 12345") == ["manual"]
    assert found("--channel", "sms") == ["manual"]
    assert found("--tenant", "acme", "--tenant", "") == ["manual", "manual"]
    assert found("--reason", "dead", "--reason", "optout") == ["optout", "dead"]
    assert found("--category", "news") == ["optout"]
    assert found("--limit", "1") == ["manual"]
    assert "there are more" in operator("suppression", "list", "--limit", "1").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "sms", "0151"), "not a phone number in the international form"),
        (("add", "email", "ada"), "not one e-mail address"),
        (("add", "push", "[erased]"), "the address was erased"),
        (("add", "email", ADA, "--until", "2300-01-01T00:00:00Z"), "the end is too far away"),
        (("add", "planet", ADA), "'planet' is not one of"),
    ],
)
def test_what_is_wrong_is_told(operator: Invoke, words: tuple[str, ...], told: str) -> None:
    refused = operator("suppression", *words)
    assert refused.exit_code != 0
    assert told in refused.stderr


def test_the_address_comes_from_standard_input(operator: Invoke, connection: Connection) -> None:
    assert operator("suppression", "add", "email", "-", stdin=f"{ADA}\n").exit_code == 0
    assert operator("suppression", "why", "-", stdin=f"{ADA}\n").stdout.startswith("entry")
    assert operator("suppression", "lift", "-", stdin="\n").exit_code == 2


GOOD = """address,channel,reason,category,expires_at
ada@example.com,email,optout,,
+49 151 12345,sms,dead,,2100-01-01T00:00:00Z
"Bea, the second <bea@example.com>",email,,news,
"""

BAD = (
    b"""address,channel,reason,expires_at,note
ada@example.com,email,optout,,
bob,email,,,
ada@example.com,planet,,,
ada@example.com,email,because,,
ada@example.com,email,dead,tomorrow,
ada@example.com,email,dead,2030-01-01T00:00,
ada@example.com,email
"never closed,email,,,

\xff@example.com,email,,,
a\x00b@example.com,email,,,
,email,,,
"""
    + b"x" * (LONGEST_LINE + 10)
    + b",email,,,\nbea@example.com,email,,,\n"
)


def test_a_file_is_taken_line_by_line(operator: Invoke, connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("\ufeff" + GOOD, encoding="utf-8")
    dry = operator("suppression", "import", str(file), "--reason", "complaint", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "3 entries would be added\n")
    assert stored(connection) == []
    done = operator("suppression", "import", str(file), "--reason", "complaint")
    assert (done.exit_code, done.stdout) == (0, "3 entries added\n")
    assert sorted(stored(connection)) == [
        ("default", "email", ADA, "", "optout", 1, True),
        ("default", "email", "bea@example.com", "news", "complaint", 1, True),
        ("default", "sms", "+4915112345", "", "dead", 1, True),
    ]
    again = read(operator("suppression", "import", str(file), "--reason", "complaint", "--json"))
    assert again == {
        "dry_run": False, "added": 0, "known": 3, "lifted": 0, "erased": 0, "refused": 0, "faults": [],
    }  # fmt: skip


def test_a_bad_line_is_named_and_harms_no_other(operator: Invoke, connection: Connection) -> None:
    result = operator("suppression", "import", "-", stdin=BAD)
    assert result.exit_code == 1
    assert result.stdout == "2 entries added\n11 lines are wrong: left out\n"
    told = dict(line.removeprefix("line ").split(": ", 1) for line in result.stderr.splitlines())
    assert {int(number): words[:30] for number, words in told.items()} == {
        3: "the address is not one e-mail ",
        4: "the channel is unknown. Give o",
        5: "the reason is unknown. Give on",
        6: "expires_at is no instant. Writ",
        7: "expires_at has no time zone. A",
        8: "it has 2 fields, and the first",
        9: "it is no CSV: unexpected end o",
        11: "it is not UTF-8. Save the file",
        12: "it holds a NUL character. Remo",
        13: "the address is missing. Give o",
        14: "it is longer than 64 kB. Each ",
    }
    assert {line[2] for line in stored(connection)} == {ADA, "bea@example.com"}


@pytest.mark.parametrize("head", ["", "channel,reason\n", "address,planet\n", "address,address\n", "\xff\xfe", ADA])
def test_a_file_without_columns_is_refused_as_a_whole(operator: Invoke, connection: Connection, head: str) -> None:
    refused = operator("suppression", "import", "-", stdin=(head + "\nada@example.com,email\n").encode("latin-1"))
    assert refused.exit_code == 1
    assert "line 1" in refused.stderr
    assert stored(connection) == []


def test_semicolons_stand_between_fields_where_the_first_line_says_so(operator: Invoke, connection: Connection) -> None:
    result = operator(
        "suppression", "import", "-", "--tenant", "acme", stdin="address;channel\nada@example.com;email\n"
    )
    assert result.stdout == "1 entries added\n"
    assert stored(connection) == [("acme", "email", ADA, "", "manual", 1, True)]


def test_an_export_can_be_imported_and_tells_everything(
    operator: Invoke, connection: Connection, tmp_path: Path
) -> None:
    assert set(COLUMNS) == {field.name for field in fields(suppressions.Entry)}
    operator("suppression", "add", "email", ADA, "--reason", "optout", "--note", 'two\nlines, one "quote"')
    operator("suppression", "add", "sms", "+4915112345", "--tenant", "", "--until", "30d")
    operator("suppression", "add", "push", "a,token")
    operator("suppression", "add", "email", "gone@example.com", "--reason", "dead")
    operator("suppression", "lift", "gone@example.com")
    operator("suppression", "add", "email", "erased@example.com", "--reason", "complaint")
    connection.execute("UPDATE noti.suppressions SET address = NULL WHERE address = 'erased@example.com'")
    file = tmp_path / "list.csv"
    done = operator("suppression", "export", str(file))
    assert (done.stdout, done.stderr) == ("", "4 entries\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = stored(connection)
    lines = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert [line["address"] for line in lines] == ["", "a,token", "+4915112345", ADA]
    connection.execute("DELETE FROM noti.suppressions")
    taken = operator("suppression", "import", str(file))
    assert taken.stdout == "3 entries added\n1 have no address any more: left out\n"
    assert sorted(stored(connection)) == sorted(line for line in before if line[2] not in {None, "gone@example.com"})
    assert operator("suppression", "export", "--past").stdout.count("\n") == 4
    assert operator("suppression", "export", "--channel", "sms").stdout.count("\n") == 2


def test_what_was_lifted_after_the_export_stays_lifted(operator: Invoke, connection: Connection) -> None:
    operator("suppression", "add", "email", ADA)
    exported = operator("suppression", "export").stdout
    operator("suppression", "lift", ADA)
    result = operator("suppression", "import", "-", stdin=exported)
    assert result.stdout == "0 entries added\n1 were lifted after they had been reported: left out\n"
    assert [line[-1] for line in stored(connection)] == [False]
    past = operator("suppression", "export", "--past").stdout
    assert "line 2: it was lifted" in operator("suppression", "import", "-", stdin=past).stderr


def test_more_than_a_page_goes_through(
    operator: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressions, "PAGE", 7)
    lines = "".join(f"a{number}@example.com\n" for number in range(50))
    result = operator("suppression", "import", "-", "--channel", "email", stdin=f"address\n{lines}")
    assert result.stdout == "50 entries added\n"
    assert operator("suppression", "export").stdout.count("@example.com") == 50
