"""Several commands in one write (RFC 2920): an answer counts for its own command, no mail is lost or sent twice."""

import random
import select
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from uuid import UUID

import pytest

from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Outcome
from tests.providers.contract import LIMIT, a_message
from tests.providers.smtp_server import CLOSE, Inbox, Peer, scripted
from tests.providers.test_smtp_stages import build

MESSAGE = a_message(Channel.EMAIL, "ann@example.net")
OFFER = ("250-mail.test", "250 PIPELINING")


def greet(peer: Peer, *offer: str) -> None:
    peer.say("220 mail.test ESMTP")
    peer.hear()
    peer.say(*(offer or OFFER))


def hear_all(peer: Peer) -> list[str]:
    """All that comes until the client hangs up."""
    return list(iter(peer.hear, ""))


def stages(outcome: Outcome) -> list[tuple[str, int | None]]:
    assert outcome.response is not None
    return [(step["stage"], step["code"]) for step in outcome.response["conversation"]]


def conversation(script: Callable[[Peer], None], limit: float = 1.0) -> Outcome:
    with scripted(script) as port:
        sender = build(port)
        outcome = sender.send(MESSAGE, limit)
        sender.close()
    return outcome


@pytest.mark.parametrize("offer", [OFFER, ("250-mail.test", "250 pipelining")])
def test_commands_go_out_together_and_the_mail_after_the_answers(offer: tuple[str, ...]) -> None:
    def script(peer: Peer) -> None:
        greet(peer, *offer)
        commands.extend(peer.hear() for _ in range(3))
        silent.append(not select.select([peer.connection], [], [], 0.1)[0])
        peer.say("250 Ok", "250 Ok", "354 Go on")
        peer.hear_mail()
        peer.say("250 Ok: queued as 4XyZ0001")
        commands.append(peer.hear())

    commands: list[str] = []
    silent: list[bool] = []
    outcome = conversation(script)
    assert outcome.kind is Kind.OK
    assert commands == ["MAIL FROM:<a@example.com>", "RCPT TO:<ann@example.net>", "DATA", "QUIT"]
    assert silent == [True], "no content before the server asked for it"
    assert stages(outcome)[3:] == [("mail", 250), ("rcpt", 250), ("data", 354), ("dot", 250)]


def test_a_server_that_does_not_offer_it_is_told_one_thing_at_a_time() -> None:
    def script(peer: Peer) -> None:
        greet(peer, "250-mail.test", "250 8BITMIME")
        for answer in ("250 Ok", "250 Ok", "354 Go on"):
            peer.hear()
            early.append(bool(select.select([peer.connection], [], [], 0.05)[0]))
            peer.say(answer)
        peer.hear_mail()
        peer.say("250 Ok")
        peer.hear()

    early: list[bool] = []
    assert conversation(script).kind is Kind.OK
    assert early == [False, False, False]


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_group_that_is_cut_short_was_not_sent(answered: int) -> None:
    def script(peer: Peer) -> None:
        greet(peer)
        for _ in range(3):
            peer.hear()
        peer.say(*["250 Ok"] * answered)
        peer.connection.shutdown(1)
        heard.extend(hear_all(peer))

    heard: list[str] = []
    outcome = conversation(script)
    stage = ("mail", "rcpt", "data")[answered]
    assert outcome.kind is Kind.TRANSIENT
    assert outcome.error == f"nothing was sent, it ended at {stage}: the server closed the connection"
    assert heard == []


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_group_that_is_answered_in_part_ends_at_the_limit(answered: int) -> None:
    def script(peer: Peer) -> None:
        greet(peer)
        for _ in range(3):
            peer.hear()
        peer.say(*["250 Ok"] * answered)
        heard.extend(hear_all(peer))

    heard: list[str] = []
    outcome = conversation(script, limit=0.3)
    assert outcome.kind is Kind.TRANSIENT
    assert outcome.error is not None
    assert outcome.error.endswith(f"{('mail', 'rcpt', 'data')[answered]}: no answer in time")
    assert heard == []


def test_an_answer_too_many_is_not_taken_for_the_answer_to_the_mail() -> None:
    def script(peer: Peer) -> None:
        greet(peer)
        for _ in range(3):
            peer.hear()
        peer.say("250 Ok", "250 Ok", "354 Go on", "250 And ok to whatever comes")
        heard.extend(hear_all(peer))

    heard: list[str] = []
    outcome = conversation(script)
    assert outcome.kind is Kind.TRANSIENT
    assert "said more than it was asked" in (outcome.error or "")
    assert heard == []


def test_a_server_that_asks_for_a_mail_without_its_recipient_gets_none() -> None:
    def script(peer: Peer) -> None:
        greet(peer)
        for _ in range(4):
            peer.hear()
        peer.say("250 Ok", "550 5.1.1 No such user", "250 Ok", "354 Go on")
        heard.append(hear_all(peer))

    heard: list[list[str]] = []
    with scripted(script) as port:
        sender = build(port)
        outcomes = [sender.send(replace(MESSAGE, options={"cc": ["carl@example.net"]}), 1.0) for _ in range(2)]
        sender.close()
    assert [outcome.kind for outcome in outcomes] == [Kind.DEAD] * 2
    assert heard == [[], []], "not even a final dot: Carl would get an empty mail"


def test_a_refusal_in_the_middle_leaves_the_connection_in_step() -> None:
    with Inbox(extensions=("PIPELINING",)) as inbox:
        inbox.behaviour.answers |= {
            "RCPT ann@example.net": ["450 4.2.2 Full"],
            "RCPT bob@example.net": ["550 5.1.1 No such user"],
        }
        sender = build(inbox.port)
        later, dead, good = (
            sender.send(replace(MESSAGE, recipient=f"{name}@example.net"), LIMIT) for name in ("ann", "bob", "carl")
        )
        sender.close()
    assert (later.kind, dead.kind, good.kind) == (Kind.TRANSIENT, Kind.DEAD, Kind.OK)
    assert inbox.behaviour.connections == 1
    assert [mail.recipients for mail in inbox.mails] == [("carl@example.net",)]
    assert stages(later)[3:] == [("mail", 250), ("rcpt", 450), ("data", 503), ("rset", 250)]
    assert stages(dead) == [("mail", 250), ("rcpt", 550), ("data", 503), ("rset", 250)]


def test_a_kept_connection_that_died_costs_no_mail() -> None:
    def take_one(peer: Peer) -> None:
        greet(peer)
        for _ in range(3):
            peer.hear()
        peer.say("250 Ok", "250 Ok", "354 Go on")
        peer.hear_mail()
        taken.append("mail")
        peer.say("250 Ok")
        for _ in range(3):
            peer.hear()  # and hangs up without a word

    taken: list[str] = []
    with scripted(take_one) as port:
        sender = build(port)
        outcomes = [sender.send(MESSAGE, LIMIT).kind for _ in range(4)]
        sender.close()
    assert outcomes == [Kind.OK] * 4
    assert len(taken) == 4


def test_dots_are_doubled_and_the_mail_arrives_as_it_was() -> None:
    text = ".\r\n..\r\n.hidden\r\nlast.\r\n" * 3_000  # over a chunk
    with Inbox(extensions=("PIPELINING",)) as inbox:
        sender = build(inbox.port)
        assert sender.send(replace(MESSAGE, text=text), LIMIT).kind is Kind.OK
        sender.close()
    assert inbox.mails[0].content.partition(b"\r\n\r\n")[2] == text.encode()


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_whatever_the_server_does_each_mail_arrives_once_or_is_told(extensions: tuple[str, ...]) -> None:
    dice = random.Random(2920)
    answers = ["421 4.3.2 Closing", "451 4.3.0 Later", "550 5.1.1 No such user", "503 What?", "250 Ok", CLOSE]
    outcomes: dict[str, Outcome] = {}
    with Inbox(extensions=extensions) as inbox:
        sender = build(inbox.port)
        for number in range(300):
            stage = dice.choice(["MAIL", "RCPT", "DATA", "DOT", "RSET", "EHLO", "nothing"])
            inbox.behaviour.answers = {stage: [dice.choice(answers)]}
            if dice.random() < 0.1:
                inbox.hang_up()
            message = replace(MESSAGE, message_id=UUID(int=number), subject=f"number {number}")
            outcomes[f"Subject: number {number}"] = sender.send(message, LIMIT)
        sender.close()
    arrived = Counter(
        line for mail in inbox.mails for line in mail.content.decode().split("\r\n") if line.startswith("Subject: ")
    )
    for subject, outcome in outcomes.items():
        allowed = {Kind.OK: {1}, Kind.UNCERTAIN: {0, 1}}.get(outcome.kind, {0})
        assert arrived[subject] in allowed, (subject, outcome)
    assert {Kind.OK, Kind.UNCERTAIN, Kind.TRANSIENT, Kind.DEAD} <= {outcome.kind for outcome in outcomes.values()}


def test_a_silent_kept_connection_leaves_time_for_a_fresh_one() -> None:
    def forget_the_second(peer: Peer) -> None:
        greet(peer)
        for _ in range(3):
            peer.hear()
        peer.say("250 Ok", "250 Ok", "354 Go on")
        peer.hear_mail()
        peer.say("250 Ok")
        for _ in range(3):
            peer.hear()
        forgotten.set()
        hear_all(peer)

    forgotten = Event()
    with scripted(forget_the_second) as port:
        sender = build(port)
        assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
        outcome = sender.send(MESSAGE, 1.5)
        sender.close()
    assert forgotten.is_set()
    assert outcome.kind is Kind.OK
    assert stages(outcome)[:2] == [("mail", None), ("connect", None)]
