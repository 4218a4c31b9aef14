"""Webhooks whose names are looked up by a resolver that changes its mind: 127.0.0.1 stands for the open world."""

import socket
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Sender
from noti_worker.providers import webhook
from noti_worker.transport import Kit
from noti_worker.transport.lookup import Addresses, Resolver

CHANNELS = frozenset({Channel.WEBHOOK})
OPTIONS = webhook.OPTIONS
RULES = webhook.RULES
OPEN, PRIVATE = "127.0.0.1", "127.0.0.2"
FACES: dict[str, Sequence[Sequence[str]]] = {
    "private-then-open": [[PRIVATE], [OPEN]],
    "open-then-private": [[OPEN], [PRIVATE]],
    "private": [[PRIVATE]],
    "many-private": [[PRIVATE, "10.0.0.1", "::1", "169.254.169.254"]],
    "mixed": [[PRIVATE, OPEN]],
    "mixed-mapped": [[f"::ffff:{PRIVATE}", OPEN]],
    "empty": [[]],
}


@dataclass(frozen=True, slots=True)
class Settings:
    """There is nothing to set."""


def build(settings: Settings, kit: Kit) -> Sender:
    own = Kit(kit.now, Resolver(_Names().lookup), kit.concurrency)
    return webhook.build(webhook.Settings(unsigned=True, allow_http=True, allow_networks=(f"{OPEN}/32",)), own)


class _Names:
    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def lookup(self, host: str, port: int) -> Addresses:
        name = host.removesuffix(".").removesuffix(".test")
        if name == "slow":
            threading.Event().wait(60)
        if name not in FACES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        faces = FACES[name]
        face = faces[min(self._asked[name], len(faces) - 1)]
        self._asked[name] += 1
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in face]
