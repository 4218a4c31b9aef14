"""The parts of a full run, in order, and how long each may take."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench import backlog, commands, cost, drain, enqueue, fairness, idle, latency, outgoing, receiver, rescue
from tests.bench.figures import Book
from tests.bench.server import Bench


@dataclass(frozen=True)
class Part:
    """One part: what it measures, the seconds that it takes on two free cores, and those after which it is ended."""

    name: str
    what: str
    run: Callable[[Bench, Book], None]
    takes: int
    at_most: int


PARTS = (
    Part("drain", "rates against the limit and the peers, in rounds", drain.run, 330, 600),
    Part("backlog", "a million rows: claims, and a drain under an old snapshot", backlog.run, 330, 540),
    Part("latency", "pickup at fixed rates", latency.run, 190, 300),
    Part("mail", "e-mails to smtp-sink", outgoing.mail, 80, 180),
    Part("webhook", "webhooks to nginx", outgoing.webhook, 70, 180),
    Part("slow", "200 sends at a time to a server that answers late", outgoing.slow, 100, 240),
    Part("enqueue", "inserts", enqueue.run, 110, 200),
    Part("fairness", "quiet tenants beside a large backlog", fairness.run, 50, 120),
    Part("cost", "WAL, commits, HOT", cost.run, 20, 80),
    Part("rescue", "a killed worker", rescue.run, 40, 90),
    Part("receiver", "pickup while strangers flood what providers post to", receiver.run, 45, 120),
    Part("idle", "nothing to do", idle.run, 120, 150),
    Part("commands", "commands of the program", commands.run, 15, 60),
)
