"""Whether providers tell what became of messages."""

from collections.abc import Iterator, Sequence

from noti_worker.domain.finding import Finding, ok, warning
from noti_worker.store.connect import Connection
from noti_worker.store.people.doctor import ask


def receipts(connection: Connection, accounts: Sequence[str]) -> Iterator[Finding]:
    """Of each of the accounts that take receipts, when the last request came."""
    for row in ask(connection, "doctor_receipts", accounts=list(accounts)):
        name, seconds = row["account"], row["seconds"]
        if seconds is not None:
            yield ok("receipts", f"{name}: its provider posted something {seconds / 60:.0f} min ago")
        elif row["sent"]:
            yield warning(
                "receipts",
                f"{name}: messages were sent, and its provider posted nothing within a week",
                "enter its URL at the provider, and see that noti-worker web runs (noti-worker docs receipts)",
            )
        else:
            yield ok("receipts", f"{name}: nothing was posted yet, and little was sent of which it could tell")
