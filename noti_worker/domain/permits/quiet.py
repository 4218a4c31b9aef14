"""It is quiet time where the recipient is."""

from datetime import datetime, timedelta

from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Notification, Stop, Wait

MARGIN = timedelta(seconds=1)
"""Waited longer than that: our clock may be a little ahead of the database's, and a row must not come too early."""


def quiet(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Let it wait until the quiet hours are over."""
    found = briefing.quiet
    if found is None or found.ends_at <= now:
        return None
    return until(row, found.ends_at, now, f"quiet hours of the recipient ({found.zone} {found.hours})")


def until(row: Notification, at: datetime, now: datetime, why: str) -> Wait:
    """Wait until an instant and a moment longer; the words tell until when, and what becomes of it."""
    at = max(at, now)
    words = f"{why} until {at:%Y-%m-%d %H:%M:%S} UTC"
    if row.expires_at is not None and row.expires_at <= at:
        words += "; it expires before"
    return Wait(at - now + MARGIN, words)
