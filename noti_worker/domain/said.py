"""What a provider said to one try, or where the line broke: facts, not yet judged."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from noti_worker.domain.value import value


@value
class Said:
    """The answer to one try, as `rules.judge` reads it.

    `stage` is how far it went. Everywhere: `compose` (the message cannot be made into a request). HTTP and blocking
    calls: guard (it may not go there), proxy (the account's own is at fault), connect, tls, auth (without a token),
    answer, unaccepted (a success by its status, and none by what the account calls one). SMTP: connect, tls, greeting,
    ehlo, starttls, auth, mail, rcpt, data, dot. Both: machine (this one had no socket left). A look without a message
    ends at `check`.
    `status` is the HTTP status or the SMTP reply, empty when nobody answered. `code` is the provider's own code or
    the enhanced status; of a line that broke, how: dns, refused, timeout, tls, closed, not_http, bad_url, …
    `words` are the provider's, with secrets veiled; `error` is one sentence for a person, made of them where it is
    missing. `id` is the provider's for the message, `hint` its wish to wait in seconds, `response` the conversation
    as JSON-able data (stored capped at 20 kB). `copies` are those that were refused while the message was taken.
    """

    stage: str
    status: str = ""
    code: str = ""
    words: str = field(default="", repr=False)
    error: str | None = None
    id: str | None = None
    hint: float | None = None
    response: Mapping[str, Any] | None = field(default=None, repr=False)
    copies: tuple["RefusedCopy", ...] = ()


@value
class RefusedCopy:
    """What was said to one copy: `name` is its place in the options (`cc[0]`).

    `crowded`: it was refused for the number of recipients in one transaction, and not for itself.
    """

    name: str
    said: Said
    crowded: bool = False
