"""What a provider's module says of itself beside what it does, for whoever chooses one. Tests hold it to its word."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Carries:
    """Where `message_id` stands in what goes out, the same on every try, and what becomes of a repeat.

    `place` is `header NAME`, `query NAME`, `form NAME`, `json PATH`, `mail NAME` (a header of the mail), or words.
    """

    place: str
    repeat: str

    def __str__(self) -> str:
        """As `provider list` and the documentation have it."""
        return f"{self.place}: a repeat {self.repeat}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much the service takes of something: of more nothing is sent, and the words name the number."""

    of: str
    most: int
    unit: str

    def __str__(self) -> str:
        """As `provider list` and the documentation have it."""
        return f"{self.of} {self.most:,} {self.unit}"


@dataclass(frozen=True, slots=True)
class Traits:
    """All of it.

    `extra` installs what the provider needs besides (`pip install 'noti-worker[EXTRA]'`). Without `idempotency` the
    service gets no id of ours. `check` is what it proves when the service knows the account; empty: it has no call for
    that which sends nothing.
    """

    extra: str = ""
    idempotency: Carries | None = None
    limits: tuple[Limit, ...] = ()
    check: str = ""
