"""Is the recipient an address of its channel? A first sanity check; the provider has the last word.

The recipient itself never stands in the error: errors are logged and shown, addresses are personal.
"""

import re
import unicodedata
from urllib.parse import urlsplit

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel

_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Exactly one address: no list, group, route, comment, quoted local part or angle brackets
# (`To: "a@b.c, evil@x.y"` went to both when it was given to a library).
_ATOM = r"""[^@\s,;:<>()\[\]\\".\x00-\x20\x7f-\xa0\u2028\u2029]+"""
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_ADDRESS = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>(?:{_LABEL}\.)*(?P<last>{_LABEL}))")
_PHONE = re.compile(r"\+[1-9][0-9]{3,14}")
_LONGEST_URL = 2048
_BY_PHONE = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.VOICE})


def check_recipient(channel: Channel, recipient: str) -> None:
    """Raise BadNotification when `recipient` cannot be an address of `channel`."""
    if channel is not Channel.IN_APP and recipient.startswith("user:"):
        raise BadNotification(
            f"the recipient is a user, but there is no directory of users: {channel} needs the address itself"
        )
    if channel is Channel.EMAIL:
        if not is_address(recipient):
            raise BadNotification("the recipient is not one plain e-mail address: write it alone, without a name")
    elif channel in _BY_PHONE:
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
    elif not recipient.strip() or _CONTROLS.search(recipient):
        raise BadNotification("the recipient is empty or holds a control character: give one address")


def is_address(text: str) -> bool:
    """Tell whether `text` is exactly one plain addr-spec (RFC 5321 lengths, Unicode allowed)."""
    if len(text) > 254 or (match := _ADDRESS.fullmatch(text)) is None:
        return False
    local, domain, last = match.groups()
    if not local.isascii() and any(unicodedata.category(char)[0] in "CZ" for char in local):
        return False  # what nobody sees: two addresses would look like one
    # A last label of digits is an IP address that forgot its brackets.
    return len(local.encode()) <= 64 and len(domain) <= 253 and not last.isdigit()


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
