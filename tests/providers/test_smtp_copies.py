"""Copies that a mail server refuses: what is said of each, and how one that is sent later looks."""

from dataclasses import replace

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.providers import smtp
from tests.providers.contract import LIMIT, a_message, opened
from tests.providers.smtp_server import Inbox

MESSAGE = a_message(
    Channel.EMAIL,
    "Ann <ann@example.net>",
    options={"cc": ["Carl <carl@example.net>", "dora@example.net"], "bcc": ["bea@example.net"]},
)


def sent(inbox: Inbox, *messages: Message) -> list[Said]:
    """What is said to each, all on one line."""
    settings = smtp.Settings(host="127.0.0.1", port=inbox.port, tls="none", from_=("no-reply@example.com",))
    sender = opened(smtp, settings)
    said = [sender.sender.send(message, LIMIT) for message in messages]
    sender.close()
    return said


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
@pytest.mark.parametrize(
    ("answer", "kind", "crowded"),
    [
        ("450 4.2.0 Greylisted", Kind.TRANSIENT, False),
        ("451 4.7.1 Greylisted, try again in 300 seconds", Kind.TRANSIENT, False),
        ("452 4.2.2 Mailbox full", Kind.TRANSIENT, False),
        ("552 5.2.2 Mailbox full", Kind.TRANSIENT, False),
        ("450 4.7.28 Rate limit exceeded", Kind.THROTTLED, False),
        ("452 4.5.3 Error: too many recipients", Kind.TRANSIENT, True),
        ("452 4.5.3 Enough", Kind.TRANSIENT, True),
        ("452 Enough for once (#4.5.3)", Kind.TRANSIENT, True),
        ("452 Too many recipients", Kind.THROTTLED, True),
        ("552 Too many recipients", Kind.TRANSIENT, True),
        ("550 5.1.1 No such user", Kind.DEAD, False),
        ("550 5.7.1 Not from you", Kind.CONFIG, False),
    ],
)
def test_a_refused_copy_is_told_apart_and_the_others_get_theirs(
    answer: str, kind: Kind, crowded: bool, extensions: tuple[str, ...]
) -> None:
    with Inbox(extensions=extensions) as inbox:
        inbox.behaviour.answers["RCPT carl@example.net"] = answer
        [said] = sent(inbox, MESSAGE)
    assert judge(said, smtp.RULES, MESSAGE).kind is Kind.OK
    assert inbox.mails[0].recipients == ("ann@example.net", "dora@example.net", "bea@example.net")
    [copy] = said.copies
    assert (copy.name, copy.crowded) == ("cc[0]", crowded)
    assert (copy.said.stage, copy.said.status) == ("rcpt", answer[:3])
    outcome = judge(copy.said, smtp.RULES, MESSAGE)
    assert outcome.kind is kind
    assert outcome.error == f"the server refused the recipient: {answer}"
    assert outcome.response == {"conversation": [{"stage": "rcpt", "code": int(answer[:3]), "text": answer[4:]}]}
    assert said.response is not None
    assert [step["code"] for step in said.response["conversation"] if step["stage"] == "rcpt"] == [
        250,
        int(answer[:3]),
        250,
        250,
    ]


def test_a_server_that_wants_a_wait_for_a_copy_is_heard() -> None:
    with Inbox() as inbox:
        inbox.behaviour.answers["RCPT bea@example.net"] = "450 4.7.1 Greylisted, try again in 300 seconds"
        [said] = sent(inbox, MESSAGE)
    [copy] = said.copies
    assert (copy.name, copy.said.hint) == ("bcc[0]", 310)


def test_one_that_is_sent_later_is_the_same_mail_to_its_recipient_alone() -> None:
    with Inbox() as inbox:
        inbox.behaviour.answers["RCPT bea@example.net"] = ["451 4.7.1 Greylisted"]
        options = {"cc": MESSAGE.options["cc"], "copy_of": MESSAGE.recipient}
        later = replace(MESSAGE, notification_id=2, recipient="bea@example.net", options=options)
        first, second = sent(inbox, MESSAGE, later)
    assert [copy.name for copy in first.copies] == ["bcc[0]"]
    assert second.copies == ()
    assert [mail.recipients for mail in inbox.mails] == [
        ("ann@example.net", "carl@example.net", "dora@example.net"),
        ("bea@example.net",),
    ]
    assert inbox.mails[0].content == inbox.mails[1].content
    assert b"To: Ann <ann@example.net>\r\n" in inbox.mails[1].content
    assert b"bea" not in inbox.mails[1].content


def test_a_refusal_of_a_copy_that_is_sent_later_is_about_its_recipient() -> None:
    """With several recipients a refusal after the dot does not say whom it means."""
    later = replace(MESSAGE, recipient="carl@example.net", options={**MESSAGE.options, "copy_of": "ann@example.net"})
    unknown = Said("dot", "550", "5.1.1", "User unknown")
    assert judge(unknown, smtp.RULES, later).kind is Kind.DEAD
    assert judge(unknown, smtp.RULES, MESSAGE).kind is Kind.PERMANENT


def test_the_original_recipients_address_is_not_read_as_the_servers_words() -> None:
    options = {"copy_of": "rate@example.net"}
    later = replace(MESSAGE, recipient="carl@example.net", options=options)
    said = Said("dot", "550", "5.1.1", "rate@example.net: user unknown")
    assert judge(said, smtp.RULES, later).kind is Kind.DEAD
