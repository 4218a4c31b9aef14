"""Whatever has stopped a worker before, in one hour of its life: the good rows beside it are sent once, and soon."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import psycopg
import pytest
from click.testing import CliRunner

from noti_worker.cli.main import main
from tests.memory import children, peak
from tests.providers.smtp_server import Inbox
from tests.store.rows import plant
from tests.system.daemon import Daemon
from tests.system.ledger_server import LedgerServer
from tests.system.scene import Scene
from tests.verdict import Verdict

MEGABYTE = 1 << 20

GOOD = 1_000
"""At least so many good rows; they come in until the last cause is over."""

BATCH_EVERY = 0.08
"""Seconds."""

BATCH = 3
"""Rows on each channel."""

NO_LATER = timedelta(seconds=10)
"""After its insert, or after the end of what nothing can be recorded under."""

BUSY = timedelta(seconds=10)
"""On top of it, for a machine that does other work, too."""

MEMORY = 300 * MEGABYTE
"""Of the worker and of its render child together."""

ROUTES = '[routes]\nemail = ["relay"]\nwebhook = ["ledger"]\n[worker]\npoll_interval = "100ms"\n'

TEMPLATE = "INSERT INTO noti.templates (tenant_id, template_id, body) VALUES ('default', 'good', 'to {{ name }}')"

BOMB = "repeat('1e131071,', 9500)"
"""A hundred kilobytes of jsonb that are more than a gigabyte as text."""

REFUSES = """
CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no to %', old.recipient; END $$;
CREATE TRIGGER mine BEFORE UPDATE ON noti.notifications_log FOR EACH ROW
  WHEN (old.recipient = 'untouchable@example.com') EXECUTE FUNCTION public.no();
ALTER TABLE noti.notifications_log ADD CONSTRAINT mine CHECK (recipient !~ '^forbidden@') NOT VALID;
"""

MENDED = """
DROP TRIGGER mine ON noti.notifications_log; ALTER TABLE noti.notifications_log DROP CONSTRAINT mine;
"""


UNUSABLE = {
    "untouchable": "raised by public.no()",
    "forbidden": "constraint mine of noti.notifications_log",
    "damaged-body": "XX001 DataCorrupted",
}
"""Rows that cannot even be failed: why, as an operator is told."""

FAILED = {
    "bomb-template_data@example.com": "template_data is too large as text (more than 4 MB): make it smaller, or put"
    " content elsewhere and send a link",
    "bomb-options@example.com": "options is too large as text (more than 4 MB): make it smaller, or put content"
    " elsewhere and send a link",
    "damaged-data@example.com": "its content cannot be read: the database refused (XX001 DataCorrupted)",
    "sixty-times@example.com": "options.attachments names 60 files: 25 at most go with one message",
    "many-files@example.com": "options.attachments names 150 files: 25 at most go with one message",
}
"""The others, each with its reason."""


@dataclass
class Stream:
    """An application that inserts good rows until it is told to end, from a thread of its own."""

    database_url: str
    hook: Callable[[str], str]
    rows: list[tuple[str, str]] = field(default_factory=list)  # channel and recipient

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("SET ROLE noti_app")
            while not self._over.wait(BATCH_EVERY):
                first = len(self.rows) // 3
                batch = [
                    (channel, recipient)
                    for name in (f"good-{number}" for number in range(first, first + BATCH))
                    for channel, recipient in (
                        ("email", f"{name}@example.com"),
                        ("webhook", self.hook(name)),
                        ("in_app", name),
                    )
                ]
                connection.execute(
                    "INSERT INTO noti.notifications_log (channel, recipient, subject, template_id, template_data)"
                    " SELECT channel, recipient, 'Hello', 'good', jsonb_build_object('name', recipient)"
                    " FROM unnest(%s::text[], %s::text[]) AS row (channel, recipient)",
                    [[channel for channel, _ in batch], [recipient for _, recipient in batch]],
                )
                self.rows += batch


@dataclass
class Causes:
    """What was done that may hold up good rows: on which channels, and from when to when by the database's clock."""

    scene: Scene
    spans: list[tuple[tuple[str, ...], datetime, datetime]] = field(default_factory=list)

    @contextmanager
    def holding_up(self, *channels: str) -> Iterator[None]:
        began = self._now()
        yield
        self.spans.append((channels, began, self._now()))

    def late(self, channel: str, created_at: datetime, finished_at: datetime) -> timedelta:
        """How long after its insert a row ended, or after the last cause that held it up."""
        ends = [ended for channels, began, ended in self.spans if channel in channels and began < finished_at]
        return finished_at - max([created_at, *ends])

    def _now(self) -> datetime:
        [now] = self.scene.ask("SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return now


def damage(scene: Scene, name: str, column: str, value: str) -> None:
    """Insert an e-mail, and take away what is stored apart of one of its values: it cannot be read any more."""
    insert(scene, name, send_at="now() + interval '1 h'", **{column: value})
    number, connection = number_of(scene, name), scene.connection
    [toast] = scene.ask(
        "SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'noti.notifications_log'::regclass"
    )
    [inserted] = scene.ask(f"SELECT xmin FROM noti.notifications_log WHERE notification_id = {number}")
    with connection.transaction():
        # Nobody may write to a table of such pieces; to any other an administrator may.
        connection.execute("SET LOCAL allow_system_table_mods = on")
        kind = f"UPDATE pg_class SET relkind = '%s' WHERE oid = '{toast}'::regclass"
        connection.execute((kind % "r").encode())
        gone = connection.execute(f"DELETE FROM {toast} WHERE xmin = '{inserted}'::xid".encode())
        connection.execute((kind % "t").encode())
    assert gone.rowcount > 0

    def unreadable() -> bool:
        connection.execute(f"VACUUM {toast}".encode())  # pieces that were deleted are read until then
        try:
            scene.ask(f"SELECT md5({column}::text) FROM noti.notifications_log WHERE notification_id = {number}")
        except psycopg.errors.DataCorrupted:
            return True
        return False

    scene.wait_for(unreadable, what="it cannot be read")
    mend(scene, f"UPDATE noti.notifications_log SET send_at = created_at WHERE notification_id = {number}")


def mend(scene: Scene, update: str) -> None:
    """As the page on operations says: without the triggers, which compare the row with what it was."""
    with scene.connection.transaction():
        scene.connection.execute("SET LOCAL session_replication_role = replica")
        scene.connection.execute(update.encode())


def text(size: int) -> str:
    """An SQL expression of a text that is not compressed."""
    return f"(SELECT left(string_agg(md5(n::text), ''), {size}) FROM generate_series(1, {size // 32 + 1}) n)"


def insert(scene: Scene, name: str, **columns: str) -> None:
    """One e-mail to `name`; the columns are SQL expressions."""
    given = {"channel": "'email'", "recipient": f"'{name}@example.com'", "body": "'x'"} | columns
    scene.connection.execute(
        f"INSERT INTO noti.notifications_log ({', '.join(given)}) VALUES ({', '.join(given.values())})".encode()
    )


def bombs(scene: Scene) -> None:
    """As an attacker would insert them, and as a version that took them has left them."""
    with pytest.raises(psycopg.errors.CheckViolation, match="options is larger than 256 kB as text"):
        insert(scene, "attacker", options=f"('[' || {BOMB} || '0]')::jsonb")
    for column in ("template_data", "options"):
        plant(scene.connection, column, BOMB, f"bomb-{column}@example.com")


def unusable(scene: Scene) -> None:
    """Rows that nobody can update or read."""
    with scene.connection.transaction():
        insert(scene, "untouchable")
        insert(scene, "forbidden")
        scene.connection.execute(REFUSES)
    damage(scene, "damaged-body", "body", text(8_000))
    damage(scene, "damaged-data", "template_data", f"jsonb_build_object('a', {text(8_000)})")


def attachments_without_measure(scene: Scene) -> None:
    """One of 10 MB sixty times, and a hundred and fifty of zeros."""
    for name, files, each, times in (("sixty-times", 1, 10, 60), ("many-files", 150, 1, 1)):
        ids = scene.ask(
            "INSERT INTO noti.attachments (tenant_id, filename, content_type, content)"
            " SELECT 'default', 'zeros', 'application/octet-stream',"
            f" decode(repeat('00', {each * MEGABYTE}), 'hex') FROM generate_series(1, {files}) RETURNING attachment_id"
        )
        named = ", ".join(f'"{id_}"' for id_ in ids * times)
        insert(scene, name, options=f"""'{{"attachments": [{named}]}}'""")


def number_of(scene: Scene, name: str) -> int:
    [number] = scene.ask(f"SELECT notification_id FROM noti.notifications_log WHERE recipient = '{name}@example.com'")
    return int(number)


def told(number: int, why: str) -> bool:
    """Whether `noti-worker why` says so."""
    return why in CliRunner().invoke(main, ["why", str(number)]).output


def set_aside(daemon: Daemon) -> set[int]:
    return {line["notification_id"] for line in daemon.said("row_set_aside")}


@pytest.fixture
def ledger_server(tmp_path: Path) -> Iterator[LedgerServer]:
    with LedgerServer(tmp_path) as server:
        yield server


@pytest.mark.fault("F73")
@pytest.mark.parametrize(
    ("large", "seconds"),
    [
        pytest.param(60, 4, id="in short"),
        pytest.param(600, 20, id="in full", marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
    ],
)
def test_whatever_comes_good_rows_are_sent_once_and_soon_and_the_bad_ones_say_why(
    scene: Scene,
    inbox: Inbox,
    relay: str,
    ledger_server: LedgerServer,
    large: int,
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    verdict: Verdict,
) -> None:
    scene.house.configure(relay + ledger_server.account + ROUTES)
    daemon = scene.house.start_ready()
    scene.connection.execute(TEMPLATE)
    causes = Causes(scene)
    monkeypatch.setenv("NOTI_DATABASE_URL", scene.database_url)
    with Stream(scene.database_url, ledger_server.url) as stream:
        scene.wait_for(lambda: len(stream.rows) > 30, what="good rows come in")
        bombs(scene)
        unusable(scene)
        attachments_without_measure(scene)
        numbers = {name: number_of(scene, name) for name in UNUSABLE}
        scene.wait_for(lambda: set_aside(daemon) == {*numbers.values()}, what="the log names them")
        scene.wait_for(lambda: all(told(numbers[name], why) for name, why in UNUSABLE.items()), what="`why` says why")
        with causes.holding_up("in_app"):
            scene.connection.execute(
                "INSERT INTO noti.notifications_log (channel, recipient, body)"
                " SELECT 'in_app', 'large-' || n, repeat(md5(n::text), 32768) FROM generate_series(1, %s) n",
                [large],
            )
            scene.wait_for(lambda: scene.count("recipient ~ '^large-' AND status <> 'sent'") == 0, 150, "all are sent")
        with causes.holding_up("email", "webhook", "in_app"):
            scene.connection.execute("REVOKE INSERT ON noti.audit_log FROM noti_worker")
            threading.Event().wait(seconds)
            scene.connection.execute("GRANT INSERT ON noti.audit_log TO noti_worker")
        scene.wait_for(lambda: len(stream.rows) >= GOOD, what="so many good rows came in")
    scene.wait_for(lambda: scene.count("recipient ~ 'good-' AND status <> 'sent'") == 0, 60, "all good rows are sent")

    went = {
        "email": Counter(address for mail in inbox.mails for address in mail.recipients),
        "webhook": Counter(ledger_server.url(accept.to) for accept in ledger_server.accepts()),
        "in_app": Counter(scene.ask("SELECT recipient FROM noti.inbox WHERE recipient ~ '^good-'")),
    }
    for channel, counted in went.items():
        assert counted == Counter(recipient for sent_by, recipient in stream.rows if sent_by == channel)
    ends = scene.ask("SELECT channel, created_at, finished_at FROM noti.notifications_log WHERE recipient ~ 'good-'")
    assert len(ends) == len(stream.rows) >= GOOD
    latest = max(causes.late(*row) for row in ends)
    assert latest < NO_LATER + BUSY
    used = sum(peak(pid) for pid in (daemon.process.pid, *children(daemon.process.pid)))
    assert used < MEMORY

    failed = dict(scene.ask("SELECT recipient, error_message FROM noti.notifications_log WHERE status = 'failed'"))
    assert failed == FAILED
    mend(scene, f"UPDATE noti.notifications_log SET body = 'x' WHERE notification_id = {numbers['damaged-body']}")
    scene.connection.execute(MENDED)
    scene.finished(150)  # each was tried ever more rarely
    sent = {address for mail in inbox.mails for address in mail.recipients}
    assert {f"{name}@example.com" for name in UNUSABLE} <= sent
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say(
        f"{len(ends):,} good rows on three channels, each sent once, at most {latest.total_seconds():.1f} s after"
        f" the cause was over; {len(FAILED)} bad ones failed with their reasons, {len(UNUSABLE)} were set aside;"
        f" {used / MEGABYTE:.0f} MB of memory",
        repeats=0,
    )
