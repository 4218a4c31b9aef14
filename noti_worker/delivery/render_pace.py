"""What templates cost lately: the slow ones have a line of their own, and those that were killed rest."""

import threading
from collections import Counter
from dataclasses import dataclass
from time import monotonic

from noti_worker.delivery.render_process import Request
from noti_worker.domain.errors import NotiError

SLOW = 0.1
"""Seconds of CPU time; most templates take a thousandth of one."""

_MOST_KNOWN = 1000  # slow templates remembered
_FADES = 0.95  # by each rendering after a slow one: some dozen quick ones, and it is quick again
_MANY = 5  # slow templates of one tenant: none of its others is taken for quick any more
_FIRST_REST = 1.0
_LONGEST_REST = 600.0


class Slow(NotiError):
    """The template is known to take long: it waits among its like."""


class TemplateRests(NotiError):
    """The template was killed: a row of it is tried again after `wait` seconds. No row is to blame."""

    def __init__(self, why: str, wait: float) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(slots=True)
class _Cost:
    """Of one template: whose it is, fading seconds, kills in a row, and until when none of its rows is tried."""

    tenant_id: str
    seconds: float
    kills: int = 0
    until: float = 0.0
    why: str = ""


class Pace:
    """Remembers slow templates, each version by itself, in memory only. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, _Cost] = {}
        self._slow: Counter[str] = Counter()  # how many are known of each tenant

    def is_slow(self, request: Request) -> bool:
        """Tell whether the template took long lately, or many others of its tenant did."""
        return _key(request) in self._known or self._slow[request.tenant_id] >= _MANY

    def took(self, request: Request, seconds: float) -> None:
        """Note the CPU time of a rendering that came to its end; the template need not rest any more."""
        key = _key(request)
        if seconds < SLOW and key not in self._known:  # nearly always
            return
        with self._lock:
            cost = self._taken(key)
            seconds = max(seconds, cost.seconds * _FADES if cost is not None else 0.0)
            if seconds >= SLOW:
                self._note(key, _Cost(request.tenant_id, seconds))

    def killed(self, request: Request, why: str, seconds: float) -> None:
        """Note that the child had to be ended, after `seconds`: the next row waits, twice as long each time."""
        key = _key(request)
        with self._lock:
            cost = self._taken(key) or _Cost(request.tenant_id, seconds)
            cost.kills += 1
            cost.why = why
            cost.until = monotonic() + _rest(cost.kills)
            self._note(key, cost)

    def rests(self, request: Request) -> TemplateRests | None:
        """Why no row of the template may be rendered now; None lets this one go, and none beside it."""
        with self._lock:
            cost = self._known.get(_key(request))
            if cost is None or not cost.kills:
                return None
            now = monotonic()
            if now >= cost.until:
                cost.until = now + _rest(cost.kills + 1)
                return None
            times = "" if cost.kills == 1 else f", {cost.kills} times in a row"
            return TemplateRests(
                f"template {request.template.template_id!r} {cost.why}{times}: its rows are tried one by one,"
                " further apart each time, until it is corrected",
                cost.until - now,
            )

    def _note(self, key: int, cost: _Cost) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._taken(next(iter(self._known)))
        self._known[key] = cost
        self._slow[cost.tenant_id] += 1

    def _taken(self, key: int) -> _Cost | None:
        cost = self._known.pop(key, None)
        if cost is not None:
            self._slow[cost.tenant_id] -= 1
            if not self._slow[cost.tenant_id]:
                del self._slow[cost.tenant_id]
        return cost


def _key(request: Request) -> int:
    return hash((request.tenant_id, request.template))


def _rest(kills: int) -> float:
    return min(_FIRST_REST * 2.0 ** min(kills - 1, 32), _LONGEST_REST)
