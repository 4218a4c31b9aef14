"""What providers that post receipts have in common: whether a request is theirs, and reading what it says."""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.receipts import NotGenuine, Posted, ReceiptKind, Taken
from noti_worker.domain.rules import Rule, classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import _smtp_rules

CLOCKS_DIFFER = timedelta(minutes=5)
"""What is signed may be so much younger than now."""

ECHO = ("notification_id", "message_id")
"""The names under which a message's own ids go out with it, where a provider gives such names back."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A receiver of requests that `check` finds to be the provider's; it raises NotGenuine for others."""

    check: Callable[[Posted, datetime], None]
    taken: Taken = field(default_factory=Taken)

    def take(self, posted: Posted, now: datetime) -> Taken:
        """Take what is the provider's."""
        if posted.method != "POST":
            raise NotGenuine("method", "only POST is taken here")
        self.check(posted, now)
        return self.taken


def secret_of(name: str, secret: Secret | None) -> str:
    """A secret that receipts need; raises ConfigurationError that names the setting."""
    value = secret.reveal().strip() if secret is not None else ""
    if not value or not value.isascii():
        what = "missing" if secret is None else "empty, or no plain text"
        raise ConfigurationError(f"{name} is {what}: receipts are checked by it (receipt_token asks for them)")
    return value


def header_of(posted: Posted, name: str) -> str:
    """A header without which a request is nobody's; raises NotGenuine."""
    value = posted.headers.get(name, "").strip()
    if not value:
        raise NotGenuine("unsigned", f"there is no header {name}")
    return value


def read_form(encoded: str) -> dict[str, str]:
    """The fields of a form or a query; of those that stand twice the last."""
    return dict(parse_qsl(encoded, keep_blank_values=True, errors="replace"))


def check_same(given: str, ours: str | Iterable[str]) -> None:
    """Compare a signature with our own, in constant time; raises NotGenuine. Of several one must be the same."""
    wanted = given.encode(errors="replace")
    same = [hmac.compare_digest(wanted, one.encode(errors="replace")) for one in _several(ours)]
    if not any(same):
        raise NotGenuine("signature", "the signature is another")


def _several(ours: str | Iterable[str]) -> Iterable[str]:
    return [ours] if isinstance(ours, str) else ours


def check_age(signed: str | float, now: datetime, most: timedelta) -> None:
    """Refuse what was signed (in seconds of the epoch) longer ago than `most`; raises NotGenuine."""
    try:
        age = now.timestamp() - float(signed)
    except (TypeError, ValueError):
        raise NotGenuine("unsigned", "it does not say when it was signed") from None
    if not -CLOCKS_DIFFER.total_seconds() <= age <= most.total_seconds():
        raise NotGenuine("old", "it was signed too long ago, or is yet to be")


def document_of(posted: Posted) -> Any:
    """The document of a request; raises ValueError."""
    try:
        return json.loads(posted.body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def entries(found: object) -> Iterator[Mapping[str, Any]]:
    """The tables of a list; a table alone is one."""
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, Mapping):
            yield one


def value_at(document: object, *path: str | int) -> Any:
    """What stands at a path of names and numbers; None where it ends."""
    for step in path:
        if isinstance(document, Mapping):
            document = document.get(str(step))
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document


def text_at(document: object, *path: str | int) -> str | None:
    """The text that stands at a path, as `as_text` has it."""
    return as_text(value_at(document, *path))


def as_text(value: object) -> str | None:
    """A text on one line, or a number as one; None for anything else, and for nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return " ".join(str(value).split()) or None


def as_instant(value: object) -> datetime | None:
    """Seconds of the epoch, or what ISO 8601 says; None where that is no time."""
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\d{9,11}(\.\d+)?", value)):
            return datetime.fromtimestamp(float(value), UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def ids_of(echo: object) -> dict[str, Any]:
    """The ids of a message that came back by their names, as a Receipt has them; nothing where they are not ours."""
    number, message = (text_at(echo, name) for name in ECHO)
    return _ids(number, message)


def ids_in(echo: object) -> dict[str, Any]:
    """The same of the one text that `echo_of` made."""
    number, _, message = (as_text(echo) or "").partition(".")
    return _ids(number, message)


def _ids(number: str | None, message: str | None) -> dict[str, Any]:
    # Both or none: the number alone may be one of another database.
    if number is None or message is None or not re.fullmatch(r"[0-9]{1,18}", number):
        return {}
    with suppress(ValueError):
        return {"notification_id": int(number), "message_id": UUID(message)}
    return {}


_REPLY = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_ENHANCED = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")


def by_refusal(words: str | None, code: str | None = None, otherwise: ReceiptKind = ReceiptKind.BOUNCED) -> ReceiptKind:
    """What a mail server's last word means, by the rules of SMTP; `otherwise` where they do not know.

    They find what is not the address, whatever the provider calls it: our reputation, the content, a full mailbox.
    """
    said, enhanced = words or "", code if code and _ENHANCED.fullmatch(code) else None
    enhanced = enhanced or next(iter(_ENHANCED.findall(said)), "")
    status = next(iter(_REPLY.findall(said)), f"{enhanced[0]}50" if enhanced else "")
    rule = classify(_smtp_rules.RULES, Said("rcpt", status, enhanced, said)) if status else None
    if rule is None:
        return otherwise
    if rule.kind is Kind.DEAD:
        return ReceiptKind.BOUNCED
    if rule.kind is Kind.TRANSIENT:
        return ReceiptKind.SOFT_BOUNCED
    of_the_message = rule.scope is Scope.MESSAGE and (rule.text or rule.code)
    if rule.kind is not Kind.PERMANENT or of_the_message or enhanced[1:4] == ".7.":
        return ReceiptKind.FAILED
    return otherwise


def by_rules(rules: Sequence[Rule], code: str, words: str = "") -> ReceiptKind:
    """What the code of a failure means that is told afterwards: the rules of the provider judge it, too."""
    rule = classify(rules, Said("answer", code=code, words=words))
    if rule is None:
        return ReceiptKind.FAILED
    if rule.kind is Kind.TRANSIENT and rule.scope is Scope.RECIPIENT:
        return ReceiptKind.SOFT_BOUNCED
    return {Kind.DEAD: ReceiptKind.BOUNCED, Kind.OPTOUT: ReceiptKind.UNSUBSCRIBED}.get(rule.kind, ReceiptKind.FAILED)
