"""How many an account may send, as its table in the configuration says."""

from dataclasses import dataclass, field

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.limits import ACCOUNT, EXAMPLES, MOST, RATE, Limit, burst_of, rate
from noti_worker.domain.setting import about


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

    def __post_init__(self) -> None:
        if self.burst is not None and self.rate is None:
            raise ConfigurationError(f"burst is set, and there is no rate: {EXAMPLES}")

    def of(self, account: str) -> tuple[Limit, ...]:
        """What they limit the account of this name to."""
        if self.rate is None:
            return ()
        amount, every = rate(self.rate)
        burst = self.burst or burst_of(amount, every.total_seconds())
        return (Limit(ACCOUNT, "", account, RATE, amount, every.total_seconds(), burst),)
