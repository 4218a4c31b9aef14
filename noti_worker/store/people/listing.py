"""Which notifications there are, and the story of one.

Every function takes a `Connection` of `connect` or `for_people`, or a worker's `Session`, and raises DatabaseAway
or DatabaseRefused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ClauseElement, Double, func, select
from sqlalchemy.dialects.postgresql import psycopg as dialect

from noti_worker.domain.errors import NotFound
from noti_worker.store.people.filters import Filter, where
from noti_worker.store.people.obstacles import Obstacle, obstacles
from noti_worker.store.people.source import Source, rows
from noti_worker.store.people.tables import notifications_log as log
from noti_worker.store.statements import Statement, statement

_DIALECT = dialect.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Line:
    """One notification in a list: what an operator needs, never its content.

    `age_seconds` is how long ago it was inserted, by the database's clock; `message_id` goes out with every try.
    `copy_of` is the notification that was sent without this one, a copy of its message.
    """

    notification_id: int
    tenant_id: str
    channel: str
    priority: str
    status: str
    requested: str | None
    recipient: str
    template_id: str | None
    entity_type: str | None
    entity_id: str | None
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    retry_count: int
    max_retries: int
    attempt_count: int
    error_message: str | None
    held_at: datetime | None
    age_seconds: float
    message_id: UUID
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a story: when, what, in which words, by whom; the rest is set where it applies."""

    at: datetime
    event: str
    detail: str | None
    by: str | None
    attempt_number: int | None = None
    account: str | None = None
    provider: str | None = None
    kind: str | None = None
    code: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """One try as it was recorded: who was asked, how that ended and was judged, and by which worker (host:pid#7)."""

    attempt_number: int
    status: str
    account: str | None
    provider: str | None
    kind: str | None
    code: str | None
    stage: str | None
    scope: str | None
    rule: str | None
    provider_message_id: str | None
    worker: str | None
    started_at: datetime | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is kept of what was answered to one try; it may quote address and content."""

    attempt_number: int
    status: str
    account: str | None
    response: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Content:
    """What one try said, rendered, and to whom it went; kept where its category wishes so, until `kept_until`."""

    attempt_number: int
    recipient: str
    subject: str | None
    body: str | None
    html: str | None
    options: Mapping[str, Any] | None
    truncated: bool
    kept_until: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """The story of one notification in order; the last event says what happens next, `blocked_by` why not now.

    Without a line the notification itself is gone, and this is what the logs still tell of it. `copies` are those of
    its message that were refused for now when it was sent. There are `answers` and `contents` only when they
    were asked for.
    """

    notification_id: int
    line: Line | None
    events: tuple[Event, ...]
    blocked_by: tuple[Obstacle, ...]
    tries: tuple[Try, ...]
    copies: tuple[Line, ...] = ()
    answers: tuple[Answer, ...] = ()
    contents: tuple[Content, ...] = ()


_AGE = func.extract("epoch", func.clock_timestamp() - log.c.created_at).cast(Double).label("age_seconds")
_COLUMNS = [_AGE if name == "age_seconds" else log.c[name] for name in Line.__dataclass_fields__]


def list_notifications(source: Source, chosen: Filter, limit: int = 50) -> list[Line]:
    """Give the newest `limit` notifications that fit, the newest first."""
    newest = select(*_COLUMNS).where(where(chosen)).order_by(log.c.notification_id.desc()).limit(limit)
    return [Line(**row) for row in rows(source, *compiled("list", newest))]


def why(source: Source, notification_id: int, *, full: bool = False) -> Story:
    """Tell the story of one notification; raises NotFound when neither it nor a log knows this id.

    With `full` also all that is kept of the answers and of what was sent: who may not read that (noti_readonly) is
    refused by the database.
    """
    asked = {"notification_id": notification_id}
    found = list_notifications(source, Filter(ids=(notification_id,)))
    events = rows(source, statement("read_why"), asked)
    if not events:
        raise NotFound(f"there is no notification {notification_id}")
    blocked_by = obstacles(source, [notification_id])[notification_id] if found else ()
    tries = tuple(Try(**row) for row in rows(source, statement("read_tries"), asked))
    copies = select(*_COLUMNS).where(log.c.copy_of == notification_id).order_by(log.c.notification_id)
    return Story(
        notification_id,
        found[0] if found else None,
        tuple(Event(**row) for row in events),
        blocked_by,
        tries,
        tuple(Line(**row) for row in rows(source, *compiled("copies", copies))),
        tuple(Answer(**row) for row in rows(source, statement("read_responses"), asked)) if full else (),
        tuple(Content(**row) for row in rows(source, statement("read_kept"), asked)) if full else (),
    )


def compiled(name: str, question: ClauseElement) -> tuple[Statement, Mapping[str, Any]]:
    """Turn a SQLAlchemy construct into a statement for psycopg and its parameters."""
    made = question.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    parameters = made.construct_params() or {}
    return Statement(name, str(made), frozenset(parameters)), parameters
