"""What a provider answered, as a value: eight kinds and the scope they concern."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from noti_worker.domain.value import value


class Kind(StrEnum):
    """What an answer means for the row; `lifecycle.decide` turns it into a verdict."""

    OK = "ok"  # the provider took responsibility
    TRANSIENT = "transient"  # their side or the network, will pass
    THROTTLED = "throttled"  # too fast, not processed: spends no try
    PERMANENT = "permanent"  # this message can never be accepted
    CONFIG = "config"  # our side: key, sender, account. The row waits for an operator
    DEAD = "dead"  # the address does not exist
    OPTOUT = "optout"  # the person said stop
    UNCERTAIN = "uncertain"  # the payload went out, the answer was lost


LOST = "lost"
"""No answer, but the kind of a row that failed because its workers were lost too often."""


class Scope(StrEnum):
    """How far an answer reaches: what must slow down or stop because of it."""

    MESSAGE = "message"
    RECIPIENT = "recipient"
    DOMAIN = "domain"
    SENDER = "sender"
    ACCOUNT = "account"
    PROVIDER = "provider"


OF_THE_ACCOUNT = frozenset({Scope.ACCOUNT, Scope.PROVIDER})
"""What concerns every message through the account alike, and says nothing of the one that was tried."""


@value
class Outcome:
    """The result of one try.

    `code` is the provider's own code (SMTP reply, HTTP status, API code). `error` is one sentence
    for a person, without secrets. `response` is the conversation as JSON-able data (stored capped at
    20 kB). `retry_after` is a wait in seconds, the provider's wish (`asked`) or a rule's; it never shortens our own.
    `stage` is how far the try went (see `Said`), `rule` names the rule that judged it. `offered` is False when
    the failure came before the message was offered (connection, TLS, greeting, login, or no socket
    for it here): it says nothing of the message. `unclassified` is an answer with a code that no rule names, judged by
    its status alone, one of which no rule of the account has an opinion, or whose rule is a guess.
    """

    kind: Kind
    scope: Scope = Scope.MESSAGE
    code: str | None = None
    error: str | None = None
    response: Mapping[str, Any] | None = None
    provider_message_id: str | None = None
    retry_after: float | None = None
    stage: str | None = None
    rule: str | None = None
    offered: bool = True
    asked: bool = False
    unclassified: bool = False
