"""What goes out as the body of a request: a form, or JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from noti_worker.domain.errors import BadNotification


def form(fields: Mapping[str, str]) -> bytes:
    """The fields in `application/x-www-form-urlencoded`; raises BadNotification for half a surrogate pair."""
    return _encoded(lambda: urlencode(fields))


def as_json(document: Any) -> bytes:
    """The document in JSON and UTF-8; raises BadNotification for half a surrogate pair."""
    return _encoded(lambda: json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _encoded(written: Callable[[], str]) -> bytes:
    try:
        return written().encode()
    except UnicodeEncodeError:
        raise BadNotification("the message holds a character that UTF-8 cannot express: remove it") from None
