"""Does the provider know an account? Asked without sending anything, by `provider check` and by `doctor`."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from noti_worker.domain.errors import ConfigurationError, NotFound
from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said

if TYPE_CHECKING:
    from noti_worker.accounts import Accounts
    from noti_worker.settings import Settings
    from noti_worker.transport import Kit

LIMIT = 15.0
"""Seconds that one account may take to let us in."""

AT_ONCE = 32
"""So many accounts are asked at a time."""

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
"""Variables that name a proxy to many programs."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it; `outcome` is None where the provider has no call for it.

    `proves` is what a success shows; `direct` tells that the account speaks HTTP, and not through a proxy. `broken` is
    the class of what the provider's own code raised: then nothing is known.
    """

    account: str
    provider: str
    proves: str = ""
    outcome: Outcome | None = None
    direct: bool = False
    broken: str | None = None

    @property
    def finding(self) -> Finding:
        """In words, with what to do."""
        shown = f"{self.account} ({self.provider})"
        if self.broken is not None:
            todo = f"report it to whoever wrote it; noti-worker provider test {self.account} --to ADDRESS may do"
            return problem("account", f"{shown}: its provider breaks off with {self.broken}, a bug of its own", todo)
        if self.outcome is None:
            how = f"only a message tells more: noti-worker provider test {self.account} --to ADDRESS"
            return ok("account", f"{shown}: its settings are complete; {how}")
        error = self.outcome.error or self.outcome.code or self.outcome.kind.value
        whole = f"noti-worker provider check {self.account} shows all that was said"
        match self.outcome.kind:
            case Kind.OK:
                return ok("account", f"{shown}: {self.outcome.error or self.proves or 'it lets us in'}")
            case Kind.THROTTLED:
                return warning("account", f"{shown}: {error}", "wait, and use fewer connections at once")
            case Kind.CONFIG:
                then = f"mend accounts.{self.account}, then: noti-worker release --account {self.account}"
                return problem("account", f"{shown}: {error}", f"{then}; {whole}")
            case _:
                todo = "check its address and the network, or wait until the other side is back"
                return problem("account", f"{shown}: {error}", f"{todo}; {whole}")

    @property
    def exit_code(self) -> int:
        """0 when nothing is wrong, 78 when the account is refused, else 1."""
        kind = Kind.OK if self.outcome is None else self.outcome.kind
        if self.broken is not None:
            return 1
        return {Kind.OK: 0, Kind.CONFIG: 78}.get(kind, 1)


def check_accounts(settings: "Settings", names: Collection[str]) -> list[Checked]:
    """Ask each of them, many at once, each within its limit. Circuits are passed by, and nothing is changed."""
    from concurrent.futures import ThreadPoolExecutor

    from noti_worker.cli.place import now
    from noti_worker.transport import Kit

    kit = Kit(now)
    with ThreadPoolExecutor(max(1, min(len(names), AT_ONCE))) as pool:
        return list(pool.map(lambda name: _checked(settings, name, kit), names))


def _checked(settings: "Settings", name: str, kit: "Kit") -> Checked:
    from noti_worker import providers

    provider = settings.accounts[name].provider
    try:
        with alone(settings, name, kit) as accounts:
            proves = providers.traits(providers.find(provider)).check
            outcome = accounts.check(name, LIMIT)
            return Checked(name, provider, proves, outcome, direct=accounts.proxied(name) is False)
    except ConfigurationError as wrong:
        return Checked(name, provider, outcome=judge(Said("build", error=str(wrong)), (), None))
    except (Exception, SystemExit) as broken:  # noqa: BLE001 - the bug of one provider hides no other account
        # Only the class, as when a try breaks: its text may hold secrets.
        return Checked(name, provider, broken=type(broken).__name__)


@contextmanager
def alone(settings: "Settings", name: str, kit: "Kit") -> "Iterator[Accounts]":
    """Only this account: another one's missing secret is no reason not to try it."""
    from noti_worker.accounts import open_accounts

    accounts = open_accounts(replace(settings, accounts={name: settings.accounts[name]}, routes={}), kit)
    try:
        yield accounts
    finally:
        accounts.close()


def known_account(settings: "Settings", name: str) -> str:
    """The name, when there is such an account; raises NotFound that names the nearest."""
    from noti_worker.settings.coercion import nearest

    if name not in settings.accounts:
        hint = nearest(name, settings.accounts) if settings.accounts else "no account is configured"
        raise NotFound(f"there is no account {name!r}: {hint} (noti-worker provider list)")
    return name


def proxy_passed_by(direct: Iterable[str]) -> str | None:
    """Say that the proxy of the environment is not used, where one is set and these accounts go out without one."""
    variable = next((name for name in PROXIES if os.environ.get(name)), None)
    names = ", ".join(direct)
    if variable is None or not names:
        return None
    return f"{variable} is set and not used, {names} goes out directly: accounts.NAME.proxy names a proxy"
