"""A person's content goes from everything that is kept, and the facts stay. The database does it: `noti.erase`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from noti_worker.domain.counts import counted
from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.mailbox import spellings
from noti_worker.store.connect import Connection
from noti_worker.store.errors import in_words
from noti_worker.store.statements import statement

STEP = 1000
"""Rows that one transaction looks at: no worker waits long for those that it changes."""

LOGS = ("notification_attempts_log", "audit_log")
SHORTEST = 3
"""Characters that a name must have to be looked for inside texts."""

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_COUNTS = (
    "erased", "copies", "cancelled", "tries", "lines", "inbox", "kept", "attachments", "suppressions", "receipts",
    "contacts", "choices",
)  # fmt: skip
_STEPS = {"erase_kept": "kept contents", "erase": "notifications", "erase_inbox": "inbox"}
"""What goes through a table in steps, and how the table is called. Kept contents come first: `erase` deletes some."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, or with a dry run would be.

    `erased` notifications to the person, of which `cancelled` were not finished; `copies` that went to somebody else
    as well; changed `tries`, audit `lines` and `inbox` messages; deleted `attachments`; entries of the
    suppression list that lost their address, and stay in force; changed `receipts`; deleted `kept` contents of tries,
    `contacts` and `choices`. `in_flight` are the ids that a
    worker or somebody's lock still holds. A dry run knows nothing of tries, lines, attachments and receipts: it looks
    into no text, so that nobody learns from it what a text says.
    """

    erased: int = 0
    copies: int = 0
    cancelled: int = 0
    tries: int = 0
    lines: int = 0
    inbox: int = 0
    attachments: int = 0
    suppressions: int = 0
    receipts: int = 0
    kept: int = 0
    contacts: int = 0
    choices: int = 0
    in_flight: tuple[int, ...] = ()

    def plus(self, row: Mapping[str, Any]) -> "Erased":
        """With the counts of one step; what is in flight is added."""
        counts = {name: getattr(self, name) + row.get(name, 0) for name in _COUNTS}
        return replace(self, **counts, in_flight=(*self.in_flight, *row.get("in_flight", ())))

    def __bool__(self) -> bool:
        """Tell whether anything was found."""
        return self != Erased()


class Stopped(DatabaseError):
    """The database stopped an erasure half way; `erased` is what is committed, and calling again goes on."""

    def __init__(self, erased: Erased, cause: DatabaseError) -> None:
        before = counted(erased.erased, "notification was", "notifications were")
        super().__init__(f"{cause}; {before} erased before that: call again")
        self.erased = erased


def erase(
    connection: Connection,
    who: str,
    tenant: str | None = None,
    *,
    dry_run: bool = False,
    progress: Callable[[str, int], None] = lambda what, seen: None,
    contacts: bool = True,
) -> Erased:
    """Erase `who`, exactly or for e-mail whatever the case, from all that is kept, of one tenant or of all.

    An address is erased in every spelling of its domain. Tries carry no tenant: with one, the logs are cleaned only of
    what belongs to notifications that are still here. `progress` hears after each step which table was looked at, and
    how many rows of it. Without `contacts`, these and choices stay. Raises BadNotification for nobody, Stopped when
    the database stops it between.
    """
    done = Erased()
    try:
        for name in spellings(who):
            for table, called in _STEPS.items():
                after, seen = 0, 0
                while (row := _step(connection, table, name, tenant, after, STEP, dry_run=dry_run))["last"] is not None:
                    done, after, seen = done.plus(row), row["last"], seen + row["seen"]
                    progress(called, seen)
            if contacts:
                done = done.plus(_contacts(connection, name, tenant, dry_run=dry_run))
            done = done.plus(_suppressions(connection, name, tenant, dry_run=dry_run))
            if not dry_run:
                done = _receipts(connection, name, tenant, done, progress)
            if tenant is None and len(name) >= SHORTEST and not dry_run:
                for log in LOGS:
                    done = _lines(connection, name, log, done, progress)
    except DatabaseError as error:
        if not done:
            raise
        raise Stopped(done, error) from None
    return done


def erase_person(
    connection: Connection,
    name: str,
    addresses: Sequence[str],
    tenant: str | None,
    *,
    dry_run: bool = False,
    rest: Callable[[], bool] = lambda: False,
    progress: Callable[[str, int], None] = lambda what, seen: None,
) -> Erased:
    """Erase `user:ID` and all of their addresses; contacts and choices go last, and only when nothing is in flight.

    So a second call still knows the addresses. `rest` waits a moment for what is in flight, and tells whether to look
    again. Raises as `erase`.
    """
    done = Erased()
    for who in (*addresses, name):
        part = erase(connection, who, tenant, dry_run=dry_run, progress=progress, contacts=False)
        while part.in_flight and not dry_run and rest():
            part = again(connection, who, tenant, part)
        done = done.plus(asdict(part))
    if done.in_flight and not dry_run:
        return done
    return done.plus(_contacts(connection, name, tenant, dry_run=dry_run))


def again(connection: Connection, who: str, tenant: str | None, done: Erased) -> Erased:
    """Try once more those that were in flight; what still is, stays in the answer."""
    waiting, done = done.in_flight, replace(done, in_flight=())
    for notification_id in waiting:
        for name in spellings(who):
            done = done.plus(_step(connection, "erase", name, tenant, notification_id - 1, 1, dry_run=False))
    return done


def _step(
    connection: Connection, name: str, who: str, tenant: str | None, after: int, step: int, *, dry_run: bool
) -> Mapping[str, Any]:
    given = {"who": who, "tenant": tenant, "after": after, "step": step, "dry_run": dry_run}
    with in_words():
        (row,) = connection.execute(statement(name).sql, given).fetchall()
        return row


def _contacts(connection: Connection, who: str, tenant: str | None, *, dry_run: bool) -> Mapping[str, Any]:
    given = {"who": who, "tenant": tenant, "dry_run": dry_run}
    with in_words():
        (row,) = connection.execute(statement("erase_contacts").sql, given).fetchall()
        return row


def _suppressions(connection: Connection, who: str, tenant: str | None, *, dry_run: bool) -> Mapping[str, Any]:
    given = {"who": who, "tenant": tenant, "dry_run": dry_run}
    with in_words():
        (row,) = connection.execute(statement("erase_suppressions").sql, given).fetchall()
        return row


def _receipts(
    connection: Connection, who: str, tenant: str | None, done: Erased, progress: Callable[[str, int], None]
) -> Erased:
    after, seen = 0, 0
    while True:
        given = {"who": who, "tenant": tenant, "after": after, "step": STEP}
        with in_words():
            (row,) = connection.execute(statement("erase_receipts").sql, given).fetchall()
        if row["last"] is None:
            return done
        done, after, seen = done.plus({"receipts": row["receipts"]}), row["last"], seen + row["seen"]
        progress("receipts", seen)


def _lines(connection: Connection, who: str, log: str, done: Erased, progress: Callable[[str, int], None]) -> Erased:
    after: dict[str, Any] = {"after_at": _BEGINNING, "after_id": 0}
    seen = 0
    while True:
        given = {"who": who, "log": log, "step": STEP, "dry_run": False}
        with in_words():
            (row,) = connection.execute(statement("erase_lines").sql, given | after).fetchall()
        if not row["seen"]:
            return done
        done = done.plus({"tries" if log == LOGS[0] else "lines": row["lines"]})
        after, seen = {"after_at": row["last_at"], "after_id": row["last_id"]}, seen + row["seen"]
        progress(log, seen)
