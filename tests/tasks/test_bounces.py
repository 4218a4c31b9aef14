"""What comes back to a mailbox: counted once, told to the notification that it is about, and to no other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from noti_worker.domain.bounces import BounceMailbox, MailboxAway
from noti_worker.domain.facts import MailboxLeft, MailboxLost, MailboxReached, MailsRead
from noti_worker.domain.return_path import ReturnPath
from noti_worker.domain.secret import Secret
from noti_worker.store.connect import Database
from noti_worker.store.receipts.mails import MailDesk
from noti_worker.store.upkeep.duties import Duties
from noti_worker.tasks.bounces import MOST_BREAKS, ReadBounces
from tests.corpus.returned import returned
from tests.store.rows import insert, row
from tests.worker.fakes import FakeClock, Witness

Connection = psycopg.Connection[Any]

KEY = Secret("0123456789abcdef")
PATH = ReturnPath("bounce@example.com", KEY)
MAILBOX = BounceMailbox("bounce@example.com", KEY, "mail.example.com", "bounces", password=Secret("x"))
ADA = "ada@example.net"


@dataclass
class Box:
    """A mailbox in memory. `broken` are mails at which the line breaks, `away` is why nobody gets in."""

    mails: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    away: str | None = None
    read: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    closed: int = 0

    def visit(self, mailbox: BounceMailbox) -> "Box":
        if self.away is not None:
            raise MailboxAway(self.away)
        return self

    def put(self, mail: bytes) -> str:
        name = str(len(self.mails) + len(self.gone) + 1)
        self.mails[name] = mail
        return name

    def names(self) -> Sequence[str]:
        return list(self.mails)

    def head(self, name: str) -> bytes | None:
        if name in self.broken:
            raise MailboxAway("the line broke")
        self.read.append(name)
        return self.mails.get(name)

    def dispose(self, name: str) -> None:
        self.gone.append(name)
        del self.mails[name]

    def close(self) -> None:
        self.closed += 1


@dataclass
class Reader:
    """A worker that reads the box."""

    box: Box
    task: ReadBounces
    clock: FakeClock
    witness: Witness
    connection: Connection

    def __call__(self, *mails: bytes) -> dict[str, int]:
        """Have the mails come, and be read; gives how many of each sort."""
        for mail in mails:
            self.box.put(mail)
        self.witness.facts.clear()
        self.visit()
        told = [fact.counts for fact in self.witness.of(MailsRead)]
        return told[0] if told else {}

    def visit(self, most: int = 100) -> int:
        """Go there, as if a minute had passed."""
        self.clock.tick(120)
        self.connection.execute("UPDATE noti.duties SET last_run = last_run - interval '1 hour'")
        return self.task.run_once(most)[0]


@pytest.fixture
def reader(connection: Connection, database_url: str) -> Iterator[Reader]:
    yield from _reader(connection, database_url, MAILBOX, Box())


def _reader(connection: Connection, url: str, mailbox: BounceMailbox, box: Box, worker: int = 1) -> Iterator[Reader]:
    clock, witness = FakeClock(), Witness()
    session = Database(Secret(url)).session("bounces")
    desk, duties = MailDesk(session), Duties(session, worker)
    yield Reader(
        box, ReadBounces("back", mailbox, box.visit, desk, duties, witness, clock.monotonic), clock, witness, connection
    )
    session.close()


def mail(connection: Connection, name: str, id_: int, *, path: ReturnPath = PATH, **changes: Any) -> bytes:
    """A mail of the corpus about a notification."""
    sent = row(connection, id_)
    given = {"recipient": sent["recipient"], "message_id": sent["message_id"], "return_path": path.of(id_)} | changes
    return returned(name, notification_id=id_, **given)


def sent(connection: Connection, **columns: Any) -> int:
    (found,) = insert(connection, status="sent", **{"recipient": ADA} | columns)
    return found


def receipts(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT notification_id, kind, code, account, provider FROM noti.receipts ORDER BY receipt_id"
    ).fetchall()


def suppressed(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT address, reason FROM noti.suppressions WHERE lifted_at IS NULL").fetchall()


def test_a_hard_bounce_ends_in_the_row_the_story_and_the_suppression_list(
    connection: Connection, reader: Reader
) -> None:
    id_ = sent(connection)
    assert reader(mail(connection, "postfix_unknown_user", id_)) == {"report": 1}
    assert row(connection, id_)["receipt"] == "bounced"
    assert suppressed(connection) == [(ADA, "dead")]
    story = connection.execute("SELECT event, detail FROM noti.why(%s)", [id_]).fetchall()
    [detail] = [detail for event, detail in story if event == "bounced"]
    assert detail.startswith("back (mailbox) tells it (5.1.1): 550 5.1.1")
    assert reader.box.gone == ["1"]
    assert reader.box.closed == 1


KINDS = {
    "postfix_unknown_user": "bounced",
    "postfix_expired": "soft_bounced",
    "postfix_delayed": "deferred",
    "exim_policy": "failed",
    "exim_unroutable": "soft_bounced",
    "gmail_no_account": "bounced",
    "gmail_over_quota": "soft_bounced",
    "exchange_not_found": "bounced",
    "exchange_restricted": "failed",
    "yahoo_complaint": "complained",
    "rfc5965_complaint": "complained",
}


@pytest.mark.parametrize("name", KINDS)
def test_what_real_servers_report_is_understood(connection: Connection, reader: Reader, name: str) -> None:
    id_ = sent(connection)
    reader(mail(connection, name, id_))
    assert [kind for _, kind, *_ in receipts(connection)] == [KINDS[name]]
    dead = {"bounced": [(ADA, "dead")], "complained": [(ADA, "complaint")]}
    assert suppressed(connection) == dead.get(KINDS[name], [])


def test_words_of_policy_outrank_the_status(connection: Connection, reader: Reader) -> None:
    """A listing of ours must not cost an address, whatever the server on the way makes of it."""
    back = mail(connection, "postfix_unknown_user", sent(connection))
    reader(back.replace(b"smtp; 550 5.1.1", b"smtp; 550 5.7.1"))
    assert [(kind, code) for _, kind, code, *_ in receipts(connection)] == [("failed", "5.1.1")]
    assert suppressed(connection) == []


@pytest.mark.parametrize("name", ["rfc3464_relayed", "rfc5965_not_spam"])
def test_what_is_no_news_leaves_no_receipt(connection: Connection, reader: Reader, name: str) -> None:
    reader(mail(connection, name, sent(connection)))
    assert receipts(connection) == []
    assert reader.box.gone == ["1"]


STAYS = {"qmail_unknown_user": "unreadable", "exchange_2003_plain": "unreadable", "read_receipt": "other"}


@pytest.mark.parametrize("name", [*STAYS, "person", "vacation_rfc3834", "vacation_exchange", "autoreply_gmail"])
def test_what_is_no_report_bounces_nothing(connection: Connection, reader: Reader, name: str) -> None:
    id_ = sent(connection)
    reader(mail(connection, name, id_))
    assert receipts(connection) == []
    assert row(connection, id_)["receipt"] is None
    assert suppressed(connection) == []
    stays = name in {*STAYS, "person"}
    assert list(reader.box.mails) == (["1"] if stays else []), "an auto-reply to a return path of ours goes"
    [told] = reader.witness.of(MailsRead)
    assert told.left == (("1",) if STAYS.get(name) == "unreadable" else ())


def test_an_auto_reply_to_somebody_else_stays(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    assert reader(mail(connection, "vacation_rfc3834", id_, return_path="bounce@example.com")) == {"auto_reply": 1}
    assert list(reader.box.mails) == ["1"]


def test_a_forged_return_path_suppresses_nobody(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    stranger = ReturnPath(PATH.address, Secret("fedcba9876543210"))
    forged = mail(connection, "postfix_expired", id_, path=stranger).replace(b"4.4.1", b"5.1.1")
    assert reader(forged) == {"forged": 1}
    assert receipts(connection) == []
    assert suppressed(connection) == []
    assert list(reader.box.mails) == ["1"], "somebody may want to see it"
    assert reader.witness.of(MailsRead)[0].left == ("1",)


def test_the_signature_of_one_notification_says_nothing_of_another(connection: Connection, reader: Reader) -> None:
    mine, other = sent(connection), sent(connection, recipient="bob@example.net")
    signature = PATH.of(mine).partition("-")[2]
    forged = f"{PATH.of(other).partition('-')[0]}-{signature}"
    assert reader(mail(connection, "postfix_expired", other, return_path=forged)) == {"forged": 1}
    assert receipts(connection) == []


def test_a_report_about_somebody_else_kills_no_address(connection: Connection, reader: Reader) -> None:
    """Whoever got a mail knows its return path, and may write any address into a report."""
    id_ = sent(connection)
    forged = mail(connection, "postfix_unknown_user", id_, recipient="victim@example.org")
    assert reader(forged) == {"report": 1}
    assert [(kind, code) for _, kind, code, *_ in receipts(connection)] == [("soft_bounced", "5.1.1")]
    assert suppressed(connection) == []


def test_a_copy_that_is_dead_says_nothing_of_the_recipient(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection, options='{"cc": ["Copy <copy@example.net>"]}')
    back = mail(connection, "sendmail_two_recipients", id_, recipient="nobody@example.org")
    reader(back.replace(b"5.2.2", b"5.1.1").replace(b"Mailbox full", b"User unknown"))
    assert row(connection, id_)["receipt"] is None
    assert suppressed(connection) == [("copy@example.net", "dead")], "and whoever is none of ours is not believed"


def test_each_recipient_has_a_fate_of_its_own(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection, options='{"bcc": "copy@example.net"}')
    reader(mail(connection, "sendmail_two_recipients", id_))
    assert [kind for _, kind, *_ in receipts(connection)] == ["bounced", "soft_bounced"]
    assert row(connection, id_)["receipt"] == "bounced"
    assert suppressed(connection) == [(ADA, "dead")]


@pytest.mark.parametrize("name", ["postfix_unknown_user", "gmail_no_account", "exchange_not_found", "yahoo_complaint"])
def test_without_the_return_path_both_ids_of_the_mail_tell_it(
    connection: Connection, reader: Reader, name: str
) -> None:
    id_ = sent(connection)
    reader(mail(connection, name, id_, return_path="bounce@example.com"))
    assert row(connection, id_)["receipt"] in {"bounced", "complained"}


def test_one_of_the_ids_alone_tells_nothing(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    guessed = returned("postfix_unknown_user", "bounce@example.com", ADA, id_)
    assert reader(guessed) == {"unmatched": 1}
    assert receipts(connection) == []


def test_the_same_mail_again_counts_once(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    bounce = mail(connection, "postfix_unknown_user", id_)
    assert reader(bounce, bounce) == {"report": 2}
    assert reader(b"Received: once more\r\n" + bounce) == {"report": 1}
    assert len(receipts(connection)) == 1
    assert connection.execute("SELECT hits FROM noti.suppressions").fetchall() == [(1,)]


def test_two_workers_that_meet_count_it_once(connection: Connection, database_url: str, reader: Reader) -> None:
    id_ = sent(connection)
    bounce = mail(connection, "postfix_unknown_user", id_)
    for other in _reader(connection, database_url, MAILBOX, Box(), worker=2):
        reader(bounce)
        other(bounce)
    assert len(receipts(connection)) == 1


def test_one_worker_goes_at_a_time(connection: Connection, database_url: str, reader: Reader) -> None:
    reader.visit()
    for other in _reader(connection, database_url, MAILBOX, reader.box, worker=2):
        other.task.run_once(100)
    assert reader.box.closed == 1, "the next visit is due in a minute"


def test_who_goes_there_no_more_forgets_what_it_knew(connection: Connection, reader: Reader) -> None:
    reader.box.away = "no answer"
    reader.visit()
    for minutes in (1, 2, 3):
        assert not reader.witness.of(MailboxLeft), minutes
        connection.execute("UPDATE noti.duties SET last_run = clock_timestamp()")  # another one was there
        reader.clock.tick(60)
        reader.task.run_once(10)
    assert len(reader.witness.of(MailboxLeft)) == 1


def test_what_came_of_the_mail_before_a_correction_is_not_told_to_the_one_after(
    connection: Connection, reader: Reader
) -> None:
    id_ = sent(connection)
    old = mail(connection, "postfix_unknown_user", id_)
    connection.execute("ALTER TABLE noti.notifications_log DISABLE TRIGGER USER")
    connection.execute(
        "UPDATE noti.notifications_log SET message_id = gen_random_uuid(), recipient = 'bob@example.net'"
    )
    assert reader(old) == {"unmatched": 1}
    assert receipts(connection) == []


def test_a_report_that_comes_after_retention_goes(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    late = mail(connection, "postfix_unknown_user", id_)
    connection.execute("DELETE FROM noti.notifications_log")
    assert reader(late) == {"unmatched": 1}
    assert receipts(connection) == []
    assert reader.box.gone == ["1"], "it is ours, and says nothing to nobody"


def test_soft_bounces_on_three_days_suppress(connection: Connection, reader: Reader) -> None:
    ids = [sent(connection) for _ in range(3)]
    for number, id_ in enumerate(ids):
        assert suppressed(connection) == []
        back = mail(connection, "gmail_over_quota", id_).replace(b"65685f16", b"%d" % number)
        reader(
            back.replace(b"Reporting-MTA", b"Arrival-Date: %d Nov 2026 10:00:00 +0000\r\nReporting-MTA" % (number + 20))
        )
    assert suppressed(connection) == [(ADA, "dead")]


def test_bad_news_of_a_row_in_flight_waits_for_its_result(connection: Connection, reader: Reader) -> None:
    (id_,) = insert(connection, recipient=ADA)
    connection.execute(
        "UPDATE noti.notifications_log SET status = 'sending', claimed_by = 1, claim_count = claim_count + 1,"
        " lease_until = clock_timestamp() + interval '1 minute' WHERE notification_id = %s",
        [id_],
    )
    reader(mail(connection, "postfix_unknown_user", id_))
    assert suppressed(connection) == []
    connection.execute(
        "UPDATE noti.notifications_log SET status = 'sent', claimed_by = NULL, lease_until = NULL, sent_at = now(),"
        " finished_at = now(), attempt_count = 1 WHERE notification_id = %s",
        [id_],
    )
    connection.execute("UPDATE noti.receipts SET look_at = clock_timestamp()")
    reader(mail(connection, "postfix_delayed", id_))
    assert row(connection, id_)["receipt"] == "bounced"
    assert suppressed(connection) == [(ADA, "dead")]


def test_mails_that_stay_are_read_once(connection: Connection, reader: Reader) -> None:
    reader(mail(connection, "person", sent(connection)))
    reader.visit()
    assert reader.box.read == ["1"]


def test_what_is_kept_is_read_once(connection: Connection, database_url: str) -> None:
    kept = replace(MAILBOX, after="keep")
    for reader in _reader(connection, database_url, kept, Box()):
        reader(mail(connection, "postfix_unknown_user", sent(connection)))
        reader.visit()
        assert reader.box.read == ["1"]


@pytest.mark.parametrize(
    "strange",
    [
        b"",
        b"\0\xff" * 1000,
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000)),
        b"From: mailer-daemon@x\r\nContent-Type: text/plain; charset=\xff\r\n\r\n\xff",
    ],
    ids=["empty", "noise", "cut", "deep", "charset"],
)
def test_a_strange_mail_harms_only_itself(connection: Connection, reader: Reader, strange: bytes) -> None:
    id_ = sent(connection)
    told = reader(strange, mail(connection, "postfix_unknown_user", id_))
    assert told["report"] == 1
    assert row(connection, id_)["receipt"] == "bounced"
    assert list(reader.box.mails) == ["1"]


def test_a_mail_that_breaks_the_line_is_passed_by(connection: Connection, reader: Reader) -> None:
    id_ = sent(connection)
    reader.box.broken.add(reader.box.put(b"x"))
    reader.box.put(mail(connection, "postfix_unknown_user", id_))
    for _ in range(MOST_BREAKS):
        reader.visit()
    assert row(connection, id_)["receipt"] is None
    assert reader.witness.of(MailsRead)[-1].left == ("1",)
    reader.visit()
    assert row(connection, id_)["receipt"] == "bounced"


def test_a_mailbox_that_is_away_is_told_and_visited_again(connection: Connection, reader: Reader) -> None:
    reader.box.away = "no answer"
    reader.visit()
    reader.visit()
    assert [fact.error for fact in reader.witness.of(MailboxLost)] == ["no answer", "no answer"]
    assert reader.witness.of(MailboxLost)[1].seconds == pytest.approx(120)
    reader.box.away = None
    reader.visit()
    reader.visit()
    assert [fact.lost_for for fact in reader.witness.of(MailboxReached)] == [pytest.approx(240), None]


def test_many_mails_are_read_in_turns(connection: Connection, reader: Reader) -> None:
    for _ in range(5):
        reader.box.put(mail(connection, "person", sent(connection)))
    reader.clock.tick(120)
    assert [reader.task.run_once(2)[0] for _ in range(4)] == [2, 2, 1, 0], "without waiting for the next minute"


def test_nobody_is_asked_before_it_is_due(connection: Connection, reader: Reader) -> None:
    reader.visit()
    reader.clock.tick(1)
    connection.execute("UPDATE noti.duties SET last_run = last_run - interval '1 hour'")
    assert reader.task.run_once(100) == (0, None)
    assert reader.box.closed == 1


def test_every_is_how_often(connection: Connection, database_url: str) -> None:
    rarely = replace(MAILBOX, every=timedelta(hours=2))
    for reader in _reader(connection, database_url, rarely, Box()):
        reader.visit()
        reader.visit()
        assert reader.box.closed == 1
