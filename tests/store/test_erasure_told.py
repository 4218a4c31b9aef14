"""What is told of an erasure, and to whom: who did it, what a dry run counts, and what becomes of an erased row."""

import psycopg
import pytest

from noti_worker.store.people import moves
from noti_worker.store.people.filters import Filter
from noti_worker.store.people.moves import Move
from noti_worker.store.people.source import for_people
from tests.store.rows import Connection, insert, row
from tests.store.test_erasure_names import ADA, erase, written
from tests.system.daemon import member_of


def test_a_dry_run_tells_nothing_of_what_texts_say(connection: Connection) -> None:
    """Operators may not read a provider's whole answer; neither may they ask whether it holds a word."""
    written(connection, ADA, "alone", email=True)
    written(connection, ADA, "outlived", email=True)
    before = connection.execute("SELECT count(*) FROM noti.audit_log").fetchone()
    connection.execute("SET ROLE noti_operator")
    for guess in ("rcpt", "gone", ADA):
        for log in ("audit_log", "notification_attempts_log"):
            found = connection.execute(
                "SELECT * FROM noti.erase_lines(%s, %s, '-infinity', 0, 1000, true)", [guess, log]
            )
            assert found.fetchone() == (None, None, 0, 0)
        found = connection.execute("SELECT erased, tries, lines FROM noti.erase(%s, NULL, 0, 1000, true)", [guess])
        assert found.fetchone() == (1 if guess == ADA else 0, 0, 0)
    connection.execute("RESET ROLE")
    assert connection.execute("SELECT count(*) FROM noti.audit_log").fetchone() == before


def test_every_erasure_is_a_line_with_the_login_behind_the_group(connection: Connection, database_url: str) -> None:
    written(connection, ADA, "outlived", email=True)
    connection.execute("CREATE ROLE noti_eve LOGIN IN ROLE noti_operator")
    try:
        with psycopg.connect(psycopg.conninfo.make_conninfo(database_url, user="noti_eve"), autocommit=True) as eve:
            erase(eve, "nobody@example.com")
            eve.execute("SET ROLE noti_operator")
            erase(eve, ADA)
        lines = connection.execute(
            "SELECT action, action_by, metadata FROM noti.audit_log"
            " WHERE entity_type IN ('erasure', 'log') ORDER BY audit_id"
        ).fetchall()
    finally:
        connection.execute("DROP ROLE noti_eve")
    assert lines == [
        ("erasure_begun", "noti_eve", None),
        ("erasure_begun", "noti_eve as noti_operator", None),
        ("lines_erased", "noti_eve as noti_operator", {"lines": 1}),
        ("lines_erased", "noti_eve as noti_operator", {"lines": 1}),
    ]
    assert connection.execute(
        "SELECT count(*) FROM noti.audit_log WHERE audit_log::text ILIKE '%ada@%'"
    ).fetchone() == (0,)


def test_what_an_account_in_trouble_quotes_goes_too(connection: Connection) -> None:
    connection.execute("SELECT noti.open_circuit('relay', '550 <Ada@example.com>: no, see xada@example.com')")
    erase(connection, ADA)
    assert connection.execute("SELECT reason FROM noti.circuits").fetchone() == (
        "550 <[erased]>: no, see xada@example.com",
    )


def test_why_somebody_paused_names_nobody_any_more(connection: Connection) -> None:
    connection.execute("SELECT noti.pause('channel', 'email', 'Ada@example.com complains, xada@example.com too')")
    connection.execute("SELECT noti.pause('channel', 'sms', 'xada@example.com complains')")
    erase(connection, ADA)
    assert connection.execute("SELECT name, reason FROM noti.pauses ORDER BY name").fetchall() == [
        ("email", "[erased] complains, xada@example.com too"),
        ("sms", "xada@example.com complains"),
    ]
    left = connection.execute("SELECT metadata::text FROM noti.audit_log WHERE entity_type = 'pause'").fetchall()
    assert left
    assert not [line for (line,) in left if "xada" not in line and "ada@" in line.lower()]
    assert "ada@example.com" not in str(left).lower().replace("xada@example.com", "")


def test_an_erased_notification_is_not_queued_again(connection: Connection) -> None:
    [number] = insert(connection, recipient=ADA, status="failed")
    erase(connection, ADA)
    corrected = (
        "UPDATE noti.notifications_log SET status = 'pending', recipient = 'x@example.com' WHERE notification_id = %s"
    )
    for move in ("SELECT noti.requeue(%s)", corrected):
        with pytest.raises(psycopg.errors.CheckViolation, match="was erased and cannot be sent again"):
            connection.execute(move.encode(), [number])
    [nothing] = connection.execute("SELECT detail FROM noti.why(%s) WHERE event = 'next'", [number]).fetchall()
    assert nothing == ("nothing: it failed; it was erased, and cannot be sent again",)


def test_the_command_refuses_it_in_words_and_goes_on_with_the_others(connection: Connection, database_url: str) -> None:
    erased, failed = (insert(connection, recipient=to, status="failed")[0] for to in (ADA, "bob@example.com"))
    erase(connection, ADA)
    refused = {"it was erased and cannot be sent again": 1}
    with for_people(database_url) as people:
        moved, sample = moves.preview(people, Move.REQUEUE, Filter(ids=(erased, failed)))
        assert (moved.done, moved.refused, [line.notification_id for line in sample]) == (1, refused, [failed])
        assert moves.carry_out(people, Move.REQUEUE, Filter(ids=(erased, failed))) == moves.Moved(1, refused=refused)
    assert [row(connection, number)["status"] for number in (erased, failed)] == ["failed", "pending"]


CHANGES = {
    "hold": "SELECT noti.hold({})",
    "hold by UPDATE": "UPDATE noti.notifications_log SET status = 'held' WHERE notification_id = {}",
    "cancel": "SELECT noti.cancel({})",
    "cancel, requeue": "SELECT noti.cancel({0}); SELECT noti.requeue({0})",
    "cancel, correct": "SELECT noti.cancel({0}); SELECT noti.correct({0}, 'eve@example.com')",
    "hold, release": "SELECT noti.hold({0}); SELECT noti.release({0})",
    "pause, resume": "SELECT noti.pause('channel', 'email'); SELECT noti.resume('channel', 'email')",
    "circuit": "SELECT noti.open_circuit('relay'); SELECT noti.close_circuit('relay')",
    "erase": "SELECT noti.erase('ann@example.com', NULL, 0, 1000, false)",
    "erase nobody": "SELECT noti.erase('nobody@example.com', NULL, 0, 1000, false)",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("alone", [True, False], ids=["by itself", "after SET ROLE"])
def test_every_change_names_the_login(connection: Connection, database_url: str, change: str, alone: bool) -> None:
    [number] = insert(connection, recipient="ann@example.com")
    begun = connection.execute("SELECT max(audit_id) FROM noti.audit_log").fetchone()
    person = psycopg.conninfo.make_conninfo(member_of("noti_operator", database_url))
    with psycopg.connect(person, autocommit=True) as operator:
        if not alone:
            operator.execute("SET ROLE noti_operator")
        operator.execute(CHANGES[change].format(number).encode())
    lines = connection.execute("SELECT action, action_by FROM noti.audit_log WHERE audit_id > %s", begun).fetchall()
    assert lines
    assert {by for _, by in lines} == {"noti_operator_member" + ("" if alone else " as noti_operator")}


def test_who_pauses_is_the_login_too(connection: Connection) -> None:
    connection.execute(
        "SET ROLE noti_operator; INSERT INTO noti.pauses (scope, name) VALUES ('tenant', 'acme'); RESET ROLE"
    )
    by = f"{connection.info.user} as noti_operator"
    assert connection.execute("SELECT paused_by FROM noti.pauses").fetchone() == (by,)
    assert connection.execute("SELECT action_by FROM noti.audit_log").fetchone() == (by,)
