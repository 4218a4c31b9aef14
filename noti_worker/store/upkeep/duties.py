"""The lease rows of `noti.duties`: what only one worker does at a time."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from noti_worker.store.connect import Session
from noti_worker.store.statements import statement
from noti_worker.store.storable import compact

DUTY_LEASE = timedelta(minutes=5)
"""How long a duty stays with a worker that took it and was never heard of again."""

_TAKE = statement("take_duty")
_FINISH = statement("finish_duty")
_STATE = statement("duty_state")


class Duties:
    """The duties as one worker sees them, on the session of its chores: nothing urgent ever waits for them."""

    def __init__(self, session: Session, worker_id: int) -> None:
        """Take and finish them as `worker_id`."""
        self._session = session
        self._worker_id = worker_id

    def take(self, duty: str, every: timedelta) -> bool:
        """Take `duty` if it is due, `every` so often, and nobody has it in hand.

        It is due once nine tenths of the period have passed since it was last taken and finished. A duty
        that is not finished within DUTY_LEASE, or whose worker is dead, can be taken by another.
        """
        parameters = {"worker_id": self._worker_id, "duty": duty, "every": every, "lease": DUTY_LEASE}
        return bool(self._session.run(_TAKE, parameters))

    def finish(self, duty: str, state: Mapping[str, object]) -> None:
        """Give `duty` back, with `state` for everybody; nothing happens when it is no longer ours."""
        said = json.dumps(compact(state))
        self._session.run(_FINISH, {"worker_id": self._worker_id, "duty": duty, "lease": DUTY_LEASE, "state": said})

    def state(self, duty: str) -> Mapping[str, Any] | None:
        """What the last run of `duty` left for everybody; None before the first."""
        rows = self._session.run(_STATE, {"duty": duty})
        return rows[0]["state"] if rows else None
