"""`rules replay`: what was recorded, judged by the rules of the present configuration; nothing is changed."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.domain.lifecycle import Policy, decide
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import find
from noti_worker.store.connect import Database
from noti_worker.store.people import tries
from noti_worker.store.people.source import for_people
from noti_worker.store.queue import PostgresQueue
from noti_worker.store.statements import statement
from tests.cli.conftest import Invoke, read
from tests.store import rows
from tests.store.lives import life
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]
Record = Callable[..., None]

ACCOUNTS = """
[accounts.relay]
provider = "smtp"
host = "127.0.0.1"
from = "a@example.com"
password = "env:NOT_SET_HERE"

[accounts.gateway]
provider = "vonage"
"""
ODD = '[[accounts.gateway.answers]]\nname = "odd"\nstatus = "422"\ncode = "odd"\nkind = "transient"\n'


@pytest.fixture
def record(connection: Connection, database_url: str) -> Record:
    """`record(*said)`: record tries as a worker does, one for each answer."""

    def put(*answers: Said, account: str = "gateway", provider: str = "vonage") -> None:
        rows.insert(connection, len(answers))
        with closing(PostgresQueue(Database(Secret(database_url)))) as worker:
            for row, said in zip(rows.claim(worker), answers, strict=True):
                outcome = judge(said, tuple(find(provider).RULES), None)
                verdict = decide(row, outcome, row.claimed_at, Policy(), 0.5)
                worker.record(
                    1, [rows.tried(row, verdict=verdict, outcome=outcome, account=account, provider=provider)]
                )

    return put


@pytest.fixture
def replay(noti: Invoke, tmp_path: Path) -> Callable[..., Any]:
    """`replay("--json", answers=ODD)`: the command with a configuration that has further lines."""

    def invoke(*words: str, answers: str = "") -> Any:
        file = tmp_path / "noti.toml"
        file.write_text(ACCOUNTS + answers)
        return noti("--config", str(file), "rules", "replay", *words)

    return invoke


def logged(connection: Connection) -> list[Any]:
    return connection.execute("SELECT * FROM noti.notification_attempts_log ORDER BY log_id").fetchall()


def test_an_answer_of_ones_own_is_tried_on_what_was_said(
    replay: Callable[..., Any], record: Record, connection: Connection
) -> None:
    record(
        Said("answer", "422", "odd", "no"), Said("answer", "422", "odd", "again"), Said("answer", "422", "other", "x")
    )
    record(Said("rcpt", "550", "5.1.1", "User unknown"), account="relay", provider="smtp")
    before = logged(connection)
    told = read(replay("--json", answers=ODD))
    (change,) = told.pop("changed")
    assert told == {"judged": 4, "not_replayed": {}, "more": False}
    assert change.pop("first_at") < change.pop("last_at")
    assert change == {
        "account": "gateway",
        "code": "422 odd",
        "old_kind": "permanent",
        "old_rule": "api.refused",
        "new_kind": "transient",
        "new_rule": "account.odd",
        "tries": 2,
        "example_id": 2,
    }
    shown = replay(answers=ODD)
    assert "gateway  422 odd  2      permanent api.refused  transient account.odd" in shown.stdout
    assert shown.stderr == "4 tries: 2 would be judged otherwise\n"
    assert logged(connection) == before


def test_the_same_rules_say_the_same_and_so_do_words(replay: Callable[..., Any], record: Record) -> None:
    record(Said("answer", "422", "odd", "come back tomorrow"), Said("answer", "200", "0", id="1"))
    result = replay()
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "2 tries: none would be judged otherwise\n"
    words = '[[accounts.gateway.answers]]\nstatus = "..."\ntext = "^come back"\nkind = "throttled"\n'
    told = read(replay("--json", answers=words))
    assert [(one["new_kind"], one["new_rule"]) for one in told["changed"]] == [("throttled", "account.1")]
    assert told["not_replayed"] == {"words_missing": 1}  # nothing is kept of the words of a success


def test_an_empty_log_is_said_in_words(replay: Callable[..., Any]) -> None:
    result = replay()
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no try was recorded since then that can be judged again\n"
    assert read(replay("--json")) == {"judged": 0, "changed": [], "not_replayed": {}, "more": False}


def test_what_cannot_be_judged_again_is_counted(
    replay: Callable[..., Any], record: Record, connection: Connection
) -> None:
    record(Said("answer", "422", "odd"), account="gone")
    record(Said("answer", "422", "odd"), account="relay")
    life(connection, "failed")
    result = replay(answers=ODD)
    assert result.exit_code == 0
    assert sorted(result.stderr.splitlines()[1:]) == [
        "not judged again: 1 try of accounts that are not configured",
        "not judged again: 1 try of accounts that have another provider now",
        "not judged again: 1 try without a stage: an older version recorded them",
    ]


def test_rule_account_and_since_choose(replay: Callable[..., Any], record: Record, connection: Connection) -> None:
    record(Said("answer", "422", "odd"), Said("answer", "422", "other"), Said("answer", "500"))
    record(Said("rcpt", "550", "5.1.1", "User unknown"), account="relay", provider="smtp")

    def judged(*words: str) -> tuple[int, int]:
        told = read(replay("--json", *words, answers=ODD))
        return told["judged"], len(told["changed"])

    assert judged() == (4, 1)
    assert judged("--rule", "api.refused") == (2, 1)
    assert judged("--rule", "account.odd") == (1, 1)
    assert judged("--rule", "no.such_rule") == (0, 0)
    assert judged("--account", "relay") == (1, 0)
    assert judged("--since", "2020-01-01T00:00:00Z") == (4, 1)
    connection.execute("UPDATE noti.notification_attempts_log SET created_at = created_at - interval '2 hours'")
    assert judged("--since", "1h") == (0, 0)
    assert judged("--since", "3h") == (4, 1)


def test_more_than_the_limit_are_not_read(replay: Callable[..., Any], record: Record) -> None:
    record(*[Said("answer", "422", "odd")] * 3)
    result = replay("--limit", "2", answers=ODD)
    assert result.stderr == (
        "2 tries: 2 would be judged otherwise\nthere are older ones: these are the newest 2 (--limit)\n"
    )
    assert "older" not in replay("--limit", "3", answers=ODD).stderr


def test_readers_may_do_it(replay: Callable[..., Any], record: Record, database_url: str, monkeypatch: Any) -> None:
    record(Said("answer", "422", "odd"))
    monkeypatch.setenv("NOTI_DATABASE_URL", member_of("noti_readonly", database_url))
    assert read(replay("--json", answers=ODD))["judged"] == 1


def test_pages_leave_nothing_out_and_read_nothing_twice(
    record: Record, connection: Connection, database_url: str
) -> None:
    record(*[Said("answer", "422", f"code_{number}") for number in range(7)])
    connection.execute("UPDATE noti.notification_attempts_log SET created_at = now() WHERE log_id % 2 = 0")
    connection.execute("UPDATE noti.notification_attempts_log SET created_at = 'infinity' WHERE code = '422 code_6'")
    with for_people(database_url) as people:
        one, *others = (
            [tried.notification_id for tried in tries.recorded(people, rows.LEASE, page=page)]
            for page in (100, 1, 2, 3)
        )
        assert sorted(one) == [1, 2, 3, 4, 5, 6]
        assert others == [one] * 3
        assert len(list(tries.recorded(people, rows.LEASE, at_most=5, page=2))) == 5


def test_a_page_goes_by_index(record: Record, connection: Connection, database_url: str) -> None:
    connection.execute(
        "INSERT INTO noti.notification_attempts_log (notification_id, attempt_number, status, claim_count)"
        " SELECT n, 1, 'sent', 1 FROM generate_series(1, 5000) n; ANALYZE"
    )
    with for_people(database_url) as people, people.transaction():
        people.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        asked = {
            "since": None,
            "span": "7 days",
            "account": None,
            "before_at": None,
            "before_id": 2**63 - 1,
            "rows": 10,
        }
        plan = people.execute(b"EXPLAIN (ANALYZE) " + statement("read_recorded").sql.encode(), asked).fetchall()
    told = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "Seq Scan" not in told
    assert "Sort " not in told.replace("Sort Key", "")
    assert "Index Cond" in told
