"""What goes out and what comes back, as plain values."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from noti_worker.domain.said import Said


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. URL and headers may hold secrets and the body is content: none of them is shown.

    `sends` is False for one that only prepares (fetches a token, uploads a file): when its answer is lost, the
    message was surely not sent.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sends: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer to `request`: header names in lower case, the body as it came, not decoded and at most 64 kB.

    `truncated` tells that there was more, or that the line broke or the time ran out within the body. `at` is the
    database's clock when it came, aware UTC: hints may name an instant.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request: Request
    at: datetime
    truncated: bool = False


Steps = Generator[Request, Reply, Said | None]
"""Several requests for one message; gives what was said, or None: then the last reply is read."""
