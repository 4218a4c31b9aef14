"""What a fault test works with: daemons, a provider that keeps book, a database, and questions to them."""

import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from tests.system.daemon import Daemon, Daemons, Ledger

BRISK = '[worker]\nlease = "2s"\npoll_interval = "100ms"\n'
SOON = '[channels.email]\nretry = { initial_delay = "100ms", jitter = 0.0 }\n'


class ApplicationConnection(psycopg.Connection[Any]):
    """Inserts notifications as noti_app, whoever is logged in; looks at everything and prepares as an administrator."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Any]:
        text = query.encode() if isinstance(query, str) else query
        inserts = isinstance(text, bytes) and text.lstrip().startswith(b"INSERT INTO noti.notifications_log")
        if not inserts or self.info.transaction_status is not TransactionStatus.IDLE:
            return super().execute(query, params, **options)
        super().execute("SET ROLE noti_app")
        try:
            return super().execute(query, params, **options)
        finally:
            super().execute("RESET ROLE")


class Scene:
    """`connection` is the application's, made anew when the server threw it out; `database_url` an administrator's."""

    def __init__(self, house: Daemons, ledger: Ledger, database_url: str, wait_for: Callable[..., Any]) -> None:
        self.house = house
        self.ledger = ledger
        self.database_url = database_url
        self.wait_for = wait_for
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = ApplicationConnection.connect(self.database_url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def configure(self, more: str = BRISK, answer: str = "ok") -> None:
        """E-mail goes to the book, which gives this `answer`."""
        self.house.configure(self.ledger.account(answer=answer) + '[routes]\nemail = ["book"]\n' + more)

    def start(self, more: str = BRISK, *prefix: str, **environ: str) -> Daemon:
        """A daemon that is ready, perhaps run by the command `prefix`."""
        self.configure(more)
        return self.house.start_ready(*prefix, **environ)

    def insert(self, recipient: str, rows: int = 1, on_uncertain: str | None = None) -> None:
        """Rows to `recipient`, its `#` replaced by a number from 1."""
        self.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, on_uncertain)"
            " SELECT 'email', replace(%s, '#', n::text), 'x', %s FROM generate_series(1, %s) n",
            [recipient, on_uncertain, rows],
        )

    def stall(self, when: str, on: str = "UPDATE ON noti.notifications_log") -> None:
        """Writes `on` a table for which the condition on `old` and `new` holds wait until `kill_stalled`."""
        self.connection.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM pg_advisory_xact_lock(77); RETURN new; END $$"
        )
        self.connection.execute(
            f"CREATE TRIGGER stall BEFORE {on} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION wait()".encode()
        )
        self.connection.execute("SELECT pg_advisory_lock(77)")

    def kill_stalled(self, victim: Daemon) -> None:
        """Kill a daemon in the middle of such an update, which is rolled back; others go on from here."""
        self.wait_for(
            lambda: self.ask("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
            what="the worker waits with its update",
        )
        victim.signal(signal.SIGKILL)
        victim.wait()
        self.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^noti-worker'"
        )
        self.connection.execute("SELECT pg_advisory_unlock(77)")

    def ask(self, sql: str) -> list[Any]:
        """The rows of a query; of those with one column its values."""
        try:
            rows = self.connection.execute(sql.encode()).fetchall()
        except psycopg.OperationalError:  # the server was restarted since, and may still recover
            self.wait_for(self.answers, timeout=60, what="the server lets us in")
            rows = self.connection.execute(sql.encode()).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def count(self, condition: str) -> int:
        return int(self.ask(f"SELECT count(*) FROM noti.notifications_log WHERE {condition}")[0])

    def statuses(self) -> dict[str, str]:
        """The status of each recipient's row."""
        return dict(self.ask("SELECT recipient, status FROM noti.notifications_log"))

    def tries(self) -> list[str]:
        """The attempts log, by status."""
        return self.ask("SELECT status FROM noti.notification_attempts_log ORDER BY log_id")

    def answers(self) -> bool:
        """Whether the server lets us in; a session from before may have a moment to live."""
        self.close()
        try:
            self.connection.execute("SELECT")
        except psycopg.OperationalError:
            return False
        return True

    def finished(self, timeout: float = 30.0) -> None:
        """Wait until every row is finished or parked."""

        def left() -> list[Any]:
            return self.ask(
                "SELECT notification_id, status, error_message FROM noti.notifications_log"
                " WHERE finished_at IS NULL AND held_at IS NULL LIMIT 5"
            )

        self.wait_for(lambda: not left(), timeout=timeout, what="every row is finished")

    def repeats(self) -> int:
        """How many accepted sends were a repetition."""
        return sum(times - 1 for times in Counter(self.ledger.message_ids_of_all()).values())

    def sound(self) -> bool:
        """The books agree with each other."""
        return self.ask("SELECT * FROM noti.assert_invariants()") == []


def complaints(daemon: Daemon) -> list[dict[str, Any]]:
    """What it logged as a warning or an error."""
    return [line for line in daemon.log if line.get("level") in {"warning", "error"}]
