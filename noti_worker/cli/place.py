"""Where a command works: the settings, and the database that they name or the embedded one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from noti_worker.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from noti_worker.domain.secret import Secret
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Connection


HERE = Path("noti-worker.toml")


@dataclass(frozen=True, slots=True)
class Place:
    """The global options of the command line; with `embedded` an embedded database may be made.

    `found` tells that nobody named the configuration: it lies where the command was called.
    """

    config: Path | None
    database_url: str | None
    embedded: bool = False
    found: bool = False

    def configured(self) -> "Settings":
        """The settings as they were given, perhaps without a database; raises ConfigurationError."""
        from noti_worker.domain.secret import Secret
        from noti_worker.settings import load

        settings = load(self.config, commands=not self.found)
        if self.database_url is None:
            return settings
        return replace(settings, database=replace(settings.database, url=Secret(self.database_url)))

    @contextmanager
    def settings(self, *, migrated: bool = True, make: bool = False) -> "Iterator[Settings]":
        """The settings with a database URL in any case.

        Without a configured database the embedded server is used for the time of the context: joined if it is up,
        else started, and with `migrated` given the schema when it is empty. It is made only with `make` or `embedded`.
        Raises ConfigurationError.
        """
        from noti_worker.domain.secret import Secret

        settings = self.configured()
        if settings.database.url is not None:
            yield settings
            return
        with _embedded(migrated=migrated, make=make or self.embedded) as url:
            yield replace(settings, database=replace(settings.database, url=Secret(url)))

    @contextmanager
    def connection(self) -> "Iterator[Connection]":
        """An open autocommit connection; raises ConfigurationError, DatabaseAway or DatabaseRefused."""
        with self.headed() as (connection, _):
            yield connection

    @contextmanager
    def headed(self) -> "Iterator[tuple[Connection, Heading]]":
        """An open autocommit connection, and where it leads; errors as in `connection`."""
        from noti_worker.store.people.source import for_people

        with (
            self.settings() as settings,
            for_people(database_url(settings), pgbouncer=settings.database.pgbouncer) as connection,
        ):
            yield connection, self.named(settings)

    def named(self, settings: "Settings") -> "Heading":
        """Where these settings lead; of the database nothing secret."""
        from noti_worker import __version__
        from noti_worker.embedded import default_directory
        from noti_worker.store.connect import called

        own = self.configured().database.url is None
        return Heading(
            f"the embedded one in {default_directory()}" if own else called(database_url(settings).reveal()),
            str(settings.source) if settings.source is not None else None,
            __version__,
        )


@dataclass(frozen=True, slots=True)
class Heading:
    """What a command looks at: the database, the configuration file (None: there is none), the program's version."""

    database: str
    configuration: str | None
    version: str

    def __str__(self) -> str:
        """The first line of what a command tells."""
        configuration = self.configuration or "none"
        return f"database: {self.database}; configuration: {configuration}; noti-worker {self.version}"


def own_file(*, aloud: bool) -> Path | None:
    """`noti-worker.toml` of the working directory, when no configuration is named or installed and it is the caller's.

    With `aloud` it is said that it is read, or why not.
    """
    from noti_worker.settings import DEFAULT_PATH

    if os.environ.get("NOTI_CONFIG") or DEFAULT_PATH.exists() or not HERE.is_file():
        return None
    own = HERE.stat().st_uid == os.geteuid()
    if aloud:
        foreign = f"./{HERE} is somebody else's and is not read: say --config {HERE} if you want it"
        click.echo(f"configuration: ./{HERE}" if own else foreign, err=True)
    return HERE if own else None


def now() -> datetime:
    """The host's clock, for commands that send without a database."""
    return datetime.now(UTC)  # noqa: TID251 - no database is asked here


def database_url(settings: "Settings") -> "Secret":
    """The URL that `Place.settings` made sure of."""
    assert settings.database.url is not None
    return settings.database.url


@contextmanager
def _embedded(*, migrated: bool, make: bool) -> Iterator[str]:
    from noti_worker.embedded import Server, default_directory
    from noti_worker.store import migrate

    server = Server(default_directory())
    if not make and not server.exists:
        raise ConfigurationError(
            f"no database is configured, and there is no embedded one in {default_directory()}: set NOTI_DATABASE_URL"
            " or database.url; for trying out, noti-worker run makes one, and so does noti-worker --embedded COMMAND"
        )
    with server:
        if migrated and migrate.current(server.url) is None:
            click.echo(f"no database is configured: made an embedded one in {default_directory()}", err=True)
            migrate.upgrade(server.url)
        yield server.url
