"""Every stage of an SMTP conversation fails in every way: what becomes of the mail, and by when."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from threading import Event
from time import monotonic
from typing import Any

import pytest

from noti_worker.domain.notification import Attachment, Channel
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import smtp
from noti_worker.transport import lines
from tests.certificates import Authority
from tests.providers.contract import BUSY, LIMIT, Judged, a_message, opened, prompt
from tests.providers.smtp_server import CLOSE, SILENCE, Inbox, Peer, scripted

MESSAGE = a_message(Channel.EMAIL, "ann@example.net")


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "at once"])
def inbox(request: pytest.FixtureRequest) -> Iterator[Inbox]:
    with Inbox(extensions=request.param) as inbox:
        yield inbox


def build(port: int, **changes: Any) -> Judged:
    settings = smtp.Settings(host="127.0.0.1", port=port, from_=("a@example.com",), tls="none")
    return opened(smtp, replace(settings, **{"dot_timeout": timedelta(seconds=0.4), **changes}))


@pytest.fixture
def sender(inbox: Inbox) -> Iterator[Judged]:
    sender = build(inbox.port)
    yield sender
    sender.close()


@pytest.mark.parametrize(
    ("stage", "answer", "kind", "scope"),
    [
        ("EHLO", "421 4.3.2 Shutting down", Kind.TRANSIENT, Scope.DOMAIN),
        ("EHLO", "550 5.7.1 Bad HELO", Kind.CONFIG, Scope.ACCOUNT),
        ("EHLO", CLOSE, Kind.TRANSIENT, Scope.ACCOUNT),
        ("MAIL", "421 Too busy", Kind.THROTTLED, Scope.DOMAIN),
        ("MAIL", "451 4.3.0 Try later", Kind.TRANSIENT, Scope.DOMAIN),
        ("MAIL", "550 5.7.1 Not for you", Kind.CONFIG, Scope.SENDER),
        ("MAIL", "550 No", Kind.CONFIG, Scope.SENDER),
        ("MAIL", "553 Bad mailbox", Kind.CONFIG, Scope.SENDER),
        ("MAIL", "530 5.7.0 Authentication required", Kind.CONFIG, Scope.SENDER),
        ("MAIL", "552 5.3.4 Too big", Kind.PERMANENT, Scope.MESSAGE),
        ("MAIL", "354 What?", Kind.TRANSIENT, Scope.ACCOUNT),
        ("MAIL", CLOSE, Kind.TRANSIENT, Scope.ACCOUNT),
        ("RCPT", "450 4.7.1 Greylisted", Kind.TRANSIENT, Scope.RECIPIENT),
        ("RCPT", "450 4.2.2 Over quota", Kind.TRANSIENT, Scope.RECIPIENT),
        ("RCPT", "550 5.1.1 No such user", Kind.DEAD, Scope.RECIPIENT),
        ("RCPT", "550 No", Kind.PERMANENT, Scope.RECIPIENT),
        ("RCPT", "421 4.3.2 Shutting down", Kind.TRANSIENT, Scope.DOMAIN),
        ("RCPT", "421 Closing", Kind.TRANSIENT, Scope.DOMAIN),
        ("RCPT", CLOSE, Kind.TRANSIENT, Scope.ACCOUNT),
        ("DATA", "451 4.3.0 No queue", Kind.TRANSIENT, Scope.DOMAIN),
        ("DATA", "554 No", Kind.PERMANENT, Scope.MESSAGE),
        ("DATA", "250 What?", Kind.TRANSIENT, Scope.ACCOUNT),
        ("DATA", CLOSE, Kind.TRANSIENT, Scope.ACCOUNT),
        ("DOT", "451 4.3.0 Queue trouble", Kind.TRANSIENT, Scope.DOMAIN),
        ("DOT", "554 5.6.0 Broken", Kind.PERMANENT, Scope.MESSAGE),
        ("DOT", "554 5.7.1 Your IP is blacklisted", Kind.CONFIG, Scope.SENDER),
        ("DOT", "421 4.3.0 Closing", Kind.TRANSIENT, Scope.DOMAIN),
        ("DOT", "354 What?", Kind.UNCERTAIN, Scope.ACCOUNT),
        ("DOT", CLOSE, Kind.UNCERTAIN, Scope.MESSAGE),
        ("DOT", SILENCE, Kind.UNCERTAIN, Scope.MESSAGE),
    ],
)
@pytest.mark.fault("F37")
def test_a_failure_is_judged_by_its_stage(
    inbox: Inbox, sender: Judged, stage: str, answer: str, kind: Kind, scope: Scope
) -> None:
    inbox.behaviour.answers[stage] = [answer]
    outcome = sender.send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.scope) == (kind, scope), outcome
    assert outcome.error
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK, "the next mail goes out"


@pytest.mark.parametrize("stage", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.fault("F37")
def test_silence_before_the_dot_ends_at_the_limit(inbox: Inbox, sender: Judged, stage: str) -> None:
    for limit in (0.3, 1.0, 5.0):  # a busy machine may not get that far in the shorter ones
        inbox.behaviour.answers[stage] = [SILENCE]
        began = monotonic()
        outcome = sender.send(MESSAGE, limit)
        assert limit <= monotonic() - began < limit + BUSY
        if outcome.stage == stage.lower():
            break
    assert (outcome.kind, outcome.scope) == (Kind.TRANSIENT, Scope.ACCOUNT)
    assert outcome.error == f"nothing was sent, it ended at {stage.lower()}: no answer in time"


@pytest.mark.fault("F37")
def test_the_answer_to_the_dot_has_a_time_of_its_own(inbox: Inbox) -> None:
    inbox.behaviour.answers["DOT"] = SILENCE
    sender = build(inbox.port, dot_timeout=timedelta(seconds=3))
    began = monotonic()
    outcome = sender.send(MESSAGE, 2.0)  # enough to get to the dot on a busy machine
    sender.close()
    assert 3 <= monotonic() - began < 3 + BUSY, "longer than the limit, as long as dot_timeout says"
    assert outcome.kind is Kind.UNCERTAIN
    assert outcome.error == "the mail went out, but the server did not confirm it: no answer in time"
    assert outcome.response is not None
    assert outcome.response["conversation"][-1]["text"] == "no answer in time"


def test_a_mail_that_was_accepted_is_sent_whatever_happens_to_the_goodbye(inbox: Inbox) -> None:
    for answer in ("500 What?", CLOSE, SILENCE):
        inbox.behaviour.answers["QUIT"] = [answer]
        sender = build(inbox.port)
        assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
        began = monotonic()
        sender.close()
        assert monotonic() - began < 1 + BUSY
    assert len(inbox.mails) == 3


def test_a_server_that_hangs_up_after_its_yes_has_the_mail() -> None:
    def take_one_and_go(peer: Peer) -> None:
        converse(peer)
        peer.say("250 2.0.0 Ok")

    with scripted(take_one_and_go) as port:
        sender = build(port)
        outcomes = [sender.send(MESSAGE, LIMIT) for _ in range(3)]
        sender.close()
    assert [outcome.kind for outcome in outcomes] == [Kind.OK] * 3


def converse(peer: Peer) -> None:
    """Everything up to the final dot."""
    peer.say("220 mail.test ESMTP")
    for answer in ("250 mail.test", "250 Ok", "250 Ok", "354 Go on"):
        peer.hear()
        peer.say(answer)
    peer.hear_mail()


def test_a_connection_on_which_too_much_was_said_is_not_used_again() -> None:
    def say_too_much(peer: Peer) -> None:
        converse(peer)
        peer.say("250 2.0.0 Ok", "250 2.0.0 And ok to whatever you ask next")
        heard.append(peer.hear())

    heard: list[str] = []
    with scripted(say_too_much) as port:
        sender = build(port)
        outcomes = [sender.send(MESSAGE, 1.0) for _ in range(3)]
        sender.close()
    assert [outcome.kind for outcome in outcomes] == [Kind.OK] * 3
    assert heard[:2] == ["", ""], "hung up without another mail"


def _greet(words: str) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.say(words)
        peer.wait()

    return script


def _hang_up(peer: Peer) -> None:
    del peer


def _trickle_greeting(peer: Peer) -> None:
    peer.trickle("220 " + "a" * 400)


def _trickle_lines(peer: Peer) -> None:
    peer.say("220 mail.test")
    peer.hear()
    peer.trickle("250-a\r\n" * 100, pause=0.02)


def _endless_line(peer: Peer) -> None:
    peer.connection.sendall(b"220 " + b"a" * 100_000)
    peer.wait()


def _endless_lines(peer: Peer) -> None:
    peer.say(*["220-and on"] * 10_000)
    peer.wait()


def _trickle_after_rcpt(peer: Peer) -> None:
    peer.say("220 mail.test")
    for _ in range(2):
        peer.hear()
        peer.say("250 Ok")
    peer.hear()
    peer.trickle("250 " + "a" * 400)


def _never_reads(peer: Peer) -> None:
    peer.say("220 mail.test")
    for answer in ("250 mail.test", "250 Ok", "250 Ok", "354 Go on"):
        peer.hear()
        peer.say(answer)
    peer.wait()


@pytest.mark.parametrize(
    ("script", "kind", "scope", "words"),
    [
        (_greet("421 4.3.2 Busy"), Kind.TRANSIENT, Scope.DOMAIN, "does not want us: 421 4.3.2 Busy"),
        (_greet("421 Too many connections"), Kind.THROTTLED, Scope.DOMAIN, "does not want us"),
        (_greet("554 5.7.1 Go away"), Kind.CONFIG, Scope.ACCOUNT, "does not want us: 554"),
        (_greet("HTTP/1.1 400 Bad Request"), Kind.CONFIG, Scope.ACCOUNT, "does not speak SMTP"),
        (Peer.wait, Kind.TRANSIENT, Scope.ACCOUNT, "greeting: no answer in time"),
        (_hang_up, Kind.TRANSIENT, Scope.ACCOUNT, "greeting: the server closed the connection"),
        (_trickle_greeting, Kind.TRANSIENT, Scope.ACCOUNT, "greeting: no answer in time"),
        (_trickle_lines, Kind.TRANSIENT, Scope.ACCOUNT, "ehlo: no answer in time"),
        (_trickle_after_rcpt, Kind.TRANSIENT, Scope.ACCOUNT, "rcpt: no answer in time"),
        (_endless_line, Kind.TRANSIENT, Scope.ACCOUNT, "has no end"),
        (_endless_lines, Kind.TRANSIENT, Scope.ACCOUNT, "has no end"),
    ],
)
@pytest.mark.fault("F30")
def test_a_hostile_server_costs_no_more_than_the_limit(
    script: Callable[[Peer], None], kind: Kind, scope: Scope, words: str
) -> None:
    with scripted(script) as port:
        sender = build(port)
        outcome = prompt(lambda: sender.send(MESSAGE, 0.5), 0.5)
        sender.close()
    assert (outcome.kind, outcome.scope) == (kind, scope), outcome
    assert words in (outcome.error or "")


BIG = Attachment("big.bin", "application/octet-stream", bytes(10_000_000))  # more than any socket buffers


@pytest.fixture(params=["plain", "TLS"])
def secured(request: pytest.FixtureRequest, authority: Authority) -> tuple[ssl.SSLContext | None, dict[str, Any]]:
    """How a scripted server speaks, and the settings for it."""
    if request.param == "plain":
        return None, {}
    return authority.server_context("127.0.0.1"), {"tls": "implicit", "ca_file": str(authority.ca_file)}


def test_a_server_that_does_not_read_costs_no_more_than_the_limit(
    secured: tuple[ssl.SSLContext | None, dict[str, Any]],
) -> None:
    context, settings = secured
    with scripted(_never_reads, context) as port:
        sender = build(port, **settings)
        outcome = prompt(lambda: sender.send(replace(MESSAGE, attachments=(BIG,)), 1.0), 1.0)
        sender.close()
    assert outcome.kind is Kind.TRANSIENT, "the final dot was never written"
    assert "it ended at data: the server does not read" in (outcome.error or "")


def test_a_big_mail_reaches_a_server_that_is_slow(secured: tuple[ssl.SSLContext | None, dict[str, Any]]) -> None:
    context, settings = secured
    heard = []

    def script(peer: Peer) -> None:
        peer.say("220 mail.test")
        for answer in ("250 mail.test", "250 Ok", "250 Ok", "354 Go on"):
            peer.hear()
            peer.say(answer)
        peer.stopping.wait(0.3)  # until nothing more fits into what lies between
        while (line := peer.hear()) != ".":
            heard.append(line)
        peer.trickle("250 2.0.0 Ok: queued as 1234\r\n", pause=0.005)

    with scripted(script, context) as port:
        sender = build(port, dot_timeout=timedelta(seconds=30), **settings)
        outcome = sender.send(replace(MESSAGE, attachments=(BIG,)), 30)
        sender.close()
    assert outcome.kind is Kind.OK, outcome
    assert outcome.provider_message_id == "1234"
    assert sum(line.count("A") for line in heard) > 13_000_000, "base64 of NULs"


@pytest.mark.fault("F37")
def test_a_server_that_trickles_after_the_dot_leaves_us_uncertain() -> None:
    def script(peer: Peer) -> None:
        converse(peer)
        peer.trickle("250 " + "a" * 400)

    with scripted(script) as port:
        sender = build(port)
        began = monotonic()
        outcome = sender.send(MESSAGE, 1.0)
        took = monotonic() - began
    assert took < 1 + BUSY
    assert outcome.kind is Kind.UNCERTAIN


@pytest.mark.fault("F30")
def test_a_tls_handshake_that_hangs_ends_at_the_limit() -> None:
    def script(peer: Peer) -> None:
        peer.say("220 mail.test")
        peer.hear()
        peer.say("250-mail.test", "250 STARTTLS")
        peer.hear()
        peer.say("220 Go on")
        peer.wait()

    for tls, server in (("starttls", script), ("implicit", Peer.wait)):
        with scripted(server) as port:
            sender = build(port, tls=tls)
            outcome = prompt(lambda sender=sender: sender.send(MESSAGE, 0.4), 0.4)  # type: ignore[misc]
        assert (outcome.kind, outcome.scope) == (Kind.TRANSIENT, Scope.ACCOUNT)
        assert outcome.error == "nothing was sent, it ended at tls: no answer in time"


def test_implicit_tls_on_a_port_without_it_is_a_wrong_setting(inbox: Inbox) -> None:
    outcome = build(inbox.port, tls="implicit").send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT)
    assert "find no common TLS" in (outcome.error or "")


def test_a_login_that_fails_for_now_is_tried_again() -> None:
    def script(peer: Peer) -> None:
        peer.say("220 mail.test")
        peer.hear()
        peer.say("250-mail.test", "250 AUTH PLAIN")
        peer.hear()
        peer.say("454 4.7.0 Temporary authentication failure")
        peer.wait()

    with scripted(script) as port:
        outcome = build(port, username="u", password=Secret("p")).send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.scope) == (Kind.TRANSIENT, Scope.ACCOUNT)


@pytest.mark.fault("F29")
def test_a_name_that_is_never_resolved_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answered.wait(10) and [])
    began = monotonic()
    outcome = build(25).send(MESSAGE, 0.2)
    took = monotonic() - began
    answered.set()
    assert took < 0.2 + BUSY
    assert outcome.kind is Kind.TRANSIENT
    assert "where 127.0.0.1 is" in (outcome.error or "")


def test_a_closed_port_is_a_passing_fault() -> None:
    with scripted(Peer.wait) as port:
        pass
    outcome = build(port).send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.scope) == (Kind.TRANSIENT, Scope.ACCOUNT)
    assert f"cannot connect to 127.0.0.1 port {port}: Connection refused" in (outcome.error or "")


def test_the_second_address_of_a_host_is_tried(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [(2, 1, 6, "", ("127.0.0.2", 1)), (2, 1, 6, "", ("127.0.0.1", inbox.port))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: addresses)
    sender = build(25)
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    sender.close()


def test_kept_connections_are_used_again(inbox: Inbox, sender: Judged) -> None:
    assert all(sender.send(MESSAGE, LIMIT).kind is Kind.OK for _ in range(20))
    assert inbox.behaviour.connections == 1
    assert len(inbox.mails) == 20


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 Idle for too long\r\n"])
def test_a_connection_that_died_while_idle_costs_no_mail(inbox: Inbox, sender: Judged, farewell: bytes) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.hang_up(farewell)
    outcome = sender.send(MESSAGE, LIMIT)
    assert outcome.kind is Kind.OK
    assert inbox.behaviour.connections == 2
    assert len(inbox.mails) == 2, "once each"


@pytest.mark.parametrize("answer", ["421 4.4.2 Idle for too long", CLOSE, SILENCE])
def test_a_connection_that_dies_at_the_first_word_costs_no_mail(inbox: Inbox, sender: Judged, answer: str) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers["MAIL"] = [answer]
    outcome = sender.send(MESSAGE, 1.5)
    assert outcome.kind is Kind.OK
    assert inbox.behaviour.connections == 2
    assert len(inbox.mails) == 2
    assert outcome.response is not None
    assert [step["stage"] for step in outcome.response["conversation"]][:3] == ["mail", "connect", "greeting"]


@pytest.mark.parametrize(
    ("stage", "kind"), [("RCPT", Kind.TRANSIENT), ("DATA", Kind.TRANSIENT), ("DOT", Kind.UNCERTAIN)]
)
def test_what_breaks_later_is_not_tried_again_on_the_spot(inbox: Inbox, sender: Judged, stage: str, kind: Kind) -> None:
    sender.send(MESSAGE, LIMIT)
    inbox.behaviour.answers[stage] = [CLOSE]
    assert sender.send(MESSAGE, LIMIT).kind is kind
    assert inbox.behaviour.connections == 1


def test_a_connection_ends_after_its_hundredth_mail(
    inbox: Inbox, sender: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAILS_AT_MOST", 3)
    assert all(sender.send(MESSAGE, LIMIT).kind is Kind.OK for _ in range(7))
    assert inbox.behaviour.connections == 3


def test_a_connection_that_was_idle_for_a_minute_is_not_used_again(
    inbox: Inbox, sender: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.send(MESSAGE, LIMIT)
    monkeypatch.setattr(lines, "IDLE_AT_MOST", -1.0)
    sender.send(MESSAGE, LIMIT)
    assert inbox.behaviour.connections == 2


def test_a_server_that_forgot_how_to_reset_is_left(inbox: Inbox, sender: Judged) -> None:
    inbox.behaviour.answers |= {"RCPT": ["550 5.1.1 No such user"], "RSET": ["502 What?"]}
    assert sender.send(MESSAGE, LIMIT).kind is Kind.DEAD
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK
    assert inbox.behaviour.connections == 2


def test_a_421_about_a_copy_is_a_failure_of_the_whole_mail(inbox: Inbox, sender: Judged) -> None:
    inbox.behaviour.answers["RCPT carl@example.net"] = ["421 4.3.2 Shutting down"]
    message = replace(MESSAGE, options={"cc": ["carl@example.net"]})
    assert sender.send(message, LIMIT).kind is Kind.TRANSIENT
    assert inbox.mails == []


def test_after_several_were_accepted_no_address_is_called_dead(inbox: Inbox, sender: Judged) -> None:
    inbox.behaviour.answers["DOT"] = ["550 5.1.1 No such user"] * 2
    copied = sender.send(replace(MESSAGE, options={"cc": ["carl@example.net"]}), LIMIT)
    alone = sender.send(MESSAGE, LIMIT)
    assert (copied.kind, alone.kind) == (Kind.PERMANENT, Kind.DEAD)


def test_a_hundred_refused_copies_leave_a_small_record(inbox: Inbox, sender: Judged) -> None:
    copies = [f"user{number}@example.net" for number in range(99)]
    inbox.behaviour.answers |= {f"RCPT {copy}": "550 5.1.1 " + "long words " * 40 for copy in copies}
    outcome = sender.send(replace(MESSAGE, options={"cc": copies}), LIMIT)
    assert outcome.kind is Kind.OK
    assert len(outcome.error or "") <= 500
    assert outcome.response is not None
    assert len(str(outcome.response).encode()) < 20_000
    assert len(outcome.response["conversation"]) == 106


def test_steps_are_timed(inbox: Inbox, sender: Judged) -> None:
    outcome = sender.send(MESSAGE, LIMIT)
    assert outcome.response is not None
    assert all(0 <= step["ms"] < 5_000 for step in outcome.response["conversation"])
    assert all(set(one) == set(other) for one, other in pairwise(outcome.response["conversation"]))
