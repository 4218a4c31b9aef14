"""The register of living workers."""

import json
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from noti_worker.domain.account import RouteLine
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.ports import Beat
from noti_worker.store import revisions
from noti_worker.store.connect import Database
from noti_worker.store.errors import Refusal
from noti_worker.store.statements import statement
from noti_worker.store.storable import compact

_REVISION = statement("revision")
_REGISTER = statement("register")
_BEAT = statement("beat")
_REENTER = statement("reenter")
_ROUTES = statement("tell_routes")
_LEAVE = statement("leave")


class PostgresWorkers:
    """Port Workers on `noti.workers`."""

    def __init__(self, database: Database, newer: Callable[[str, str], object] = lambda revision, known: None) -> None:
        """Work with `database`; `newer` hears of a revision of the schema that goes beyond those known here."""
        self._newer = newer
        self._session = database.session("workers")
        self._myself: dict[str, object] = {}

    def register(self, version: str) -> int:
        """Enter the register with a new worker_id, with this host and process.

        Raises ConfigurationError when the schema is missing or older than this version needs it.
        """
        self._look_at_schema()
        self._myself = {"host": socket.gethostname(), "pid": os.getpid(), "version": version}
        rows = self._session.run(_REGISTER, self._myself)
        return int(rows[0]["worker_id"])

    def _look_at_schema(self) -> None:
        """Refuse an older schema. A newer one is worked with: migrations let the version before them go on."""
        try:
            rows = self._session.run(_REVISION, {})
        except Refusal as error:
            if error.sqlstate not in {"42P01", "3F000"}:
                raise
            rows = []
        revision = str(rows[0]["version_num"]) if rows else "none"
        *older, newest = revisions.known()
        if revision in {"none", *older}:
            raise ConfigurationError(
                f"the schema of the database is at revision {revision}, and this version needs {newest}:"
                " run noti-worker migrate"
            )
        if revision != newest:
            self._newer(revision, newest)

    def beat(self, worker_id: int, state: Mapping[str, object]) -> Beat:
        """Say that we live, with `state` for the operator; learn who has not said so for 15 seconds.

        A worker that the register has forgotten enters it again, under the id that its leases carry.
        """
        said = {"worker_id": worker_id, "state": json.dumps(compact(state))}
        row = self._session.run(_BEAT, said)[0]
        if not row["known"]:
            self._session.run(_REENTER, self._myself | said)
        return Beat(
            known=row["known"],
            dead=tuple(row["dead"]),
            now=row["now"],
            living=tuple(row["living"]),
            hidden=tuple(row["hidden"]),
            closed=tuple(row["closed"]),
        )

    def routes(self, worker_id: int, lines: Sequence[RouteLine]) -> None:
        """Tell which accounts serve our channels, in place of what we told before; in failover order per channel."""
        places: Counter[Channel] = Counter()
        positions = []
        for line in lines:
            places[line.channel] += 1
            positions.append(places[line.channel])
        self._session.run(
            _ROUTES,
            {
                "worker_id": worker_id,
                "channels": [line.channel.value for line in lines],
                "positions": positions,
                "accounts": [line.account for line in lines],
                "providers": [line.provider for line in lines],
                "modes": [line.mode.value for line in lines],
            },
        )

    def leave(self, worker_id: int) -> None:
        """Leave the register."""
        self._session.run(_LEAVE, {"worker_id": worker_id})

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
