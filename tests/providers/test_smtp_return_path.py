"""Mails that are to come back: each has an envelope sender of its own, over real SMTP."""

from dataclasses import replace

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind
from noti_worker.domain.return_path import ReturnPath
from noti_worker.domain.secret import Secret
from noti_worker.providers import smtp
from noti_worker.transport import Kit
from tests.providers.contract import LIMIT, NOW, a_message, opened
from tests.providers.smtp_server import Inbox, Peer, scripted
from tests.providers.test_smtp import parsed

PATH = ReturnPath("bounce@example.com", Secret("0123456789abcdef"))
MESSAGE = a_message(Channel.EMAIL, "ann@example.net")
KIT = Kit(now=lambda: NOW, return_paths=[ReturnPath("other@example.com", PATH.key), PATH])


def account(inbox: Inbox, return_path: str | None) -> smtp.Settings:
    return smtp.Settings("127.0.0.1", ("no-reply@example.com",), return_path, inbox.port, "none")


def test_each_mail_has_a_return_path_of_its_own() -> None:
    with Inbox() as inbox:
        sender = opened(smtp, account(inbox, "Bounce@Example.com"), KIT)
        for notification_id in (17, 18):
            outcome = sender.send(replace(MESSAGE, notification_id=notification_id), LIMIT)
            assert outcome.kind is Kind.OK
        sender.close()
    assert [mail.sender for mail in inbox.mails] == [PATH.of(17), PATH.of(18)]
    assert [PATH.notification_in([mail.sender]) for mail in inbox.mails] == [17, 18]
    mail = parsed(inbox.mails[0])
    assert mail["From"] == "no-reply@example.com"
    assert mail["X-Notification-ID"] == "17"
    assert mail["Message-ID"] == f"<{MESSAGE.message_id}@example.com>"


def test_a_server_that_reports_is_told_what_to_report() -> None:
    heard: list[str] = []

    def script(peer: Peer) -> None:
        peer.say("220 mail.test ESMTP")
        peer.hear()
        peer.say("250-mail.test", "250 DSN")
        for answer in ("250 Ok", "250 Ok", "250 Ok", "354 Go on"):
            heard.append(peer.hear())
            peer.say(answer)
        peer.hear_mail()
        peer.say("250 Ok")
        peer.hear()

    with scripted(script) as port:
        settings = smtp.Settings("127.0.0.1", ("no-reply@example.com",), PATH.address, port, "none")
        sender = opened(smtp, settings, KIT)
        options = {"cc": ["copy@example.net"]}
        message = replace(MESSAGE, notification_id=17, recipient="ann+news=1@example.net", options=options)
        assert sender.send(message, LIMIT).kind is Kind.OK
        sender.close()
    assert heard == [
        f"MAIL FROM:<{PATH.of(17)}> RET=HDRS",
        "RCPT TO:<ann+news=1@example.net> ORCPT=rfc822;ann+2Bnews+3D1@example.net",
        "RCPT TO:<copy@example.net> ORCPT=rfc822;copy@example.net",
        "DATA",
    ]


def test_without_one_bounces_go_to_the_sender_and_nothing_is_added() -> None:
    with Inbox() as inbox:
        sender = opened(smtp, account(inbox, None), KIT)
        sender.send(MESSAGE, LIMIT)
        sender.close()
    [mail] = inbox.mails
    assert mail.sender == "no-reply@example.com"
    assert parsed(mail)["X-Notification-ID"] is None


def test_a_row_cannot_name_another_notification() -> None:
    with Inbox() as inbox:
        sender = opened(smtp, account(inbox, "bounce@example.com"), KIT)
        outcome = sender.send(replace(MESSAGE, options={"headers": {"X-Notification-ID": "1"}}), LIMIT)
        sender.close()
    assert outcome.kind is Kind.PERMANENT
    assert inbox.mails == []


def test_a_return_path_that_nobody_reads_is_refused() -> None:
    with Inbox() as inbox, pytest.raises(ConfigurationError, match=r"section bounces\.NAME"):
        opened(smtp, account(inbox, "returns@example.com"), KIT)
