"""Workers that do not do as one might think: that do not send to the recipients, or keep an old configuration."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noti_worker.store.people.gauges import WorkerLine

_MEANS = {"dry": "sends nothing", "redirect": "sends to other addresses"}


def warnings(workers: "Iterable[WorkerLine]") -> list[str]:
    """A line for each living worker and mode that is not live; what a worker says of itself is not believed."""
    lines = []
    for worker in workers:
        modes = worker.modes or worker.state.get("modes")  # there by a worker of the version before
        if not worker.alive or not isinstance(modes, dict):
            continue
        for mode, means in _MEANS.items():
            accounts = sorted(str(name) for name, of_account in modes.items() if of_account == mode)
            if accounts:
                lines.append(f"SAFE MODE: worker {worker.worker_id} {means} through {', '.join(accounts)} ({mode})")
    return lines


def refused_reloads(workers: "Iterable[WorkerLine]") -> list[str]:
    """A line for each living worker that was given a configuration which it could not take."""
    lines = []
    for worker in workers:
        refused = worker.state.get("reload_refused")
        if worker.alive and isinstance(refused, dict):
            lines.append(
                f"RELOAD REFUSED: worker {worker.worker_id} keeps its old configuration since {refused.get('at')}:"
                f" {refused.get('error')}"
            )
    return lines
