"""What a message said, as it is kept with its try where the category wishes so."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any

from noti_worker.domain.notification import Message, Status
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.value import value

LONGEST = 200_000
"""Characters that are kept of a body, and as many of its HTML; what is longer is cut."""

LONGEST_SUBJECT = 2_000

_NEVER = frozenset({"headers"})
"""Options that may hold a secret: what somebody proves himself by, a link that acts for the recipient."""


@value
class Kept:
    """The content of one try, for `noti.kept_contents`: what went out, rendered, and to whom.

    `options` are those of content, files by name and size. It is kept for `span`; `truncated` when it was cut.
    """

    channel: str
    recipient: str = field(repr=False)
    subject: str | None = field(repr=False)
    body: str | None = field(repr=False)
    html: str | None = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    span: timedelta
    truncated: bool

    @property
    def size(self) -> int:
        """Characters that it holds."""
        return len(self.body or "") + len(self.html or "")


def kept(message: Message, status: Status, outcome: Outcome) -> Kept | None:
    """What is kept of a try; None where nobody wishes so, and of one that surely reached nobody and is repeated."""
    if message.keeps is None:
        return None
    if status in {Status.RETRYING, Status.HELD} and outcome.kind is not Kind.UNCERTAIN:
        return None
    options = {name: said for name, said in message.options.items() if name not in _NEVER}
    if message.attachments:
        options["attachments"] = [
            {"filename": file.filename, "content_type": file.content_type, "bytes": len(file.content)}
            for file in message.attachments
        ]
    return Kept(
        message.channel.value,
        message.recipient,
        message.subject and message.subject[:LONGEST_SUBJECT],
        message.text and message.text[:LONGEST],
        message.html and message.html[:LONGEST],
        options,
        message.keeps,
        len(message.text or "") > LONGEST
        or len(message.html or "") > LONGEST
        or len(message.subject or "") > LONGEST_SUBJECT,
    )
