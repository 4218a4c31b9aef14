"""The person does not want it, or was to say yes first and did not."""

from datetime import UTC, datetime

from noti_worker.domain.choice import Choice
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import Briefing, Drop, Notification, Status, Stop

NOT_WANTED = "not_wanted"


def not_wanted(row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Stop | None:
    """Send nothing that was refused; only what is mandatory goes out in spite of it."""
    choice = briefing.choice
    if choice is None:
        return None
    if choice.refused:
        return Drop(Status.SUPPRESSED, _refusal(choice), kind=NOT_WANTED)
    if choice.missing:
        who = f"user {choice.person} did not" if choice.person else "nobody is known who has this address"
        return Drop(Status.SUPPRESSED, f"{row.category} goes only to who said yes, and {who}", kind=NOT_WANTED)
    return None


def _refusal(choice: Choice) -> str:
    """As noti.choice_words says it."""
    by = f" by {choice.channel}" if choice.channel else ""
    on = f" on {choice.since.astimezone(UTC):%Y-%m-%d}" if choice.since is not None else ""
    return f"user {choice.person} chose no {choice.category or 'messages'}{by}{on}"
