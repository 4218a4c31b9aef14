"""A campaign, and another one to the same people: `python -m tests.system.campaign --mails 5000`.

Two workers send it through an API and through SMTP, and one of them is killed in the middle. Some mails bounce, some
are complained about, some recipients leave: told by signed posts and by mails that come back; before, after, twice and
out of order. Then the second one must leave out exactly those, and two judges compare all books.
"""

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from noti_worker.embedded import Server
from noti_worker.store import migrate
from tests.certificates import make_authority
from tests.dovecot import PASSWORD as MAILBOX_PASSWORD
from tests.dovecot import USERNAME as MAILBOX_USER
from tests.dovecot import dovecot
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.system.aftermath import MAILBOX, Aftermath
from tests.system.daemon import Daemon, Daemons, member_of
from tests.system.judge import Finding, Judgement, gather, judge
from tests.system.recipients import TENANTS, Recipient, recipients
from tests.system.reckoning import Books, read, reckon
from tests.system.test_receipts import MAIL, SECRETS, WEB

CATEGORY = "newsletter"
WITHIN = 300.0
"""Seconds for a process to start, and for what is told to be read."""

_SETTINGS = """
lease = "5s"
[channels.email]
concurrency = 8
retry = { initial_delay = "200ms", max_delay = "2s" }
"""


@dataclass
class Story:
    """What happened, for a person, and what is wrong with it."""

    seed: int
    figures: list[tuple[str, str]] = field(default_factory=list)
    judgement: Judgement = field(default_factory=Judgement)
    findings: list[Finding] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    books: Books | None = None

    @property
    def good(self) -> bool:
        return not (self.judgement.findings or self.findings or self.broken)

    def table(self) -> str:
        lines = [("broken", words) for words in self.broken]
        lines += [(one.what, f"row {one.id} {one.detail}") for one in self.findings[:20]]
        lines += [("seed", str(self.seed)), *self.figures]
        return "\n".join([*(f"{name:<32} {value}" for name, value in lines), self.judgement.table()])


class Campaign:
    """The house in which it happens; `run` tells the story."""

    def __init__(
        self, seed: int, people: Sequence[Recipient], url: str, daemons: Daemons, aftermath: Aftermath
    ) -> None:
        self._people = people
        self._daemons = daemons
        self._aftermath = aftermath
        self._story = Story(seed)
        self._connection = psycopg.connect(url, autocommit=True)
        self._committed: list[int] = []

    def run(self) -> Story:
        """Send, kill, wait, send again, judge."""
        with self._connection:
            workers = [self._daemons.start() for _ in range(2)]
            web = self._daemons.start(command="web")
            self._prepare()
            for worker in workers:
                worker.wait_ready(WITHIN)
            web.wait_for(lambda: web.said("web_listening"), WITHIN)
            self._aftermath.web = str(web.said("web_listening")[0]["listen"])
            with self._timed("first campaign"):
                last = self._insert()
                wait(lambda: len(self._aftermath.accepts) >= len(self._people) // 3, 600, "a third is accepted")
                workers[0].signal(signal.SIGKILL)
                workers[0].wait()
                workers[0] = self._daemons.start()
                self._finished()
            workers[0].wait_ready(WITHIN)  # one that still begins would end otherwise than it should
            with self._timed("until all was told and read"):
                self._settled()
            with self._timed("second campaign"):
                self._insert()
                self._finished()
            self._settled()
            for daemon in (*workers, web):
                if (code := daemon.stop()) != 0:
                    self._story.broken.append(f"a process ended with {code}")
            self._judge(last)
            self._complain(*workers, web)
        return self._story

    def _prepare(self) -> None:
        self._connection.execute(
            "INSERT INTO noti.templates (tenant_id, template_id, body)"
            " SELECT unnest(%s::text[]), 'letter', 'News. Leave: {{ unsubscribe_url }}'",
            [list(TENANTS)],
        )
        self._connection.execute("INSERT INTO noti.categories (category, can_be_left) VALUES (%s, true)", [CATEGORY])

    def _insert(self) -> int:
        """One mail to each; the last id."""
        given = [(one.person.tenant_id, one.person.address, one.account) for one in self._people]
        with self._connection.transaction():
            self._connection.execute("SET LOCAL ROLE noti_app")
            rows = self._connection.execute(
                "INSERT INTO noti.notifications_log"
                " (channel, tenant_id, recipient, provider, subject, template_id, category)"
                " SELECT 'email', t, r, a, 'News', 'letter', %s"
                " FROM unnest(%s::text[], %s::text[], %s::text[]) AS given (t, r, a) RETURNING notification_id",
                [CATEGORY, *map(list, zip(*given, strict=True))],
            ).fetchall()
        self._committed += [id_ for (id_,) in rows]
        return self._committed[-1]

    def _finished(self) -> None:
        open_ = "SELECT FROM noti.notifications_log WHERE finished_at IS NULL LIMIT 1"
        wait(lambda: not self._connection.execute(open_).fetchall(), 600, "every row is finished")

    def _settled(self) -> None:
        """All is told, and all of it is read."""
        left = (
            "SELECT FROM noti.receipts_raw WHERE read_at IS NULL"
            " UNION ALL SELECT FROM noti.receipts WHERE look_at IS NOT NULL LIMIT 1"
        )
        wait(lambda: self._aftermath.quiet, WITHIN, "all is told")
        wait(lambda: not self._aftermath.unread, WITHIN, "the mailbox is read")
        wait(lambda: not self._connection.execute(left).fetchall(), WITHIN, "all receipts found their message")

    def _judge(self, last: int) -> None:
        story, after = self._story, self._aftermath
        story.judgement = judge(gather(self._connection, self._committed, after.accepts))
        story.books = read(self._connection, after.told, after.left, CATEGORY, last)
        story.findings = reckon(story.books)
        story.counts = after.counts
        wrong = self._connection.execute("SELECT * FROM noti.assert_invariants() LIMIT 20").fetchall()
        unread = self._connection.execute("SELECT error FROM noti.receipts_raw WHERE error IS NOT NULL").fetchall()
        story.broken += [f"invariant: {row}" for row in wrong]
        story.broken += [f"a request was not understood: {row}" for row in unread]
        kinds = Counter(one.kind for one in set(after.told))
        reasons = Counter(entry.reason for entry in story.books.entries)
        story.figures += [
            ("mails, twice", f"{len(self._people)}"),
            ("told", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))),
            *((name, str(count)) for name, count in sorted(after.counts.items())),
            ("on the list", ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))),
            ("left out of the second", str(sum(row.next and row.status == "suppressed" for row in story.books.rows))),
        ]

    def _complain(self, *daemons: Daemon) -> None:
        events = {"trouble", "raw", "row_set_aside", "unable", "receipts_unread", "mails_left"}
        for daemon in daemons:
            self._story.broken += [f"a process said {line}" for line in daemon.log if line["event"] in events]

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._story.figures.append((f"{what}, seconds", f"{time.monotonic() - began:.1f}"))


def wait(predicate: Callable[[], Any], timeout: float = 20.0, what: str = "") -> None:
    """Ask until the answer is true; TimeoutError."""
    ends = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        threading.Event().wait(0.05)


def campaign(mails: int, seed: int, url: str, directory: Path) -> Story:
    """Run both campaigns on a migrated database; `directory` is one that PostgreSQL's user may enter."""
    (directory / "authority").mkdir()
    authority = make_authority(directory / "authority")
    (directory / "key").write_text("0123456789abcdef0123456789abcdef")
    (directory / "password").write_text(PASSWORD)
    (directory / "mailbox-password").write_text(MAILBOX_PASSWORD)
    people = recipients(mails, seed)
    with ExitStack() as stack:
        back = stack.enter_context(dovecot(directory, authority, wait))
        inbox = stack.enter_context(Inbox(authority.server_context("127.0.0.1", "localhost"), auth=True))
        aftermath = stack.enter_context(Aftermath(people, inbox, back, seed))
        daemons = stack.enter_context(Daemons(directory, member_of("noti_worker", url)))
        daemons.environ |= SECRETS
        daemons.configure(
            f'{MAIL}api_url = "{aftermath.service.url}"\n'
            f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\n'
            f'ca_file = "{authority.ca_file}"\nusername = "{USERNAME}"\npassword = "file:{directory}/password"\n'
            f'from = "Shop <no-reply@example.com>"\nreturn_path = "bounce@example.com"\n'
            f'[bounces.{MAILBOX}]\nreturn_path = "bounce@example.com"\nkey = "file:{directory}/key"\n'
            f'protocol = "imap"\nhost = "127.0.0.1"\nport = {back.ports["imaps"]}\nusername = "{MAILBOX_USER}"\n'
            f'password = "file:{directory}/mailbox-password"\nca_file = "{authority.ca_file}"\nevery = "1s"\n'
            f'[routes]\nemail = ["mail", "relay"]\n'
            f"{WEB.replace('[worker]', UNSUBSCRIBE.format(directory))}{_SETTINGS}"
        )
        return Campaign(seed, people, url, daemons, aftermath).run()


UNSUBSCRIBE = 'unsubscribe_keys = ["file:{}/key"]\n[worker]'


def main() -> int:
    """Run by hand; 0 when the judges found nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.campaign", description="Two campaigns, two judges.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--mails", type=int, default=5_000)
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="noti-campaign-"))
    directory.chmod(0o711)
    sys.stdout.write(f"seed {given.seed}, {given.mails} mails, in {directory}\n")
    with Server(directory / "postgres", None, {"max_connections": "100"}) as server:
        migrate.upgrade(server.url)
        story = campaign(given.mails, given.seed, server.url, directory)
    sys.stdout.write(story.table() + "\n")
    if story.good:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if story.good else 1


if __name__ == "__main__":
    sys.exit(main())
