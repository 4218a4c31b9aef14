"""What goes out and what comes back, as plain values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. URL and headers may hold secrets and the body is content: none of them is shown."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: header names in lower case, the body as it came, not decoded and at most 64 kB.

    `truncated` tells that there was more, or that the line broke or the time ran out within the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wish of a `retry-after` header (RFC 9110, 10.2.3) in seconds from `now`, aware UTC.

    Seconds (fractions too, some providers send them) or an HTTP date; None when there is none, or when
    it is in the past or makes no sense. Long wishes are given as they are: the domain bounds them.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value) or None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)) - now
    return seconds.total_seconds() if seconds.total_seconds() > 0 else None
