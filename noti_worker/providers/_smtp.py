"""One SMTP conversation, stage by stage, as steps to take: who said what, and where it broke (RFC 5321, 3207, 2920).

Nothing here touches a socket or a clock: the steps go to the house, which answers with lines.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NoReturn

from noti_worker.providers._smtp_said import Broken, Refused, Reply, Transcript
from noti_worker.transport.talk import STEP_AT_MOST, Broke, Hear, Secure, Talk

_MOST_LINES = 128
_RESET_AT_MOST = 5.0
_ANSWER = re.compile(r"[2-5]\d\d([ -]|$)")

Offer = dict[str, str]
"""What the server can do (the keywords of EHLO in upper case), each with its parameters."""


class Speaker:
    """Speaks SMTP on one line, and writes down what was said."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self._owed: deque[str] = deque()
        self._heard: list[str] = []
        self._hear = Hear()

    @property
    def said_too_much(self) -> bool:
        """True when something was said that answers nothing: it would be taken for the answer to the next word."""
        return bool(self._heard)

    def secure(self) -> Talk[None]:
        """Speak TLS from here on."""
        step = Secure()
        if self._heard:
            reason = "the server went on talking before TLS began: somebody may stand in between"
            self.give_up("tls", "spoke_early", reason)
        try:
            (version,) = yield step
        except Broke as broke:
            self._broke("tls", broke)
        self.transcript.add("tls", None, version, step.ms)

    def greeting(self) -> Talk[None]:
        """Wait for the server's first words."""
        reply = yield from self.reply("greeting")
        if reply.code != 220:
            raise Refused("greeting", reply)

    def hello(self, name: str) -> Talk[Offer]:
        """Introduce ourselves and learn what the server can do; an old one that knows no EHLO can do nothing more."""
        reply = yield from self.ask("ehlo", f"EHLO {name}")
        if reply.code in {500, 502}:
            yield from self.demand("ehlo", f"HELO {name}", 250)
            return {}
        if reply.code != 250:
            raise Refused("ehlo", reply)
        return _offer(reply.lines[1:])

    def demand(self, stage: str, command: str, code: int) -> Talk[Reply]:
        """Say `command`; raises Refused unless the answer has `code`."""
        reply = yield from self.ask(stage, command)
        if reply.code != code:
            raise Refused(stage, reply)
        return reply

    def ask(self, stage: str, command: str) -> Talk[Reply]:
        """Say `command` and give the answer, whatever it is."""
        return self.reply(stage, first=command.encode() + b"\r\n")

    def give_up(self, stage: str, code: str, reason: str) -> NoReturn:
        """Go no further: what the server offers and what our configuration demands do not fit."""
        self._broke(stage, Broke(code, reason))

    def begin(self, commands: Sequence[tuple[str, str]]) -> Talk[Reply]:
        """Say all `commands`, each after its stage, at once (RFC 2920); the answer to the first."""
        stages = [stage for stage, _ in commands]
        self._owed.extend(stages[1:])
        return self.reply(stages[0], first="".join([f"{command}\r\n" for _, command in commands]).encode())

    def next(self, stage: str, command: str) -> Talk[Reply]:
        """The answer to the next command; it is said first if it was not yet: who stops here has not said the rest."""
        return self.reply(self._owed.popleft()) if self._owed else self.ask(stage, command)

    def settle(self) -> Talk[bool]:
        """Hear what is still to come and take back what was begun; False when the line is of no more use."""
        try:
            while self._owed:
                reply = yield from self.reply(self._owed.popleft(), _RESET_AT_MOST)
                # After a 354 only hanging up ends the mail: a final dot would send an empty one to who was accepted.
                if reply.code in {354, 421}:
                    return False
            reply = yield from self.reply("rset", _RESET_AT_MOST, first=b"RSET\r\n")
        except Broken:
            return False
        return reply.code == 250

    def deliver(self, content: bytes, patience: float) -> Talk[Reply]:
        """Write the mail, dots at the start of a line doubled, and the final dot; give the yes.

        Raises Refused, or Broken: at `data` the final dot did not go out, at `dot` it did, and the mail may have been
        taken. The answer may take `patience` seconds from the last byte on.
        """
        stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        reply = yield from self.reply("dot", patience, first=stuffed, beyond=True)
        if reply.code // 100 != 2:
            raise Refused("dot", reply)
        return reply

    def reply(self, stage: str, most: float = STEP_AT_MOST, *, first: bytes = b"", beyond: bool = False) -> Talk[Reply]:
        """Write `first` and read one answer, all its lines within `most` seconds.

        Raises Broken when none comes or it is no SMTP.
        """
        lines: list[str] = []
        ms = 0.0
        while True:
            if first or not self._heard:
                ms += yield from self._listen(stage, first, most - ms / 1000, beyond=beyond)
                first = b""
            line = self._heard.pop(0)
            if not _ANSWER.match(line):
                # A greeting that is no SMTP is a wrong port; later it is a server that lost its way.
                code = "not_smtp" if stage == "greeting" else "astray"
                self._broke(stage, Broke(code, "the server does not speak SMTP", ms))
            lines.append(line[4:])
            if line[3:4] != "-":
                break
            if len(lines) >= _MOST_LINES:
                self._broke(stage, Broke("endless", "the server's answer has no end", ms))
        reply = Reply(int(line[:3]), lines)
        self.transcript.add(stage, reply.code, reply.text, ms)
        return reply

    def _listen(self, stage: str, first: bytes, most: float, *, beyond: bool) -> Talk[float]:
        """Write, and hear what comes; gives the milliseconds that it took."""
        hear = self._hear
        hear.first, hear.most, hear.beyond = first, most, beyond
        unsaid = "data" if stage == "dot" else stage  # what was not written whole has no final dot
        if self._heard:
            self._broke(unsaid, Broke("spoke", "the server said more than it was asked"))
        try:
            self._heard = yield hear
        except Broke as broke:
            self._broke(unsaid if broke.writing else stage, broke)
        return hear.ms

    def _broke(self, stage: str, broke: Broke) -> NoReturn:
        self.transcript.add(stage, None, broke.reason, broke.ms)
        raise Broken(stage, broke.code, broke.reason) from None


def _offer(lines: Iterable[str]) -> Offer:
    offer: Offer = {}
    for line in lines:
        keyword, _, parameters = line.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):  # as before RFC 2554, and some still write both
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        offer[keyword] = f"{offer[keyword]} {parameters}" if keyword in offer else parameters
    return offer
