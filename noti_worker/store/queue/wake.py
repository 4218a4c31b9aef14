"""The hint that rows came in: LISTEN on a connection of its own."""

import selectors
import socket
import threading
import time
from secrets import token_hex

import psycopg

from noti_worker.domain.errors import ConfigurationError, DatabaseError
from noti_worker.store.connect import Connection, Database, connect
from noti_worker.store.errors import translated
from noti_worker.store.statements import statement

_LISTEN = statement("listen")
_CHECK = statement("check_wake")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class PostgresWake:
    """Port Wake: hears `noti_wake`. Polling stays the truth, so no trouble here is ever raised.

    `database` None (a pooler in transaction mode swallows notifications): it only waits. While the line is
    down it only waits too, and connects again after a growing pause. A line that is silent for
    `check_every` seconds is asked to carry a notification to ourselves. Each new connection gives one hint,
    since rows may have come in unheard. One thread waits; any other may close.
    """

    def __init__(self, database: Database | None, check_every: float = 60.0) -> None:
        self._database = database
        self._check_every = check_every
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._poke, self._poked = socket.socketpair()
        self._connection: Connection | None = None
        self._connect_at = 0.0
        self._pause = _FIRST_PAUSE
        self._check_at = 0.0
        self._token = ""
        self._hinted = False
        self._gave = float("-inf")  # when `wait` told of a hint last

    @property
    def listening(self) -> bool:
        """Whether a hint would arrive now."""
        return self._connection is not None

    def wait(self, timeout: float, apart: float = 0.0) -> bool:
        """True when a hint arrived since the last call or within `timeout` seconds; False at once when closed.

        It is told of no earlier than `apart` seconds after the one before.
        """
        until = time.monotonic() + timeout
        with self._turn:
            while not self._closing.is_set():
                self._tend()
                now = time.monotonic()
                if self._hinted and now >= self._gave + apart:
                    self._hinted = False
                    self._gave = now
                    return True
                if now >= until:
                    return False
                self._hear(min(until, self._gave + apart if self._hinted else until) - now)
        return False

    def close(self) -> None:
        """Stop listening, and end a `wait` under way, at the latest when its connection attempt ends."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._poke.send(b".")
        with self._turn:
            self._drop()
            self._poke.close()
            self._poked.close()

    def _tend(self) -> None:
        """Connect when it is time to, and check a line that was silent for long."""
        if self._database is None:
            return
        now = time.monotonic()
        try:
            if self._connection is None:
                if now >= self._connect_at:
                    self._listen(self._database)
            elif now >= self._check_at:
                self._check(self._connection, now)
        except (DatabaseError, ConfigurationError):
            self._lose()

    def _listen(self, database: Database) -> None:
        connection = connect(
            database.url,
            pgbouncer=database.pgbouncer,
            application_name="noti-worker wake",
            patience=database.patience,
        )
        self._connection = connection
        # What arrives together with an answer.
        connection.add_notify_handler(lambda notification: self._take(notification.channel, notification.payload))
        with translated():
            connection.execute(_LISTEN.sql)  # several statements: no parameters
        self._pause = _FIRST_PAUSE
        self._token = ""
        self._check_at = time.monotonic() + self._check_every
        self._hinted = True

    def _check(self, connection: Connection, now: float) -> None:
        if self._token:
            # The last check never came back: something between us and the database swallows notifications.
            self._lose()
            return
        self._token = token_hex(8)
        self._check_at = now + self._check_every
        with translated():
            connection.execute(_CHECK.sql, {"token": self._token})

    def _hear(self, timeout: float) -> None:
        """Take what arrives until something does, `timeout` is over, or we are poked."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._poked, selectors.EVENT_READ)
            if self._connection is not None:
                selector.register(self._connection.fileno(), selectors.EVENT_READ)
            for key, _ in selector.select(self._until_duty(timeout)):
                if key.fileobj is not self._poked and self._connection is not None:
                    self._read(self._connection)

    def _until_duty(self, timeout: float) -> float:
        if self._database is None:
            return timeout
        duty = self._connect_at if self._connection is None else self._check_at
        return max(0.0, min(timeout, duty - time.monotonic()))

    def _read(self, connection: Connection) -> None:
        try:
            # Below psycopg's own generator, which does not go together with a handler.
            connection.pgconn.consume_input()
            while notification := connection.pgconn.notifies():
                self._take(notification.relname.decode(), notification.extra.decode())
        except (psycopg.Error, OSError):
            self._lose()

    def _take(self, channel: str, payload: str) -> None:
        if channel == "noti_wake":
            self._hinted = True
        elif payload == self._token:
            self._token = ""
            self._check_at = time.monotonic() + self._check_every

    def _lose(self) -> None:
        self._drop()
        self._connect_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
