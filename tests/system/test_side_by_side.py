"""A worker of the version before runs beside a new one, through the migrations since, while rows flow."""

import io
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from noti_worker.domain.follows import LaterCopy
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.store import migrate, revisions
from noti_worker.store.connect import Database
from noti_worker.store.queue import PostgresQueue
from tests.providers.misbehaving_http import MisbehavingServer
from tests.providers.smtp_server import Inbox
from tests.store.rows import claim, insert, tried
from tests.system.daemon import ROOT, Daemon, Daemons, member_of
from tests.verdict import Verdict as FaultVerdict


def _git(*words: str) -> bytes | None:
    """What git says about this tree; None when it says no, or when there is no git or no history."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, timeout=60, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


SHIPPED = "0007"
"""The schema of the version before, whose workers this one's run beside; raised with each version that goes out."""


def _before() -> str | None:
    """The commit before the first migration after `SHIPPED` came; None when the history does not reach so far."""
    after = next(revision for revision in revisions.known() if revision > SHIPPED)
    [first] = (ROOT / "migrations" / "versions").glob(f"{after}_*.py")
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(first.relative_to(ROOT)))
    if added is None:
        return None
    commit = f"{added.decode().strip()}^" if added else "HEAD"  # not committed yet: what is
    found = _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    return found.decode().strip() if found else None


BEFORE = _before()


@pytest.fixture
def old_tree(tmp_path: Path) -> Path:
    """The source tree of the version before."""
    tree = tmp_path / "before"
    archive = _git("archive", str(BEFORE))
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    return tree


@pytest.fixture
def house(tmp_path: Path, empty_database_url: str, old_tree: Path) -> Iterator[Daemons]:
    """Daemons on a database that the old tree has migrated; they run as a member of noti_worker."""
    script = f"from noti_worker.store import migrate; migrate.upgrade({empty_database_url!r}); print(migrate.__file__)"
    told = subprocess.check_output([sys.executable, "-c", script], cwd=old_tree, text=True, timeout=60)
    assert told.startswith(str(old_tree))
    assert migrate.pending(empty_database_url) == [revision for revision in revisions.known() if revision > SHIPPED]
    with Daemons(tmp_path, member_of("noti_worker", empty_database_url)) as house:
        yield house


class Feed:
    """An application that goes on inserting: in turn a webhook and an in-app message."""

    def __init__(self, url: str, to: str) -> None:
        self._url, self._to = url, to
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as application:
            while not self._ended.wait(0.01):
                application.execute(
                    "INSERT INTO noti.notifications_log (channel, recipient, body)"
                    " VALUES ('webhook', %s, '{}'), ('in_app', 'user:1', 'x')",
                    [self._to],
                )


# Nothing is collected where there is no history: an archive, a shallow clone.
if BEFORE is not None:

    @pytest.mark.fault("F44")
    def test_old_and_new_workers_run_side_by_side_through_the_migrations(
        house: Daemons,
        old_tree: Path,
        empty_database_url: str,
        receiver: MisbehavingServer,
        hooks: str,
        wait_for: Callable[..., Any],
        verdict: FaultVerdict,
    ) -> None:
        url = empty_database_url
        house.configure(hooks)
        with psycopg.connect(url, autocommit=True) as connection:

            def tries(daemon: Daemon) -> int:
                worker = str(daemon.said("worker_started")[0]["worker_id"])
                # The version before wrote its number alone, this one `host:pid#7`.
                query = (
                    "SELECT count(*) FROM noti.notification_attempts_log"
                    " WHERE substring(worker FROM '[0-9]+$') = %s AND status = 'sent'"
                )
                [count] = connection.execute(query, [worker]).fetchone() or [0]
                return int(count)

            def works_on(daemon: Daemon) -> None:
                before = tries(daemon)
                daemon.wait_for(lambda: tries(daemon) >= before + 50, 60)

            with Feed(url, f"http://127.0.0.1:{receiver.port}/ok"):
                house.tree = old_tree
                old = house.start_ready()
                works_on(old)
                migrate.upgrade(url)
                works_on(old)
                house.tree = ROOT
                new = house.start_ready()
                works_on(new)
                works_on(old)
                assert old.stop() == 0
                works_on(new)
            unfinished = "SELECT FROM noti.notifications_log WHERE finished_at IS NULL LIMIT 1"
            wait_for(lambda: not connection.execute(unfinished.encode()).fetchall(), timeout=60)
            assert new.stop() == 0

            rows = connection.execute("SELECT channel, status, message_id::text FROM noti.notifications_log").fetchall()
            assert {status for _, status, _ in rows} == {"sent"}
            posted = Counter(post.headers["webhook-id"] for post in receiver.received)
            assert posted == Counter(message for channel, _, message in rows if channel == "webhook")
            inbox = "SELECT count(*) FROM noti.inbox"
            assert connection.execute(inbox.encode()).fetchone() == (sum(c == "in_app" for c, _, _ in rows),)
            assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
        for daemon in (old, new):
            wrong = [line for line in daemon.log if line.get("level") == "error" or line["event"] in {"trouble", "raw"}]
            assert wrong == []
        verdict.say(f"{len(rows)} rows through the migrations, sent by both: none lost, none repeated", repeats=0)

    def test_an_old_worker_sends_no_copy_to_everybody_again(
        house: Daemons, old_tree: Path, empty_database_url: str, wait_for: Callable[..., Any]
    ) -> None:
        """It does not know what a copy is, and says so; requeued, a new worker sends it."""
        migrate.upgrade(empty_database_url)
        copy = LaterCopy("cc[0]", Verdict(Status.RETRYING, "later", wait=timedelta(0)), Outcome(Kind.TRANSIENT))
        with (
            Inbox() as inbox,
            closing(PostgresQueue(Database(Secret(empty_database_url)))) as queue,
            psycopg.connect(empty_database_url, autocommit=True) as connection,
        ):

            def end() -> Any:
                query = (
                    "SELECT status, error_message FROM noti.notifications_log WHERE copy_of = 1 AND finished_at > %s"
                )
                return connection.execute(query, [since]).fetchone()

            insert(connection, options='{"cc": ["carl@example.com", "dora@example.com"]}')
            assert queue.record(1, [tried(claim(queue)[0], follows=(copy,))]) == {1: "applied"}
            house.configure(
                f'[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = {inbox.port}\ntls = "none"\n'
                'from = "no-reply@example.com"\n'
            )
            since = datetime(2000, 1, 1, tzinfo=UTC)
            house.tree = old_tree
            old = house.start_ready()
            status, error = wait_for(end)
            assert (status, inbox.mails) == ("failed", [])
            assert error.startswith("options.copy_of is unknown")
            assert old.stop() == 0
            house.tree = ROOT
            house.start_ready()
            [(since,)] = connection.execute("SELECT clock_timestamp()").fetchall()
            connection.execute("SELECT noti.requeue(2)")
            assert wait_for(end)[0] == "sent"
            assert [mail.recipients for mail in inbox.mails] == [("carl@example.com",)]
