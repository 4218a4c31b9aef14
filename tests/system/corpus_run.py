"""One worker, real servers, and every case of `tests/corpus` among good rows: what became of all of them."""

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psycopg
from psycopg.rows import dict_row

from tests.certificates import Authority
from tests.corpus import Case
from tests.memory import children, peak
from tests.providers import strange_http  # noqa: F401 - adds its ways to those of the server
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.providers.strange_mail import StrangeMail
from tests.system.daemon import Daemon, Daemons

CANARY = "canary5e1f0a7b"
LIMIT = 4
"""Seconds of one send."""

_SOUND = 150
"""So many mails the strange server takes besides."""

SETTINGS = """
[accounts.relay]
provider = "smtp"
host = "127.0.0.1"
port = {inbox.port}
ca_file = "{authority.ca_file}"
username = "{username}"
password = "file:{password}"
from = "Shop <no-reply@example.com>"
[accounts.strange]
provider = "smtp"
host = "127.0.0.1"
port = {strange.port}
tls = "none"
from = "Shop <no-reply@example.com>"
dot_timeout = "{limit}s"
[accounts.open]
provider = "webhook"
unsigned = true
allow_http = true
allow_networks = ["127.0.0.1/32"]
[accounts.closed]
provider = "webhook"
unsigned = true
allow_http = true
[accounts.strict]
provider = "webhook"
unsigned = true
[accounts.two_faced]
provider = "two_faced"
[accounts.box]
provider = "sandbox"
[routes]
email = ["relay", "strange"]
webhook = ["open", "closed", "strict", "two_faced"]
sms = ["box"]
push = ["box"]
[channels.email]
concurrency = 24
send_timeout = "{limit}s"
retry = {{ initial_delay = "100ms" }}
[channels.webhook]
concurrency = 40
send_timeout = "{limit}s"
retry = {{ initial_delay = "100ms" }}
"""


@dataclass
class Ending:
    """What became of one row, or why it was refused."""

    row: dict[str, Any] = field(default_factory=dict)
    tries: list[dict[str, Any]] = field(default_factory=list)
    audit: str = ""
    why: str = ""
    refusal: psycopg.Error | None = None

    @property
    def reason(self) -> str:
        """What a person is told."""
        if self.refusal is not None:
            return self.refusal.diag.message_primary or ""
        return f"{self.row['error_message'] or ''}\n{self.why}"


@dataclass
class Neighbours:
    """Rows that went in with one that takes its whole time: when all of them were finished."""

    case: Case
    bad: int
    good: list[int]


@dataclass
class Run:
    """Everything that one run of the corpus left behind."""

    endings: dict[str, Ending] = field(default_factory=dict)
    good: dict[str, int] = field(default_factory=dict)  # recipient: notification_id
    neighbours: list[Neighbours] = field(default_factory=list)
    beside_slots: list[int] = field(default_factory=list)  # went in behind those that take a slot for its whole time
    finished: dict[int, datetime] = field(default_factory=dict)
    delivered: Counter[str] = field(default_factory=Counter)  # recipient of a good row: how often
    mails: dict[str, Message] = field(default_factory=dict)  # by message_id
    posts: dict[str, bytes] = field(default_factory=dict)
    envelopes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Counter[str] = field(default_factory=Counter)  # how often each message_id arrived
    inbox: dict[int, str] = field(default_factory=dict)
    trapped: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    log_text: str = ""
    metrics: str = ""
    invariants: list[Any] = field(default_factory=list)
    exit_code: int | None = None
    peak: dict[str, int] = field(default_factory=dict)  # bytes of memory at most: the worker, its render processes
    seconds: float = 0.0


class Corpus:
    """Runs the cases; enter it, then `run`."""

    def __init__(
        self, url: str, directory: Path, authority: Authority, wait_for: Callable[..., Any], good_per_bad: int = 1
    ) -> None:
        self._url, self._directory, self._authority, self._wait_for = url, directory, authority, wait_for
        self._good_per_bad = good_per_bad
        self._run = Run()
        self._number = 0

    def run(self, cases: Sequence[Case]) -> Run:
        with ExitStack() as stack:
            enter = stack.enter_context
            self.connection = enter(psycopg.connect(self._url, autocommit=True, row_factory=dict_row))
            self.inbox = enter(Inbox(self._authority.server_context("127.0.0.1"), auth=True))
            self.strange = enter(StrangeMail())
            self.open = enter(MisbehavingServer())
            self.traps = [enter(trap) for trap in _traps(self.open.port)]
            daemons = enter(Daemons(self._directory, self._url))
            self.daemon = self._start(daemons)
            self._all(cases)
            self._collect()
        return self._run

    def _start(self, daemons: Daemons) -> Daemon:
        password = self._directory / "password"
        password.write_text(PASSWORD)
        info = self._directory / "site" / "noti_two_faced-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noti_two_faced\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[noti_worker.providers]\ntwo_faced = tests.system.two_faced_provider\n")
        daemons.environ["PYTHONPATH"] = str(info.parent)
        daemons.configure(
            SETTINGS.format(
                inbox=self.inbox,
                strange=self.strange,
                authority=self._authority,
                username=USERNAME,
                password=password,
                limit=LIMIT,
            )
        )
        return daemons.start_ready()

    def _all(self, cases: Sequence[Case]) -> None:
        began = time.monotonic()
        self._execute("INSERT INTO noti.templates (template_id, body) VALUES ('good', 'Hello {{ name }}')")
        for case in cases:
            if not case.blocks:
                self._insert(case)
                for _ in range(self._good_per_bad):
                    self._good()
        slow = [case for case in cases if case.blocks == "slot"]
        with self.connection.transaction():
            # Without many good answers the circuit of the strange server's account would open, as it should.
            self._execute(
                "INSERT INTO noti.notifications_log (channel, recipient, body, provider, priority)"
                " SELECT 'email', '250-bare@strange.example', 'Hi', 'strange', 'high'"
                f" FROM generate_series(1, {_SOUND})"
            )
            for case in slow:
                self._insert(case)
            self._run.beside_slots = [self._good() for _ in range(24)]
        self._finish()
        for case in cases:
            if case.blocks == "renderer":
                self._beside(case)
        self._run.seconds = time.monotonic() - began

    def _insert(self, case: Case) -> int | None:
        """Put the row in as an application would; gives its id."""
        if case.setup:
            self._execute(self._filled(case, case.setup))
        try:
            with self.connection.transaction():
                self._execute(self._filled(case, case.sql))
        except psycopg.Error as refusal:
            self._run.endings[case.id] = Ending(refusal=refusal)
            return None
        self._run.endings[case.id] = Ending(self._newest())
        return int(self._run.endings[case.id].row["notification_id"])

    def _good(self, kind: int | None = None) -> int:
        """One row that is fine, of each kind in turn."""
        number = self._number
        self._number += 1
        recipient = f"good-{number}@example.com"
        match number % 4 if kind is None else kind:
            case 0:
                columns, values = "channel, recipient, subject, body", f"'email', '{recipient}', 'Hello', 'Hi'"
            case 1:
                recipient = self.open.url(f"/ok?good={number}")
                columns, values = "channel, recipient, body", f"'webhook', '{recipient}', 'Hi'"
            case 2:
                columns = "channel, recipient, template_id, template_data"
                values = f"'in_app', '{recipient}', 'good', '{{\"name\": \"Ann\"}}'"
            case _:
                columns, values = "channel, recipient, body", f"'in_app', '{recipient}', 'Hi'"
        self._execute(f"INSERT INTO noti.notifications_log ({columns}) VALUES ({values})")
        self._run.good[recipient] = int(self._newest()["notification_id"])
        return self._run.good[recipient]

    def _beside(self, case: Case) -> None:
        """One that uses up its time, in one transaction with good ones around it; wait for all of them."""
        with self.connection.transaction():
            plain = self._good(3)
            bad = self._insert(case)
            good = [plain, self._good(3), self._good(2)]
        assert bad is not None
        self._run.neighbours.append(Neighbours(case, bad, good))
        self._finish(watch=self._watch_renderer)

    def _filled(self, case: Case, sql: str) -> str:
        words = {
            "canary": CANARY,
            "open_port": str(self.open.port),
            "open": self.open.url(""),
            "trap": f"http://127.0.0.2:{self.traps[0].getsockname()[1]}",
            "port": str(self.traps[0].getsockname()[1]),
            "id": f"'{case.id}'",
            "uuid": f"'{uuid5(NAMESPACE_URL, case.id)}'::uuid",
        }
        names = re.compile(r"\$(canary|open_port|open|trap|port|id|uuid)\b")
        return names.sub(lambda found: words[found[1]], sql.replace("$value", case.value))

    def _execute(self, sql: str) -> list[dict[str, Any]]:
        cursor = self.connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []

    def _newest(self) -> dict[str, Any]:
        [row] = self._execute(f"{_ROW} ORDER BY notification_id DESC LIMIT 1")
        return row

    def _watch_renderer(self) -> None:
        for one in children(self.daemon.process.pid):
            self._run.peak["renderer"] = max(self._run.peak.get("renderer", 0), peak(one))

    def _finish(self, watch: Callable[[], None] = lambda: None) -> None:
        waiting = (
            "SELECT notification_id, channel, status, error_message FROM noti.notifications_log"
            " WHERE finished_at IS NULL AND held_at IS NULL LIMIT 5"
        )

        def finished() -> bool:
            watch()
            return not self._execute(waiting)

        self._wait_for(finished, timeout=60, what="every row is finished")

    # ------------------------------------------------------------------ afterwards

    def _collect(self) -> None:
        run = self._run
        run.metrics = self.daemon.get("/metrics")[1]
        run.peak["worker"] = peak(self.daemon.process.pid)
        run.exit_code = self.daemon.stop()
        run.log, run.log_text = self.daemon.log, self.daemon.log_file.read_text()
        for ending in run.endings.values():
            if ending.refusal is None:
                self._complete(ending)
        run.finished = {
            one["notification_id"]: one["ended"]
            for one in self._execute(
                "SELECT notification_id, coalesce(finished_at, held_at) AS ended FROM noti.notifications_log"
            )
        }
        run.inbox = {
            one["notification_id"]: one["body"] for one in self._execute("SELECT notification_id, body FROM noti.inbox")
        }
        run.invariants = self._execute("SELECT * FROM noti.assert_invariants()")
        run.trapped = sum(_knocked(trap) for trap in self.traps)
        self._count()

    def _complete(self, ending: Ending) -> None:
        number = ending.row["notification_id"]
        [ending.row] = self._execute(f"{_ROW} WHERE notification_id = {number}")
        ending.tries = self._execute(
            f"SELECT * FROM noti.notification_attempts_log WHERE notification_id = {number} ORDER BY log_id"
        )
        lines = self._execute(f"SELECT metadata::text FROM noti.audit_log WHERE entity_id = '{number}'")
        ending.audit = "\n".join(one["metadata"] or "" for one in lines)
        ending.why = "\n".join(
            " ".join(map(str, one.values())) for one in self._execute(f"SELECT * FROM noti.why({number})")
        )

    def _count(self) -> None:
        run = self._run
        for mail in self.inbox.mails:
            read = message_from_bytes(mail.content)
            self._arrived(str(read["Message-ID"])[1:37], mail.recipients, read)
        for recipient, content in self.strange.accepted:
            read = message_from_bytes(content)
            self._arrived(str(read["Message-ID"])[1:37], (recipient,), read)
        for post in self.open.received:
            run.posts[post.headers["webhook-id"]] = post.body
            run.copies[post.headers["webhook-id"]] += 1
            if "good=" in post.target:
                run.delivered[self.open.url(post.target)] += 1
        for recipient, number in run.good.items():
            run.delivered[recipient] += number in run.inbox

    def _arrived(self, message_id: str, recipients: tuple[str, ...], mail: Message) -> None:
        run = self._run
        run.mails[message_id], run.envelopes[message_id] = mail, recipients
        run.copies[message_id] += 1
        run.delivered.update(recipient for recipient in recipients if recipient.startswith("good-"))


# Not the documents: this reader would fall for them.
_ROW = "SELECT notification_id, message_id, channel, status, error_message FROM noti.notifications_log"


def _traps(open_port: int) -> Iterator[socket.socket]:
    """Where nobody may knock: one port on every address of this machine, and the open port on another address."""
    first = socket.create_server(("127.0.0.2", 0))
    yield first
    port = first.getsockname()[1]
    yield socket.create_server(("127.0.0.1", port))
    yield socket.create_server(("::1", port), family=socket.AF_INET6)
    yield socket.create_server(("127.0.0.2", open_port))


def _knocked(trap: socket.socket) -> bool:
    trap.settimeout(0)
    try:
        trap.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def told(ending: Ending) -> str:
    """Everything that an operator sees of a row besides the row itself."""
    texts = [ending.row.get("error_message") or "", ending.audit, ending.why]
    texts += [one["error_message"] or "" for one in ending.tries]
    return "\n".join([*texts, json.dumps([one["response_data"] for one in ending.tries])])
