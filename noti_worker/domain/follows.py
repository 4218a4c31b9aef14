"""Rows that follow from a result: they are written with it, in the same statement, or not at all."""

from dataclasses import field

from noti_worker.domain.value import value


@value
class InboxLine:
    """A rendered in-app message, for `noti.inbox`: without it the message was not delivered."""

    tenant_id: str
    recipient: str = field(repr=False)
    subject: str | None = field(default=None, repr=False)
    body: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)


Follow = InboxLine
"""Of whatever kind."""
