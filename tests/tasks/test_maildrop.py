"""Visits to a real Dovecot over TLS, by IMAP and POP3."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noti_worker.domain.bounces import LARGEST_HEAD, BounceMailbox, MailboxAway
from noti_worker.domain.secret import Secret
from noti_worker.transport.maildrop import visit
from tests.certificates import Authority, make_authority
from tests.dovecot import PASSWORD, USERNAME, Dovecot, dovecot
from tests.providers.smtp_server import Peer, scripted

WAYS = [
    ("imap", "implicit", "imaps"),
    ("imap", "starttls", "imap"),
    ("pop3", "implicit", "pop3s"),
    ("pop3", "starttls", "pop3"),
]

Make = Callable[..., BounceMailbox]


@pytest.fixture
def server(open_directory: Path, authority: Authority, wait_for: Callable[..., Any]) -> Iterator[Dovecot]:
    with dovecot(open_directory, authority, wait_for) as running:
        yield running


@pytest.fixture(params=WAYS, ids=[way[2] for way in WAYS])
def make(request: pytest.FixtureRequest, server: Dovecot, authority: Authority) -> Make:
    """The settings of the mailbox, for each way to it."""
    protocol, tls, name = request.param

    def made(**changes: Any) -> BounceMailbox:
        given = {
            "return_path": "bounce@example.com",
            "key": Secret("0123456789abcdef"),
            "host": "127.0.0.1",
            "username": USERNAME,
            "protocol": protocol,
            "port": server.ports[name],
            "tls": tls,
            "ca_file": str(authority.ca_file),
            "password": Secret(PASSWORD),
        }
        return BounceMailbox(**given | changes)

    return made


def test_mails_are_read_and_deleted(server: Dovecot, make: Make) -> None:
    server.put(b"Subject: one\r\n\r\n.first\r\n..second\r\n")
    server.put(b"Subject: two\r\n\r\nstays\r\n")
    session = visit(make())
    names = session.names()
    assert [session.head(name) for name in names] == [
        b"Subject: one\r\n\r\n.first\r\n..second\r\n",
        b"Subject: two\r\n\r\nstays\r\n",
    ]
    session.dispose(names[0])
    session.close()
    assert [b"two" in mail for mail in server.mails()] == [True]
    session = visit(make())
    assert list(session.names()) == [names[1]], "its name stays"
    session.close()


def test_of_a_large_mail_the_beginning_is_read(server: Dovecot, make: Make) -> None:
    server.put(b"Subject: lines\r\n\r\n" + b"0123456789\r\n" * 100_000)
    server.put(b"Subject: one line\r\n\r\n" + b"x" * 3_000_000 + b"\r\n")
    server.put(b"Subject: after\r\n\r\n")
    session = visit(make())
    heads = [session.head(name) or b"" for name in session.names()]
    session.close()
    assert [head.partition(b"\r\n")[0] for head in heads] == [
        b"Subject: lines",
        b"Subject: one line",
        b"Subject: after",
    ]
    assert max(map(len, heads)) == LARGEST_HEAD
    assert len(heads[0]) > 40_000


def test_what_is_kept_stays_and_is_not_marked(server: Dovecot, make: Make) -> None:
    server.put(b"Subject: one\r\n\r\n")
    for _ in range(2):
        session = visit(make(after="keep"))
        [name] = session.names()
        assert session.head(name)
        session.dispose(name)
        session.close()
    [file] = _files(server)
    assert not file.name.endswith("S"), "nobody has seen it"


def _files(server: Dovecot) -> list[Path]:
    return [file for part in ("cur", "new") for file in (server.home / "Maildir" / part).iterdir()]


def test_a_wrong_password_is_told_without_it(make: Make) -> None:
    with pytest.raises(MailboxAway) as told:
        visit(make(password=Secret("quite wrong")))
    assert "answers no (login)" in str(told.value)
    assert "quite wrong" not in str(told.value)


def test_a_certificate_that_nobody_trusts_is_refused(make: Make, tmp_path: Path) -> None:
    other = make_authority(tmp_path)
    with pytest.raises(MailboxAway, match="certificate is not trusted"):
        visit(make(ca_file=str(other.ca_file)))


def test_nobody_there_is_told(make: Make) -> None:
    with pytest.raises(MailboxAway, match="port 1: "):
        visit(make(port=1))


def test_a_ca_file_that_is_gone_is_told(make: Make) -> None:
    with pytest.raises(MailboxAway, match="ca_file"):
        visit(make(ca_file="/nowhere.pem"))


@pytest.fixture
def by_imap(server: Dovecot, authority: Authority) -> Make:
    def made(**changes: Any) -> BounceMailbox:
        given = {"password": Secret(PASSWORD)} | changes
        return BounceMailbox(
            "bounce@example.com",
            Secret("0123456789abcdef"),
            "127.0.0.1",
            USERNAME,
            port=server.ports["imaps"],
            ca_file=str(authority.ca_file),
            **given,
        )

    return made


def test_mails_are_moved_to_a_folder_that_is_made(server: Dovecot, by_imap: Make) -> None:
    for number in range(2):
        server.put(b"Subject: %d\r\n\r\n" % number)
        session = visit(by_imap(after="move:Read these"))
        [name] = session.names()
        session.dispose(name)
        session.close()
    assert server.mails() == []
    assert len(server.mails(".Read these")) == 2


def test_another_folder_may_be_read(server: Dovecot, by_imap: Make) -> None:
    server.put(b"Subject: in the folder\r\n\r\n", ".Bounces")
    session = visit(by_imap(folder="Bounces"))
    [name] = session.names()
    assert b"in the folder" in (session.head(name) or b"")
    session.dispose(name)
    session.close()
    assert server.mails(".Bounces") == []


def test_a_folder_that_does_not_exist_is_told(by_imap: Make) -> None:
    with pytest.raises(MailboxAway, match="folder Nowhere"):
        visit(by_imap(folder="Nowhere"))


def test_a_mail_that_somebody_took_is_gone(server: Dovecot, by_imap: Make) -> None:
    server.put(b"Subject: one\r\n\r\n")
    first, second = visit(by_imap()), visit(by_imap())
    [name] = first.names()
    assert list(second.names()) == [name]
    first.dispose(name)
    first.close()
    assert second.head(name) is None
    second.dispose(name)
    second.close()


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_server_that_speaks_something_else_is_told(protocol: str) -> None:
    def greet(peer: Peer) -> None:
        peer.say("220 this is a mail server of another kind")

    with scripted(greet) as port:
        mailbox = _plain(protocol, port)
        with pytest.raises(MailboxAway, match=r"\(connecting\)"):
            visit(mailbox)


def test_a_token_goes_over_the_wire_as_both_protocols_want_it() -> None:
    heard: list[str] = []

    def imap(peer: Peer) -> None:
        peer.say("* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready")
        while line := peer.hear():
            tag, _, command = line.partition(" ")
            if command.startswith("AUTHENTICATE"):
                peer.say("+ ")
                heard.append(peer.hear())
                peer.say(f"{tag} NO [AUTHENTICATIONFAILED] wrong token s3cret-token")
            elif command.startswith("CAPABILITY"):
                peer.say("* CAPABILITY IMAP4rev1 AUTH=XOAUTH2", f"{tag} OK done")
            else:
                peer.say("* BYE", f"{tag} OK done")
                return

    def pop3(peer: Peer) -> None:
        peer.say("+OK ready")
        heard.append(peer.hear().removeprefix("AUTH XOAUTH2 "))
        peer.say("-ERR wrong token s3cret-token")

    for protocol, script in (("imap", imap), ("pop3", pop3)):
        with scripted(script) as port, pytest.raises(MailboxAway) as told:
            visit(_plain(protocol, port, password=None, token=Secret("s3cret-token")))
        assert "(login)" in str(told.value)
        assert "s3cret-token" not in str(told.value)
    # user=bounces ^A auth=Bearer s3cret-token ^A ^A
    assert heard == ["dXNlcj1ib3VuY2VzAWF1dGg9QmVhcmVyIHMzY3JldC10b2tlbgEB"] * 2


def _plain(protocol: Any, port: int, **changes: Any) -> BounceMailbox:
    given = {"password": Secret(PASSWORD)} | changes
    key = Secret("0123456789abcdef")
    return BounceMailbox("bounce@example.com", key, "127.0.0.1", USERNAME, protocol, port, "none", **given)
