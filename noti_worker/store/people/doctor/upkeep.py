"""What vacuum can do and did: old snapshots and who holds them, dead rows, indexes."""

from collections.abc import Iterator
from typing import Any

from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.store.connect import Connection
from noti_worker.store.people.doctor import ask

OLD_SNAPSHOT = 300.0
"""Seconds after which a transaction is in vacuum's way."""

MANY_TRANSACTIONS = 1_000_000
"""The same for what has no age in seconds: a slot, a standby's feedback."""

MANY_DEAD = 50_000
"""Dead rows that are worth a word, if they are also more than the living."""

FREEZE_LATE = 1_000_000_000
"""Transactions since the last freeze; autovacuum does it at 200 million, the server refuses writes at 2 billion."""

HOT = "notifications_log_hot"
ENTRY = 100
"""Bytes of an index entry of HOT on average, with an ordinary tenant_id."""

BLOATED_FROM = 32 * 1024 * 1024
BLOATED = 5


def snapshots(connection: Connection) -> Iterator[Finding]:
    """Who keeps dead rows from being removed."""
    found = ask(connection, "doctor_snapshots")
    old = [finding for row in found if row["kind"] and (finding := _snapshot(row))]
    yield from old
    hidden = found[0]["hidden"]
    seen = f"; {hidden} sessions of other roles cannot be seen" if hidden else ""
    todo = "to see them: GRANT pg_read_all_stats to the role" if hidden else ""
    if not old:
        ages = [row["seconds"] for row in found if row["seconds"] is not None]
        oldest = f"the oldest is {max(ages):.0f} s old" if ages else "no transaction is open"
        yield ok("snapshots", f"nobody holds an old snapshot, {oldest}{seen}", todo)
    elif hidden:
        yield ok("snapshots", f"there may be more{seen}", todo)


def _snapshot(row: dict[str, Any]) -> Finding | None:
    kind, name, seconds = row["kind"], row["name"], row["seconds"]
    if kind == "slot":
        if row["active"] and row["transactions"] < MANY_TRANSACTIONS:
            return None
        state = "in use" if row["active"] else "used by nobody"
        return warning(
            "snapshots",
            f"the replication slot {name} ({row['about']}, {state}) keeps dead rows of {row['transactions']}"
            " transactions, and WAL",
            f"let its consumer catch up, or, if nobody needs it: SELECT pg_drop_replication_slot('{name}');",
        )
    if seconds is None:
        if row["transactions"] < MANY_TRANSACTIONS:
            return None
        return warning(
            "snapshots",
            f"the standby of process {name} ({row['about']}) keeps dead rows of {row['transactions']} transactions",
            "end the long query on the standby, or set hot_standby_feedback = off there",
        )
    if seconds < OLD_SNAPSHOT:
        return None
    if kind == "prepared":
        return warning(
            "snapshots",
            f"the prepared transaction {name} ({row['about']}) has been open for {seconds:.0f} s",
            f"ask its owner; then COMMIT PREPARED '{name}'; or ROLLBACK PREPARED '{name}';",
        )
    return warning(
        "snapshots",
        f"process {name} ({row['about']}) has held a snapshot for {seconds:.0f} s: no dead row since then is removed",
        f"let it end its transaction, or end it: SELECT pg_terminate_backend({name});",
    )


def tables(connection: Connection) -> Iterator[Finding]:
    """Whether autovacuum is on and keeps up."""
    found = ask(connection, "doctor_tables")
    odd = [finding for row in found for finding in _table(row)]
    yield from odd
    if not odd:
        dead = sum(row["dead"] for row in found)
        yield ok("autovacuum", f"keeps up: {dead} dead rows in {len(found)} tables")


def _table(row: dict[str, Any]) -> Iterator[Finding]:
    name = f"noti.{row['relation']}"
    if row["off"]:
        yield problem(
            "autovacuum",
            f"is switched off for {name}",
            f"ALTER TABLE {name} RESET (autovacuum_enabled); VACUUM {name};",
        )
    if row["dead"] >= MANY_DEAD and row["dead"] > row["live"]:
        last = "never" if row["vacuumed_seconds"] is None else f"{row['vacuumed_seconds'] / 60:.0f} min ago"
        yield warning(
            "autovacuum",
            f"{name} has {row['dead']} dead rows beside {row['live']} living ones, last vacuumed {last}",
            f"see to old snapshots first, then: VACUUM {name};",
        )
    if row["frozen_age"] >= FREEZE_LATE:
        yield problem(
            "autovacuum",
            f"{name} was last frozen {row['frozen_age']} transactions ago; at 2 billion the server refuses writes",
            f"VACUUM (FREEZE, VERBOSE) {name}; and see who holds old snapshots",
        )


def indexes(connection: Connection) -> Iterator[Finding]:
    """Invalid ones, a hot one that is missing or bloated."""
    found = {row["index"]: row for row in ask(connection, "doctor_indexes")}
    odd = [
        problem(
            "indexes", f"noti.{name} is invalid: it costs and helps nobody", f"REINDEX INDEX CONCURRENTLY noti.{name};"
        )
        for name, row in found.items()
        if not row["valid"]
    ]
    hot = found.get(HOT)
    if hot is None:
        odd.append(
            problem(
                "indexes",
                f"noti.{HOT} is missing: every claim reads the whole table",
                "make it again; its definition: noti-worker migrate --sql",
            )
        )
    elif hot["bytes"] > BLOATED_FROM and hot["bytes"] > BLOATED * ENTRY * max(hot["entries"], 0):
        odd.append(
            warning(
                "indexes",
                f"noti.{HOT} is bloated: {hot['bytes'] // 1_048_576} MB for {max(hot['entries'], 0):.0f} entries",
                f"see to old snapshots and autovacuum first, then: REINDEX INDEX CONCURRENTLY noti.{HOT};",
            )
        )
    yield from odd
    if not odd:
        yield ok("indexes", f"all {len(found)} are valid")
