"""Templates and their versions, for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.people.source import rows
from noti_worker.store.statements import statement

_PUBLISH = "SELECT noti.publish(%(template_id)s::text, %(texts)s, %(tenant_id)s::text, %(by)s::text) AS version"


@dataclass(frozen=True, slots=True)
class Line:
    """A template: its newest version, and what it has texts for (channel and locale, empty for all)."""

    tenant_id: str
    template_id: str
    version: int
    texts: tuple[tuple[str, str], ...]
    published_at: datetime
    published_by: str


@dataclass(frozen=True, slots=True)
class Kept:
    """One text of a version; without body and html it was withdrawn."""

    template_id: str
    channel: str
    locale: str
    version: int
    subject: str | None
    body: str | None
    html: str | None
    published_at: datetime
    published_by: str


def listed(connection: Connection, tenants: Sequence[str]) -> list[Line]:
    """The templates of these tenants, or of all."""
    found = rows(connection, statement("read_templates"), {"tenants": list(tenants) or None})
    return [Line(**{**row, "texts": tuple((text["c"], text["l"]) for text in row["texts"])}) for row in found]


def texts(
    connection: Connection, tenant_id: str, template_id: str | None = None, version: int | None = None
) -> list[Kept]:
    """The texts as of a version (None: now) of one template or of all of a tenant, but for those withdrawn."""
    asked = {"tenant_id": tenant_id, "template_id": template_id, "version": version}
    return [Kept(**row) for row in rows(connection, statement("read_template_texts"), asked)]


def history(connection: Connection, tenant_id: str, template_id: str) -> list[Kept]:
    """Every text that was ever published, the newest first."""
    asked = {"tenant_id": tenant_id, "template_id": template_id}
    return [Kept(**row) for row in rows(connection, statement("read_template_history"), asked)]


def publish(
    connection: Connection, tenant_id: str, template_id: str, texts: Sequence[Mapping[str, Any]], by: str | None
) -> int:
    """Publish one version; gives its number. Raises BadNotification in the database's words."""
    asked = {"tenant_id": tenant_id, "template_id": template_id, "texts": Jsonb(list(texts)), "by": by}
    with in_words():
        found = connection.execute(_PUBLISH, asked).fetchone()
    assert found is not None
    return int(found["version"])
