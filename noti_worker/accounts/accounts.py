"""Port Accounts over a set of accounts that stays as it is, such as one reading of the configuration."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from noti_worker.accounts.gate import Gate
from noti_worker.accounts.owned import Owned
from noti_worker.accounts.shelf import MOST, Shelf
from noti_worker.accounts.weights import Weights
from noti_worker.domain.account import Account, ConfiguredRoute, RouteLine
from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Checks, Sender
from noti_worker.domain.rules import judge


class Accounts:
    """The accounts, which of them serve which channel in which order, and their senders. Thread-safe."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        routes: Mapping[Channel, ConfiguredRoute],
        build: Callable[[Account], Sender],
        most: int = MOST,
        owned: Owned | None = None,
    ) -> None:
        """`build` makes an account's sender when it is needed; at most `most` are kept. `routes` name `accounts`.

        `owned` are the accounts of tenants' own, which go before these.
        """
        self.accounts = accounts
        self._owned = owned or Owned()
        self._tenants = self._owned.tenants
        self.routes = {channel: tuple(route) for channel, route in routes.items()}
        self._weights = {channel: Weights(route) for channel, route in routes.items() if isinstance(route, Mapping)}
        self._shelf = Shelf(build, most)
        self._senders = {name: self._shelf.sender(account) for name, account in accounts.items()}
        self._gates = {name: Gate() for name in accounts}

    def route(self, tenant_id: str, channel: Channel, message_id: UUID) -> Sequence[str]:
        """The accounts that send this message for the tenant, in failover order: its own, or those that all share."""
        own = self._tenants.route(tenant_id, channel) if self._tenants else None
        if own is not None and not own.goes_on:
            return tuple(own.accounts)
        weights = self._weights.get(channel)
        if own is not None:
            shared = self.routes.get(channel, ()) if weights is None else weights.order(message_id)
            return (*own.accounts, *shared)
        return self.routes.get(channel, ()) if weights is None else weights.order(message_id)

    def account(self, name: str) -> Account:
        """What is known of an account."""
        return self.accounts[name] if name in self.accounts else self._owned.account(name)

    def sender(self, name: str) -> Sender:
        """Its sender, built when it is first needed and again when it had to leave."""
        return self._senders[name] if name in self._senders else self._owned.sender(name)

    def build_all(self) -> None:
        """Build every sender once, which shows whether it can be; raises ConfigurationError."""
        for account in self.accounts.values():
            with self._shelf.lend(account):
                pass

    def check(self, name: str, limit: float) -> Outcome | None:
        """Whether the provider would let us send; None when it cannot be asked. Raises ConfigurationError."""
        account = self.accounts[name]
        with self._shelf.lend(account) as sender:
            said = sender.check(limit) if isinstance(sender, Checks) else None
        return None if said is None else judge(said, account.rules, None)

    def proxied(self, name: str) -> bool | None:
        """Whether the account goes out through a proxy; None when it does not speak HTTP. Raises ConfigurationError."""
        with self._shelf.lend(self.accounts[name]) as sender:
            return getattr(sender, "proxied", None)

    def admit(self, name: str) -> bool:
        """May a message begin? An account that has accepted nothing yet is tried by one at a time, for a second."""
        gate = self._gate(name)
        return gate.proven or gate.admit()

    def heard(self, name: str, outcome: Outcome | None) -> None:
        """Take note of what an admitted message was told; None when it did not begin after all."""
        gate = self._gate(name)
        if gate.proven and (outcome is None or outcome.kind is not Kind.CONFIG):
            return
        gate.heard(outcome)

    def lines(self) -> tuple[RouteLine, ...]:
        """The routes as the register of workers has them."""
        return tuple(
            RouteLine(channel, name, self.accounts[name].provider, self.accounts[name].mode)
            for channel, route in self.routes.items()
            for name in route
        )

    def close(self) -> None:
        """Give back connections; calls under way end by themselves."""
        self._shelf.close()
        self._owned.close()

    def _gate(self, name: str) -> Gate:
        return self._gates[name] if name in self._gates else self._owned.gate(name)
