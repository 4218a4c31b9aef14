"""The largest rows that the table takes, rows that are larger, and a worker that may have little memory."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.providers.misbehaving_http import MisbehavingServer
from tests.system.scene import BRISK, SOON, Scene
from tests.verdict import Verdict

TEXTS = {
    "recipient": 4096,
    "subject": 4096,
    "body": 1 << 20,
    "tenant_id": 128,
    "entity_type": 128,
    "entity_id": 256,
    "locale": 64,
    "idempotency_key": 256,
    "category": 256,
    "collapse_key": 256,
}
"""The largest sizes, in bytes, of what an application writes."""

DOCUMENTS = ("template_data", "options", "metadata")
LARGEST_DOCUMENT = 256 << 10


def document(scene: Scene, size: int) -> str:
    """An SQL expression of a JSON object that takes `size` bytes and does not compress."""
    text = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 9000) n)"
    [more] = scene.ask(f"SELECT {size} - pg_column_size(jsonb_build_object('text', left({text}, 100000)))")
    return f"jsonb_build_object('text', left({text}, {100_000 + int(more)}))"


@pytest.mark.fault("F54")
def test_the_largest_rows_are_sent_whole_and_larger_ones_are_refused_in_words(
    scene: Scene, receiver: MisbehavingServer, hooks: str, verdict: Verdict
) -> None:
    scene.house.configure(hooks + BRISK)
    daemon = scene.house.start_ready()
    large = document(scene, LARGEST_DOCUMENT)
    texts = {name: f"repeat('x', {size})" for name, size in TEXTS.items()}
    columns = {"channel": "'in_app'", "metadata": large, "template_data": large} | texts

    def insert(**values: str) -> None:
        given = columns | values
        scene.connection.execute(
            f"INSERT INTO noti.notifications_log ({', '.join(given)}) VALUES ({', '.join(given.values())})".encode()
        )

    insert()
    text = '"' + "ü" * ((1 << 19) - 1) + '"'
    insert(channel="'webhook'", recipient=f"'{receiver.url('/ok')}'", body=f"'{text}'", idempotency_key="NULL")
    for name, size in TEXTS.items():
        with pytest.raises(psycopg.errors.CheckViolation, match=f"^noti: {name} is larger than .*Make it smaller"):
            insert(**{"idempotency_key": "NULL", name: f"repeat('x', {size + 1})"})
    for name in DOCUMENTS:
        with pytest.raises(psycopg.errors.CheckViolation, match=f"^noti: {name} is larger than 256 kB"):
            insert(**{"idempotency_key": "NULL", name: document(scene, LARGEST_DOCUMENT + 1)})
    scene.finished()
    assert scene.count("status = 'sent'") == scene.count("true") == 2
    assert scene.ask("SELECT octet_length(subject), octet_length(body) FROM noti.inbox") == [(4096, 1 << 20)]
    [hook] = receiver.received
    assert hook.body.decode() == text
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say(
        f"{len(TEXTS)} texts and {len(DOCUMENTS) - 1} documents at their limits, 1 MiB of body: sent whole;"
        " a byte more is refused with its name and what to do"
    )


MEMORY = 300_000_000
"""Bytes; a `hungry` row of the ledger wants more."""


@pytest.mark.fault("F55")
def test_a_send_that_gets_no_memory_fails_alone(scene: Scene, verdict: Verdict) -> None:
    scene.configure(BRISK + SOON)
    # Of the address space every thread takes 8 MB for its stack, used or not: data is what counts, and small stacks.
    daemon = scene.house.start_ready("prlimit", f"--data={MEMORY}", "--stack=1000000")
    scene.insert("mate#@example.com", 50)
    scene.insert("hungry@example.com")
    scene.connection.execute("UPDATE noti.notifications_log SET max_retries = 2 WHERE recipient ~ '^hungry'")
    scene.insert("later-mate#@example.com", 50)
    scene.finished()
    assert Counter(scene.statuses().values()) == {"sent": 100, "failed": 1}
    assert Counter(scene.tries()) == {"sent": 100, "retrying": 2, "failed": 1}
    errors = scene.ask("SELECT DISTINCT error_message FROM noti.notification_attempts_log WHERE status <> 'sent'")
    assert errors == ["MemoryError"]
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say("a send without memory: failed after its tries, its 100 mates sent", repeats=scene.repeats())


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group of the kernel that kills whoever takes it beyond the limit."""
    for root, limit in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = Path(root, f"noti-test-{uuid4().hex}")
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            break
        group.rmdir()
    else:
        pytest.skip("limiting the memory of a group of processes needs root and a control group of the kernel")
    (group / limit).write_text(str(MEMORY))
    with suppress(OSError):
        (group / "memory.swap.max").write_text("0")
    yield group
    group.rmdir()


@pytest.mark.slow
@pytest.mark.fault("F55")
def test_a_row_for_which_the_kernel_kills_the_worker_ends_alone(
    scene: Scene, little_memory: Path, verdict: Verdict
) -> None:
    scene.configure('[worker]\nlease = "1s"\npoll_interval = "50ms"\n')
    limited = ("sh", "-c", f'echo $$ > {little_memory}/cgroup.procs && exec "$@"', "sh")
    scene.insert("mate#@example.com", 20)
    scene.insert("hungry@example.com")
    scene.insert("slow-mate#@example.com", 20)
    deaths = 0
    daemon = scene.house.start(*limited)
    ends = time.monotonic() + 90
    while scene.count("finished_at IS NULL") and time.monotonic() < ends:
        if daemon.process.poll() is not None:
            assert daemon.process.returncode == -signal.SIGKILL
            deaths += 1
            daemon = scene.house.start(*limited)
        threading.Event().wait(0.02)
    assert deaths == 5
    assert Counter(scene.statuses().values()) == {"failed": 1, "sent": 40}
    [error] = scene.ask("SELECT error_message FROM noti.notifications_log WHERE recipient ~ '^hungry'")
    assert "its claim was lost 5 times" in error
    assert scene.sound()
    assert daemon.stop() == 0
    verdict.say(f"killed for its memory {deaths} times: the row failed as lost, its 40 mates sent", scene.repeats())
