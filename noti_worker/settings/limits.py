"""How many an account may send, as its table in the configuration says."""

from dataclasses import dataclass, field
from datetime import timedelta

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.limits import ACCOUNT, DAY, EXAMPLES, MOST, RATE, Limit, burst_of, rate
from noti_worker.domain.setting import about


@dataclass(frozen=True, slots=True)
class WarmupSettings:
    """How many an account that nobody knows yet sends a day (UTC), from the first day on that it is asked to send."""

    start: int = field(metadata=about("so many messages on the first day", at_least=1, at_most=MOST))
    double_every: timedelta = field(
        metadata=about(
            "twice as many after so long, evenly",
            at_least=timedelta(hours=1),
            at_most=timedelta(days=366),
            unit="d",
        )
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """The limits of one account."""

    rate: str | None = field(
        default=None,
        metadata=about('so many messages in a time: "14/s", "100/m", "1/6s"', shown="no limit", check=rate),
    )
    burst: int | None = field(
        default=None,
        metadata=about(
            "so many of them at once, after a time with fewer", at_least=1, at_most=MOST, shown="what 100ms bring"
        ),
    )
    warmup: WarmupSettings | None = field(
        default=None,
        metadata=about('a number of messages a day that grows: `{ start = 50, double_every = "2d" }`; none: no limit'),
    )

    def __post_init__(self) -> None:
        if self.burst is not None and self.rate is None:
            raise ConfigurationError(f"burst is set, and there is no rate: {EXAMPLES}")

    def of(self, account: str) -> tuple[Limit, ...]:
        """What they limit the account of this name to."""
        limits = []
        if self.rate is not None:
            amount, every = rate(self.rate)
            burst = self.burst or burst_of(amount, every.total_seconds())
            limits.append(Limit(ACCOUNT, "", account, RATE, amount, every.total_seconds(), burst))
        if self.warmup is not None:
            days = self.warmup.double_every / timedelta(days=1)
            limits.append(Limit(ACCOUNT, "", account, DAY, self.warmup.start, doubling=days))
        return tuple(limits)
