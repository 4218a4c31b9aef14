"""An operator's templates of a request, compiled once; what a value brings cannot leave its place in them."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from noti_worker.domain.errors import BadNotification, ConfigurationError

Write = Callable[[Any], str]
"""How a value is written where `{{ value }}` stands."""


class _Json(str):
    """A value that is JSON already."""

    __slots__ = ()


def as_json(value: Any) -> str:
    """A value as JSON, texts with their quotes; what went through `tojson` stays as it is."""
    if isinstance(value, _Json):
        return value
    return _Json(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str))


def as_text(value: Any) -> str:
    """A value as it is; one that is missing is nothing."""
    return "" if value is None else str(value)


def in_url(value: Any) -> str:
    """A value percent-encoded, slashes too."""
    return quote(as_text(value), safe="")


class Template:
    """One template of an account; `options` are those of a row that it looks at, None for any of them."""

    def __init__(self, where: str, source: str, write: Write, known: Mapping[str, Any]) -> None:
        """Compile it; raises ConfigurationError that names `where`, for a variable that is not `known` too."""
        from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, finalize=write, keep_trailing_newline=True, autoescape=False
        )
        environment.filters["tojson"] = as_json
        self._where = where
        try:
            tree = environment.parse(source)
            for name in sorted(meta.find_undeclared_variables(tree) - known.keys() - environment.globals.keys()):
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise ConfigurationError(f"{where} names {{{{ {name} }}}}, which does not exist: {hint}")
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"{where} is no template: {error.message} (line {error.lineno})") from None
        except TemplateError as error:
            raise ConfigurationError(f"{where} is no template: {error.message}") from None
        self.options = _options(tree)

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with the values in their places; raises BadNotification that shows none of them."""
        from jinja2 import TemplateError

        try:
            return self._template.render(values)
        except TemplateError as error:
            raise BadNotification(
                f"{self._where} of the account cannot be filled: {error.message}; give what it needs, or write"
                " {{ … | default(…) }} there"
            ) from None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise BadNotification(f"{self._where} of the account cannot be filled: {type(error).__name__}") from None


def _options(tree: Any) -> frozenset[str] | None:
    """The names after `options.` and in `options[…]`; None when the whole is used otherwise."""
    from jinja2 import nodes

    found = {"severity"} if any(node.name == "severity" for node in tree.find_all(nodes.Name)) else set()
    named = 0
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if not isinstance(node.node, nodes.Name) or node.node.name != "options":
            continue
        name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if name in {"items", "values", "keys"} or not isinstance(name, str):
            return None
        if name != "get":
            found.add(name)
            named += 1
    uses = sum(node.name == "options" for node in tree.find_all(nodes.Name))
    return frozenset(found) if uses == named else None
