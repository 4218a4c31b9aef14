"""The errors of the house.

::

    NotiError
    ├── ConfigurationError        a setting is missing, unknown or contradictory (exit 78)
    ├── BadNotification           this one notification cannot be sent as it stands
    ├── DatabaseError             what the store reports
    │   ├── DatabaseAway          no answer for now: wait and try again, nothing is lost
    │   │   └── DatabaseBusy      it is there, but another transaction was in the way of this statement
    │   │       └── TimedOut      the statement took longer than its time: less of it may do
    │   └── DatabaseRefused       the database answered no: a statement, right or value is wrong
    └── NotFound                  a notification, template or page that does not exist

What a provider can foreseeably answer is not here: it is an `Outcome`, a value.
"""


class NotiError(Exception):
    """Root of all errors raised on purpose by noti-worker."""


class ConfigurationError(NotiError):
    """A setting is missing, unknown or contradictory; the message names it and says what to do."""


class BadNotification(NotiError):
    """This one notification cannot be sent as it stands; the message says why, without its content."""


class DatabaseError(NotiError):
    """The database did not do what was asked; carries SQLSTATE and class, never row content."""


class DatabaseAway(DatabaseError):
    """The database does not answer for now; the caller keeps what it has and tries again."""


class DatabaseBusy(DatabaseAway):
    """The database is there; a lock, a deadlock or a time limit kept this statement from its end. Try it again."""


class TimedOut(DatabaseBusy):
    """DatabaseBusy because the statement took longer than its time: less of it may do."""


class DatabaseRefused(DatabaseError):
    """The database answered no: a statement, a right or a value is wrong.

    `whole`: by its kind (a right, something that does not exist) it is hardly the doing of one row.
    """

    def __init__(self, message: str, *, whole: bool = False) -> None:
        super().__init__(message)
        self.whole = whole


class NotFound(NotiError):
    """What was asked for does not exist."""
