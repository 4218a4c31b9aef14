"""WhatsApp takes what is no template for a day after the recipient's last message, and refuses it otherwise (131047).

Asked here first where the account hears what is written to it: the words are clearer, and no request is spent. Where it
does not, or not yet for a day, WhatsApp decides.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Briefing, Channel, Notification

WINDOW = timedelta(hours=24)
_TEMPLATES = frozenset({"template", "content_sid"})


def check_window(
    row: Notification, briefing: Briefing, options: Mapping[str, Any], account: str, now: datetime
) -> None:
    """Raise BadNotification when the recipient has not written to `account` within the last day."""
    if row.channel is not Channel.WHATSAPP or account not in briefing.replies or not _TEMPLATES.isdisjoint(options):
        return
    heard_at = briefing.replies[account]
    if heard_at is None or now - heard_at > WINDOW:
        last = "and none is known" if heard_at is None else f"which came at {heard_at:%Y-%m-%d %H:%M} UTC"
        raise BadNotification(
            "WhatsApp takes free text for 24 hours after the last message of the recipient to this account,"
            f" {last}: name a template (options.template, at Twilio options.content_sid)"
        )
