"""Is the recipient an address of its channel? A first sanity check; the provider has the last word.

The recipient itself never stands in the error: errors are logged and shown, addresses are personal.
"""

import re
from urllib.parse import urlsplit

from noti_worker.domain.contact import USER
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.notification import BY_PHONE, Channel

_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PHONE = re.compile(r"\+[1-9][0-9]{3,14}")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_URL = 2048


def check_recipient(channel: Channel, recipient: str) -> None:
    """Raise BadNotification when `recipient` cannot be an address of `channel`."""
    if channel is not Channel.IN_APP and recipient.startswith(USER):
        raise BadNotification(
            f"the recipient is a person whose address was not looked up: {channel} needs the address itself"
        )
    if channel is Channel.EMAIL:
        read_mailbox(recipient, "the recipient", intranet=True)
    elif channel in BY_PHONE:
        if not _PHONE.fullmatch(recipient):
            raise BadNotification(
                "the recipient is not a phone number in the international form: write + and digits, nothing else"
            )
    elif channel is Channel.WEBHOOK:
        if not is_url(recipient):
            raise BadNotification(
                "the recipient is not an http(s) URL with a host, without user and password, of at most 2048"
                " characters: write scheme, host and path"
            )
        parts = urlsplit(recipient)
        if _STRAY_PERCENT.search(parts.path + parts.query):
            raise BadNotification("the recipient holds a % that begins no code such as %20: write it as %25")
    elif not recipient.strip() or _CONTROLS.search(recipient):
        raise BadNotification("the recipient is empty or holds a control character: give one address")


def is_url(text: str) -> bool:
    """Tell whether `text` is an http or https URL that names a host and no user."""
    if len(text) > _LONGEST_URL or _UNSEEN.search(text) or "\\" in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and port != 0
