"""The templates that rows name, each once for the batch."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Notification, Template
from noti_worker.store.arrays import texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("templates")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """The pairs of tenant and template."""
    named = {(n.tenant_id, n.template_id) for n in notifications if n.template_id is not None}
    if not named:
        return None
    return {
        "tenants": texts(tenant_id for tenant_id, _ in named),
        "ids": texts(template_id for _, template_id in named),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The template of each row that names one; None when the tenant has none of this name."""
    found = {
        (row["tenant_id"], row["template_id"]): Template(row["template_id"], row["subject"], row["body"], row["html"])
        for row in rows
    }
    for n in notifications:
        if n.template_id is not None:
            yield n.notification_id, {"template": found.get((n.tenant_id, n.template_id))}
