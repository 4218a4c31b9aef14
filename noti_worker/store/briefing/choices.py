"""Whom rows are for, what these people chose, and what the categories say; asked where there is anything to know."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from noti_worker.domain.choice import Choice, Frequency
from noti_worker.domain.contact import USER
from noti_worker.domain.notification import Channel, Notification
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("choices")

# A newer version may know further ones.
_FREQUENCIES = {frequency.value: frequency for frequency in Frequency}


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """All rows once somebody chose anything; before, those whose template may hold a person's link."""
    asked = [n for n in notifications if n.choosing or _may_name_a_person(n)]
    if not asked:
        return None
    return {
        "ids": array(n.notification_id for n in asked),
        "tenants": texts(n.tenant_id for n in asked),
        "channels": texts(n.channel.value for n in asked),
        "recipients": texts(n.recipient for n in asked),
        "categories": texts(n.category or "" for n in asked),
    }


def _may_name_a_person(n: Notification) -> bool:
    if n.template_id is None:
        return False
    return n.peopled or n.channel is Channel.IN_APP or n.recipient.startswith(USER)


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """What is known of those of whom anything is."""
    for row in rows:
        choice = Choice(
            row["user_ref"],
            row["allowed"],
            row["category"] or "",
            row["channel"] or "",
            row["updated_at"],
            row["opt_in"],
            row["mandatory"],
        )
        seconds = row["expires_after"]
        yield (
            row["id"],
            {
                "choice": choice,
                "frequency": _FREQUENCIES.get("" if choice.mandatory else row["frequency"], Frequency.INSTANT),
                "expires_after": None if seconds is None else timedelta(seconds=float(seconds)),
            },
        )
