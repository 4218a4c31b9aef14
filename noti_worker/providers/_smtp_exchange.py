"""One mail, or a look, at a mail server: from the greeting to the yes, and what each end of it says.

Before the final dot nothing can be sent twice, so a kept line that the server has worn out costs no mail: whatever is
not clearly about the recipient or the content may be about the line.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import Mailbox
from noti_worker.domain.notification import Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.return_path import ReturnPath
from noti_worker.domain.rules import LONGEST_ERROR, classify
from noti_worker.domain.said import RefusedCopy, Said
from noti_worker.domain.words import asked_wait, blanked
from noti_worker.providers._mail import Mail, compose
from noti_worker.providers._smtp import Offer, Speaker
from noti_worker.providers._smtp_login import Login
from noti_worker.providers._smtp_rules import RULES
from noti_worker.providers._smtp_said import Broken, Refused, Reply, Transcript
from noti_worker.transport.talk import Broke, Ended, Talk

_QUEUE_ID = re.compile(
    r"queued as ([\w.+/-]{4,100})|\bid=([\w.+/-]{4,100})|^(?:2\.\d\.\d )?Ok:? ([\w.+-]{12,100})$", re.IGNORECASE
)
_REFUSAL = {
    "greeting": "the server does not want us",
    "ehlo": "the server does not want us",
    "starttls": "the server refused to begin TLS",
    "auth": "the server refused the login",
    "mail": "the server refused the sender",
    "rcpt": "the server refused the recipient",
    "data": "the server refused the mail",
    "dot": "the server refused the mail",
}
_CROWDED = re.compile(r"^[45]\.5\.3 |too many (recipients|rcpt)", re.IGNORECASE)  # another transaction takes the others
_PROTOCOL = range(500, 505)  # "bad sequence of commands" and its like speak of the line, whoever was named last


@dataclass(frozen=True, slots=True)
class Account:
    """What an account says of itself and expects of the server; `name` is how we introduce ourselves.

    Bounces come to the `return_path`; None: to the sender.
    """

    name: str
    senders: tuple[Mailbox, ...]
    intranet: bool
    tls: Literal["starttls", "implicit", "none"]
    login: Login | None
    dot_timeout: float
    host: str
    port: int
    return_path: ReturnPath | None = None


class Conversation:
    """The conversations of one account."""

    farewell = b"QUIT\r\n"

    def __init__(self, account: Account) -> None:
        self._account = account
        self._hidden = account.login.hidden() if account.login is not None else ()

    def about(self, message: Message | None) -> "Exchange":
        """Begin with a message, or only look."""
        transcript = Transcript(self._hidden)
        if message is None:
            return Exchange(self._account, transcript, None, None)
        try:
            mail = compose(
                message, self._account.senders, intranet=self._account.intranet, return_path=self._account.return_path
            )
        except BadNotification as bad:
            raise BadNotification(_unsendable(bad)) from None
        return Exchange(self._account, transcript, message, mail)


@dataclass(slots=True)
class Exchange:
    """One message on one line, or on two; its transcript tells of both."""

    account: Account
    transcript: Transcript
    message: Message | None = field(repr=False)
    mail: Mail | None = field(repr=False)

    def unreachable(self, broke: Broke) -> Said:
        """No connection came about."""
        reason = broke.reason
        if broke.code == "not_loopback":
            reason = f"{self.account.host} is not this machine; to leave it without TLS, say insecure = true"
        self.transcript.add("connect", None, reason, broke.ms)
        return self._broken(Broken("connect", broke.code, reason))

    def open(self, address: str, ms: float) -> Talk[Offer | Said]:
        """Up to where mails are taken: what the server can do, or why it does not let us in."""
        self.transcript.add("connect", None, f"{address} port {self.account.port}", ms)
        try:
            offer = yield from self._enter(Speaker(self.transcript))
        except Broken as broken:
            return self._broken(broken)
        except Refused as refused:
            return self._refused(refused)
        return offer

    def send(self, ready: Offer) -> Talk[Ended]:
        """One transaction."""
        speaker = Speaker(self.transcript)
        try:
            mail = _fitting(self.mail, ready)
            left_out = yield from self._envelope(speaker, mail, ready)
            reply = yield from speaker.deliver(mail.content, self.account.dot_timeout)
        except BadNotification as bad:
            error = _unsendable(bad)
            return Ended(Said("compose", error=error, response=self.transcript.response()), keep=True)
        except Broken as broken:
            return Ended(self._broken(broken), keep=False, worn_out=broken.stage == "mail")
        except Refused as refused:
            ended = yield from self._after(speaker, refused)
            return ended
        said = Said(
            "dot",
            str(reply.code),
            reply.enhanced,
            self.transcript.clean(reply.text),
            id=_queue_id(reply.text),
            response=self.transcript.response(),
            copies=tuple(self._left_out(name, reply) for name, reply in left_out.items()),
        )
        return Ended(said, keep=not speaker.said_too_much)

    def look(self, ready: Offer) -> Said:
        """What there is when a line was opened."""
        tls = next((step["text"] for step in self.transcript.steps if step["stage"] == "tls"), "no TLS")
        login = f"logged in as {self.account.login.username}" if self.account.login else "without login"
        found = f"{self.account.host} port {self.account.port}, {tls}, {login}"
        return Said("check", "250", error=found, response=self.transcript.response())

    def _enter(self, speaker: Speaker) -> Talk[Offer]:
        account = self.account
        if account.tls == "implicit":
            yield from speaker.secure()
        yield from speaker.greeting()
        offer = yield from speaker.hello(account.name)
        if account.tls == "starttls":
            if "STARTTLS" not in offer:
                speaker.give_up(
                    "starttls",
                    "no_starttls",
                    "the server does not offer STARTTLS: somebody may stand in between, or it needs tls = implicit",
                )
            yield from speaker.demand("starttls", "STARTTLS", 220)
            yield from speaker.secure()
            offer = yield from speaker.hello(account.name)
        if account.login is not None:
            login = account.login.fresh()
            self.transcript.hidden = login.hidden()
            yield from login.prove(speaker, offer)
        return offer

    def _envelope(self, speaker: Speaker, mail: Mail, offer: Offer) -> Talk[dict[str, Reply]]:
        """Name sender and recipients and ask to go on; gives the refusals of all recipients but the first.

        Raises Refused for any other no: then the mail itself does not go out.
        """
        size = f" SIZE={len(mail.content)}" if "SIZE" in offer else ""
        utf8 = " SMTPUTF8" if mail.needs_utf8 else ""
        # What comes back shall be small, and name whom we wrote to, not whom that was forwarded to (RFC 3461).
        reports = self.account.return_path is not None and "DSN" in offer
        headers_only = " RET=HDRS" if reports else ""
        begin = f"MAIL FROM:<{mail.sender}>{size}{utf8}{headers_only}"
        recipients = [f"RCPT TO:<{address}>{_original(address) if reports else ''}" for _, address in mail.recipients]
        if "PIPELINING" in offer:
            group = [("mail", begin), *[("rcpt", one) for one in recipients], ("data", "DATA")]
            reply = yield from speaker.begin(group)
        else:
            reply = yield from speaker.ask("mail", begin)
        _expect(250, "mail", reply)
        refused: dict[str, Reply] = {}
        for (name, _), command in zip(mail.recipients, recipients, strict=True):
            reply = yield from speaker.next("rcpt", command)
            if reply.code // 100 == 2:
                continue
            if name == "recipient" or reply.code == 421:
                raise Refused("rcpt", reply)
            refused[name] = reply
        reply = yield from speaker.next("data", "DATA")
        _expect(354, "data", reply)
        return refused

    def _after(self, speaker: Speaker, refused: Refused) -> Talk[Ended]:
        """Keep the line if the server speaks of this mail and still follows; what was begun is taken back."""
        said = self._refused(refused)
        if not self._is_about_this_mail(refused, said):
            return Ended(said, keep=False, worn_out=refused.stage != "dot")
        keep = refused.stage == "dot"
        if not keep:
            keep = yield from speaker.settle()
        return Ended(said, keep and not speaker.said_too_much)

    def _is_about_this_mail(self, refused: Refused, said: Said) -> bool:
        """Tell whether a refusal is clearly about recipient or content, so that the next mail may fare better."""
        if refused.stage not in {"rcpt", "dot"} or refused.reply.code in _PROTOCOL or refused.reply.code == 421:
            return False  # before, no recipient was named, and the content is not known yet
        rule = classify(RULES, said, lambda: blanked(said.words, self.message))
        about = {Scope.RECIPIENT} if refused.stage == "rcpt" else {Scope.RECIPIENT, Scope.MESSAGE}
        return rule is not None and rule.scope in about and rule.kind is not Kind.UNCERTAIN

    def _broken(self, broken: Broken) -> Said:
        at_the_end = broken.stage == "dot"
        told = (
            "the mail went out, but the server did not confirm it"
            if at_the_end
            else f"nothing was sent, it ended at {broken.stage}"
        )
        error = f"{told}: {broken.reason}"[:LONGEST_ERROR]
        return Said(broken.stage, code=broken.code, error=error, response=self.transcript.response())

    def _refused(self, refused: Refused) -> Said:
        stage, reply = refused.stage, refused.reply
        words = self.transcript.clean(reply.text)
        return Said(
            stage,
            str(reply.code),
            reply.enhanced,
            words,
            error=f"{_REFUSAL[stage]}: {reply.code} {words}"[:LONGEST_ERROR],
            hint=asked_wait(words, self.message) if reply.code // 100 == 4 else None,
            response=self.transcript.response(),
        )

    def _left_out(self, name: str, reply: Reply) -> RefusedCopy:
        said = self._refused(Refused("rcpt", reply))
        alone = {"conversation": [{"stage": "rcpt", "code": reply.code, "text": said.words[:300]}]}
        return RefusedCopy(
            name, replace(said, response=alone), crowded=_CROWDED.search(f"{reply.enhanced} {reply.text}") is not None
        )


def _unsendable(bad: BadNotification) -> str:
    return f"this mail cannot be sent: {bad}"


def _fitting(mail: Mail | None, offer: Offer) -> Mail:
    """The mail, if this server takes such a one; raises BadNotification."""
    assert mail is not None  # a look sends nothing
    if mail.needs_utf8 and "SMTPUTF8" not in offer:
        raise BadNotification("an address has letters before the @ that this server does not take (SMTPUTF8)")
    most = offer.get("SIZE", "")
    if most.isdecimal() and 0 < int(most[:18]) < len(mail.content):
        raise BadNotification(f"it has {len(mail.content)} bytes, and the server takes {most[:18]}")
    return mail


def _original(address: str) -> str:
    """The recipient as it is told in reports; one beyond ASCII is left out, older servers cannot take it."""
    if not address.isascii():
        return ""
    xtext = re.sub(r"[^!-*,-<>-~]", lambda found: f"+{ord(found[0]):02X}", address)
    return f" ORCPT=rfc822;{xtext}"


def _expect(code: int, stage: str, reply: Reply) -> None:
    if reply.code != code:
        raise Refused(stage, reply)


def _queue_id(text: str) -> str | None:
    found = _QUEUE_ID.search(text)
    return next(filter(None, found.groups())) if found else None
