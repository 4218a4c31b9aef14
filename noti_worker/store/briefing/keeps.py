"""Which rows have a category that wishes their content to be kept with the try."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.notification import Notification
from noti_worker.store.arrays import texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("keeps")


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """Each category once for the batch: most rows share theirs."""
    asked = {(n.tenant_id, n.category): None for n in notifications if n.category}
    if not asked:
        return None
    return {
        "tenants": texts(tenant for tenant, _ in asked),
        "categories": texts(category or "" for _, category in asked),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """For how long, for each row of such a category."""
    if not rows:
        return ()
    spans = {(row["tenant_id"], row["category"]): row["keep_content"] for row in rows}
    return [
        (n.notification_id, {"keeps": span})
        for n in notifications
        if (span := spans.get((n.tenant_id, n.category))) is not None
    ]
