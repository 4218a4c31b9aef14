"""The region of a channel: phone numbers as people dial them there, read as what is dialled from anywhere."""

import re
from collections.abc import Mapping

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel

_INTERNATIONAL = re.compile(r"\+[0-9]+")
_WRITTEN = re.compile(r"[+(]?[0-9][0-9 ()/.-]*")
"""Digits and what people put between them. Two numbers, an extension or letters are none."""


def check_region(region: str) -> None:
    """Raise ValueError with words for a person when no numbers are known of `region`."""
    try:
        from phonenumbers import SUPPORTED_REGIONS
    except ImportError:
        raise ValueError("numbers of a region need a package more: pip install 'noti-worker[phonenumbers]'") from None
    if region not in SUPPORTED_REGIONS:
        raise ValueError('write the two letters of a country (ISO 3166-1), such as "DE"')


class Regions:
    """Port Numbers, by the region that each channel may have."""

    def __init__(self, regions: Mapping[Channel, str]) -> None:
        """Regions are such as `check_region` takes."""
        self._regions = regions

    def international(self, channel: Channel, recipient: str) -> str:
        """See `Numbers`. What is no number of any form is given back: whoever checks recipients has the words.

        How a number is dialled in its region is a guess until it is one that exists there. One that begins with + is no
        guess: it has a country, and digits enough; more than are known may be right, as in +52 1 of Mexico.
        """
        region = self._regions.get(channel)
        if region is None or not _WRITTEN.fullmatch(recipient):
            return recipient
        import phonenumbers as known

        try:
            number = known.parse(recipient, region)
        except known.NumberParseException:
            raise _no_number(recipient, region) from None
        if recipient.startswith("+"):
            length = known.is_possible_number_with_reason(number)
            sound = length in {known.ValidationResult.IS_POSSIBLE, known.ValidationResult.TOO_LONG}
        else:
            sound = known.is_valid_number(number)
        if not sound:
            raise _no_number(recipient, region)
        if _INTERNATIONAL.fullmatch(recipient):  # as it stands: a country may have two ways to write a number
            return recipient
        return known.format_number(number, known.PhoneNumberFormat.E164)


def _no_number(recipient: str, region: str) -> BadNotification:
    if recipient.startswith("+"):
        return BadNotification("the recipient has no country's code, or too few digits for its country: look them up")
    return BadNotification(
        f"the recipient is no phone number as it is dialled in {region}: write it with its area code, or + and digits"
    )
