"""Templates are filled in by one limited child process per worker: this is the parent's side."""

from dataclasses import dataclass, field

from noti_worker.domain.errors import NotiError


class RendererAway(NotiError):
    """The render process cannot be started for now; no row is to blame."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a message; None for a part that there is not."""

    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
