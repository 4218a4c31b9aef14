"""Whether tenants' own accounts can send: complete, and sealed under keys that are there."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.domain.own_accounts import of_tenant
from noti_worker.store.connect import Connection
from noti_worker.store.people.accounts import AccountLine, accounts

TOLD = 5
"""Accounts that are named; of more only how many there are."""


def own_accounts(
    connection: Connection, fault: Callable[[AccountLine], str | None], keys: Collection[str] | None
) -> Iterator[Finding]:
    """`fault` says what an account lacks; `keys` are the ids of those that are configured, the newest first."""
    lines = accounts(connection)
    under = Counter(key_id for line in lines for key_id in line.secrets.values())
    if not lines:
        return
    if under and keys is None:
        yield problem(
            "accounts",
            f"{sum(under.values())} secrets are sealed, and secrets.keys is not configured here",
            "set secrets.keys to the keys that sealed them (noti-worker docs accounts)",
        )
    elif lost := sorted(under.keys() - set(keys or ())):
        yield problem(
            "accounts",
            f"{sum(under[one] for one in lost)} secrets are sealed under keys that are not here: {', '.join(lost)}",
            "put those keys back into secrets.keys, or set the secrets anew (noti-worker account secret)",
        )
    elif under and (older := under.total() - under[next(iter(keys or ()))]):
        yield ok("accounts", f"{older} secrets are sealed under an older key: noti-worker account rotate")
    wrong = [words for line in lines if line.enabled and (words := fault(line)) is not None]
    for words in wrong[:TOLD]:
        yield problem("accounts", words, "noti-worker account show and set; noti-worker account secret for its secrets")
    if len(wrong) > TOLD:
        yield problem("accounts", f"{len(wrong) - TOLD} more accounts are not ready", "noti-worker account list")
    trouble = [line for line in lines if line.trouble is not None]
    for line in trouble[:TOLD]:
        yield warning(
            "accounts",
            f"{of_tenant(line.tenant_id, line.name)} is in trouble: {line.trouble}",
            f"mend it, then: noti-worker account test {line.name} --tenant {line.tenant_id} --to ADDRESS",
        )
    yield ok("accounts", f"of tenants' own, in the database: {len(lines)}")
