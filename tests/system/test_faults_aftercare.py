"""Faults of what comes after a message: a worker dies over a receipt, or with what it may send in hand."""

import signal
import threading
from collections import Counter

import pytest

from tests.system.scene import BRISK, Scene
from tests.system.test_receipts import MAIL, SECRETS, WEB, deliver, signed
from tests.verdict import Verdict


@pytest.mark.fault("F76")
@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_over_a_receipt_leaves_it_to_the_next_one_and_it_counts_once(
    scene: Scene, verdict: Verdict
) -> None:
    scene.house.environ |= SECRETS
    scene.house.configure(f'{WEB}{MAIL}{scene.ledger.account()}[routes]\nemail = ["book"]\n')
    victim = scene.house.start_ready()
    _, address = scene.house.start_web()
    scene.insert("ada#@example.com", 20)
    scene.finished(60)
    rows = scene.ask("SELECT notification_id, message_id::text FROM noti.notifications_log")
    scene.stall("true", on="INSERT ON noti.receipts")
    for id_, key in rows:
        bounce = {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}
        posted = signed({**bounce, "sg_event_id": key, "notification_id": str(id_), "message_id": key})
        assert deliver(address, "mail", posted) == 200
    scene.kill_stalled(victim)
    assert scene.ask("SELECT count(*) FROM noti.receipts") == [0]
    scene.house.start_ready()
    scene.wait_for(lambda: not scene.ask("SELECT FROM noti.receipts_raw WHERE read_at IS NULL"), timeout=60)
    told = Counter(scene.ask("SELECT notification_id FROM noti.receipts"))
    assert told == dict.fromkeys((id_ for id_, _ in rows), 1)
    assert scene.count("receipt = 'bounced'") == len(rows)
    assert scene.ask("SELECT count(*), sum(hits)::int FROM noti.suppressions") == [(len(rows), len(rows))]
    assert scene.sound()
    verdict.say(f"{len(rows)} receipts, each read once, one of them begun by the worker that died")


@pytest.mark.fault("F77")
@pytest.mark.timeout(300)
def test_what_a_killed_worker_had_in_hand_of_a_quota_is_lost_and_never_granted_again(
    scene: Scene, verdict: Verdict
) -> None:
    amount, rows = 60, 100
    set_to = "UPDATE noti.limits SET amount = %s"
    scene.connection.execute(
        "INSERT INTO noti.limits (scope, tenant_id, name, period, amount)"
        " VALUES ('tenant channel', 'default', 'email', 'day', %s)",
        [amount],
    )
    scene.configure(BRISK + "[channels.email]\nconcurrency = 10\n")
    victim = scene.house.start_ready()
    scene.insert("gated#@example.com", rows)
    scene.wait_for(lambda: len(scene.ledger.begun()) == 10, timeout=60, what="ten sends hang")
    victim.signal(signal.SIGKILL)
    victim.wait()
    [in_hand] = scene.ask("SELECT taken FROM noti.usage")
    scene.ledger.open_gate()
    other = scene.house.start_ready()
    scene.wait_for(lambda: scene.ask("SELECT 1 FROM noti.spent"), timeout=60, what="the quota is spent")
    threading.Event().wait(2.0)
    begun, sent = len(scene.ledger.begun()), scene.count("status = 'sent'")
    assert in_hand >= 10
    assert begun <= amount
    assert amount - in_hand <= sent <= amount - 10
    assert scene.ask("SELECT taken FROM noti.usage") == [amount]
    scene.connection.execute(set_to, [10 * amount])
    scene.finished(60)
    assert scene.count("status = 'sent'") == rows
    assert other.stop() == 0
    assert scene.sound()
    verdict.say(
        f"of a quota of {amount} the killed worker had taken {in_hand}: {sent} sent, {begun} begun, the rest waited",
        repeats=scene.repeats(),
    )
