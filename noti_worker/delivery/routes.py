"""Which account sends: the row's own wish, else failover along the channel's route."""

from collections.abc import Collection, Mapping, Sequence

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Briefing, Notification
from noti_worker.domain.outcome import Kind

_SURELY_NOT_SENT = frozenset({Kind.TRANSIENT, Kind.CONFIG, Kind.THROTTLED})
# `lost` is the kind of a claim whose worker vanished: as ambiguous as a lost answer.
_PERHAPS_SENT = frozenset({Kind.UNCERTAIN, "lost"})


def accounts_for(notification: Notification, route: Sequence[str], providers: Mapping[str, str]) -> Sequence[str]:
    """The accounts of `route` that may send this row, in failover order; one when the row names it.

    Raises BadNotification when the row's `provider` names no account of the route, and no provider
    with exactly one account on it.
    """
    wanted = notification.provider
    if not wanted:  # an empty text says nothing either
        return route
    if wanted in route:
        return (wanted,)
    of_provider = [account for account in route if providers[account] == wanted]
    if len(of_provider) == 1:
        return of_provider
    known = ", ".join(route)
    if of_provider:
        raise BadNotification(
            f"provider {wanted!r} has several accounts for {notification.channel}: name one of {', '.join(of_provider)}"
        )
    raise BadNotification(
        f"provider {wanted!r} is neither an account nor a provider of {notification.channel}: name one of {known}"
    )


class AccountPaused(Exception):
    """Only this account can tell whether it took the message already, and it is paused."""

    def __init__(self, account: str) -> None:
        super().__init__(f"the account {account} is paused, and only it can tell whether it took the message already")


def open_accounts(accounts: Sequence[str], paused: Collection[str], briefing: Briefing) -> Sequence[str]:
    """The accounts that are not paused, or all of them when the pause came after the claim.

    Raises AccountPaused after an uncertain try through a paused one: another would surely send it twice.
    """
    if briefing.last_account in paused and briefing.last_account in accounts and briefing.last_kind in _PERHAPS_SENT:
        raise AccountPaused(str(briefing.last_account))
    return [account for account in accounts if account not in paused] or accounts


def next_account(accounts: Sequence[str], briefing: Briefing) -> str:
    """The account of the next try.

    After a definite failure the next one in the route, cyclic. After an uncertain try the same one
    again: only it can recognise the message_id, a second provider would surely send it twice.
    """
    last = briefing.last_account
    if last is None or last not in accounts:
        return accounts[0]
    if briefing.last_kind in _SURELY_NOT_SENT:
        return accounts[(accounts.index(last) + 1) % len(accounts)]
    return last if briefing.last_kind in _PERHAPS_SENT else accounts[0]


def has_later(accounts: Sequence[str], account: str) -> bool:
    """Tell whether the route goes on after `account`; it does not wrap around here."""
    return accounts.index(account) + 1 < len(accounts)
