"""Two hosts and a cable between them: silence, loss, and names that are never resolved."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.fault_proxy import socket_of, through
from tests.network import THERE, Network
from tests.system.daemon import Daemon
from tests.system.scene import BRISK, Scene
from tests.verdict import Verdict


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


def start(scene: Scene, network: Network, more: str = BRISK) -> Daemon:
    """A daemon on the one host, its database on the other."""
    port = network.run(
        network.there,
        "tests.fault_proxy",
        THERE,
        "0",
        socket_of(scene.house.database_url),
    )
    url = through(scene.house.database_url, int(port), THERE)
    return scene.start(more, *network.here, NOTI_DATABASE_URL=url)


@pytest.mark.fault("F17")
def test_a_short_silence_of_the_network_costs_nothing(scene: Scene, network: Network, verdict: Verdict) -> None:
    daemon = start(scene, network, '[worker]\npoll_interval = "100ms"\n')
    scene.insert("slow#@example.com", 20)
    scene.wait_for(lambda: len(scene.ledger.begun()) >= 5)
    network.drop()
    threading.Event().wait(3)
    network.heal()
    scene.finished()
    assert scene.tries() == ["sent"] * 20
    assert scene.repeats() == 0
    assert daemon.said("fenced") == []
    assert daemon.stop() == 0
    verdict.say("silent for 3 s: nothing repeated, nobody fenced", repeats=0)


@pytest.mark.fault("F17")
@pytest.mark.slow
def test_a_long_silence_fences_the_worker_and_another_takes_its_rows(
    scene: Scene, network: Network, verdict: Verdict
) -> None:
    lone = start(scene, network)
    scene.insert("gated@example.com")
    scene.wait_for(scene.ledger.begun)
    network.drop()
    began = time.monotonic()
    other = scene.house.start_ready()
    scene.finished(40)
    taken = time.monotonic() - began
    scene.wait_for(lambda: lone.said("database_lost"), 25)
    lost = time.monotonic() - began
    assert lost < 2 + 10 + 1 + 1  # the next heartbeat, tcp_user_timeout, and what the kernel takes to notice
    before = scene.ask("SELECT * FROM noti.notifications_log")
    network.heal()
    scene.ledger.open_gate()
    scene.wait_for(lambda: scene.tries() == ["lost", "sent", "stale"], 40)
    assert scene.ask("SELECT * FROM noti.notifications_log") == before
    assert len(set(scene.ledger.message_ids("gated@example.com"))) == 1
    assert [lone.stop(), other.stop()] == [0, 0]
    verdict.say(
        f"noticed after {lost:.1f} s; another worker sent its row after {taken:.1f} s; its late result is stale",
        repeats=scene.repeats(),
    )


@pytest.mark.fault("F19")
@pytest.mark.slow
def test_a_bad_network_is_slower_and_correct(scene: Scene, network: Network, verdict: Verdict) -> None:
    network.drop(20)
    network.throttle("200kbit")
    daemon = start(scene, network, '[worker]\nlease = "10s"\n')
    scene.insert("user#@example.com", 200)
    began = time.monotonic()
    scene.finished(100)
    seconds = time.monotonic() - began
    assert scene.count("status = 'sent'") == 200
    assert scene.sound()
    repeats = scene.repeats()
    assert repeats <= scene.tries().count("stale") + scene.tries().count("lost")
    network.heal()
    assert daemon.stop() == 0
    verdict.say(f"a fifth of the packets lost, 200 kbit/s: 200 rows in {seconds:.0f} s", repeats=repeats)


HOOKS = '[accounts.hooks]\nprovider = "webhook"\nunsigned = true\nallow_http = true\nallow_networks = ["127.0.0.0/8"]\n'


@pytest.mark.fault("F29")
def test_a_name_that_is_never_resolved_holds_up_its_own_row_only(
    scene: Scene, network: Network, verdict: Verdict
) -> None:
    network.resolve_by("127.0.0.1")
    network.run(network.here, "tests.dns_server", "127.0.0.1")
    book = str(scene.ledger.directory / "accepted.jsonl")
    port = network.run(network.here, "tests.system.ledger_server", book, "0")
    scene.house.configure(
        HOOKS + '[channels.webhook]\nsend_timeout = "2s"\nretry = { max_retries = 0 }\nconcurrency = 5\n'
    )
    daemon = scene.house.start_ready(*network.here)
    for name, rows in (("silent", 3), ("nx", 3), ("ill", 1), ("well", 100)):
        scene.connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body)"
            " SELECT 'webhook', format('http://%%s-%%s.example:%%s/x', %s::text, n, %s::text), '{}'"
            " FROM generate_series(1, %s) n",
            [name, port, rows],
        )
    began = time.monotonic()
    scene.wait_for(lambda: scene.count("status = 'sent'") == 100, 20)
    others = time.monotonic() - began
    scene.finished(30)
    longest = scene.ask("SELECT max(duration_ms) FROM noti.notification_attempts_log")[0] / 1000
    assert longest < 2 + 0.5
    ends = dict(
        scene.ask("SELECT substring(recipient from '//([a-z]+)'), min(status) FROM noti.notifications_log GROUP BY 1")
    )
    assert ends == {"silent": "failed", "nx": "failed", "ill": "failed", "well": "sent"}
    assert others < 3
    assert daemon.stop() == 0
    verdict.say(f"100 others in {others:.1f} s; the send to a name that is never resolved ended after {longest:.2f} s")


@pytest.mark.fault("F29")
def test_a_database_whose_name_is_never_resolved_holds_up_nobody(
    scene: Scene, network: Network, verdict: Verdict
) -> None:
    network.resolve_by("127.0.0.1")
    network.run(network.here, "tests.dns_server", "127.0.0.1")
    scene.configure(BRISK)
    daemon = scene.house.start(*network.here, NOTI_DATABASE_URL="postgresql://x@silent.example/app")
    began = time.monotonic()
    scene.wait_for(lambda: daemon.said("database_lost"), 60)
    [said] = daemon.said("database_lost")
    lost = time.monotonic() - began
    began = time.monotonic()
    assert daemon.stop() == 0
    seconds = time.monotonic() - began
    verdict.say(f"said after {lost:.1f} s (the start included), stopped in {seconds:.1f} s")
    assert "silent.example" in said["error"]
    # The limit is 5 s; whoever waits for the resolver waits for more than 30.
    assert lost < 25
    assert seconds < 25
