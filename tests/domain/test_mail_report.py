"""Mails that come back, in the forms of real servers: what they say, and what they do not."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noti_worker.domain.mail_report import Fate, MailReport, Stray, Unfit, read_report
from tests.corpus.returned import MESSAGE_ID, names, returned

ADA = "ada@example.net"
PATH = "bounce+h-aaaaaaaaaaaaaaaa@example.com"

REPORTS: dict[str, list[tuple[str, str, str, tuple[str, ...]]]] = {
    "postfix_unknown_user": [("failed", "5.1.1", "User unknown in virtual mailbox table", (ADA, ADA))],
    "postfix_expired": [("failed", "4.4.1", "Connection timed out", (ADA, ADA))],
    "postfix_delayed": [("delayed", "4.4.1", "Connection refused", (ADA, ADA))],
    "exim_policy": [("failed", "5.0.0", "550 5.7.1 Our system", (ADA,))],
    "exim_unroutable": [("failed", "5.0.0", "", (ADA,))],
    "gmail_no_account": [("failed", "5.1.1", "550-5.1.1 The email account", (ADA,))],
    "gmail_over_quota": [("failed", "5.2.2", "out of storage space", (ADA,))],
    "exchange_not_found": [("failed", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", (ADA,))],
    "exchange_restricted": [("failed", "5.7.1", "RESOLVER.RST.SenderNotAuthenticatedForGroup", (ADA,))],
    "sendmail_two_recipients": [
        ("failed", "5.1.1", "User unknown", (ADA,)),
        ("failed", "5.2.2", "Mailbox full", ("copy@example.net",)),
    ],
    "rfc3464_relayed": [("relayed", "2.0.0", "", (ADA, ADA))],
    "rfc6533_international": [("failed", "5.1.1", "550 5.1.1 Empfänger unbekannt", ("Jörg@example.net",) * 2)],
    "yahoo_complaint": [("abuse", "", "", ("redacted@yahoo.com",) * 2)],
    "rfc5965_complaint": [("abuse", "", "", (ADA, "<Undisclosed Recipients>"))],
    "rfc5965_not_spam": [("not-spam", "", "", (ADA, "<Undisclosed Recipients>"))],
}
STRAYS = {
    "qmail_unknown_user": Unfit.UNREADABLE,
    "exchange_2003_plain": Unfit.UNREADABLE,
    "vacation_rfc3834": Unfit.AUTO_REPLY,
    "vacation_exchange": Unfit.AUTO_REPLY,
    "vacation_precedence": Unfit.AUTO_REPLY,
    "autoreply_gmail": Unfit.AUTO_REPLY,
    "read_receipt": Unfit.OTHER,
    "person": Unfit.OTHER,
}
WITHOUT_HEADERS = {
    "postfix_expired",
    "exim_unroutable",
    "gmail_over_quota",
    "exchange_restricted",
    "rfc3464_relayed",
    "rfc5965_complaint",
    "rfc5965_not_spam",
}
"""Reports that do not return the headers of the mail."""


def report(name: str) -> MailReport:
    found = read_report(returned(name, PATH))
    assert isinstance(found, MailReport)
    return found


def test_every_file_is_expected_to_say_something() -> None:
    assert names() == sorted({*REPORTS, *STRAYS})


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_tells_the_fate_of_each_recipient(name: str) -> None:
    fates = report(name).fates
    assert [(fate.action, fate.status, fate.addresses) for fate in fates] == [
        (action, status, addresses) for action, status, _, addresses in REPORTS[name]
    ]
    for fate, (_, _, words, _) in zip(fates, REPORTS[name], strict=True):
        assert words in fate.words


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_names_the_mail_that_it_is_about(name: str) -> None:
    found = report(name)
    assert any(PATH in text for text in found.texts)
    expected = (None, None) if name in WITHOUT_HEADERS else (17, MESSAGE_ID)
    assert (found.notification_id, found.message_id) == expected
    assert found.complaint == ("complaint" in name or "not_spam" in name)


@pytest.mark.parametrize("name", STRAYS)
def test_what_is_no_report_is_told_apart(name: str) -> None:
    found = read_report(returned(name, PATH))
    assert isinstance(found, Stray)
    assert found.why is STRAYS[name]
    assert any(PATH in text for text in found.texts)


@pytest.mark.parametrize("name", REPORTS)
def test_the_same_mail_has_one_id_however_it_came(name: str) -> None:
    again = read_report(b"Received: by another server\r\n" + returned(name, PATH))
    assert isinstance(again, MailReport)
    assert again.id == report(name).id


def test_two_mails_have_two_ids() -> None:
    assert len({report(name).id for name in REPORTS}) == len(REPORTS)


def test_a_mail_without_an_id_is_known_by_its_text() -> None:
    bare = returned("postfix_unknown_user", PATH).replace(b"Message-Id:", b"X-Was:", 1)
    one, other = read_report(bare), read_report(bare.replace(b"09:15:01", b"09:15:02"))
    assert isinstance(one, MailReport)
    assert isinstance(other, MailReport)
    assert read_report(bare) == one
    assert one.id != other.id


def test_the_time_is_that_of_the_last_attempt() -> None:
    assert report("sendmail_two_recipients").fates[0].at == datetime(2026, 11, 30, 9, 15, 1, tzinfo=UTC)
    assert report("postfix_unknown_user").fates[0].at == datetime(2026, 11, 30, 9, 15, tzinfo=UTC)


def test_a_report_is_read_although_the_mail_that_it_returns_is_cut_off() -> None:
    whole = returned("postfix_unknown_user", PATH)
    cut = whole[: whole.index(b"Thank you.")] + b"x" * 100_000
    found = read_report(cut)
    assert isinstance(found, MailReport)
    assert found.fates == report("postfix_unknown_user").fates
    assert found.message_id == MESSAGE_ID


def test_an_encoded_report_is_decoded() -> None:
    found = read_report(
        b"Message-ID: <1@x>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        # Reporting-MTA: dns; mx, then Final-Recipient: utf-8; jö@example.net, Action: failed, Status: 5.1.1
        b"UmVwb3J0aW5nLU1UQTogZG5zOyBteAoKRmluYWwtUmVjaXBpZW50OiB1dGYtODsgasO2QGV4YW1w\r\n"
        b"bGUubmV0CkFjdGlvbjogZmFpbGVkClN0YXR1czogNS4xLjEK\r\n--b--\r\n"
    )
    assert isinstance(found, MailReport)
    assert found.fates == (Fate("failed", "5.1.1", "", ("jö@example.net",)),)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"Action: failed", b"Action: exploded"),
        (b"Action: failed\r\n", b""),
        (b"Content-Type: message/delivery-status", b"Content-Type: text/plain"),
    ],
)
def test_a_report_that_says_nothing_is_unreadable(was: bytes, becomes: bytes) -> None:
    assert read_report(returned("postfix_unknown_user", PATH).replace(was, becomes)) == Stray(
        Unfit.UNREADABLE, (PATH, "bounce@example.com", PATH)
    )


@given(st.binary(max_size=2000), st.sampled_from(sorted(REPORTS)), st.integers(0, 3000))
@settings(max_examples=300)
def test_no_damage_is_a_surprise(noise: bytes, name: str, at: int) -> None:
    whole = returned(name, PATH)
    read_report(whole[:at] + noise + whole[at:])
    read_report(noise)
