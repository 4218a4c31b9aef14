"""An account's own answers: what its provider says and what that means here, before the provider's rules."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Secrets
from noti_worker.domain.rules import Rule
from noti_worker.settings.coercion import FromEnvironment, listed, named, nearest, parse

NAMED = "account."
"""How the rules of an account begin, so that none is taken for its provider's."""

_SCOPES = {
    Kind.DEAD: Scope.RECIPIENT,
    Kind.OPTOUT: Scope.RECIPIENT,
    Kind.CONFIG: Scope.ACCOUNT,
    Kind.THROTTLED: Scope.ACCOUNT,
}


def _pattern(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from None


def _status(text: str) -> None:
    _pattern(text)
    if re.fullmatch(text, ""):
        raise ValueError("it fits a lost answer too, of which nobody knows what became; write it so that it does not")


def _one_of(names: Iterable[str]) -> Callable[[str], None]:
    known = tuple(names)

    def check(text: str) -> None:
        if text not in known:
            raise ValueError(nearest(text, known))

    return check


def _name(text: str) -> None:
    if not re.fullmatch(r"[a-z0-9_]{1,40}", text):
        raise ValueError("write small letters, digits and _")


@dataclass(frozen=True, slots=True)
class _Answer:
    """One entry, as it stands in the file."""

    status: str = field(metadata={"check": _status})
    kind: str = field(metadata={"check": _one_of(Kind)})
    code: str | None = field(default=None, metadata={"check": _pattern})
    text: str | None = field(default=None, metadata={"check": _pattern})
    stage: str | None = field(default=None, metadata={"check": _pattern})
    scope: str | None = field(default=None, metadata={"check": _one_of(Scope)})
    wait: timedelta | None = field(default=None, metadata={"at_least": timedelta(0), "at_most": timedelta(days=1)})
    name: str | None = field(default=None, metadata={"check": _name})


def read_answers(given: object, where: str, secrets: Secrets) -> tuple[Rule, ...]:
    """The rules of the entries that stand at `where`, in their order.

    A status is required, and must not fit where nobody answered: a lost answer stays a lost answer. Raises
    ConfigurationError that names file, entry and key.
    """
    entries = listed(given, where) if isinstance(given, FromEnvironment) else given
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigurationError(
            f'{named(where, given)}: write a list of tables, such as [{{ status = "429", kind = "throttled" }}]'
        )
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(entries, 1):
        place = f"{named(where, given)}.{number}"
        rule = _rule(parse(_Answer, entry, place, secrets), number)
        if rule.name in rules:
            raise ConfigurationError(f"{place}.name: another entry is named {rule.name.removeprefix(NAMED)}, too")
        rules[rule.name] = rule
    return tuple(rules.values())


def _rule(answer: _Answer, number: int) -> Rule:
    kind = Kind(answer.kind)
    return Rule(
        f"{NAMED}{answer.name or number}",
        kind,
        Scope(answer.scope) if answer.scope else _SCOPES.get(kind, Scope.MESSAGE),
        status=answer.status,
        code=answer.code,
        text=answer.text,
        stage=answer.stage,
        wait=None if answer.wait is None else answer.wait.total_seconds(),
    )


def told(rule: Rule) -> str:
    """A rule in one line, for who reads the configuration."""
    asked = {"status": rule.status, "code": rule.code, "text": rule.text, "stage": rule.stage}
    patterns = ", ".join(f"{what} {pattern}" for what, pattern in asked.items() if pattern is not None)
    wait = f", wait {rule.wait:g}s" if rule.wait is not None else ""
    return f"{rule.name}: {patterns}: {rule.kind}, {rule.scope}{wait}"
