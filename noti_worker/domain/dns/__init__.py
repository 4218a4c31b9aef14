"""What the DNS says of a domain that mails come from: may we send for it, and will receivers believe us? Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from noti_worker.domain.finding import Finding, problem, warning


@dataclass(frozen=True, slots=True)
class Told:
    """What a name server told: the records, as text; of a name that does not exist there are none."""

    records: Sequence[str] = ()
    exists: bool = True


class NotTold(Exception):
    """No answer that counts; `theirs` when the name servers of the domain failed, and not the way to them."""

    def __init__(self, words: str, *, theirs: bool) -> None:
        super().__init__(words)
        self.theirs = theirs


class Ask(Protocol):
    """Looks records up."""

    def __call__(self, name: str, kind: str) -> Told:
        """The records of a kind (TXT, MX, A, AAAA) that a name has. Raises NotTold."""
        ...


def not_told(area: str, error: NotTold) -> Finding:
    """Say that nothing is known, and whose fault that is."""
    if error.theirs:
        todo = "receivers hear the same: mend its name servers or its DNSSEC; a test from elsewhere shows the place"
        return problem(area, str(error), todo)
    return warning(area, str(error), "check the network and the resolver, or name another one: --resolver ADDRESS")


def tags_of(record: str) -> Iterator[tuple[str, str]]:
    """The `name=value` parts of a DKIM or DMARC record, in order; raises ValueError with the part that is none."""
    for part in record.split(";"):
        if not part.strip():
            continue
        name, sign, value = part.partition("=")
        if not sign or not name.strip().isidentifier():
            raise ValueError(part.strip()[:80])
        yield name.strip().lower(), value.strip()
