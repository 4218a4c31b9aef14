"""The accounts of tenants' own, from which a worker sends: kept for as long as they stay as they are."""

from dataclasses import dataclass, field
from typing import Protocol

from noti_worker.accounts.gate import Gate
from noti_worker.accounts.shelf import MOST, Shelf
from noti_worker.domain.account import Account
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.mode import Mode
from noti_worker.domain.own_accounts import OwnAccount, Tenants
from noti_worker.domain.ports import Sender


class Builds(Protocol):
    """Makes of a row of the database what sends; the real one is `own.Builder`."""

    def account(self, given: OwnAccount) -> Account:
        """What is known of the account; never raises."""
        ...

    def sender(self, given: OwnAccount) -> Sender:
        """Its sender; raises ConfigurationError that names the account."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    account: Account
    sender: Sender
    gate: Gate = field(default_factory=Gate)


class Owned:
    """What `Accounts` asks of tenants' own accounts, by their names. Thread-safe.

    One that is gone stays known until its last messages are done: there is nothing that sends for it any more.
    """

    def __init__(self, tenants: Tenants | None = None, builder: Builds | None = None, most: int = MOST) -> None:
        """The accounts of `tenants`, as they are whenever one is asked for; without a `builder` there is none."""
        self.tenants = tenants if tenants is not None else Tenants()
        self._builder = builder
        self._shelf = Shelf(self._build, most)
        self._held: dict[str, _Held] = {}

    def account(self, name: str) -> Account:
        """What is known of an account."""
        return self._hold(name).account

    def sender(self, name: str) -> Sender:
        """Its sender, built when it is first needed."""
        return self._hold(name).sender

    def gate(self, name: str) -> Gate:
        """Whether messages may begin."""
        return self._hold(name).gate

    def close(self) -> None:
        """Give back connections; calls under way end by themselves."""
        self._shelf.close()

    def _hold(self, name: str) -> _Held:
        given, held = self.tenants.accounts.get(name), self._held.get(name)
        if held is not None and (given is None or given.version == held.account.version):
            return held
        if given is None or self._builder is None:
            account = Account(name, "", Mode.LIVE, frozenset())
        else:
            account = self._builder.account(given)
        if len(self._held) > 2 * len(self.tenants.accounts) + MOST:
            known = self.tenants.accounts
            self._held = {one: held for one, held in self._held.copy().items() if one in known}
        held = self._held[name] = _Held(account, self._shelf.sender(account))
        return held

    def _build(self, account: Account) -> Sender:
        given = self.tenants.accounts.get(account.name)
        if given is None or self._builder is None:
            raise ConfigurationError(f"the account {account.name} was removed")
        return self._builder.sender(given)
