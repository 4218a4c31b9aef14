"""The suppression list in the database: what an address is, how entries come, count and go."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import read_mailbox

Connection = psycopg.Connection[Any]

LABELS = st.text("abcxyzäöüßéñøžиЖλς中文ÄÖÉ0-", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("channel", "written", "normal"),
    [
        ("email", "Ada Lovelace <Ada@Example.COM>", "ada@example.com"),
        ("email", "ada@Bücher.example", "ada@xn--bcher-kva.example"),
        ("email", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("email", "Jürgen@straße.example", "jürgen@xn--strae-oqa.example"),
        ("email", "x@例え.テスト", "x@xn--r8jz45g.xn--zckzah"),
        ("email", "not an address", None),
        ("email", "", None),
        ("sms", "+49 (151) 234-567", "+49151234567"),
        ("sms", "0049151234567", "+49151234567"),
        ("whatsapp", "whatsapp:+49151234567", "+49151234567"),
        ("whatsapp", "49151234567", "+49151234567"),
        ("voice", "0151234567", None),
        ("sms", "ACME", None),
        ("push", "aB:c/D ", "aB:c/D"),
        ("webhook", "https://Example.com/Hook", "https://Example.com/Hook"),
        ("in_app", "  ", None),
    ],
)
def test_an_address_has_one_writing(connection: Connection, channel: str, written: str, normal: str | None) -> None:
    found = connection.execute(
        "SELECT noti.normal_address(%(c)s, %(a)s), noti.address_hash(%(c)s, %(a)s) = sha256(%(n)s::bytea)",
        {"c": channel, "a": written, "n": None if normal is None else normal.encode()},
    ).fetchone()
    assert found == (normal, None if normal is None else True)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(local=st.text("abcABC.+äß", min_size=1, max_size=8), labels=st.lists(LABELS, min_size=2, max_size=3))
def test_the_database_writes_a_domain_as_the_mail_goes_out(
    connection: Connection, local: str, labels: list[str]
) -> None:
    written = f"{local}@{'.'.join(labels)}"
    try:
        sent = read_mailbox(written, "the recipient").address
    except BadNotification:
        return
    both = "SELECT noti.normal_address('email', %s), noti.normal_address('email', %s)"
    found = connection.execute(both, (written, sent)).fetchone()
    assert found is not None
    assert found[0] == found[1]
    assert found[0].rpartition("@")[2] == sent.rpartition("@")[2]


CHANNELS = ("email", "sms", "whatsapp", "push", "in_app")
ODD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80) | st.text('é@<>. "ß-+', max_size=12)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=ODD)
def test_whatever_a_recipient_is_looking_it_up_harms_nobody(connection: Connection, written: str) -> None:
    for channel in CHANNELS:
        row = connection.execute("SELECT noti.normal_address(%s, %s)", (channel, written)).fetchone()
        assert row is not None
        again = connection.execute("SELECT noti.normal_address(%s, %s)", (channel, row[0])).fetchone()
        assert again == row, "the one writing is that of itself"


def suppress(
    connection: Connection, address: str = "ann@example.com", reason: str = "dead", **more: object
) -> int | None:
    given = {"tenant_id": "default", "channel": "email", "address": address, "reason": reason} | more
    named = ", ".join(f"{name} => %({name})s" for name in given)
    row = connection.execute(f"SELECT noti.suppress({named})".encode(), given).fetchone()
    assert row is not None
    return None if row[0] is None else int(row[0])


def entry(connection: Connection, id_: int | None, columns: str) -> Any:
    return connection.execute(
        f"SELECT {columns} FROM noti.suppressions WHERE suppression_id = %s".encode(), (id_,)
    ).fetchone()


def test_an_entry_that_is_there_is_counted(connection: Connection) -> None:
    first = suppress(connection, notification_id=1)
    assert suppress(connection, "Ann <ANN@example.com>", notification_id=2) == first
    assert entry(connection, first, "hits, notification_id, address, source") == (
        2,
        2,
        "ann@example.com",
        "application",
    )
    others = {
        suppress(connection, reason="optout"),
        suppress(connection, category="news"),
        suppress(connection, tenant_id="acme"),
        suppress(connection, channel="chat"),
        suppress(connection, "bea@example.com"),
    }
    assert len(others | {first}) == 6
    lines = connection.execute(
        "SELECT action, metadata FROM noti.audit_log"
        " WHERE entity_type = 'suppression' AND entity_id = %s ORDER BY audit_id",
        (str(first),),
    ).fetchall()
    assert [line[0] for line in lines] == ["suppression_added", "suppression_reported"]
    assert (lines[1][1]["hits"], lines[1][1]["reason"], lines[1][1]["notification_id"]) == (2, "dead", 2)
    assert "ann@" not in str(lines)


def test_a_dead_address_is_let_go_and_an_optout_is_not(connection: Connection) -> None:
    span = "round(extract(epoch FROM expires_at - reported_at) / 86400)::int"
    assert entry(connection, suppress(connection), span) == (90,)
    assert entry(connection, suppress(connection, reason="optout"), span) == (None,)
    assert entry(connection, suppress(connection, reason="complaint"), span) == (None,)
    assert entry(connection, suppress(connection, reason="manual"), span) == (None,)
    longer = suppress(connection, expires_at="2100-01-01 00:00+00")
    assert entry(connection, longer, "expires_at::date::text") == ("2100-01-01",)
    suppress(connection)  # and never for less long
    assert entry(connection, longer, "expires_at::date::text") == ("2100-01-01",)
    suppress(connection, expires_at="infinity")
    assert entry(connection, longer, "expires_at") == (None,)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"channel": "planet"}, "the channel is unknown"),
        ({"channel": None}, "the channel is unknown"),
        ({"reason": "planet"}, "the reason is unknown"),
        ({"tenant_id": None}, "the tenant is missing"),
        ({"address": "ann"}, "not one e-mail address"),
        ({"address": None}, "the address is missing"),
        ({"channel": "sms", "address": "0151"}, "not a phone number"),
        ({"channel": "push", "address": " "}, "the address is missing"),
        ({"channel": "push", "address": "x" * 4097}, "too long"),
        ({"note": "x" * 4097}, "too long"),
        ({"expires_at": "2300-01-01"}, "the end is too far away"),
    ],
)
def test_what_is_wrong_is_refused_in_words(connection: Connection, wrong: dict[str, object], words: str) -> None:
    given: dict[str, Any] = {"address": "ann@example.com"} | wrong
    with pytest.raises(psycopg.errors.CheckViolation, match=f"^noti: .*{words}") as refused:
        suppress(connection, **given)
    assert refused.value.diag.message_detail is None  # it would print the address


def test_an_erased_recipient_is_nobody(connection: Connection) -> None:
    assert suppress(connection, "[erased]") is None


def test_what_a_person_asked_for_only_the_person_takes_back(connection: Connection) -> None:
    lift = "SELECT noti.lift(%s, lifted_by => 'operator', requested_by => %s)"
    for reason in ("optout", "complaint"):
        id_ = suppress(connection, reason=reason)
        for asked in (None, "", "  "):
            with pytest.raises(psycopg.errors.CheckViolation, match="lifted when the person asks for it"):
                connection.execute(lift, (id_, asked))
        with pytest.raises(psycopg.errors.CheckViolation):  # nor by plain SQL
            connection.execute(
                "UPDATE noti.suppressions SET lifted_at = now(), lifted_by = 'x' WHERE suppression_id = %s", (id_,)
            )
        assert connection.execute(lift, (id_, "by telephone")).fetchone() == (True,)
        assert connection.execute(lift, (id_, "by telephone")).fetchone() == (False,)
        assert entry(connection, id_, "lifted_at IS NOT NULL, lifted_by, requested_by") == (
            True,
            "operator",
            "by telephone",
        )
    for reason in ("dead", "manual"):
        assert connection.execute(lift, (suppress(connection, reason=reason), None)).fetchone() == (True,)
    with pytest.raises(psycopg.errors.CheckViolation, match="no such entry"):
        connection.execute(lift, (999_999, None))
    told = "SELECT metadata->>'by', metadata->>'requested_by' FROM noti.audit_log WHERE action = 'suppression_lifted'"
    assert connection.execute(told).fetchall() == [("operator", "by telephone")] * 2 + [("operator", None)] * 2


def test_a_lifted_entry_stays_and_a_new_one_begins(connection: Connection) -> None:
    first = suppress(connection)
    connection.execute("SELECT noti.lift(%s)", (first,))
    second = suppress(connection)
    assert second != first
    assert entry(connection, second, "hits") == (1,)


def test_what_was_said_before_the_lifting_is_over(connection: Connection) -> None:
    """A receipt that comes late, or twice, does not undo what an operator lifted meanwhile."""
    id_ = suppress(connection)
    connection.execute("SELECT noti.lift(%s)", (id_,))
    early = connection.execute("SELECT now() - interval '1 minute', now() + interval '1 second'").fetchone()
    assert early is not None
    assert suppress(connection, at=early[0]) is None
    assert suppress(connection, at=early[1]) not in {None, id_}
