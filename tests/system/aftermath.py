"""What becomes of the mails of a campaign: a service that posts events, a mailbox that fills, readers who leave."""

import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email import message_from_bytes
from http.client import HTTPException
from typing import Any, Self
from uuid import UUID

from tests.corpus.returned import returned
from tests.dovecot import Dovecot
from tests.providers.api import Answer, ApiServer, Asked
from tests.providers.smtp_server import Inbox, Received
from tests.system.ledger_server import Accept
from tests.system.recipients import API, Fate, Recipient
from tests.system.reckoning import Person, Told
from tests.system.test_receipts import PUBLIC, deliver, now, signed
from tests.web.posting import post

MAILBOX = "back"
"""Name of the section of the mailbox."""

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
THINKING = 1.0
"""Seconds after which the service answers who was told the worst before."""

POSTING = 3
"""Threads that post, as services do."""

Event = Mapping[str, Any]
# What SendGrid posts of a mail, and what that is to us. An `open` is nothing.
_DELIVERED = ({"event": "delivered", "response": "250 OK"}, "delivered")
_BOUNCED = ({"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}, "bounced")
_FULL = ({"event": "bounce", "type": "expired", "status": "4.2.2", "reason": "452 4.2.2 full"}, "soft_bounced")
_BLOCKED = ({"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 listed"}, "failed")
_DEFERRED = ({"event": "deferred", "response": "451 4.7.1 greylisted", "attempt": "1"}, "deferred")
_OPENED: tuple[Event, str] = ({"event": "open"}, "")
_POSTED: Mapping[Fate, Sequence[tuple[Event, str]]] = {
    Fate.BOUNCES: [_DEFERRED, _BOUNCED],
    Fate.COMPLAINS: [_DELIVERED, ({"event": "spamreport"}, "complained")],
    Fate.FULL: [_FULL],
    Fate.BLOCKED: [_BLOCKED],
    Fate.LATE: [_DEFERRED, _DELIVERED],
    Fate.AWAY: [_DELIVERED, _OPENED],
}
_MAILED: Mapping[Fate, tuple[str, str]] = {
    Fate.BOUNCES: ("postfix_unknown_user", "bounced"),
    Fate.COMPLAINS: ("yahoo_complaint", "complained"),
    Fate.FULL: ("gmail_over_quota", "soft_bounced"),
    Fate.BLOCKED: ("exim_policy", "failed"),
    Fate.LATE: ("postfix_delayed", "deferred"),
    Fate.AWAY: ("vacation_rfc3834", ""),
}
_OWN_ID = re.compile(rb"^Message-ID: <", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Post:
    """An event that is to be posted so many times."""

    event: Event
    times: int


class Aftermath:
    """All that happens to mails after they were accepted; a context manager that ends it."""

    def __init__(self, people: Sequence[Recipient], inbox: Inbox, mailbox: Dovecot, seed: int) -> None:
        """Listen as soon as it is entered; `web` is where to post to, and must be set before the first mail."""
        self.web = ""
        self.accepts: list[Accept] = []
        self.told: list[Told] = []
        self.left: set[Person] = set()
        self.counts: Counter[str] = Counter()
        self._people = {one.person.address: one for one in people}
        self._inbox = inbox
        self._mailbox = mailbox
        self._seed = seed
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._times: defaultdict[str, int] = defaultdict(int)  # how often a message was accepted
        self._posts: list[_Post] = []
        self._errands: list[Callable[[], bool]] = []
        self._busy = 0
        self._read = 0  # mails of the inbox
        self.service = _Service(self._asked)
        self._threads = [
            threading.Thread(target=self._live, args=[number], name=f"aftermath {number}") for number in range(POSTING)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="aftermath of SMTP"))

    def __enter__(self) -> Self:
        self.service.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.service.__exit__()

    @property
    def quiet(self) -> bool:
        """Whether all that there was to tell of all mails is told."""
        with self._lock:
            return not (self._posts or self._errands or self._busy) and self._read == len(self._inbox.mails)

    @property
    def unread(self) -> int:
        """How many mails lie in the mailbox."""
        return len(self._mailbox.mails())

    def _asked(self, asked: Asked) -> None:
        with self._lock:
            self._busy += 1
        try:
            self._posted(asked)
        finally:
            with self._lock:
                self._busy -= 1

    def _posted(self, asked: Asked) -> None:
        """The service takes a mail; it may tell of it before it answers."""
        mail = asked.json()
        [personalization] = mail["personalizations"]
        ids, [to] = personalization["custom_args"], personalization["to"]
        recipient = self._people[to["email"]]
        number = self._accept(ids["message_id"], to["email"])
        posts: list[Event] = []
        for event, kind in _POSTED.get(recipient.fate, [_DELIVERED]):
            name = f"{ids['message_id']} {number} {event['event']}"
            at = int(now().timestamp()) + len(posts)
            posts.append({**event, "email": to["email"], "timestamp": at, "sg_event_id": name, **ids})
            if kind:
                with self._lock:
                    self.told.append(Told(API, name, kind, ids["message_id"]))
        self._click(recipient, mail["headers"]["List-Unsubscribe"])
        more = recipient.twice
        if recipient.early:
            self._count("told before the answer", len(posts))
            while not self._post(posts) and not self._over.wait(0.1):
                pass
            if recipient.fate in {Fate.BOUNCES, Fate.COMPLAINS}:
                self._over.wait(THINKING)  # so that it is read while the mail is still in flight
        with self._lock:
            self._posts += [_Post(event, 1 + more - recipient.early) for event in posts if more or not recipient.early]
        self._count("told twice", len(posts) * more)

    def _watch(self) -> None:
        """Look at what comes in over SMTP."""
        while not self._over.wait(0.02):
            while self._read < len(self._inbox.mails):
                self._returned(self._inbox.mails[self._read])
                self._read += 1

    def _returned(self, mail: Received) -> None:
        headers, to = message_from_bytes(mail.content), mail.recipients[0]
        recipient, key = self._people[to], headers["Message-ID"].strip("<>").partition("@")[0]
        number = self._accept(key, to)
        self._click(recipient, headers["List-Unsubscribe"])
        name, kind = _MAILED.get(recipient.fate, ("", ""))
        if not name:
            return
        content = returned(name, mail.sender, to, int(headers["X-Notification-ID"]), UUID(key))
        content = _OWN_ID.sub(b"Message-ID: <%s.%d." % (key.encode(), number), content, count=1)
        for _ in range(1 + recipient.twice):
            self._mailbox.put(content)
        if kind:
            self._count("told twice", int(recipient.twice))
            with self._lock:
                self.told.append(Told(MAILBOX, f"{key} {number}", kind, key))

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def _accept(self, key: str, to: str) -> int:
        """Keep book; how often this message was accepted."""
        with self._lock:
            self.accepts.append(Accept(key, to, now().timestamp()))
            self._times[key] += 1
            return self._times[key]

    def _click(self, recipient: Recipient, header: str) -> None:
        """Programs look at links, and readers use them."""
        path = header.strip("<>").removeprefix(PUBLIC)  # as a proxy in front does
        if recipient.fate is Fate.LEAVES:
            self.left.add(recipient.person)
            self._count("links used", 1 + recipient.twice)
            with self._lock:
                self._errands += [lambda: self._ask("POST", path)] * (1 + recipient.twice)
        elif recipient.fate in {Fate.AWAY, Fate.LATE}:
            self._count("links looked at")
            with self._lock:
                self._errands.append(lambda: self._ask("GET", path))

    def _ask(self, method: str, path: str) -> bool:
        body, headers = (ONE_CLICK, FORM) if method == "POST" else (b"", {})
        with suppress(OSError, HTTPException):
            return post(self.web, path, body, headers, method)[0] == 200
        return False

    def _post(self, events: Sequence[Event]) -> bool:
        """Post them together; whether they were taken. Who is not answered 200 comes again."""
        with suppress(OSError, HTTPException):
            if deliver(self.web, API, signed(*events)) == 200:
                self._count("requests")
                return True
        self._count("not taken")
        return False

    def _live(self, number: int) -> None:
        """Post what there is to tell, in any order and any company."""
        dice = random.Random(f"{self._seed} {number}")
        while not self._over.wait(dice.uniform(0.0, 0.03)):
            with self._lock:
                errand = self._errands.pop(0) if self._errands else None
                most = min(len(self._posts), dice.randint(1, 20))
                posts = [self._posts.pop(dice.randrange(len(self._posts))) for _ in range(most)]
                self._busy += 1
            if errand is not None and not errand():
                with self._lock:
                    self._errands.append(errand)
            taken = not posts or self._post([one.event for one in posts])
            with self._lock:
                self._posts += [replace(one, times=one.times - taken) for one in posts if one.times > taken]
                self._busy -= 1


class _Service(ApiServer):
    """SendGrid, as far as it takes mails."""

    def __init__(self, asked: Callable[[Asked], None]) -> None:
        super().__init__()
        self.always = Answer(202, headers={"X-Message-Id": "x"})
        self._take = asked

    def _heard(self, asked: Asked) -> Answer:
        self._take(asked)
        return self.always
