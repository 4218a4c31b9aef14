"""E-mail over real SMTP: what arrives at the other end, with TLS and login."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Attachment, Channel
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import smtp
from noti_worker.transport import Kit
from tests.certificates import Authority, make_authority
from tests.providers.contract import (
    ANSWERED,
    LIMIT,
    NOT_SENT,
    NOW,
    TAKEN,
    UNKNOWN,
    Cut,
    Judged,
    ProviderContract,
    Situation,
    a_message,
    nobody_listens,
    opened,
    without_names,
)
from tests.providers.smtp_server import CLOSE, PASSWORD, SILENCE, USERNAME, Inbox, Peer, Received, scripted
from tests.providers.test_smtp_rules import BASIC

HOST = "127.0.0.1"
MESSAGE = a_message(Channel.EMAIL, "ann@example.net")


@pytest.fixture
def starttls(authority: Authority) -> Iterator[Inbox]:
    with Inbox(authority.server_context(HOST), auth=True) as inbox:
        yield inbox


def account(inbox: Inbox, authority: Authority, **changes: Any) -> smtp.Settings:
    settings = smtp.Settings(
        host=HOST,
        port=inbox.port,
        from_=("Example <no-reply@example.com>", "billing@example.com"),
        username=USERNAME,
        password=Secret(PASSWORD),
        ca_file=str(authority.ca_file),
    )
    return replace(settings, **changes)


def build(settings: smtp.Settings) -> Judged:
    return opened(smtp, settings)


def parsed(received: Received) -> EmailMessage:
    return message_from_bytes(received.content, policy=policy.default)


GOLDEN = (
    ("RCPT", "550 5.1.1 No such user here", Kind.DEAD, "smtp.unknown_user"),
    ("RCPT", "550 5.7.1 Unauthenticated email is not accepted (DMARC)", Kind.CONFIG, "smtp.sender_unproven"),
    ("RCPT", "550 5.7.26 This mail has been blocked", Kind.CONFIG, "smtp.enhanced.policy.for_good"),
    ("RCPT", "550 5.4.1 Recipient address rejected: Access denied", Kind.DEAD, "smtp.access_denied"),
    ("RCPT", "554 blocked using zen.spamhaus.org", Kind.CONFIG, "smtp.reputation"),
    ("RCPT", "550 5.2.1 Mailbox unavailable. Your IP is blacklisted using XBL", Kind.CONFIG, "smtp.reputation"),
    ("RCPT", "421 4.7.1 blocked using grey.rbl, Greylisting in action", Kind.TRANSIENT, "smtp.greylisted"),
    ("RCPT", "450 4.7.1 Greylisted, try again in 300 seconds", Kind.TRANSIENT, "smtp.greylisted"),
    ("RCPT", "452 4.2.2 over quota", Kind.TRANSIENT, "smtp.mailbox_full"),
    ("MAIL", "421 4.7.0 Too many messages from your IP, slow down", Kind.THROTTLED, "smtp.too_fast"),
    ("MAIL", "452 4.7.0 Slow down", Kind.THROTTLED, "smtp.too_fast"),
    ("MAIL", "421 Too busy", Kind.THROTTLED, "smtp.closing"),
    ("DOT", "552 5.3.4 Message too big", Kind.PERMANENT, "smtp.too_big"),
    ("DOT", "554 Looks like spam", Kind.PERMANENT, "smtp.content"),
)
"""What servers say, at which stage, and what it means."""


def answers(inbox: Inbox, **stages: str) -> Callable[[], None]:
    """What makes it say that at these stages, also once more on a new line, and behave at all others."""
    nothing: dict[str, list[str]] = {stage: [] for stage in ("EHLO", "MAIL", "RCPT", "DATA", "DOT", "QUIT")}
    return lambda: inbox.behaviour.answers.update(nothing | {stage: [line] * 2 for stage, line in stages.items()})


class TestSmtp(ProviderContract):
    provider = smtp
    tried_against = "a server of ours on aiosmtpd, over STARTTLS and with login"
    described_by = "RFC 5321, 3463, 3207, 4954"
    secrets: ClassVar[Sequence[str]] = (PASSWORD, "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==", "hunter2 in the body")
    refused: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = (
        ({"host": ""}, "host"),
        ({"host": "mail.example.com/x"}, "host"),
        ({"tls": "maybe"}, "tls"),
        ({"tls": "none", "host": "mail.example.com", "ca_file": None}, "insecure"),
        ({"insecure": True}, "insecure"),
        ({"tls": "none"}, "ca_file"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"username": None}, "username"),
        ({"password": None}, "password"),
        ({"password": None}, "token"),
        ({"token": Secret("both")}, "token"),
        ({"password": None, "token": Secret("a\1b")}, "token"),
        ({"password": Secret("")}, "password"),
        ({"username": "a\0b"}, "username"),
        ({"from_": ()}, "from"),
        ({"from_": ("a@b.example, c@d.example",)}, "from"),
        ({"local_hostname": "a b"}, "local_hostname"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"ca_file": __file__}, "ca_file"),
        ({"dot_timeout": timedelta(0)}, "dot_timeout"),
        ({"return_path": "two@x.example, three@x.example"}, "return_path"),
        ({"return_path": "bounce@example.com"}, "return_path"),
    )

    @pytest.fixture
    def settings(self, starttls: Inbox, authority: Authority) -> smtp.Settings:
        return account(starttls, authority, dot_timeout=timedelta(seconds=0.5))

    @pytest.fixture
    def outgoing(self, starttls: Inbox) -> Callable[[str], str]:
        return lambda place: str(parsed(starttls.mails[-1])[place.removeprefix("mail ")])

    @pytest.fixture
    def refusing(self, starttls: Inbox) -> Callable[[str], None]:
        return lambda words: starttls.behaviour.answers.update({"RCPT": f"550 5.1.1 {words}"})

    @pytest.fixture
    def situations(self, starttls: Inbox) -> Sequence[Situation]:
        message = replace(MESSAGE, text="hunter2 in the body")
        repeated = f"535 {PASSWORD} Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="
        return (
            Situation("accepted", message, Kind.OK, answers(starttls)),
            *(
                Situation(line, message, kind, answers(starttls, **{stage: line}), rule)
                for stage, line, kind, rule in GOLDEN
            ),
            Situation("lost", message, Kind.UNCERTAIN, answers(starttls, DOT=CLOSE)),
            Situation("never confirmed", message, Kind.UNCERTAIN, answers(starttls, DOT=SILENCE)),
            Situation("a server that tells secrets", message, Kind.CONFIG, answers(starttls, MAIL=repeated)),
            Situation("two subjects", replace(message, subject="a\nb"), Kind.PERMANENT, answers(starttls)),
        )

    @pytest.fixture
    def of_status(self, starttls: Inbox) -> Callable[[int], Situation]:
        def alone(status: int) -> Situation:
            otherwise = Kind.TRANSIENT if status < 500 else Kind.PERMANENT
            line = f"{status} x"
            return Situation(line, MESSAGE, BASIC.get(status, (otherwise, None))[0], answers(starttls, RCPT=line))

        return alone

    @pytest.fixture
    def heard(self, starttls: Inbox) -> Callable[[], int]:
        """Bodies, that is: a line in use that says no before it is asked once more, on a new one."""
        return lambda: starttls.behaviour.commands.count("DATA")

    @pytest.fixture
    def cuts(self, starttls: Inbox, settings: smtp.Settings) -> Iterator[Sequence[Cut]]:
        def at(stage: str, *ends: tuple[Kind, bool]) -> Cut:
            return Cut(f"closed at {stage}", MESSAGE, ends, answers(starttls, **{stage: CLOSE}))

        def elsewhere(stage: str, end: tuple[Kind, bool] = NOT_SENT, kit: Kit | None = None, **changes: Any) -> Cut:
            return Cut(stage, MESSAGE, [end], answers(starttls), replace(settings, **changes), kit)

        with nobody_listens() as port, scripted(lambda _: None) as mute:
            yield [
                elsewhere("its name is not found", kit=without_names(), host="mail.test"),
                elsewhere("nobody listens", port=port),
                elsewhere("closed instead of a greeting", port=mute),
                elsewhere("its certificate is not trusted", (Kind.CONFIG, False), ca_file=None),
                *(at(stage, NOT_SENT) for stage in ("EHLO", "MAIL", "RCPT")),
                at("DATA", ANSWERED),
                at("DOT", UNKNOWN),
                Cut("silence after DOT", MESSAGE, [UNKNOWN], answers(starttls, DOT=SILENCE)),
                at("QUIT", TAKEN),
            ]

    @pytest.fixture
    def hanging(self, starttls: Inbox) -> Situation:
        answers = starttls.behaviour.answers
        return Situation("silent", MESSAGE, Kind.TRANSIENT, lambda: answers.update({"RCPT": SILENCE}))


def test_a_mail_arrives_over_starttls_with_login(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    message = replace(
        MESSAGE,
        recipient="Ann Ä <ann@example.net>",
        subject="Größe: and a very long subject that goes on and on, far beyond one line of a mail header",
        text="Hello Jürgen,\n.\n..two dots\nFrom here on\n",
        html="<p>Hello Jürgen</p>",
        options={
            "cc": ["carl@example.net"],
            "bcc": ["bea@example.net"],
            "reply_to": "Help <help@example.com>",
            "headers": {"X-Order": "17", "List-Unsubscribe": "<https://example.com/u/17>"},
        },
        attachments=(Attachment("Rechnung Ü.pdf", "application/pdf", bytes(range(256)) * 9),),
    )
    outcome = sender.send(message, LIMIT)
    sender.close()

    assert outcome.kind is Kind.OK, outcome
    assert outcome.code == "250 2.0.0"
    assert outcome.provider_message_id == "4XyZ0001"
    assert outcome.error is None
    [received] = starttls.mails
    assert received.over_tls
    assert received.logged_in
    assert received.sender == "no-reply@example.com"
    assert received.recipients == ("ann@example.net", "carl@example.net", "bea@example.net")
    assert b"bea@" not in received.content
    mail = parsed(received)
    assert mail.defects == []
    assert mail["From"] == "Example <no-reply@example.com>"
    assert mail["To"] == "Ann Ä <ann@example.net>"
    assert mail["Cc"] == "carl@example.net"
    assert mail["Reply-To"] == "Help <help@example.com>"
    assert mail["Subject"] == message.subject
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == f"<{message.message_id}@example.com>"
    assert mail["X-Order"] == "17"
    assert mail["List-Unsubscribe"] == "<https://example.com/u/17>"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == message.text
    assert html.get_content().rstrip() == "<p>Hello Jürgen</p>"
    [file] = mail.iter_attachments()
    assert file.get_filename() == "Rechnung Ü.pdf"
    assert file.get_content() == bytes(range(256)) * 9
    assert all(line < 998 for line in map(len, received.content.split(b"\r\n")))


def test_a_mail_arrives_over_implicit_tls(authority: Authority) -> None:
    with Inbox(authority.server_context(HOST), implicit=True, auth=True, without=("PLAIN",)) as inbox:
        sender = build(account(inbox, authority, tls="implicit"))
        outcome = sender.send(MESSAGE, LIMIT)
        sender.close()
    assert outcome.kind is Kind.OK, outcome
    assert inbox.mails[0].over_tls
    assert inbox.mails[0].logged_in, "with LOGIN, for want of PLAIN"


def test_the_conversation_is_told_step_by_step(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    outcome = sender.send(MESSAGE, LIMIT)
    sender.close()
    assert outcome.response is not None
    steps = outcome.response["conversation"]
    stages = ["connect", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth", "mail", "rcpt", "data", "dot"]
    assert [step["stage"] for step in steps] == stages
    assert [step["code"] for step in steps if step["stage"] not in {"connect", "tls"}] == [
        220, 250, 220, 250, 235, 250, 250, 354, 250,
    ]  # fmt: skip
    assert all(isinstance(step["ms"], float) for step in steps)
    assert steps[-1]["text"] == "2.0.0 Ok: queued as 4XyZ0001"


def test_two_tries_of_one_message_are_the_same_mail(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    starttls.behaviour.answers["DOT"] = ["250 2.0.0 Ok", "250 2.0.0 Ok"]
    sender.send(MESSAGE, LIMIT)
    starttls.hang_up()
    sender.send(MESSAGE, LIMIT)
    sender.close()
    first, second = starttls.mails
    assert first.content == second.content
    assert parsed(first)["Message-ID"] == "<0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50@example.com>"
    assert parsed(first)["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"


def test_a_message_may_choose_among_the_senders_of_its_account(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    fine = sender.send(replace(MESSAGE, options={"from": "billing@example.com"}), LIMIT)
    foreign = sender.send(replace(MESSAGE, options={"from": "ceo@example.com"}), LIMIT)
    renamed = sender.send(replace(MESSAGE, options={"from": "The CEO <billing@example.com>"}), LIMIT)
    sender.close()
    assert fine.kind is Kind.OK
    assert starttls.mails[0].sender == "billing@example.com"
    assert foreign.kind is renamed.kind is Kind.PERMANENT
    assert foreign.error == "this mail cannot be sent: options.from is not in the account's list (its key `from`)"
    assert len(starttls.mails) == 1


def test_nobody_gets_the_mail_when_the_recipient_is_refused(starttls: Inbox, authority: Authority) -> None:
    starttls.behaviour.answers["RCPT ann@example.net"] = ["550 5.1.1 No such user"]
    sender = build(account(starttls, authority))
    outcome = sender.send(replace(MESSAGE, options={"cc": ["carl@example.net"]}), LIMIT)
    assert (outcome.kind, outcome.scope, outcome.code) == (Kind.DEAD, Scope.RECIPIENT, "550 5.1.1")
    assert outcome.error == "the server refused the recipient: 550 5.1.1 No such user"
    assert starttls.mails == []
    assert starttls.behaviour.commands[-1] == "RSET"
    assert sender.send(MESSAGE, LIMIT).kind is Kind.OK, "the connection goes on"
    sender.close()
    assert starttls.behaviour.connections == 1


def test_who_stands_twice_gets_one_mail(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    options = {"cc": ["Ann@example.net", "carl@example.net"], "bcc": ["carl@example.net"]}
    sender.send(replace(MESSAGE, options=options), LIMIT)
    sender.close()
    assert starttls.mails[0].recipients == ("ann@example.net", "carl@example.net")


@pytest.mark.fault("F37")
def test_a_stripped_starttls_is_refused_before_the_password_is_said(authority: Authority) -> None:
    with Inbox(auth=True) as inbox:
        sender = build(account(inbox, authority))
        outcome = sender.send(MESSAGE, LIMIT)
        sender.close()
    assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT)
    assert "does not offer STARTTLS" in (outcome.error or "")
    assert inbox.mails == []


def test_words_before_tls_began_are_refused(authority: Authority) -> None:
    def inject(peer: Peer) -> None:
        peer.say("220 mail.test")
        peer.hear()
        peer.say("250-mail.test", "250 STARTTLS")
        peer.hear()
        peer.say("220 go ahead", "250 AUTH PLAIN")
        peer.wait()

    with scripted(inject) as port:
        outcome = build(smtp.Settings(host=HOST, port=port, from_=("a@example.com",))).send(MESSAGE, 2)
    assert outcome.kind is Kind.CONFIG
    assert "before TLS began" in (outcome.error or "")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.fault("F32")
def test_a_certificate_of_another_is_refused(authority: Authority, tmp_path: Path, tls: str) -> None:
    strangers = make_authority(tmp_path).server_context(HOST)
    for context in (strangers, authority.server_context("mail.example.com")):
        with Inbox(context, implicit=tls == "implicit", auth=True) as inbox:
            outcome = build(account(inbox, authority, tls=tls)).send(MESSAGE, LIMIT)
        assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT), outcome
        assert "certificate is not accepted" in (outcome.error or "")
        assert inbox.mails == []


def test_a_wrong_password_waits_for_an_operator(starttls: Inbox, authority: Authority) -> None:
    outcome = build(account(starttls, authority, password=Secret("wrong"))).send(MESSAGE, LIMIT)
    assert (outcome.kind, outcome.scope, outcome.code) == (Kind.CONFIG, Scope.ACCOUNT, "535 5.7.8")
    assert (outcome.error or "").startswith("the server refused the login: 535")


def test_a_server_without_login_is_no_place_for_an_account_with_one(authority: Authority) -> None:
    with Inbox(authority.server_context(HOST), without=("PLAIN", "LOGIN")) as inbox:
        outcome = build(account(inbox, authority)).send(MESSAGE, LIMIT)
    assert outcome.kind is Kind.CONFIG
    assert "offers no login" in (outcome.error or "")


def test_without_tls_nothing_leaves_this_machine_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = smtp.Settings(host="localhost", port=9, from_=("a@example.com",), tls="none")
    elsewhere = [(2, 1, 6, "", ("192.0.2.1", 9))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: elsewhere)
    outcome = build(settings).send(MESSAGE, LIMIT)
    assert outcome.kind is Kind.CONFIG
    assert "insecure" in (outcome.error or "")


def test_a_loopback_account_needs_no_tls_and_takes_local_domains() -> None:
    with Inbox() as inbox:
        sender = build(smtp.Settings(host="localhost", port=inbox.port, from_=("noti@localhost",), tls="none"))
        outcome = sender.send(replace(MESSAGE, recipient="root@localhost"), LIMIT)
        sender.close()
    assert outcome.kind is Kind.OK, outcome
    assert inbox.mails[0].recipients == ("root@localhost",)


def test_the_ports_follow_from_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def look_up(_: object, port: object, **__: object) -> list[object]:
        asked.append(port)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    for tls in ("starttls", "implicit", "none"):
        settings = replace(smtp.Settings(host="localhost", from_=("a@example.com",)), tls=tls)
        outcome = build(settings).send(MESSAGE, LIMIT)
        assert outcome.kind is Kind.TRANSIENT
        assert "the name localhost is not found" in (outcome.error or "")
    assert asked == [587, 465, 25]


def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    message = replace(MESSAGE, recipient="jürgen@exämple.de")
    outcomes = []
    for smtputf8 in (True, False):
        with Inbox(smtputf8=smtputf8) as inbox:
            sender = build(smtp.Settings(host=HOST, port=inbox.port, from_=("a@example.com",), tls="none"))
            outcomes.append(sender.send(message, LIMIT))
            assert sender.send(MESSAGE, LIMIT).kind is Kind.OK, "the connection goes on"
            sender.close()
        assert inbox.behaviour.connections == 1
        if smtputf8:
            assert inbox.mails[0].recipients == ("jürgen@xn--exmple-cua.de",)
            assert "SMTPUTF8" in inbox.mails[0].options
            assert parsed(inbox.mails[0])["To"] == "jürgen@xn--exmple-cua.de"
    taken, refused = outcomes
    assert taken.kind is Kind.OK
    assert refused.kind is Kind.PERMANENT
    assert "SMTPUTF8" in (refused.error or "")
    assert "jürgen" not in (refused.error or "")


@pytest.mark.fault("F37")
def test_a_mail_that_is_too_big_is_not_begun() -> None:
    with Inbox(most_bytes=2_000) as inbox:
        sender = build(smtp.Settings(host=HOST, port=inbox.port, from_=("a@example.com",), tls="none"))
        outcome = sender.send(replace(MESSAGE, text="line\n" * 1_000), LIMIT)
        sender.close()
    assert outcome.kind is Kind.PERMANENT
    assert "the server takes 2000" in (outcome.error or "")
    assert "MAIL" not in inbox.behaviour.commands


def test_a_big_attachment_arrives_whole(starttls: Inbox, authority: Authority) -> None:
    content = bytes(range(256)) * 16_384  # 4 MiB
    sender = build(account(starttls, authority))
    attachments = (Attachment("big.bin", "application/octet-stream", content),)
    assert sender.send(replace(MESSAGE, attachments=attachments), 20).kind is Kind.OK
    sender.close()
    [file] = parsed(starttls.mails[0]).iter_attachments()
    assert file.get_content() == content


def test_threads_get_each_their_own_connection(starttls: Inbox, authority: Authority) -> None:
    sender = build(account(starttls, authority))
    messages = [replace(MESSAGE, recipient=f"user{number}@example.net") for number in range(40)]
    with ThreadPoolExecutor(5) as threads:
        outcomes = list(threads.map(lambda message: sender.send(message, LIMIT), messages))
    sender.close()
    assert {outcome.kind for outcome in outcomes} == {Kind.OK}
    assert sorted(mail.recipients[0] for mail in starttls.mails) == sorted(message.recipient for message in messages)
    assert all(parsed(mail)["To"] == mail.recipients[0] for mail in starttls.mails)
    assert starttls.behaviour.connections <= 5


def test_a_password_is_shown_nowhere(starttls: Inbox, authority: Authority) -> None:
    settings = account(starttls, authority)
    sender = build(settings)
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in repr(vars(sender.sender))
    sender.close()


def test_settings_tell_what_is_wrong_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="say insecure = true as well"):
        smtp.Settings(host="mail.example.com", from_=("a@example.com",), tls="none")
    assert smtp.Settings(host="mail.example.com", from_=("a@example.com",), tls="none", insecure=True).insecure


class TestChecking:
    """A look whether the account lets us in, without a mail."""

    def test_it_ends_after_the_login_and_sends_nothing(self, starttls: Inbox, authority: Authority) -> None:
        sender = build(account(starttls, authority))
        outcome = sender.check(LIMIT)
        assert outcome.kind is Kind.OK
        assert outcome.error == f"127.0.0.1 port {starttls.port}, TLSv1.3, logged in as {USERNAME}"
        assert starttls.mails == []
        assert "MAIL" not in starttls.behaviour.commands

    def test_a_refused_login_is_our_configuration(self, starttls: Inbox, authority: Authority) -> None:
        sender = build(account(starttls, authority, password=Secret("not the password")))
        outcome = sender.check(LIMIT)
        assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT)
        assert "refused the login" in str(outcome.error)
        assert "not the password" not in str(outcome)

    def test_a_certificate_that_is_not_trusted_is_our_configuration(
        self, starttls: Inbox, authority: Authority
    ) -> None:
        sender = build(account(starttls, authority, ca_file=None))
        outcome = sender.check(LIMIT)
        assert outcome.kind is Kind.CONFIG
        assert "certificate" in str(outcome.error)

    def test_a_silent_server_is_given_up_within_the_limit(self, starttls: Inbox, authority: Authority) -> None:
        starttls.behaviour.answers["EHLO"] = SILENCE
        sender = build(account(starttls, authority))
        outcome = sender.check(0.3)
        assert outcome.kind is Kind.TRANSIENT
        assert "ehlo: no answer in time" in str(outcome.error)
