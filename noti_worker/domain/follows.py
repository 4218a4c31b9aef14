"""Rows that follow from a result: they are written with it, in the same statement, or not at all."""

from dataclasses import field

from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.value import value


@value
class InboxLine:
    """A rendered in-app message, for `noti.inbox`: without it the message was not delivered."""

    tenant_id: str
    recipient: str = field(repr=False)
    subject: str | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)


@value
class LaterCopy:
    """A copy that was refused for now: a row of its own, whose first try this was.

    `name` is its place in the options of the row that was sent (`cc[0]`); its content and its address come from there.
    """

    name: str
    verdict: Verdict
    outcome: Outcome


@value
class FurtherAddress:
    """Another address of the person whom the row names: it gets a message of its own, once, as a row.

    `locale` is the language that is spoken there.
    """

    address: str = field(repr=False)
    locale: str | None = None


Follow = InboxLine | LaterCopy | FurtherAddress
"""Of whatever kind."""


def size(follow: Follow) -> int:
    """Characters that it holds of its own."""
    if isinstance(follow, InboxLine):
        return len(follow.body or "") + len(follow.html or "")
    if isinstance(follow, FurtherAddress):
        return len(follow.address)
    return len(follow.outcome.error or "")
