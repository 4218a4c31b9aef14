"""What the database shows of a provider's words, for the tests that every provider inherits."""

from collections.abc import Iterator

import psycopg
import pytest

from noti_worker.embedded import Server
from tests.providers.spellings import Masked


@pytest.fixture(scope="session")
def masked(cluster: Server, template_database: str) -> Iterator[Masked]:
    """`noti.masked` of a database to which nothing is written."""
    with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE masking TEMPLATE {template_database}".encode())
    with psycopg.connect(cluster.url_of("masking"), autocommit=True) as connection:

        def mask(words: str, recipient: str) -> str:
            found = connection.execute("SELECT noti.masked(%s, %s)", [words, recipient]).fetchone()
            assert found is not None
            return str(found[0])

        yield mask
