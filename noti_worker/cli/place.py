"""Where a command works: the settings, and the database that they name or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from noti_worker.domain.secret import Secret
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """The global options of the command line."""

    config: Path | None
    database_url: str | None

    def configured(self) -> "Settings":
        """The settings as they were given, perhaps without a database; raises ConfigurationError."""
        from noti_worker.domain.secret import Secret
        from noti_worker.settings import load

        settings = load(self.config)
        if self.database_url is None:
            return settings
        return replace(settings, database=replace(settings.database, url=Secret(self.database_url)))

    @contextmanager
    def settings(self, *, migrated: bool = True) -> "Iterator[Settings]":
        """The settings with a database URL in any case.

        Without a configured database the embedded server is used for the time of the context: joined if it is up,
        else started, and with `migrated` given the schema when it is empty. Raises ConfigurationError.
        """
        from noti_worker.domain.secret import Secret

        settings = self.configured()
        if settings.database.url is not None:
            yield settings
            return
        with _embedded(migrated=migrated) as url:
            yield replace(settings, database=replace(settings.database, url=Secret(url)))

    @contextmanager
    def connection(self) -> "Iterator[Connection]":
        """An open autocommit connection; raises ConfigurationError, DatabaseAway or DatabaseRefused."""
        from noti_worker.store.people.source import for_people

        with (
            self.settings() as settings,
            for_people(database_url(settings), pgbouncer=settings.database.pgbouncer) as connection,
        ):
            yield connection


def now() -> datetime:
    """The host's clock, for commands that send without a database."""
    return datetime.now(UTC)  # noqa: TID251 - no database is asked here


def database_url(settings: "Settings") -> "Secret":
    """The URL that `Place.settings` made sure of."""
    assert settings.database.url is not None
    return settings.database.url


@contextmanager
def _embedded(*, migrated: bool) -> Iterator[str]:
    from noti_worker.embedded import Server, default_directory
    from noti_worker.store import migrate

    with Server(default_directory()) as server:
        if migrated and migrate.current(server.url) is None:
            click.echo(f"no database is configured: made an embedded one in {default_directory()}", err=True)
            migrate.upgrade(server.url)
        yield server.url
