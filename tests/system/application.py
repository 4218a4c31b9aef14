"""An application in a storm: commits rows of every kind, rolls some back, cancels others, keeps what it was told."""

import random
import threading

import psycopg

BATCH_EVERY = 0.25
"""Seconds, about."""


class Application:
    """Inserts webhooks to `url` and a number. `committed` are the ids whose commit was confirmed."""

    def __init__(self, database_url: str, url: str, rows: int, seconds: float, seed: int) -> None:
        """At least `rows` rows, spread over `seconds`; later when the database was away."""
        self._database_url = database_url
        self._url = url
        self._rows = rows
        self._batch = -(-rows // max(int(seconds / BATCH_EVERY), 1))
        self._dice = random.Random(f"{seed} application")
        self._pause = threading.Event()
        self.committed: list[int] = []

    def run(self) -> None:
        """Insert batches in transactions of their own, one of twenty rolled back."""
        number = 0
        while len(self.committed) < self._rows:
            self._pause.wait(0.8 * BATCH_EVERY)
            number += self._batch
            rolled_back = self._dice.random() < 0.05
            given = {"url": self._url, "from": number, "rows": self._batch, "seed": self._dice.random()}
            try:
                with (
                    psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection,
                    connection.transaction(force_rollback=rolled_back),
                ):
                    ids = connection.execute(_BATCH, given).fetchall()
            except psycopg.OperationalError:
                continue  # perhaps committed: then the table has it, else nobody may send it
            if not rolled_back:
                self.committed += [row[0] for row in ids]

    def cancel(self, dice: random.Random) -> None:
        """Cancel one of the last rows."""
        if self.committed:
            chosen = dice.choice(self.committed[-200:])
            with psycopg.connect(self._database_url, autocommit=True, connect_timeout=5) as connection:
                connection.execute(
                    "SELECT noti.cancel(notification_id) FROM noti.notifications_log"
                    " WHERE notification_id = %s AND finished_at IS NULL",
                    [chosen],
                )


_BATCH = """
WITH _ AS MATERIALIZED (SELECT setseed(%(seed)s)),
     dice AS MATERIALIZED (SELECT n, random() AS fate FROM _, generate_series(1, %(rows)s) n)
INSERT INTO noti.notifications_log
       (channel, recipient, body, priority, tenant_id, max_retries, on_uncertain, expires_at, send_at)
SELECT 'webhook', %(url)s || (%(from)s + n), '{}',
       CASE WHEN fate < 0.1 THEN 'high' ELSE 'normal' END,
       CASE WHEN n %% 10 = 0 THEN 'other' ELSE 'default' END,
       CASE WHEN fate BETWEEN 0.2 AND 0.25 THEN 3 ELSE 1000 END,
       CASE WHEN fate BETWEEN 0.3 AND 0.37 THEN 'hold' WHEN fate BETWEEN 0.4 AND 0.43 THEN 'fail' END,
       CASE WHEN fate BETWEEN 0.5 AND 0.6 THEN clock_timestamp() + (1 + 50 * (fate - 0.5)) * interval '1 second' END,
       CASE WHEN fate BETWEEN 0.7 AND 0.75 THEN clock_timestamp() + interval '2 seconds' END
  FROM dice
RETURNING notification_id
"""
"""The recipients are numbered from `from`; each row's fate is drawn: retries, policy, expiry, schedule."""
