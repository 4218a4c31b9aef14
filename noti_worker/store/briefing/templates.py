"""The templates that rows name, each once for the batch, and what they are made of."""

from collections.abc import Iterable, Mapping, Sequence

from noti_worker.domain.language import languages
from noti_worker.domain.notification import Notification, Template
from noti_worker.store.arrays import array, texts
from noti_worker.store.briefing.lookup import Fields
from noti_worker.store.connect import Row
from noti_worker.store.statements import statement

STATEMENT = statement("templates")

MOST_PARTS = 32
"""Templates that one takes along; `noti.template_texts` gives no more."""

_Key = tuple[str, str, str, str | None, int | None]


def needs(notifications: Sequence[Notification]) -> Mapping[str, object] | None:
    """What is asked for: tenant, template, channel, languages in the order of preference, and version (0: newest)."""
    asked = _asked(notifications)
    if not asked:
        return None
    return {
        "tenants": texts(tenant_id for tenant_id, *_ in asked),
        "ids": texts(template_id for _, template_id, *_ in asked),
        "channels": texts(channel for _, _, channel, *_ in asked),
        "languages": texts(" ".join(languages(locale)) for *_, locale, _ in asked),
        "versions": array(version or 0 for *_, version in asked),
    }


def met(notifications: Sequence[Notification], rows: Sequence[Row]) -> Iterable[tuple[int, Fields]]:
    """The template of each row that names one; None when the tenant has none of this name, or not as was asked."""
    asked = tuple(_asked(notifications))
    parts: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        if row["place"] is None:
            parts.setdefault(_family(row), {})[row["template_id"]] = row
    found = {asked[row["place"] - 1]: _template(row, parts.get(_family(row), {})) for row in rows if row["place"]}
    for n in notifications:
        if n.template_id is not None:
            yield n.notification_id, {"template": found.get(_key(n, n.template_id))}


def _asked(notifications: Sequence[Notification]) -> Mapping[_Key, None]:
    return {_key(n, n.template_id): None for n in notifications if n.template_id is not None}


def _key(n: Notification, template_id: str) -> _Key:
    return n.tenant_id, template_id, n.channel.value, n.locale, n.template_version


def _family(row: Row) -> tuple[str, str, str]:
    """Whose parts these are: what a template takes along is the same for all that are written alike."""
    return row["tenant_id"], row["channel"], row["languages_asked"]


def _template(row: Row, known: Mapping[str, Row]) -> Template:
    """With all that it names, directly or by way of another."""
    taken: dict[str, Row] = {}
    waiting = list(row["names"])
    while waiting and len(taken) < MOST_PARTS:
        name = waiting.pop()
        if name in known and name not in taken:
            taken[name] = known[name]
            waiting.extend(known[name]["names"])
    language = f" ({row['locale']})" if row["locale"] else ""
    return Template(
        row["template_id"],
        row["subject"],
        row["body"],
        row["html"],
        f"{row['template_id']} version {row['version']}{language}",
        tuple(Template(name, part["subject"], part["body"], part["html"]) for name, part in sorted(taken.items())),
        row["locale"] or None,
    )
