"""Whether tenants are isolated as a whole, and who is outside of it."""

from collections.abc import Iterator

from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.store.connect import Connection
from noti_worker.store.people import isolation
from noti_worker.store.people.doctor import ask


def tenants(connection: Connection) -> Iterator[Finding]:
    """Nothing, where tenants are not isolated and nothing is half done."""
    isolated = isolation.isolated(connection)
    faults = list(_tables(connection, isolated=isolated))
    if isolated:
        faults += _roles(connection)
    yield from faults
    if isolated and not faults:
        yield ok("tenants", "they are isolated: every role sees those that it is bound to")


def _tables(connection: Connection, *, isolated: bool) -> Iterator[Finding]:
    for row in ask(connection, "doctor_tenants"):
        if row["forced"]:
            yield problem(
                "tenants",
                f"row-level security is forced on the owner of {row['relation']}: our own triggers run as the owner, so"
                " that inserts fail, TRUNCATE passes the guard, and an erasure finds nobody",
                f"ALTER TABLE {row['relation']} NO FORCE ROW LEVEL SECURITY;",
            )
        if row["open"] and isolated:
            yield problem(
                "tenants",
                f"{row['relation']} is not isolated, while the notifications are",
                "as the owner of the schema: noti-worker tenant isolate",
            )


def _roles(connection: Connection) -> Iterator[Finding]:
    for member in isolation.members(connection):
        if not member.exists:
            yield warning(
                "tenants",
                f"the role {member.role} was dropped and is still bound to {', '.join(member.tenants)}",
                f"noti-worker tenant unbind {member.role} {' '.join(member.tenants)}: a dump would bind that number",
            )
    views = isolation.views(connection)
    if blind := [view.role for view in views if not view.tenants and not view.all_by]:
        yield warning(
            "tenants",
            f"{', '.join(blind)} may read or write notifications, and see none: they are bound to no tenant",
            "noti-worker tenant bind ROLE TENANT, or GRANT noti_all_tenants TO ROLE for those who work for all",
        )
    for row in ask(connection, "doctor_tenant_owners"):
        yield warning(
            "tenants",
            f"the application's role {row['role']} {row['how']}: no policy binds it",
            "let the application log in as a role of its own, a member of noti_app alone",
        )
    if idle := [view.role for view in views if view.tenants and view.all_by]:
        yield warning(
            "tenants",
            f"{', '.join(idle)} are bound to tenants, and see all of them all the same",
            "noti-worker tenant isolate --dry-run tells why: take that from them, or unbind them",
        )
