"""Whether recipients can leave what they may leave."""

from collections.abc import Iterator

from noti_worker.domain.finding import Finding, warning
from noti_worker.store.connect import Connection
from noti_worker.store.people.doctor import ask


def without_links(connection: Connection) -> Iterator[Finding]:
    """For a configuration that makes no links: mails of these categories go out without them, and nobody notices."""
    if categories := [row["category"] for row in ask(connection, "doctor_leaving")]:
        yield warning(
            "unsubscribe",
            f"recipients may leave {', '.join(categories)}, and no mail says how: there is no key for the links",
            "set web.unsubscribe_keys and web.url, and run noti-worker web (noti-worker docs unsubscribe)",
        )
