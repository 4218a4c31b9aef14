"""Which notifications an operator means: one set of conditions for listing them and for moving them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, func, or_, select, true

from noti_worker.domain.notification import Status
from noti_worker.store.people.tables import audit_log as audit
from noti_worker.store.people.tables import notification_attempts_log as tries
from noti_worker.store.people.tables import notifications_log as log

Since = datetime | timedelta
"""An aware instant, or so long before the database's now."""

_FINISHED = {Status.SENT, Status.FAILED, Status.CANCELLED, Status.SUPPRESSED, Status.EXPIRED}
_PARKED = {Status.HELD, Status.UNKNOWN, Status.GATHERING}


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold; an empty one is no condition, several values of one are alternatives.

    `provider` is what the row asks for; `account` and `kind` tell of the latest try (or, of one
    that failed without, why: `lost` is such a kind), `error` is a part of the last
    error's words, case ignored. `since` is when they came to the statuses that are named: failed, ended, parked;
    for all others when they were created.
    """

    ids: tuple[int, ...] = ()
    status: tuple[Status, ...] = ()
    channel: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    recipient: str | None = None
    template: str | None = None
    category: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    provider: str | None = None
    account: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    error: str | None = None
    since: Since | None = None
    failed_since: Since | None = None
    created_since: Since | None = None
    created_before: Since | None = None

    def __bool__(self) -> bool:
        """Tell whether there is any condition at all."""
        return self != Filter()


def where(chosen: Filter) -> ColumnElement[bool]:
    """The conditions as one SQL expression over `noti.notifications_log`."""
    several = {
        log.c.notification_id: chosen.ids,
        log.c.channel: chosen.channel,
        log.c.priority: chosen.priority,
        log.c.tenant_id: chosen.tenant,
        _latest("account"): chosen.account,
    }
    one = {
        log.c.recipient: chosen.recipient,
        log.c.template_id: chosen.template,
        log.c.category: chosen.category,
        log.c.entity_type: chosen.entity_type,
        log.c.entity_id: chosen.entity_id,
        log.c.provider: chosen.provider,
    }
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in several.items() if values]
    conditions += [column == value for column, value in one.items() if value is not None]
    if chosen.kind:
        conditions.append(or_(_latest("kind").in_(chosen.kind), _failed_as().in_(chosen.kind)))
    if chosen.status:
        conditions.append(_status(chosen.status))
    if chosen.error is not None:
        conditions.append(log.c.error_message.icontains(chosen.error, autoescape=True))
    if chosen.since is not None:
        conditions.append(_came_to(chosen.status) >= _instant(chosen.since))
    if chosen.failed_since is not None:
        conditions.append(log.c.failed_at >= _instant(chosen.failed_since))
    if chosen.created_since is not None:
        conditions.append(log.c.created_at >= _instant(chosen.created_since))
    if chosen.created_before is not None:
        conditions.append(log.c.created_at < _instant(chosen.created_before))
    return and_(true(), *conditions)


def _status(wanted: tuple[Status, ...]) -> ColumnElement[bool]:
    """The label itself stands in no index; what it implies opens the small indexes."""
    named = log.c.status.in_([status.value for status in wanted])
    asked = set(wanted)
    if asked == {Status.FAILED}:
        return and_(named, log.c.failed_at.is_not(None))
    if asked <= _PARKED:
        return and_(named, log.c.held_at.is_not(None))
    if asked <= _FINISHED:
        return and_(named, log.c.finished_at.is_not(None))
    if not asked & _FINISHED:
        return and_(named, log.c.finished_at.is_(None))
    return named


def _came_to(wanted: tuple[Status, ...]) -> ColumnElement[datetime | None]:
    asked = set(wanted)
    if asked == {Status.FAILED}:
        return log.c.failed_at
    if asked and asked <= _PARKED:
        return log.c.held_at
    return log.c.finished_at if asked and asked <= _FINISHED else log.c.created_at


def _latest(name: str) -> ColumnElement[str]:
    """A column of the latest real try; losses and stale results say nothing about an account."""
    return (
        select(tries.c[name])
        .where(tries.c.notification_id == log.c.notification_id, tries.c.status.not_in(["lost", "stale"]))
        .order_by(tries.c.log_id.desc())
        .limit(1)
        .correlate(log)
        .scalar_subquery()
        .cast(String)
    )


def _failed_as() -> ColumnElement[str]:
    """Why it failed for good: the only kind of one that failed without a try."""
    return (
        select(audit.c.metadata["kind"].astext)
        .where(
            log.c.failed_at.is_not(None),
            audit.c.entity_id == log.c.notification_id.cast(String),
            audit.c.entity_type == "notification",
            audit.c.action == "notification_failed",
        )
        .order_by(audit.c.audit_id.desc())
        .limit(1)
        .correlate(log)
        .scalar_subquery()
        .cast(String)
    )


def _instant(since: Since) -> Any:
    # now(), not clock_timestamp(): only a stable function lets an index be used.
    return func.now() - since if isinstance(since, timedelta) else since
