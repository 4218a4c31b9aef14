"""A kept line that the server has worn out, while it stays connected, costs no mail; nor does it send one twice."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from tests.providers.contract import LIMIT, Judged, a_message
from tests.providers.smtp_server import Inbox, Peer, scripted
from tests.providers.test_smtp_stages import build

MESSAGE = a_message(Channel.EMAIL, "ann@example.net")


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "at once"])
def inbox(request: pytest.FixtureRequest) -> Iterator[Inbox]:
    with Inbox(extensions=request.param) as inbox:
        yield inbox


@pytest.fixture
def sender(inbox: Inbox) -> Iterator[Judged]:
    sender = build(inbox.port)
    yield sender
    sender.close()


def numbered(number: int) -> Message:
    return replace(MESSAGE, message_id=UUID(int=number), subject=f"number {number}")


REFUSALS = (
    "452 4.3.1 Insufficient system storage",
    "452 Too many messages on this connection",
    "503 5.5.1 Bad sequence of commands",
    "530 5.7.0 Authentication required",
    "550 5.7.1 Session limit",
    "421 4.7.0 Try another connection",
)


@pytest.mark.parametrize("stage", ["MAIL", "DATA"])
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_server_that_wears_its_lines_out_gets_all_mails(stage: str, refusal: str, at_once: bool) -> None:
    """From the fourth mail of a connection on it refuses all, and does not hang up."""

    def script(peer: Peer) -> None:
        peer.say("220 mail.test")
        peer.hear()
        peer.say("250-mail.test", "250 PIPELINING" if at_once else "250 8BITMIME")
        mails = 0
        while command := peer.hear():
            verb = command[:4]
            if verb == "MAIL":
                mails += 1
            if verb == stage and mails > 3:
                peer.say(refusal)
            elif verb == "DATA" and not (stage == "MAIL" and mails > 3):
                peer.say("354 Go on")
                subject = next(line for line in iter(peer.hear, ".") if line.startswith("Subject: "))
                peer.hear_mail()
                arrived[subject] += 1
                peer.say("250 Ok")
            else:
                peer.say("503 What?" if verb in {"RCPT", "DATA"} and stage == "MAIL" and mails > 3 else "250 Ok")
            if verb == "QUIT":
                return

    arrived: Counter[str] = Counter()
    with scripted(script) as port:
        sender = build(port)
        outcomes = [sender.send(numbered(number), LIMIT) for number in range(14)]
        sender.close()
    assert {outcome.kind for outcome in outcomes} == {Kind.OK}, [outcome.error for outcome in outcomes]
    assert arrived == {f"Subject: number {number}": 1 for number in range(14)}


def test_several_threads_with_worn_out_lines_send_each_mail_once(inbox: Inbox, sender: Judged) -> None:
    def send(number: int) -> Kind:
        if number % 5 == 4:
            inbox.behaviour.answers["MAIL"] = ["452 4.3.1 Enough for this line"]
        return sender.send(numbered(number), LIMIT).kind

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: sender.send(numbered(number), LIMIT), range(100, 108)))
        kinds = Counter(threads.map(send, range(60)))
    # A refusal may meet a fresh line: then it stands, and says so.
    assert set(kinds) <= {Kind.OK, Kind.TRANSIENT, Kind.THROTTLED}
    assert kinds[Kind.OK] >= 48
    subjects = Counter(mail.content.partition(b"Subject: ")[2].partition(b"\r\n")[0] for mail in inbox.mails)
    assert set(subjects.values()) == {1}


@pytest.mark.parametrize("stage", ["MAIL", "DATA"])
def test_a_refusal_on_a_fresh_line_is_believed_and_the_line_dropped(inbox: Inbox, sender: Judged, stage: str) -> None:
    inbox.behaviour.answers[stage] = ["451 4.3.0 Later"]
    outcome = sender.send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.TRANSIENT, stage.lower())
    assert inbox.behaviour.connections == 1
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    assert inbox.behaviour.connections == 2


def test_a_message_is_tried_on_one_fresh_line_only(inbox: Inbox, sender: Judged) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers["MAIL"] = "550 5.7.1 Not for you"
    outcome = sender.send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.code) == (Kind.CONFIG, "550 5.7.1")
    assert inbox.behaviour.connections == 2
    assert inbox.behaviour.commands.count("MAIL") == 3
    assert outcome.response is not None
    stages = [step["stage"] for step in outcome.response["conversation"]]
    assert stages == ["mail", "connect", "greeting", "ehlo", "mail"], "the try tells of both lines"


@pytest.mark.parametrize(
    ("stage", "refusal"),
    [
        ("RCPT", "550 5.1.1 No such user"),
        ("RCPT", "450 4.7.1 Greylisted"),
        ("RCPT", "452 4.2.2 Over quota"),
        ("DOT", "554 5.6.0 Broken"),
        ("DOT", "552 5.3.4 Too big"),
        ("DOT", "554 Looks like spam"),
    ],
)
def test_what_is_clearly_about_this_mail_leaves_the_line(
    inbox: Inbox, sender: Judged, stage: str, refusal: str
) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers[stage] = [refusal]
    assert sender.send(MESSAGE, LIMIT).kind is not Kind.OK
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    assert inbox.behaviour.connections == 1


@pytest.mark.parametrize(
    "refusal",
    ["503 5.5.1 Bad sequence", "530 5.7.0 Log in", "550 5.7.1 Relaying denied", "452 4.5.3 Too many", "421 No"],
)
def test_a_recipient_refused_for_another_reason_is_tried_on_a_fresh_line(
    inbox: Inbox, sender: Judged, refusal: str
) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers["RCPT"] = [refusal]
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    assert inbox.behaviour.connections == 2
    assert len(inbox.mails) == 2


@pytest.mark.parametrize("answer", ["451 4.3.0 Queue trouble", "550 5.7.1 Your IP is listed at x", "354 What?"])
def test_after_the_final_dot_nothing_is_sent_again_on_the_spot(inbox: Inbox, sender: Judged, answer: str) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers["DOT"] = [answer]
    assert sender.send(MESSAGE, LIMIT).kind is not Kind.OK
    assert inbox.behaviour.connections == 1
    assert inbox.behaviour.commands.count("DOT") == 2
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    assert inbox.behaviour.connections == 2, "the line that spoke of us is not kept"
