"""A row for which a statement takes too long is that row's matter: it is set aside, and all others go on."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.system.refusing import (
    CLAIMS,
    MARKS,
    PROLONGS,
    RECORDS,
    insert,
    number_of,
    raises,
    ready,
    said_by,
    sent_once,
    sleeps,
    start,
)
from tests.system.scene import Scene

TOO_LONG = "the statement took longer than it may (57014 QueryCanceled, in public.sleeps())"


@pytest.mark.fault("F63")
def test_rows_that_a_statement_takes_too_long_for_are_set_aside_and_all_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.house.database_url = make_conninfo(scene.house.database_url, options="-c statement_timeout=3s")
    daemon = start(scene)
    with scene.connection.transaction():
        insert(scene, "before-#@example.com", 40)
        insert(scene, "sleeper@example.com")
        insert(scene, "after-#@example.com", 40)
        insert(scene, "unmarked@example.com", on_uncertain="hold")
        insert(scene, "chat-#", 40, channel="chat")
        scene.connection.execute("RESET ROLE")
        scene.connection.execute(sleeps("slow_claim", f"old.recipient = 'sleeper@example.com' AND {CLAIMS}"))
        scene.connection.execute(sleeps("slow_mark", f"old.recipient = 'unmarked@example.com' AND {MARKS}"))
    slow = {number_of(scene, "sleeper@example.com"): "claim", number_of(scene, "unmarked@example.com"): "mark"}
    good = "recipient !~ '^(sleeper|unmarked)@'"
    scene.wait_for(lambda: scene.count(f"{good} AND status <> 'sent'") == 0, 40, what="all others are sent")
    scene.wait_for(lambda: len(daemon.said("row_set_aside")) >= 2, 40, what="both are set aside")
    told = {line["notification_id"]: (line["what"], line["error"]) for line in daemon.said("row_set_aside")}
    assert told == {id_: (what, TOO_LONG) for id_, what in slow.items()}
    scene.wait_for(
        lambda: all(TOO_LONG in said_by(scene, f"why {id_}", monkeypatch) for id_ in slow), what="`why` says why"
    )
    assert ready(daemon)
    insert(scene, "later-#@example.com", 40)
    scene.wait_for(lambda: scene.count(f"{good} AND status <> 'sent'") == 0, what="what comes later is sent too")
    scene.connection.execute(
        "DROP TRIGGER slow_claim ON noti.notifications_log; DROP TRIGGER slow_mark ON noti.notifications_log"
    )
    scene.finished(60)
    sent_once(scene)
    assert daemon.stop() == 0


@pytest.mark.fault("F63")
def test_rows_whose_trigger_waits_for_a_lock_of_an_application_hold_up_no_others(
    scene: Scene, database_url: str
) -> None:
    daemon = start(scene)
    scene.connection.execute("INSERT INTO public.orders VALUES ('x')")
    slow = {"unclaimed@example.com": ("claim", CLAIMS), "unrecorded@example.com": ("record", RECORDS)}
    for recipient, (what, when) in slow.items():
        scene.connection.execute(raises(f"waiting_{what}", f"old.recipient = '{recipient}' AND {when}", "locks"))
    with psycopg.connect(database_url) as application:
        application.execute("UPDATE public.orders SET recipient = 'y'")
        insert(scene, "unclaimed@example.com")
        insert(scene, "unrecorded@example.com")
        insert(scene, "good-#@example.com", 60)
        scene.wait_for(lambda: scene.count("recipient ~ '^good' AND status <> 'sent'") == 0, 60, "all others are sent")
        numbers = {number_of(scene, recipient): what for recipient, (what, _) in slow.items()}
        scene.wait_for(
            lambda: {line["notification_id"]: line["what"] for line in daemon.said("row_set_aside")} == numbers,
            60,
            what="both are set aside",
        )
        assert all("took longer than it may" in line["error"] for line in daemon.said("row_set_aside"))
        assert all("in public.locks()" in line["error"] for line in daemon.said("row_set_aside"))
    scene.finished(60)
    sent_once(scene)
    assert daemon.stop() == 0


@pytest.mark.fault("F63")
def test_a_row_whose_lease_takes_too_long_to_prolong_costs_the_others_nothing(scene: Scene) -> None:
    workers = [start(scene, lease="24s"), scene.house.start_ready()]
    insert(scene, "gated-bad@example.com")
    insert(scene, "gated-good-#@example.com", 3)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 4, what="they are in flight")
    scene.connection.execute(sleeps("slow_lease", f"old.recipient = 'gated-bad@example.com' AND {PROLONGS}"))
    [until] = scene.ask("SELECT max(lease_until) FROM noti.notifications_log")
    prolonged = f"lease_until > '{until}' AND recipient <> 'gated-bad@example.com'"
    scene.wait_for(lambda: scene.count(prolonged) == 3, 30, what="the leases of the others are prolonged")
    scene.connection.execute("DROP TRIGGER slow_lease ON noti.notifications_log")
    scene.ledger.open_gate()
    scene.finished()
    sent_once(scene)
    told = [line["what"] for worker in workers for line in worker.said("row_set_aside")]
    assert set(told) == {"prolong leases"}
    assert not [line for worker in workers for event in ("fenced", "lease_lost") for line in worker.said(event)]
    assert [worker.stop() for worker in workers] == [0, 0]
