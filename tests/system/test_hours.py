"""Quiet hours, send windows and caps with a real worker: who waits, who goes, and what is said of it."""

from collections.abc import Callable
from typing import Any

import psycopg
from click.testing import CliRunner

from noti_worker.cli.main import main
from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons

Connection = psycopg.Connection[Any]

PEOPLE = """
INSERT INTO noti.contacts (user_ref, channel, address, zone, quiet_from, quiet_to)
SELECT 'ann', 'email', 'ann@example.com', 'Europe/Berlin', b.here - interval '1 hour', b.here + interval '3 hours'
  FROM (SELECT date_trunc('minute', now() AT TIME ZONE 'Europe/Berlin')::time AS here) AS b;
INSERT INTO noti.categories (category, cap_amount, cap_every, cap_over)
VALUES ('news', 3, '7 days', 'wait'), ('sales', 1, '7 days', 'drop');
INSERT INTO noti.categories (category, send_window)
SELECT 'weekly', (ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])[
         1 + extract(isodow FROM now() AT TIME ZONE 'UTC' + interval '1 day')::int % 7] || ' 9-18'
"""

SOON_AWAKE = """
INSERT INTO noti.contacts (user_ref, channel, address, zone, quiet_from, quiet_to)
SELECT 'bea', 'email', 'bea@example.com', 'UTC', u.here - interval '1 hour', u.here + interval '8 seconds'
  FROM (SELECT (now() AT TIME ZONE 'UTC')::time AS here) AS u
RETURNING now() + interval '8 seconds'
"""


def test_people_are_left_alone_and_every_silence_is_told(
    daemons: Daemons, inbox: Inbox, relay: str, connection: Connection, wait_for: Callable[..., Any]
) -> None:
    for statement in PEOPLE.split(";\n"):
        connection.execute(statement.encode())
    daemons.configure(relay)
    daemons.start_ready()

    def send(recipient: str, category: str | None = None, priority: str = "normal") -> int:
        found = connection.execute(
            "SELECT noti.send('email', %s, 'Hello', 'Hi', category => %s, priority => %s)",
            [recipient, category, priority],
        ).fetchone()
        assert found is not None
        return int(found[0])

    [(awake_at,)] = connection.execute(SOON_AWAKE).fetchall()
    ann, urgent = send("ann@example.com"), send("ann@example.com", priority="urgent")
    bea, weekly = send("bea@example.com"), send("eve@example.com", "weekly")
    news = [send("cem@example.com", "news") for _ in range(10)]
    sales = [send("dan@example.com", "sales")]

    def statuses(*ids: int) -> list[str]:
        found = connection.execute(
            "SELECT status FROM noti.notifications_log WHERE notification_id = ANY (%s) ORDER BY 1", [list(ids)]
        ).fetchall()
        return [status for (status,) in found]

    def told(id_: int, event: str) -> list[str]:
        found = connection.execute("SELECT w.detail FROM noti.why(%s) w WHERE w.event = %s", [id_, event])
        return [detail for (detail,) in found]

    wait_for(lambda: statuses(*sales) == ["sent"], timeout=60.0)
    sales += [send("dan@example.com", "sales") for _ in range(2)]
    everything = [ann, urgent, bea, weekly, *news, *sales]
    wait_for(lambda: statuses(*everything) == ["retrying"] * 9 + ["sent"] * 6 + ["suppressed"] * 2, timeout=60.0)
    assert statuses(*news) == ["retrying"] * 7 + ["sent"] * 3
    assert statuses(*sales) == ["sent", "suppressed", "suppressed"]
    assert statuses(urgent, bea) == ["sent", "sent"]
    [(sent_at,)] = connection.execute(
        "SELECT sent_at FROM noti.notifications_log WHERE notification_id = %s", [bea]
    ).fetchall()
    assert sent_at >= awake_at
    assert len(told(bea, "retrying")) <= 1  # it slept, and not in small steps
    [waited], [following] = told(ann, "retrying"), told(ann, "next")
    assert "quiet hours of the recipient (Europe/Berlin " in waited
    assert following.startswith("try 1 at ")
    assert "quiet hours of the recipient (Europe/Berlin " in following
    assert "the send window of weekly (" in told(weekly, "next")[0]
    dropped = next(id_ for id_ in sales if statuses(id_) == ["suppressed"])
    assert told(dropped, "suppressed") == ["over the cap: 1 message of sales in 7d"]
    over = next(id_ for id_ in news if statuses(id_) == ["retrying"])
    assert "over the cap: 3 messages of news in 7d; it waits until " in told(over, "next")[0]
    connection.execute("UPDATE noti.contacts SET quiet_from = NULL, quiet_to = NULL WHERE user_ref = 'ann'")
    asked = CliRunner().invoke(main, ["--database-url", daemons.database_url, "retry", str(ann)])
    assert asked.exit_code == 0, asked.output
    wait_for(lambda: statuses(ann) == ["sent"], timeout=60.0)
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []
