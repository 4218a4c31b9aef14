"""Whether the application's view of contacts can be read as workers read it."""

from collections.abc import Iterator

from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.finding import Finding, ok, problem
from noti_worker.store.briefing.contacts import NOBODY, statement_for
from noti_worker.store.connect import Connection
from noti_worker.store.people.doctor import ask
from noti_worker.store.people.source import rows

_PAGE = "noti-worker docs people"


def view_of_contacts(connection: Connection, view: str) -> Iterator[Finding]:
    """Whether it is there, has the columns, lets noti_worker read it, and answers."""
    schema, name = view.split(".")
    [there] = ask(connection, "doctor_contacts", schema=schema, view=name)
    if not there["exists"]:
        todo = f"create it, or name another in contacts.view; upper and lower case count ({_PAGE})"
        yield problem("contacts", f"the view {view} does not exist: rows that name persons wait", todo)
        return
    if there["missing"]:
        missing = ", ".join(there["missing"])
        yield problem("contacts", f"the view {view} lacks {missing}: rows that name persons wait", f"add it ({_PAGE})")
        return
    if not there["readable"]:
        todo = f"GRANT USAGE ON SCHEMA {schema} TO noti_worker; GRANT SELECT ON {view} TO noti_worker"
        yield problem("contacts", f"noti_worker may not read the view {view}", todo)
        return
    try:
        with connection.transaction():
            rows(connection, statement_for(view), NOBODY)
    except DatabaseError as error:
        yield problem("contacts", f"the view {view} cannot be read: {error}", f"mend it ({_PAGE})")
        return
    yield ok("contacts", f"persons are looked up in {view}")
