"""A private PostgreSQL cluster for the whole run, and a database of its own for each test that asks for one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from psycopg import sql

from noti_worker.embedded import Server
from tests.certificates import Authority, make_authority

pytest_plugins = ["tests.verdict"]

# A busy machine makes any example slow now and then; `timeout` in pyproject.toml is the limit of a test.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# The developer's own settings must not reach a test.
for _name in list(os.environ):
    if _name.startswith(("PG", "NOTI_")) and not _name.startswith("NOTI_TEST_"):
        del os.environ[_name]


_MEMORY = Path("/dev/shm")  # a database is made there in 10 ms, on a busy disk in 200 ms
_MEMORY_NEEDED = 2 << 30


def _parent_directory() -> Path:
    """Memory where there is enough of it; else /tmp, into which the server's user can go when root runs the tests."""
    if (
        _MEMORY.is_dir()
        and os.access(_MEMORY, os.W_OK)
        and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED
        and not os.statvfs(_MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0)
    ):
        return _MEMORY
    return Path("/tmp" if os.geteuid() == 0 else tempfile.gettempdir())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With NOTI_TEST_STRICT=1 a skipped test is a failure: what this kind of machine can run must run."""
    report = yield
    if report.skipped and os.environ.get("NOTI_TEST_STRICT") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped although nothing may be: {report.longrepr}"
    return report


@contextlib.contextmanager
def _new_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="noti-test-", dir=_parent_directory()))
    in_use = os.open(directory, os.O_RDONLY)
    fcntl.flock(in_use, fcntl.LOCK_EX)
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)  # before the lock goes: a run that starts now would tidy up, too
    os.close(in_use)


def pytest_sessionstart() -> None:
    """Give back the memory that killed runs have left occupied: the kernel freed their locks."""
    for left in _parent_directory().glob("noti-test-*"):
        try:
            tried = os.open(left, os.O_RDONLY)
        except OSError:
            continue  # another user's
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(tried, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        os.close(tried)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """An empty directory with a short path below which an embedded server can run, as root too."""
    with _new_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority for the whole run."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Server]:
    """A private server for the whole run; its data do not survive a crash of the machine (fsync is off)."""
    bin_ = os.environ.get("NOTI_TEST_PG_BIN")
    fast = {
        "fsync": "off",
        "full_page_writes": "off",
        "max_wal_size": "512MB",
        "checkpoint_timeout": "1h",
        "max_connections": "200",
        "timezone": "UTC",
    }
    with _new_directory() as directory, Server(directory / "postgres", Path(bin_) if bin_ else None, fast) as server:
        yield server


@pytest.fixture(scope="session")
def _administrator(cluster: Server) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as connection:
        yield connection


def _drop(administrator: psycopg.Connection[Any], name: str) -> None:
    administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create(administrator: psycopg.Connection[Any], name: str, template: str) -> None:
    administrator.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    )


@pytest.fixture(scope="session")
def template_database(cluster: Server, _administrator: psycopg.Connection[Any]) -> str:
    """Name of a database on which every migration has run; never connect to it, copy it."""
    from noti_worker.store import migrate

    name = "noti_template"
    _create(_administrator, name, "template0")
    migrate.upgrade(cluster.url_of(name))
    return name


@pytest.fixture
def database_url(cluster: Server, template_database: str, _administrator: psycopg.Connection[Any]) -> Iterator[str]:
    """A libpq URI of a fresh, migrated database, dropped after the test; its search_path is PostgreSQL's default."""
    name = f"test_{uuid4().hex}"
    _create(_administrator, name, template_database)
    yield cluster.url_of(name)
    _drop(_administrator, name)


@pytest.fixture
def empty_database_url(cluster: Server, _administrator: psycopg.Connection[Any]) -> Iterator[str]:
    """A libpq URI of a fresh database without any migration, dropped after the test."""
    name = f"empty_{uuid4().hex}"
    _create(_administrator, name, "template0")
    yield cluster.url_of(name)
    _drop(_administrator, name)


@pytest.fixture
def sorted_databases(cluster: Server, _administrator: psycopg.Connection[Any]) -> Iterator[list[str]]:
    """URIs of a migrated database for each way to sort and to write small that the server knows, Turkish with ICU."""
    from noti_worker.store import migrate

    ways = ["LOCALE 'C'", "LOCALE 'C.UTF-8'"]
    if _administrator.info.server_version < 170000:
        ways = [f"{way} LOCALE_PROVIDER libc" for way in ways]
    if _administrator.execute("SELECT FROM pg_collation WHERE collname = 'tr-x-icu'").fetchone():
        ways += ["LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'tr'", "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de'"]
    made = []
    try:
        for way in ways:
            name = f"sorted_{uuid4().hex}"
            _administrator.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {way}".encode())
            made.append(name)
            migrate.upgrade(cluster.url_of(name))
        yield [cluster.url_of(name) for name in made]
    finally:
        for name in made:
            _drop(_administrator, name)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection to the test's database."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """`wait_for(predicate, timeout=20, what="…")`: ask until the answer is true and return it, else fail the test."""

    def wait(predicate: Callable[[], Any], timeout: float = 20.0, what: str = "") -> Any:
        deadline = time.monotonic() + timeout
        while not (answer := predicate()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout} s: {what or predicate}")
            threading.Event().wait(0.01)
        return answer

    return wait
