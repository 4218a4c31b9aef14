"""Tenants by real workers: a suspended one sends nothing, and none ever does what it may not."""

import threading

import psycopg
import pytest

from tests.system.scene import BRISK, Scene

INSERT = (
    "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id)"
    " SELECT 'email', tenant || n || '@example.com', 'x', tenant"
    " FROM generate_series(1, %s) n, unnest(%s::text[]) tenant"
)


def test_a_suspended_tenant_sends_nothing_until_it_is_resumed(scene: Scene) -> None:
    daemon = scene.start()
    scene.connection.execute("INSERT INTO noti.tenants (tenant_id, status) VALUES ('acme', 'suspended')")
    scene.wait_for(lambda: daemon.said("paused"), timeout=30)
    scene.connection.execute(INSERT, [50, ["acme", "other"]])
    scene.wait_for(lambda: scene.count("tenant_id = 'other' AND status = 'sent'") == 50, timeout=60)
    threading.Event().wait(2.0)
    untouched = "tenant_id = 'acme' AND status = 'pending' AND claim_count = 0"
    assert scene.count(untouched) == 50
    [told] = scene.ask(f"SELECT DISTINCT noti.next_step(n) FROM noti.notifications_log n WHERE {untouched} LIMIT 1")
    assert "the tenant acme is suspended by " in told
    scene.connection.execute("UPDATE noti.tenants SET status = 'active'")
    scene.finished(60)
    assert scene.count("status = 'sent' AND attempt_count = 1") == 100
    assert scene.sound()
    assert daemon.stop() == 0


def test_what_a_tenant_may_not_do_is_not_done_whatever_was_inserted_before(scene: Scene) -> None:
    """Rows that were there before the bounds, and an account that only workers know, are held, and go when released."""
    scene.house.configure(
        scene.ledger.account()
        + '[accounts.free]\nprovider = "sandbox"\n[accounts.dear]\nprovider = "sandbox"\n'
        + '[routes]\nemail = ["book"]\nsms = ["dear", "free"]\npush = ["dear"]\n'
        + BRISK
    )
    scene.connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, priority, provider) VALUES"
        " ('email', 'a@example.com', 'x', 'acme', 'urgent', NULL),"
        " ('email', 'b@example.com', 'x', 'acme', 'low', NULL),"
        " ('sms', '+4930123456', 'x', 'acme', 'low', NULL), ('sms', '+4930123456', 'x', 'acme', 'low', 'dear'),"
        " ('push', 'token', 'x', 'acme', 'low', NULL), ('sms', '+4930123456', 'x', 'other', 'urgent', 'dear')"
    )
    scene.connection.execute(
        "INSERT INTO noti.tenants (tenant_id, highest_priority, providers) VALUES ('acme', 'high', '{free,book}')"
    )
    daemon = scene.house.start_ready()
    held = "tenant_id = 'acme' AND status = 'held'"
    scene.wait_for(lambda: scene.count("status = 'sent'") == 3 and scene.count(held) == 3, timeout=60)
    told = scene.ask(f"SELECT error_message FROM noti.notifications_log WHERE {held} ORDER BY notification_id")
    assert told == [
        f"the tenant acme may not {what}: allow it (noti-worker tenant set), then release it"
        for what in (
            "use the priority urgent",
            "use any account of the channel sms",
            "use any account of the channel push",
        )
    ]
    tried = (
        "SELECT DISTINCT account FROM noti.notification_attempts_log t"
        " JOIN noti.notifications_log n USING (notification_id) WHERE n.tenant_id = 'acme'"
    )
    assert sorted(scene.ask(tried)) == ["book", "free"]
    with pytest.raises(psycopg.errors.CheckViolation, match=r"may not use the provider dear\. Use free, book, or ask"):
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body, tenant_id, provider)"
            " VALUES ('sms', '+4930123456', 'x', 'acme', 'dear')"
        )
    scene.connection.execute("UPDATE noti.tenants SET highest_priority = NULL, providers = NULL")
    threading.Event().wait(1.5)  # workers know it within a second
    scene.connection.execute("SELECT noti.release(notification_id) FROM noti.notifications_log WHERE status = 'held'")
    scene.finished(60)
    assert scene.count("status = 'sent'") == 6
    assert daemon.stop() == 0


def test_more_than_may_wait_is_refused_within_a_second_and_taken_again_once_some_is_sent(scene: Scene) -> None:
    daemon = scene.start()
    scene.connection.execute(
        "INSERT INTO noti.tenants (tenant_id, status, waiting_rows) VALUES ('acme', 'suspended', 20)"
    )
    threading.Event().wait(1.5)
    inserted, refused = 0, None
    for _ in range(200):
        try:
            scene.connection.execute(INSERT, [5, ["acme"]])
        except psycopg.errors.CheckViolation as error:
            refused = error
            break
        inserted += 5
        threading.Event().wait(0.1)
    assert "has 20 messages waiting, as many as it may. Try again when some are sent, or ask for more." in str(refused)
    assert 20 <= inserted < 1000
    scene.connection.execute(INSERT, [5, ["other"]])
    scene.connection.execute("UPDATE noti.tenants SET status = 'active'")
    scene.finished(60)
    scene.wait_for(lambda: scene.ask("SELECT 1 FROM noti.tenants WHERE refuses IS NULL"), timeout=60)
    scene.connection.execute(INSERT, [5, ["acme"]])
    scene.finished(60)
    assert scene.count("status = 'sent'") == inserted + 10
    assert daemon.stop() == 0
