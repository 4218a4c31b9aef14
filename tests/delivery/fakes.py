"""Tiny fakes around the hallway: a sender with one answer, a renderer that only marks, a clock set by hand."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from noti_worker.accounts import Accounts
from noti_worker.delivery.deliver import Delivery
from noti_worker.delivery.prepare import Preparation
from noti_worker.delivery.render import Rendered
from noti_worker.delivery.routes import Routing
from noti_worker.delivery.safety import Safety
from noti_worker.domain.account import Account, ConfiguredRoute
from noti_worker.domain.bounds import Bounds
from noti_worker.domain.facts import Fact
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Message, Notification, Template
from noti_worker.domain.options import ALL_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Allows, Numbers, Sender, Steers
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.settings.regions import Regions
from tests.domain.rows import NOW


class StillClock:
    """Moves only by hand."""

    def __init__(self) -> None:
        self.wall = NOW
        self.seconds = 100.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


REFUSED = Said("auth", code="refused", error="the login was refused")
RULES = (
    Rule("courier.refused", Kind.CONFIG, Scope.ACCOUNT, stage="auth"),
    *(Rule(f"courier.{kind}", kind, code=kind) for kind in Kind),
)


def said(kind: Kind, **fields: Any) -> Said:
    """What a courier says for an outcome of this kind."""
    return Said("answer", code=kind, **fields)


class Courier:
    """Gives one answer, or does what `instead` does; keeps what it was given."""

    def __init__(self, answer: Any = None, instead: Callable[[Message], Any] | None = None) -> None:
        self.answer = answer or said(Kind.OK)
        self.instead = instead
        self.sent: list[Message] = []
        self.limits: list[float] = []

    def send(self, message: Message, limit: float) -> Any:
        self.sent.append(message)
        self.limits.append(limit)
        return self.answer if self.instead is None else self.instead(message)

    def close(self) -> None:
        pass


class Marker:
    """Renders nothing: shows which source would have been rendered, and remembers what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.data: str | None = None
        self.about: Mapping[str, Any] = {}

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any], tenant_id: str) -> Rendered:
        if self.error is not None:
            raise self.error
        assert tenant_id == notification["tenant_id"]
        self.data, self.about = data, notification
        return Rendered(*(source and f"<{source}>" for source in (template.subject, template.body, template.html)))


class Witness:
    """An observer that keeps every fact."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def on(self, fact: Fact) -> None:
        self.facts.append(fact)


class Paused:
    """Steering that knows of paused accounts alone."""

    troubled: Collection[str] = frozenset()
    probes: Collection[str] = frozenset()

    def __init__(self, paused: Callable[[], Collection[str]]) -> None:
        self._paused = paused

    def spend(self, account: str) -> bool:
        return False

    def closed_accounts(self, tenant_id: str) -> Collection[str]:
        return self._paused()


class Purse:
    """Port Allows: so many messages by each account that is named, any number by the others."""

    def __init__(self, **left: int) -> None:
        self.left = left
        self.bounds: Mapping[str, Bounds] = {}

    def spent(self, account: str) -> bool:
        return self.left.get(account) == 0

    def spend(self, row: Notification, account: str) -> bool:
        if account in self.left:
            self.left[account] -= 1
        return self.left.get(account, 0) >= 0


def a_delivery(
    senders: Mapping[str, Courier] | None = None,
    routes: Mapping[Channel, ConfiguredRoute] | None = None,
    policy: Policy | None = None,
    renderer: Marker | None = None,
    clock: StillClock | None = None,
    modes: Mapping[str, Mode] | None = None,
    redirect_to: Mapping[Channel, str] | None = None,
    traced: Callable[[Notification, Message], Message] | None = None,
    accounts: Accounts | None = None,
    paused: Collection[str] | Callable[[], Collection[str]] = (),
    steering: Steers | None = None,
    numbers: Numbers | None = None,
    allowance: Allows | None = None,
) -> Delivery:
    """All channels through one account `relay` of the provider `smtp`, live, unless told otherwise."""
    senders = senders or {"relay": Courier()}
    accounts = accounts or some_accounts(senders, routes, modes)
    routing = Routing(
        accounts, steering or Paused(paused if callable(paused) else lambda: paused), allowance or Purse()
    )
    preparation = Preparation(
        accounts, routing, renderer or Marker(), Safety(redirect_to or {}), numbers or Regions({}), lambda: 0.5
    )
    return Delivery(preparation, dict.fromkeys(Channel, policy or Policy()), clock or StillClock(), traced)


def some_accounts(
    senders: Mapping[str, Sender],
    routes: Mapping[Channel, ConfiguredRoute] | None = None,
    modes: Mapping[str, Mode] | None = None,
    provider: str = "smtp",
    rules: Sequence[Rule] = RULES,
) -> Accounts:
    """Accounts of one provider that serve everything."""
    accounts = {
        name: Account(name, provider, (modes or {}).get(name, Mode.LIVE), frozenset(Channel), tuple(rules), ALL_OPTIONS)
        for name in senders
    }
    return Accounts(
        accounts, routes or {channel: tuple(senders) for channel in Channel}, lambda account: senders[account.name]
    )
