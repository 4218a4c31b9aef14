"""Rows that were lost twice may kill their worker: each is sent alone, so that it has no company to harm."""

from collections.abc import Mapping
from dataclasses import dataclass

from noti_worker.domain.notification import Channel
from noti_worker.worker.claimer import Claimer
from noti_worker.worker.context import Context
from noti_worker.worker.inflight import Claim, InFlight
from noti_worker.worker.pools import Pool
from noti_worker.worker.returns import Returns
from noti_worker.worker.scanner import LaneScanner

ALONE_PAUSE = 0.05

ALONE_WITHIN = 30.0
"""A suspect is given back when the rows before it did not end within these seconds."""


@dataclass(slots=True)
class Suspect:
    """A row that was lost twice, taken at `taken`: sent once nothing else is in flight, or given back."""

    claim: Claim
    taken: float
    submitted: bool = False


class Suspects:
    """Finds one now and then, and has it sent while nothing else is claimed; used by the loop's thread."""

    def __init__(
        self,
        context: Context,
        in_flight: InFlight,
        pools: Mapping[Channel, Pool],
        scanner: LaneScanner,
        claimer: Claimer,
        returns: Returns,
    ) -> None:
        """Search with the first round from the start."""
        self._clock = context.clock
        self._in_flight = in_flight
        self._pools = pools
        self._scanner = scanner
        self._claimer = claimer
        self._returns = returns
        self._suspect: Suspect | None = None
        self._search_from = 0.0

    @property
    def present(self) -> bool:
        """Whether one was taken and has not ended."""
        return self._suspect is not None

    def search(self) -> None:
        """Take one, if it is time."""
        now = self._clock.monotonic()
        if not self._scanner.heads or now < self._search_from or not self._scanner.searches():
            return
        for channel in self._pools:
            ask = self._scanner.search(channel)
            if ask is None:
                continue
            claims, _ = self._claimer.take(ask)
            if claims:
                self.adopt(claims[0])
                break
            self._scanner.found_none(ask)
        self._scanner.spent(self._clock.monotonic() - now)

    def adopt(self, claim: Claim) -> None:
        """Take on one that was claimed while none is present."""
        self._suspect = Suspect(claim, self._clock.monotonic())

    def run_alone(self) -> float:
        """Wait until nothing else is in flight, then send the one that is present; gives the pause."""
        suspect, now = self._suspect, self._clock.monotonic()
        if suspect is None:
            return 0.0
        waited = now - suspect.taken
        if suspect.claim.reported:
            self._suspect = None
            # After a storm there are many: the next one has its turn when the others had as long as this one.
            self._search_from = now + waited
            self._scanner.sweep()
            return 0.0
        if not suspect.submitted and len(self._in_flight) <= 1:
            suspect.submitted = True
            ready = self._claimer.brief([suspect.claim])
            self._pools[suspect.claim.notification.channel].submit(ready)
            if not ready:
                self._suspect = None
        elif not suspect.submitted and waited >= ALONE_WITHIN:
            self.abandon()
            self._search_from = now + 20 * waited  # in vain: it must not keep the others from being claimed
            return 0.0
        return ALONE_PAUSE

    def abandon(self) -> None:
        """Give back the one that is present, unless it is being sent."""
        if self._suspect is not None and not self._suspect.submitted:
            self._returns.give_back([self._suspect.claim])
        self._suspect = None
