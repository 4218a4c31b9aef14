"""What one tenant does to the others: a long backlog, templates that take the whole machine."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.system.conftest import SANDBOX
from tests.system.daemon import Daemons

BACKLOG = 20_000
QUIET = 500


@pytest.mark.parametrize("age", ["1 second", "1 hour"])
def test_quiet_tenants_do_not_wait_for_the_backlog_of_another_however_old_it_is(
    daemons: Daemons, connection: psycopg.Connection[Any], database_url: str, wait_for: Callable[..., Any], age: str
) -> None:
    insert = (
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, created_at)"
        " SELECT 'email', 'ada@example.com', 'x', %s || n %% %s, clock_timestamp() - %s::interval"
        " FROM generate_series(1, %s) n"
    )
    with psycopg.connect(database_url) as owner:  # an application cannot make a row older than it is
        owner.execute(insert, ["noisy ", 1, age, BACKLOG])
    daemons.configure(SANDBOX)
    daemon = daemons.start_ready()
    wait_for(lambda: connection.execute("SELECT 1 FROM noti.notification_attempts_log LIMIT 1").fetchone())
    with psycopg.connect(database_url) as owner:
        owner.execute(insert, ["quiet ", QUIET, "0", QUIET])
    unfinished = (
        "SELECT 1 FROM noti.notifications_log WHERE tenant_id LIKE 'quiet%' AND finished_at IS NULL AND held_at IS NULL"
    )
    wait_for(lambda: not connection.execute(unfinished).fetchone(), timeout=60)
    daemon.stop()
    found = connection.execute(
        """
        WITH done AS (SELECT t.log_id, n.tenant_id LIKE 'quiet%' AS quiet
                        FROM noti.notification_attempts_log t JOIN noti.notifications_log n USING (notification_id))
        SELECT count(*) FILTER (WHERE quiet),
               count(*) FILTER (WHERE NOT quiet AND log_id < (SELECT max(log_id) FROM done WHERE quiet))
          FROM done
        """
    ).fetchone()
    assert found is not None
    quiet, noisy_before_the_last = found
    assert quiet == QUIET
    assert noisy_before_the_last < BACKLOG * 3 / 4


HEAVY = "{% for a in range(20) %}" + "{% for b in range(1000) %}" * 2 + "{% endfor %}" * 3
ENDLESS = HEAVY.replace("20", "1000", 1)
BAD = 200


def test_templates_that_take_all_their_time_delay_nobody_else(
    daemons: Daemons, connection: psycopg.Connection[Any], database_url: str, wait_for: Callable[..., Any]
) -> None:
    """Rendering the rows of the bad tenants takes minutes; those of the others go out within seconds."""
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "INSERT INTO noti.templates (tenant_id, template_id, body) VALUES ('heavy', 't', %s), ('endless', 't', %s),"
            " ('quiet', 't', 'Hello {{ name }}')",
            [HEAVY, ENDLESS],
        )
        owner.execute(
            "INSERT INTO noti.templates (tenant_id, template_id, body)"
            " SELECT 'inventive', 't' || n, %s || n FROM generate_series(1, %s) n",
            [HEAVY, BAD],
        )
    insert = (
        "INSERT INTO noti.notifications_log (channel, recipient, tenant_id, template_id, template_data)"
        " SELECT c, CASE c WHEN 'email' THEN 'ada@example.com' WHEN 'sms' THEN '+4915100000' ELSE 'user:1' END,"
        " %s, 't', '{\"name\": \"Ada\"}' FROM generate_series(1, %s), unnest(%s::text[]) c"
    )
    invent = (
        "INSERT INTO noti.notifications_log (channel, recipient, tenant_id, template_id)"
        " SELECT 'email', 'ada@example.com', 'inventive', 't' || n FROM generate_series(1, %s) n"
    )
    count = "SELECT count(*) FROM noti.notifications_log WHERE tenant_id = %s AND status = ANY (%s)"

    def how_many(tenant_id: str, *statuses: str) -> int:
        row = connection.execute(count, [tenant_id, list(statuses)]).fetchone()
        assert row is not None
        return int(row[0])

    daemons.configure(SANDBOX)
    daemon = daemons.start_ready()
    for tenant_id in ("heavy", "endless"):
        connection.execute(insert, [tenant_id, BAD, ["email"]])
    connection.execute(invent, [BAD])
    wait_for(lambda: how_many("heavy", "sent", "failed") and how_many("endless", "failed"), timeout=60)
    connection.execute(insert, ["quiet", 100, ["email", "sms", "in_app"]])
    wait_for(lambda: how_many("quiet", "sent") == 300, timeout=60)
    assert how_many("heavy", "sent", "failed") + how_many("inventive", "sent", "failed") < BAD / 4
    # Tried one by one, further apart each time: as many as fit into a minute of such waits at most.
    assert how_many("endless", "failed") < 10
    assert how_many("endless", "sent") == 0
    waiting = "SELECT notification_id FROM noti.notifications_log WHERE tenant_id = 'endless' AND status = 'retrying'"
    wait_for(lambda: connection.execute(waiting).fetchone(), timeout=60)
    [notification_id] = connection.execute(waiting).fetchone() or [None]
    told = connection.execute("SELECT * FROM noti.why(%s)", [notification_id]).fetchall()
    assert "template 't' did not end within 1 s" in str(told)
    assert "its rows are tried one by one, further apart each time, until it is corrected" in str(told)
    assert not daemon.said("trouble")
    connection.execute("UPDATE noti.notifications_log SET status = 'cancelled' WHERE finished_at IS NULL")
    daemon.stop()


INVENTED = 20_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_thousand_invented_tenants_do_not_hide_one_that_comes_now_and_then(
    daemons: Daemons, connection: psycopg.Connection[Any], database_url: str, wait_for: Callable[..., Any]
) -> None:
    """Counted in rows, not in seconds: few of the others go before a row of the quiet one."""
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, created_at)"
            " SELECT 'email', 'ada@example.com', 'x', CASE WHEN n > %s THEN 'noisy' ELSE 'invented ' || n END,"
            " clock_timestamp() - interval '30 seconds' FROM generate_series(1, %s) n",
            [INVENTED, INVENTED + 300_000],
        )
        owner.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
            " SELECT 'email', 'ada@example.com', 'x', 'invented later ' || n FROM generate_series(1, %s) n",
            [INVENTED],
        )
    daemons.configure(SANDBOX)
    daemon = daemons.start_ready()
    wait_for(lambda: connection.execute("SELECT 1 FROM noti.notification_attempts_log LIMIT 1").fetchone())
    done = "SELECT count(*) FROM noti.notifications_log WHERE finished_at IS NOT NULL"
    before = after = 0
    for number in range(10):
        [before] = connection.execute(done).fetchone() or [0]
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, entity_type, entity_id)"
            " VALUES ('email', 'ada@example.com', 'x', 'quiet', 'visit', %s)",
            [str(number)],
        )
        wait_for(
            lambda: connection.execute(
                "SELECT 1 FROM noti.notifications_log"
                " WHERE entity_type = 'visit' AND entity_id = %s AND finished_at IS NOT NULL",
                [str(number)],  # noqa: B023
            ).fetchone(),
            timeout=60,
        )
        [after] = connection.execute(done).fetchone() or [0]
        assert after - before < 2 * INVENTED / 4, "most of the others went before the quiet one"
    [left] = connection.execute(
        "SELECT count(*) FROM noti.notifications_log WHERE tenant_id LIKE 'invented%' AND finished_at IS NULL"
    ).fetchone() or [0]
    assert left > 0, "the test was over before it began"
    daemon.stop()
