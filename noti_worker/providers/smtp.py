"""E-mail over SMTP: to a relay or a mail server, with TLS and login, on kept connections.

One message is one transaction. Its first recipient is the row's, and the outcome speaks for it: when it
is refused, nothing is sent to anybody. A cc or bcc that is refused is told in the outcome's error.
What breaks before the final dot was surely not sent; what breaks after it is `uncertain`.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Literal

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import MAIL_OPTIONS
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers._mail import Mail, compose
from noti_worker.providers._smtp import Line
from noti_worker.providers._smtp_pool import Access, Pool
from noti_worker.providers._smtp_rules import RULES
from noti_worker.providers._smtp_said import Broken, Refused, Reply, Transcript

CHANNELS = frozenset({Channel.EMAIL})
OPTIONS = MAIL_OPTIONS
__all__ = ["CHANNELS", "OPTIONS", "RULES", "Settings", "build"]

_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?|\[[0-9A-Fa-f.:IPv]+\]")
_RESET_AT_MOST = 5.0
_LONGEST_ERROR = 500
_HINT = re.compile(r"\b(\d{1,6}) ?(second|sec|minute|min|hour)s?\b", re.IGNORECASE)
_UNIT = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600}
_QUEUE_ID = re.compile(
    r"queued as ([\w.+/-]{4,100})|\bid=([\w.+/-]{4,100})|^(?:2\.\d\.\d )?Ok:? ([\w.+-]{12,100})$", re.IGNORECASE
)
_WORDS = {
    "greeting": "the server does not want us",
    "ehlo": "the server does not want us",
    "starttls": "the server refused to begin TLS",
    "auth": "the server refused the login",
    "mail": "the server refused the sender",
    "rcpt": "the server refused the recipient",
    "data": "the server refused the mail",
    "dot": "the server refused the mail",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at a mail server.

    `from_` are the senders that a message may name in `options.from`, each `a@b` or `Name <a@b>`; the
    first is the default. `tls` is `starttls`, `implicit` or `none`; `none` stays on this machine unless
    `insecure` says it again. `port` follows from `tls` (587, 465, 25). `ca_file` (PEM) is trusted besides the
    usual authorities. `local_hostname` is how we introduce ourselves (the domain of the first sender).
    `dot_timeout` is how long the server may take to accept a mail after its last byte.
    """

    host: str
    from_: tuple[str, ...]
    port: int | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    insecure: bool = False
    username: str | None = None
    password: Secret | None = None
    ca_file: str | None = None
    local_hostname: str | None = None
    dot_timeout: timedelta = timedelta(seconds=300)

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the key."""
        if not self.host or any(char.isspace() or char in "/@" for char in self.host):
            raise ConfigurationError("host is not the name or address of a mail server")
        if self.tls not in _PORTS:
            raise ConfigurationError(f"tls is one of {', '.join(_PORTS)}")
        if self.tls == "none" and not self.insecure and not self.on_this_machine:
            raise ConfigurationError("tls = none shows mails and password to the network; say insecure = true as well")
        if self.tls != "none" and self.insecure:
            raise ConfigurationError("insecure has a meaning only with tls = none")
        if self.tls == "none" and self.ca_file is not None:
            raise ConfigurationError("ca_file has no meaning with tls = none")
        if self.port is not None and not 0 < self.port < 65536:
            raise ConfigurationError("port lies between 1 and 65535")
        if (self.username is None) != (self.password is None):
            raise ConfigurationError(f"{'username' if self.username is None else 'password'} is missing")
        for key, value in (("username", self.username), ("password", self.password and self.password.reveal())):
            if value is not None and (not value or "\0" in value):
                raise ConfigurationError(f"{key} is empty or holds a NUL")
        if self.local_hostname is not None and not _HOST_NAME.fullmatch(self.local_hostname):
            raise ConfigurationError("local_hostname is not a host name")
        if self.dot_timeout <= timedelta(0):
            raise ConfigurationError("dot_timeout must be longer than nothing")
        self.senders()

    @property
    def on_this_machine(self) -> bool:
        """True when `host` is a loopback address."""
        return _LOOPBACK.fullmatch(self.host) is not None

    def senders(self) -> tuple[Mailbox, ...]:
        """The allowed senders, the default first."""
        if not self.from_:
            raise ConfigurationError("from names no sender")
        try:
            return tuple(read_mailbox(one, "from", intranet=True) for one in self.from_)
        except BadNotification as error:
            raise ConfigurationError(str(error)) from None


def build(settings: Settings, http: object) -> Sender:
    """The sender of one account; `http` is not used. Raises ConfigurationError for an unusable ca_file."""
    context = None
    if settings.tls != "none":
        try:
            # Once for the account: reading the system's authorities takes 20 ms.
            context = ssl.create_default_context()
            if settings.ca_file is not None:
                context.load_verify_locations(settings.ca_file)
        except OSError as error:
            raise ConfigurationError(f"ca_file cannot be used: {error.strerror or 'no certificate in it'}") from None
    access = Access(
        host=settings.host,
        port=settings.port or _PORTS[settings.tls],
        name=settings.local_hostname or settings.senders()[0].domain,
        context=context,
        implicit=settings.tls == "implicit",
        loopback=settings.tls == "none" and not settings.insecure,
        username=settings.username,
        password=settings.password,
    )
    return SmtpSender(settings, access)


class SmtpSender:
    """Sends mails through one account."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._senders = settings.senders()
        self._intranet = settings.insecure or settings.on_this_machine
        self._dot_timeout = settings.dot_timeout.total_seconds()
        self._access = access
        self._pool = Pool()

    def send(self, message: Message, limit: float) -> Outcome:
        """Send one mail: `limit` seconds up to its last byte, then `dot_timeout` for the server's yes."""
        deadline = monotonic() + limit
        transcript = Transcript(self._access.hidden())
        try:
            mail = compose(message, self._senders, intranet=self._intranet)
            outcome = self._on_kept_line(mail, deadline, transcript)
            if outcome is None:
                line = self._access.open(deadline, transcript)
                outcome = self._transact(line, mail, deadline, transcript)
        except BadNotification as error:
            return Outcome(Kind.PERMANENT, error=f"this mail cannot be sent: {error}", response=_response(transcript))
        except Broken as broken:
            return _broken(broken, transcript)
        except Refused as refused:
            return _refused(refused, transcript, alone=len(mail.recipients) == 1)
        return outcome

    def check(self, limit: float) -> Outcome:
        """Connect, speak TLS and log in within `limit` seconds, then hang up; no mail is begun."""
        transcript = Transcript(self._access.hidden())
        try:
            self._access.open(monotonic() + limit, transcript).quit()
        except Broken as broken:
            return _broken(broken, transcript)
        except Refused as refused:
            return _refused(refused, transcript, alone=True)
        tls = next((step["text"] for step in transcript.steps if step["stage"] == "tls"), "no TLS")
        login = f"logged in as {self._access.username}" if self._access.username else "without login"
        return Outcome(
            Kind.OK,
            error=f"{self._access.host} port {self._access.port}, {tls}, {login}",
            response=_response(transcript),
        )

    def close(self) -> None:
        """Say goodbye on the kept connections."""
        self._pool.close()

    def _on_kept_line(self, mail: Mail, deadline: float, transcript: Transcript) -> Outcome | None:
        """Send on a kept connection; None when there is none, or when it proved dead before it accepted anything."""
        line = self._pool.take()
        if line is None:
            return None
        now = monotonic()
        try:
            # A silent line gets a third of the time, so that enough is left for a fresh one.
            return self._transact(line, mail, deadline, transcript, first=now + (deadline - now) / 3)
        except Broken as broken:
            if broken.stage == "mail":
                return None
            raise
        except Refused as refused:
            if refused.stage == "mail" and refused.reply.code == 421:
                return None
            raise

    def _transact(
        self, line: Line, mail: Mail, deadline: float, transcript: Transcript, first: float | None = None
    ) -> Outcome:
        """One transaction, after which the line is kept if it is sound."""
        line.transcript = transcript
        line.mails += 1
        try:
            _check_offer(line, mail)
            refused = _envelope(line, mail, first or deadline, deadline)
            reply = line.deliver(mail.content, deadline, self._dot_timeout)
        except BadNotification:
            self._pool.give_back(line)
            raise
        except Refused as refusal:
            self._after_refusal(line, refusal, deadline)
            raise
        except BaseException:
            line.drop()
            raise
        self._pool.give_back(line)
        return Outcome(
            Kind.OK,
            code=_code(reply),
            error=_left_out(refused, transcript),
            response=_response(transcript),
            provider_message_id=_queue_id(reply.text),
        )

    def _after_refusal(self, line: Line, refusal: Refused, deadline: float) -> None:
        """Keep the line if the server still follows; a transaction that was begun is taken back."""
        follows = refusal.reply.code >= 400 and refusal.reply.code != 421
        ended = refusal.stage == "dot"
        if follows and (ended or line.settle(min(deadline, monotonic() + _RESET_AT_MOST))):
            self._pool.give_back(line)
        else:
            line.drop()


def _check_offer(line: Line, mail: Mail) -> None:
    if mail.needs_utf8 and "SMTPUTF8" not in line.extensions:
        raise BadNotification("an address has letters before the @ that this server does not take (SMTPUTF8)")
    most = line.extensions.get("SIZE", "")
    if most.isdecimal() and 0 < int(most[:18]) < len(mail.content):
        raise BadNotification(f"it has {len(mail.content)} bytes, and the server takes {most[:18]}")


def _envelope(line: Line, mail: Mail, first: float, deadline: float) -> dict[str, Reply]:
    """Name sender and recipients and ask to go on; gives the refusals of all recipients but the first.

    Raises Refused for any other no: then the mail itself does not go out.
    """
    size = f" SIZE={len(mail.content)}" if "SIZE" in line.extensions else ""
    utf8 = " SMTPUTF8" if mail.needs_utf8 else ""
    recipients = [("rcpt", f"RCPT TO:<{address}>") for _, address in mail.recipients]
    commands = [("mail", f"MAIL FROM:<{mail.sender}>{size}{utf8}"), *recipients, ("data", "DATA")]
    replies = line.talk(commands, first, deadline)
    _expect(250, "mail", next(replies))
    refused: dict[str, Reply] = {}
    for field, _ in mail.recipients:
        reply = next(replies)
        if reply.code // 100 == 2:
            continue
        if field == "recipient" or reply.code == 421:
            raise Refused("rcpt", reply)
        refused[field] = reply
    _expect(354, "data", next(replies))
    return refused


def _expect(code: int, stage: str, reply: Reply) -> None:
    if reply.code != code:
        raise Refused(stage, reply)


def _broken(broken: Broken, transcript: Transcript) -> Outcome:
    response = _response(transcript)
    if broken.stage == "dot":
        error = f"the mail went out, but the server did not confirm it: {broken.reason}"
        return Outcome(Kind.UNCERTAIN, error=error, response=response)
    kind = Kind.CONFIG if broken.ours else Kind.TRANSIENT
    error = f"nothing was sent, it ended at {broken.stage}: {broken.reason}"
    return Outcome(kind, Scope.ACCOUNT, error=error[:_LONGEST_ERROR], response=response)


def _refused(refused: Refused, transcript: Transcript, *, alone: bool) -> Outcome:
    reply = refused.reply
    answer = Said(refused.stage, str(reply.code), reply.enhanced, reply.text)
    error = f"{_WORDS[refused.stage]}: {reply.code} {transcript.clean(reply.text)}"[:_LONGEST_ERROR]
    rule = classify(RULES, answer)
    assert rule is not None
    # After all were accepted, one refusal does not say which of them it means.
    unclear = rule.kind is Kind.DEAD and refused.stage != "rcpt" and not alone
    waits = [wait for wait in (rule.wait, _hint(reply)) if wait is not None]
    return Outcome(
        Kind.PERMANENT if unclear else rule.kind,
        rule.scope,
        code=_code(reply),
        error=error,
        response=_response(transcript),
        retry_after=max(waits, default=None),
    )


def _hint(reply: Reply) -> float | None:
    """The wait that the words of a 4xx ask for, in seconds, and a little more."""
    found = _HINT.search(reply.text) if reply.code // 100 == 4 else None
    return int(found[1]) * _UNIT[found[2].lower()] + 10.0 if found else None


def _code(reply: Reply) -> str:
    return f"{reply.code} {reply.enhanced}".strip()


def _left_out(refused: Mapping[str, Reply], transcript: Transcript) -> str | None:
    if not refused:
        return None
    who = "; ".join(f"{field}: {reply.code} {transcript.clean(reply.text)[:120]}" for field, reply in refused.items())
    return f"the server refused {who}"[:_LONGEST_ERROR]


def _queue_id(text: str) -> str | None:
    found = _QUEUE_ID.search(text)
    return next(filter(None, found.groups())) if found else None


def _response(transcript: Transcript) -> dict[str, Any] | None:
    return {"conversation": transcript.steps} if transcript.steps else None
