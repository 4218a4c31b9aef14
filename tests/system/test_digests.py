"""Digests from end to end: what gathered for two people arrives as two mails, though a worker is killed over it."""

import signal
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

import psycopg

from tests.providers.smtp_server import Inbox
from tests.system.daemon import Daemons
from tests.system.test_delivery import Finished

PEOPLE = ("ann@example.com", "bea@example.com")


def test_what_gathers_for_two_people_arrives_as_two_mails_though_the_worker_is_killed_over_it(
    daemons: Daemons,
    inbox: Inbox,
    relay: str,
    connection: psycopg.Connection[Any],
    finished: Finished,
    invariants: Callable[[], list[Any]],
    wait_for: Callable[..., Any],
) -> None:
    connection.execute(
        "INSERT INTO noti.templates (template_id, subject, body) VALUES ('comments-digest', '{{ count }} comments',"
        " '{% for item in items %}{{ item.data.who }} on {{ item.entity_id }}\n{% endfor %}')"
    )
    for n in range(20):
        connection.execute(
            "SELECT noti.send('email', %s, template_id => 'comments',"
            " template_data => jsonb_build_object('who', %s::text),"
            " entity_type => 'post', entity_id => %s, digest_key => 'comments',"
            """ options => '{"digest": {"after": "1s"}}')""",
            [PEOPLE[n % 2], f"reader {n}", str(n)],
        )
    # The worker is stopped in the middle of a close, at the insert of its message.
    connection.execute(
        "CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$"
    )
    connection.execute(
        "CREATE TRIGGER wait BEFORE INSERT ON noti.notifications_log FOR EACH ROW"
        " WHEN (NEW.template_id = 'comments-digest') EXECUTE FUNCTION public.wait()"
    )
    connection.execute("SELECT pg_advisory_lock(7)")
    daemons.configure(relay)
    daemon = daemons.start_ready()
    waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
    wait_for(lambda: connection.execute(waiting).fetchall(), timeout=60.0, what="a close is under way")
    [(session,)] = connection.execute(waiting).fetchall()
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    connection.execute("SELECT pg_terminate_backend(%s, 60000)", [session])
    statuses = "SELECT status, count(*) FROM noti.notifications_log GROUP BY 1 ORDER BY 1"
    assert connection.execute(statuses).fetchall() == [("gathering", 20)], "nothing was half done"

    connection.execute("SELECT pg_advisory_unlock(7)")
    daemons.start_ready()
    done = "SELECT count(*) FROM noti.notifications_log WHERE status = 'gathering'"
    wait_for(lambda: connection.execute(done).fetchone() == (0,), timeout=60.0, what="the digests are closed")
    finished(60.0)
    assert connection.execute(statuses).fetchall() == [("sent", 2), ("suppressed", 20)]
    assert sorted(mail.recipients for mail in inbox.mails) == [(person,) for person in PEOPLE]
    for mail in inbox.mails:
        parsed = message_from_bytes(mail.content)
        text = parsed.get_payload(decode=True)
        assert isinstance(text, bytes)
        numbers = range(PEOPLE.index(mail.recipients[0]), 20, 2)
        assert parsed["Subject"] == "10 comments"
        assert text.decode().splitlines()[:10] == [f"reader {n} on {n}" for n in numbers]

    told = connection.execute(
        "SELECT n.recipient, n.notification_id, w.detail FROM noti.notifications_log n, noti.why(n.notification_id) w"
        " WHERE w.event IN ('gathered', 'suppressed') ORDER BY n.notification_id"
    ).fetchall()
    for person in PEOPLE:
        *items, (_, digest, made) = [line for line in told if line[0] == person]
        assert {detail for _, _, detail in items} == {f"gathered: it goes out within notification {digest}"}
        assert made == f"made of 10 notifications: {', '.join(str(number) for _, number, _ in items)}"
    assert invariants() == []
