"""The supervisor: makes the database once, starts the server or finds it running, and stops what it started."""

import contextlib
import fcntl
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, Self
from urllib.parse import quote

from noti_worker.domain.errors import ConfigurationError
from noti_worker.embedded.child import Child, User, environment
from noti_worker.embedded.places import (
    OLDEST_MAJOR,
    binaries,
    closed_part,
    make_directory,
    make_private,
    open_copy,
    socket_directory,
)

if TYPE_CHECKING:
    import psycopg

_START_SECONDS = 60.0
_GUESTS_SECONDS = 10.0
_rest = time.sleep  # noqa: TID251 - a signal that raises in the midst of Event.wait may leave its lock half released
_PASSES_BY_ITSELF = ("shared memory block", "lock file")  # what a killed postmaster leaves vanishes in a moment


class Server:
    """One PostgreSQL below `directory`, which is made if missing; a context manager that starts and stops it.

    The server listens on no TCP port; whoever may enter its socket directory (mode 0700) is let in without a password.
    Started by root it runs as `nobody`, or as the owner of existing data. When the data are already served, `start`
    connects to that server, and `stop` leaves it alone. `settings` are parameters of postgresql.conf.
    """

    def __init__(self, directory: Path, bin: Path | None = None, settings: Mapping[str, str] | None = None) -> None:  # noqa: A002
        self.directory = Path(directory).absolute()
        self.data = self.directory / "data"
        self._given_bin = bin
        self._settings = dict(settings or {})
        self._socket: Path | None = None
        self._child: Child | None = None
        self._guest: IO[str] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def bin(self) -> Path:
        """The folder of binaries in use."""
        return self._given_bin or binaries()

    @property
    def exists(self) -> bool:
        """Whether data were made here before."""
        return (self.data / "PG_VERSION").exists()

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster that this object started; None when stopped or started by another."""
        return self._child.pid if self._child else None

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
        if self._child is not None and self._child.alive():
            return self
        self.stop()  # what is left of one that died
        try:
            user = self._user()
            with self._locked():
                deadline = time.monotonic() + _START_SECONDS
                while not (self._find_running(deadline) or self._launch(user, deadline)):
                    _rest(0.1)
                if self._child is None:
                    self._guest = self._guests()
                    fcntl.flock(self._guest, fcntl.LOCK_SH)
        except OSError as error:
            raise ConfigurationError(
                f"cannot run the embedded database in {self.directory} ({error}): make that directory usable,"
                " or set NOTI_DATABASE_URL"
            ) from error
        return self

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if this object started it: "fast" ends sessions and checkpoints, "immediate" is a crash.

        "fast" gives those who connected to it meanwhile up to 10 s to finish.
        """
        child, self._child = self._child, None
        socket, self._socket = self._socket, None
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        if child is not None:
            with contextlib.ExitStack() as stack:
                try:
                    if mode == "fast" and child.alive():
                        stack.enter_context(self._locked())  # whoever comes now starts a server of his own
                        _wait_for_lock(stack.enter_context(self._guests()), _GUESTS_SECONDS)
                finally:
                    child.stop(mode)
            if socket is not None and socket.parent != self.directory:
                with contextlib.suppress(OSError):  # another process may have started the server again already
                    socket.rmdir()

    def _user(self) -> User:
        """Make the directory; whom the server runs as, since PostgreSQL refuses root."""
        root = os.geteuid() == 0
        make_directory(self.directory, 0o755 if root else 0o700)
        owner = self.data.stat() if self.data.exists() else None
        if not root:
            if owner is not None and owner.st_uid != os.geteuid():
                raise ConfigurationError(f"{self.data} is another user's: run as that user, or set NOTI_DATABASE_URL")
            return User(None, None)
        if owner is not None and owner.st_uid != 0:
            user = User(owner.st_uid, owner.st_gid)
        else:
            nobody = pwd.getpwnam("nobody")
            user = User(nobody.pw_uid, nobody.pw_gid)
        closed = closed_part(self.directory, user)
        if closed is not None:
            raise ConfigurationError(
                f"{closed} is closed to the user {user.uid}, as whom PostgreSQL must run because it refuses root:"
                f" use another directory than {self.directory}"
            )
        return user

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off every other process that would start a server here; the kernel frees the lock of a dead one."""
        with _open_lock(self.directory / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _guests(self) -> IO[str]:
        """The file that is locked, shared, by all who use a server that another process started."""
        return _open_lock(self.directory / "guests")

    def _find_running(self, deadline: float) -> bool:
        """Wait until the server that has these data open answers, or has gone; whether there is one."""
        import psycopg

        while (socket := _postmaster_socket(self.data)) is not None:
            try:
                self._connect(socket, "noti").close()
            except psycopg.OperationalError as error:  # it starts up or shuts down
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"the PostgreSQL that runs in {self.data} does not answer: {error}"
                    ) from None
                _rest(0.02)
            else:
                self._socket = socket
                return True
        return False

    def _connect(self, socket: Path, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        import psycopg

        return psycopg.connect(host=str(socket), port=5432, user="postgres", dbname=database, autocommit=True)

    def _launch(self, user: User, deadline: float) -> bool:
        """Start a server, for the first time with initdb; False when leftovers that vanish soon were in its way."""
        version = _version(self.bin)
        major = int(version.partition(".")[0])
        if major < OLDEST_MAJOR:
            raise ConfigurationError(f"{self.bin} is PostgreSQL {version}; noti-worker needs {OLDEST_MAJOR} or newer")
        if (self.data / "PG_VERSION").exists():
            made_by = (self.data / "PG_VERSION").read_text().strip()
            if made_by != str(major):
                raise ConfigurationError(
                    f"{self.data} was made by PostgreSQL {made_by}, but {self.bin} is PostgreSQL {version}: dump it"
                    f" with PostgreSQL {made_by} and load it again, or move it away to begin with an empty database"
                )
        run_from = self.bin
        if user.uid is not None and any(closed_part(run_from / name, user) for name in ("postgres", "initdb")):
            run_from = open_copy(run_from, self.directory / "binaries" / f"postgresql-{version}")
        if not self.data.exists():
            self._initialise(run_from, major, user)
        socket = socket_directory(self.directory, user)
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{socket}"',
            "log_error_verbosity": "terse",  # DETAIL and STATEMENT lines carry addresses and bodies
            "log_min_error_statement": "panic",
        } | self._settings
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(run_from / "postgres"), "-D", str(self.data), *options]
        log = self.directory / "server.log"
        self._child = Child(command, user, log, self.data / "postmaster.pid")
        try:
            came_up = self._await(self._child, socket, log, deadline)
        except BaseException:
            self.stop("immediate")
            raise
        if came_up:
            self._socket = socket
        else:
            self.stop("immediate")
        return came_up

    def _initialise(self, run_from: Path, major: int, user: User) -> None:
        """Run initdb beside its final place, so that a kill in the middle leaves nothing that looks like a database."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private(unfinished, user)
        if major >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        where = [str(run_from / "initdb"), "-D", str(unfinished), "-U", "postgres", "-E", "UTF8", "-N", *locale]
        done = subprocess.run(  # noqa: S603 (our own binary and arguments)
            [*where, "--auth-local=trust", "--auth-host=reject", "--no-instructions"],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            user=user.uid,
            group=user.gid,
            extra_groups=None if user.uid is None else [],
        )
        if done.returncode != 0:
            raise ConfigurationError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")
        unfinished.rename(self.data)

    def _await(self, child: Child, socket: Path, log: Path, deadline: float) -> bool:
        """Wait until the server answers and has its database; False when it ended over leftovers that vanish soon."""
        import psycopg

        while True:
            try:
                with self._connect(socket, "postgres") as connection:
                    _create_database(connection)
            except psycopg.OperationalError:
                late = time.monotonic() > deadline
                if child.alive() and not late:
                    _rest(0.01)
                    continue
                said = log.read_text(errors="replace")[-2000:].strip()
                if not late and any(words in said for words in _PASSES_BY_ITSELF):
                    return False
                raise ConfigurationError(f"PostgreSQL did not start: {said}") from None
            else:
                return True


def _create_database(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    if not connection.execute("SELECT FROM pg_database WHERE datname = 'noti'").fetchall():
        connection.execute("CREATE DATABASE noti TEMPLATE template0 ENCODING 'UTF8'")
    connection.execute('ALTER DATABASE noti SET search_path = "$user", public, noti')


def _version(folder: Path) -> str:
    """As `18.6`; a version under test counts as its major."""
    try:
        asked = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise ConfigurationError(f"{folder / 'postgres'} does not run: {error.stderr}") from None
    found = re.search(r"\d+(\.\d+)?", asked.stdout)
    if found is None:
        raise ConfigurationError(f"{folder / 'postgres'} is not PostgreSQL: {asked.stdout}")
    return found[0]


def _open_lock(path: Path) -> IO[str]:
    """Open a file to be locked, which nobody else may even read: whoever opens it can hold its lock for ever."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(opened, 0o600)  # one that an older version made
    return os.fdopen(opened, "w")


def _wait_for_lock(file: IO[str], seconds: float) -> None:
    """Wait until nobody else holds a lock of `file`, or the time is over."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        _rest(0.02)


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
