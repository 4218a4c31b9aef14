"""One tenant's backlog, and many quiet tenants beside it: more of them than are looked at in one go."""

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
