"""Logins: every mechanism that a server offers and that fits the secret, however it is offered."""

import base64
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import smtp
from noti_worker.secrets import References
from tests.providers.contract import LIMIT, a_message
from tests.providers.smtp_server import Peer, scripted
from tests.providers.test_smtp_stages import build

MESSAGE = a_message(Channel.EMAIL, "ann@example.net")
NAME, PASSWORD, TOKEN = "noti", "correct horse", "ya29.t0k3n"
CHALLENGE = "<1896.697170952@postoffice.example.net>"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def plain(peer: Peer, rest: str) -> bool:
    return decoded(rest) == f"\0{NAME}\0{PASSWORD}"


def login(peer: Peer, rest: str) -> bool:
    peer.say("334 VXNlcm5hbWU6")
    name = decoded(peer.hear())
    peer.say("334 UGFzc3dvcmQ6")
    return (name, decoded(peer.hear())) == (NAME, PASSWORD)


def cram(peer: Peer, rest: str) -> bool:
    peer.say(f"334 {encoded(CHALLENGE)}")
    digest = hmac.new(PASSWORD.encode(), CHALLENGE.encode(), "md5").hexdigest()
    return decoded(peer.hear()) == f"{NAME} {digest}"


def nonsense_cram(peer: Peer, rest: str) -> bool:
    peer.say("334 no base64!")
    assert peer.hear() == "*"
    return False


def xoauth2(peer: Peer, rest: str) -> bool:
    if decoded(rest) == f"user={NAME}\1auth=Bearer {TOKEN}\1\1":
        return True
    peer.say(f"334 {encoded('status 401')}")
    assert peer.hear() == ""
    return False


def oauthbearer(peer: Peer, rest: str) -> bool:
    user, *parts = decoded(rest).split("\1")
    if user == f"n,a={NAME}," and f"auth=Bearer {TOKEN}" in parts:
        return True
    peer.say(f"334 {encoded('status 401')}")
    assert peer.hear() == "AQ=="
    return False


Way = Callable[[Peer, str], bool] | str


def serving(ehlo: tuple[str, ...] | str, ways: dict[str, Way], said: list[str]) -> Callable[[Peer], None]:
    """A server that takes mails after a login; a way that is a text is answered with it."""

    def script(peer: Peer) -> None:
        peer.say("220 mail.test")
        inside = not ways
        while command := peer.hear():
            said.append(command)
            verb, _, rest = command.partition(" ")
            if verb == "EHLO":
                peer.say(*([ehlo] if isinstance(ehlo, str) else [f"250-{line}" for line in ("mail.test", *ehlo)]))
                if not isinstance(ehlo, str):
                    peer.say("250 HELP")
            elif verb == "AUTH":
                mechanism, _, initial = rest.partition(" ")
                way = ways.get(mechanism, "504 5.5.4 Unrecognized authentication type")
                if isinstance(way, str):
                    peer.say(way)
                else:
                    inside = way(peer, initial)
                    peer.say("235 2.7.0 Welcome" if inside else "535 5.7.8 Wrong")
            elif verb == "DATA":
                peer.say("354 Go on")
                peer.hear_mail()
                peer.say("250 Ok")
            elif verb == "MAIL" and not inside:
                peer.say("530 5.7.0 Log in")
            else:
                peer.say("250 Ok")
            if verb == "QUIT":
                return

    return script


def sent(script: Callable[[Peer], None], **account: Any) -> Outcome:
    with scripted(script) as port:
        sender = build(port, **({"username": NAME, "password": Secret(PASSWORD)} | account))
        outcome = sender.send(MESSAGE, LIMIT)
        sender.close()
    return outcome


OAUTH = {"password": None, "token": Secret(TOKEN)}


@pytest.mark.parametrize(
    ("ehlo", "ways", "account", "mechanisms"),
    [
        (("AUTH PLAIN LOGIN",), {"PLAIN": plain}, {}, ["PLAIN"]),
        (("AUTH LOGIN",), {"LOGIN": login}, {}, ["LOGIN"]),
        (("auth=login plain",), {"PLAIN": plain}, {}, ["PLAIN"]),
        (("AUTH=PLAIN LOGIN",), {"PLAIN": plain}, {}, ["PLAIN"]),
        (("AUTH=LOGIN",), {"LOGIN": login}, {}, ["LOGIN"]),
        (("AUTH GSSAPI NTLM", "AUTH PLAIN"), {"PLAIN": plain}, {}, ["PLAIN"]),
        (("AUTH LOGIN PLAIN", "AUTH GSSAPI"), {"PLAIN": plain}, {}, ["PLAIN"]),
        (("AUTH LOGIN", "AUTH=LOGIN PLAIN"), {"LOGIN": login, "PLAIN": "504 5.5.4 Not that"}, {}, ["PLAIN", "LOGIN"]),
        (("AUTH PLAIN LOGIN",), {"LOGIN": login, "PLAIN": "535 5.7.8 Not so"}, {}, ["PLAIN", "LOGIN"]),
        (("AUTH PLAIN LOGIN",), {"LOGIN": login, "PLAIN": "502 What?"}, {}, ["PLAIN", "LOGIN"]),
        (("AUTH CRAM-MD5",), {"CRAM-MD5": cram}, {}, ["CRAM-MD5"]),
        (("AUTH CRAM-MD5 PLAIN",), {"CRAM-MD5": cram, "PLAIN": "534 No"}, {}, ["PLAIN", "CRAM-MD5"]),
        (("AUTH XOAUTH2 PLAIN",), {"XOAUTH2": xoauth2}, OAUTH, ["XOAUTH2"]),
        (("AUTH OAUTHBEARER",), {"OAUTHBEARER": oauthbearer}, OAUTH, ["OAUTHBEARER"]),
        (
            ("AUTH XOAUTH2 OAUTHBEARER",),
            {"XOAUTH2": xoauth2, "OAUTHBEARER": "504 No"},
            OAUTH,
            ["OAUTHBEARER", "XOAUTH2"],
        ),
    ],
)
def test_a_login_that_would_work_works(
    ehlo: tuple[str, ...], ways: dict[str, Way], account: dict[str, Any], mechanisms: list[str]
) -> None:
    said: list[str] = []
    outcome = sent(serving(ehlo, ways, said), **account)
    assert outcome.kind is Kind.OK, outcome.error
    assert [line.split()[1] for line in said if line.startswith("AUTH ")] == mechanisms


@pytest.mark.parametrize(
    ("ehlo", "ways", "account", "words", "tried"),
    [
        (("AUTH PLAIN LOGIN",), {"PLAIN": plain, "LOGIN": login}, {"password": Secret("x")}, "535 5.7.8 Wrong", 2),
        (("AUTH PLAIN LOGIN",), {"PLAIN": plain}, {"password": Secret("x")}, "535 5.7.8 Wrong", 2),
        (("AUTH CRAM-MD5",), {"CRAM-MD5": nonsense_cram}, {}, "535 5.7.8 Wrong", 1),
        (("AUTH XOAUTH2",), {"XOAUTH2": xoauth2}, OAUTH | {"token": Secret("old")}, "535 5.7.8 Wrong", 1),
        (("AUTH OAUTHBEARER",), {"OAUTHBEARER": oauthbearer}, OAUTH | {"token": Secret("old")}, "535 5.7.8 Wrong", 1),
        (("AUTH GSSAPI",), {"GSSAPI": "504 No"}, {}, "a username, but the server only offers GSSAPI", 0),
        (("AUTH PLAIN",), {"PLAIN": plain}, OAUTH, "a token, but the server only offers PLAIN", 0),
        (("8BITMIME",), {"PLAIN": plain}, {}, "a username, but the server offers no login", 0),
    ],
)
def test_a_login_that_cannot_work_is_our_configuration(
    ehlo: tuple[str, ...], ways: dict[str, Way], account: dict[str, Any], words: str, tried: int
) -> None:
    said: list[str] = []
    outcome = sent(serving(ehlo, ways, said), **account)
    assert (outcome.kind, outcome.scope, outcome.offered) == (Kind.CONFIG, Scope.ACCOUNT, False)
    assert words in (outcome.error or "")
    assert len([line for line in said if line.startswith("AUTH ")]) == tried


def test_a_login_that_is_refused_for_now_is_not_tried_another_way() -> None:
    said: list[str] = []
    ways: dict[str, Way] = {"PLAIN": "454 4.7.0 Not now", "LOGIN": login}
    outcome = sent(serving(("AUTH PLAIN LOGIN",), ways, said))
    assert (outcome.kind, outcome.scope) == (Kind.TRANSIENT, Scope.ACCOUNT)
    assert len([line for line in said if line.startswith("AUTH ")]) == 1


@pytest.mark.parametrize("answer", ["500 5.5.1 What?", "502 5.5.1 Not implemented"])
def test_a_server_that_knows_no_ehlo_gets_helo(answer: str) -> None:
    said: list[str] = []
    outcome = sent(serving(answer, {}, said), username=None, password=None)
    assert outcome.kind is Kind.OK, outcome.error
    assert [line.split()[0] for line in said[:3]] == ["EHLO", "HELO", "MAIL"]
    assert "SIZE" not in said[2]


def test_a_server_that_refuses_us_gets_no_helo() -> None:
    said: list[str] = []
    outcome = sent(serving("550 5.7.1 Go away", {}, said), username=None, password=None)
    assert (outcome.kind, outcome.stage) == (Kind.CONFIG, "ehlo")
    assert [line.split()[0] for line in said] == ["EHLO"]


@pytest.mark.parametrize("spelled", [TOKEN, encoded(TOKEN), encoded(f"user={NAME}\1auth=Bearer {TOKEN}\1\1")])
def test_a_token_is_shown_nowhere(spelled: str) -> None:
    outcome = sent(serving(("AUTH XOAUTH2",), {"XOAUTH2": f"535 5.7.8 {spelled} is no good"}, []), **OAUTH)
    assert outcome.kind is Kind.CONFIG
    assert spelled not in repr(outcome)
    assert spelled not in str(outcome.response)
    settings = smtp.Settings(host="localhost", from_=("a@example.com",), tls="none", username=NAME, token=Secret(TOKEN))
    assert TOKEN not in repr(settings)


def test_a_token_that_ended_is_read_anew_for_the_next_login(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text("ended")
    token = References({}).resolve(f"file:{place}")
    place.write_text(TOKEN)
    outcome = sent(serving(("AUTH XOAUTH2",), {"XOAUTH2": xoauth2}, []), **(OAUTH | {"token": token}))
    assert outcome.kind is Kind.OK, outcome.error
    place.write_text("another")
    refusal = f"535 5.7.8 {encoded(f'user={NAME}{chr(1)}auth=Bearer another{chr(1)}{chr(1)}')} is no good"
    outcome = sent(serving(("AUTH XOAUTH2",), {"XOAUTH2": refusal}, []), **(OAUTH | {"token": token}))
    assert "*** is no good" in str(outcome.response)
    place.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        sent(serving(("AUTH XOAUTH2",), {"XOAUTH2": xoauth2}, []), **(OAUTH | {"token": token}))
