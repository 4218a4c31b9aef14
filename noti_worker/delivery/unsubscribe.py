"""The links by which recipients leave a category, or choose, and the headers that mail programs act on."""

from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.headers import MOST_HEADERS
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Briefing, Channel, Notification
from noti_worker.domain.personal import Person
from noti_worker.domain.subscription import Links, Subscription

LIST_UNSUBSCRIBE = "List-Unsubscribe"
ONE_CLICK = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
"""RFC 8058 section 3.1: the link takes a POST without a further question."""


def link(row: Notification, briefing: Briefing, links: Links | None, mode: Mode) -> str | None:
    """The row's link; None where its category cannot be left, or nobody would answer.

    A redirected message reaches somebody else, who must not leave in the name of its recipient.
    """
    if links is None or briefing.leaves is None or not row.category:
        return None
    if mode is not Mode.LIVE:
        return links.nowhere
    return links.to(
        Subscription(row.tenant_id, row.channel, briefing.leaves, row.category, row.notification_id, row.locale or "")
    )


def preferences(row: Notification, briefing: Briefing, links: Links | None, mode: Mode) -> str | None:
    """The link to the page of the person's choices; None where nobody is known, or nobody would answer."""
    choice = briefing.choice
    if links is None or choice is None or not choice.person:
        return None
    if mode is not Mode.LIVE:
        return links.people.nowhere
    return links.people.to(Person(row.tenant_id, choice.person, row.notification_id, row.locale or ""))


def with_headers(channel: Channel, options: dict[str, Any], url: str | None) -> dict[str, Any]:
    """The options of a mail with the headers of its link; those that the row gives itself stay as they are.

    Raises BadNotification when there is no room for them.
    """
    own = options.get("headers") or {}
    given = {name.lower() for name in own}
    if url is None or channel is not Channel.EMAIL or LIST_UNSUBSCRIBE.lower() in given:
        return options
    ours = {LIST_UNSUBSCRIBE: f"<{url}>"}
    ours |= {name: text for name, text in ONE_CLICK.items() if name.lower() not in given}
    if len(own) + len(ours) > MOST_HEADERS:
        raise BadNotification(
            f"options.headers has {len(own)} entries, and with {' and '.join(ours)} a mail may have {MOST_HEADERS}:"
            " leave some out"
        )
    return {**options, "headers": {**own, **ours}}
