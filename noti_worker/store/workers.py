"""The register of living workers and the duties that only one of them does at a time."""

import json
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from noti_worker.domain.ports import Beat
from noti_worker.store.connect import Database
from noti_worker.store.record import compact
from noti_worker.store.statements import statement

DUTY_LEASE = timedelta(minutes=5)
"""How long a duty stays with a worker that took it and was never heard of again."""

_REGISTER = statement("register")
_BEAT = statement("beat")
_REENTER = statement("reenter")
_LEAVE = statement("leave")
_TAKE_DUTY = statement("take_duty")
_FINISH_DUTY = statement("finish_duty")
_DUTY_STATE = statement("duty_state")
_FORGET = statement("forget_workers")


class PostgresWorkers:
    """Port Workers on `noti.workers`, and the lease rows of `noti.duties`."""

    def __init__(self, database: Database) -> None:
        self._session = database.session("workers")
        self._myself: dict[str, object] = {}

    def register(self, version: str) -> int:
        """Enter the register with a new worker_id, with this host and process."""
        self._myself = {"host": socket.gethostname(), "pid": os.getpid(), "version": version}
        rows = self._session.run(_REGISTER, self._myself)
        return int(rows[0]["worker_id"])

    def beat(self, worker_id: int, state: Mapping[str, object]) -> Beat:
        """Say that we live, with `state` for the operator; learn who has not said so for 15 seconds.

        A worker that the register has forgotten enters it again, under the id that its leases carry.
        """
        said = {"worker_id": worker_id, "state": json.dumps(compact(state))}
        row = self._session.run(_BEAT, said)[0]
        if not row["known"]:
            self._session.run(_REENTER, self._myself | said)
        return Beat(known=row["known"], dead=tuple(row["dead"]), now=row["now"])

    def leave(self, worker_id: int) -> None:
        """Leave the register."""
        self._session.run(_LEAVE, {"worker_id": worker_id})

    def take_duty(self, worker_id: int, duty: str, every: timedelta) -> bool:
        """Take `duty` if it is due, `every` so often, and nobody has it in hand.

        It is due once nine tenths of the period have passed since it was last taken and finished. A duty
        that is not finished within DUTY_LEASE, or whose worker is dead, can be taken by another.
        """
        parameters = {"worker_id": worker_id, "duty": duty, "every": every, "lease": DUTY_LEASE}
        return bool(self._session.run(_TAKE_DUTY, parameters))

    def finish_duty(self, duty: str, worker_id: int, state: Mapping[str, object]) -> None:
        """Give `duty` back, with `state` for the operator; nothing happens when it is no longer ours."""
        self._session.run(
            _FINISH_DUTY,
            {"worker_id": worker_id, "duty": duty, "lease": DUTY_LEASE, "state": json.dumps(compact(state))},
        )

    def duty_state(self, duty: str) -> Mapping[str, Any] | None:
        """What the last run of `duty` left for everybody; None before the first."""
        rows = self._session.run(_DUTY_STATE, {"duty": duty})
        return rows[0]["state"] if rows else None

    def forget(self, after: timedelta) -> int:
        """Delete register rows without a heartbeat for `after`; gives how many."""
        return len(self._session.run(_FORGET, {"after": after}))

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
