"""The circuits of accounts, shared by all workers: opened, probed and closed in `noti.circuits`."""

from collections.abc import Sequence
from datetime import timedelta

from noti_worker.domain.circuits import Waits
from noti_worker.store.connect import Database
from noti_worker.store.statements import statement
from noti_worker.store.storable import storable

_OPEN = statement("open_circuit")
_TAKE = statement("take_probes")
_END = statement("end_probe")
_HASTEN = statement("hasten_probes")

_REASON_AT_MOST = 500


class PostgresCircuits:
    """Port CircuitStore. Its connection is opened when the first account is in trouble."""

    def __init__(self, database: Database) -> None:
        self._session = database.session("circuits")

    def open_circuit(self, worker_id: int, account: str, reason: str, waits: Waits) -> bool:
        """Open the circuit of an account; True when it was not open before."""
        asked = {"worker_id": worker_id, "account": account, "reason": storable(reason, _REASON_AT_MOST)}
        return bool(self._session.run(_OPEN, asked | _intervals(waits))[0]["opened"])

    def take_probes(self, worker_id: int, accounts: Sequence[str], lease: timedelta) -> Sequence[str]:
        """Take the accounts, of these, through which this worker alone may send a message now."""
        asked = {"worker_id": worker_id, "accounts": list(accounts), "lease": lease}
        return [row["name"] for row in self._session.run(_TAKE, asked)]

    def end_probe(self, worker_id: int, account: str, reason: str, waits: Waits | None) -> bool:
        """Close the circuit, or with `waits` keep it open for `reason`; False when the probe is not ours any more."""
        asked = {
            "worker_id": worker_id,
            "account": account,
            "ok": waits is None,
            "reason": storable(reason, _REASON_AT_MOST),
        }
        return bool(self._session.run(_END, asked | _intervals(waits))[0]["ended"])

    def hasten_probes(self, accounts: Sequence[str]) -> None:
        """Have the open circuits of these accounts probed soon: their configuration was read anew."""
        self._session.run(_HASTEN, {"accounts": list(accounts)})

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _intervals(waits: Waits | None) -> dict[str, object]:
    return {"first_wait": waits and waits.first, "longest_wait": waits and waits.longest}
