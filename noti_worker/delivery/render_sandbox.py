"""What templates may do: Jinja2 without what can freeze, bloat or look out.

Templates can freeze a process at *compile* time already (`{{ 9**9999999 }}` is folded), hence the check of
the syntax tree before anything is compiled.
"""

import re
import textwrap  # noqa: F401 - Jinja2 imports it in `wordwrap`, when no file can be opened any more
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from decimal import Decimal
from functools import lru_cache, wraps
from typing import Any

import jinja2
import jinja2.debug  # Jinja2 imports it at the first error
from jinja2 import StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError, Undefined, nodes, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter, sync_do_join
from jinja2.nodes import EvalContext
from jinja2.runtime import BlockReference, Macro, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from noti_worker.delivery.render_formats import FORMATS
from noti_worker.delivery.render_numbers import Number, as_decimal, divided, json_text, rounded

LONGEST_SOURCE = 64 * 1024
DEEPEST_LOOP = 3
LONGEST_RANGE = 1000
NAME = "<template>"

# fmt: off
FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "date", "datetime", "default", "dictsort", "e", "escape", "filesizeformat",
    "first", "float", "forceescape", "groupby", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
    "min", "money", "number", "percent", "plural", "replace", "reverse", "round", "safe", "sort", "string", "striptags",
    "sum", "time", "title", "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount", "wordwrap",
})
# They take a text, and get it: null as nothing, a decimal as it stands.
_OF_TEXT = frozenset({
    "capitalize", "e", "escape", "forceescape", "lower", "replace", "safe", "string", "striptags", "title", "trim",
    "truncate", "upper", "urlencode", "wordcount", "wordwrap",
})
# Not str.format, ljust, center, zfill, expandtabs, translate: memory bombs and ways around the sandbox.
METHODS = frozenset({
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdecimal", "isdigit",
    "islower", "isnumeric", "isspace", "istitle", "isupper", "lower", "lstrip", "partition", "removeprefix",
    "removesuffix", "replace", "rfind", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
    "swapcase", "title", "upper",                        # str
    "get", "items", "keys", "values",                    # dict
    "cycle", "changed",                                  # loop
})
# fmt: on
_PRINTABLE = (str, int, Decimal, list, tuple, dict, Undefined)
_JINJA = (jinja2.Environment, EvalContext)
_SPECIAL = re.compile("[&<>'\"]")
_SEQUENCES = (nodes.List, nodes.Tuple, nodes.TemplateData)
_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.NSRef, nodes.List, nodes.Tuple),
    *(nodes.Dict, nodes.Pair, nodes.Keyword, nodes.For, nodes.If, nodes.CondExpr, nodes.Filter, nodes.Test),
    *(nodes.FilterBlock, nodes.With, nodes.Assign, nodes.AssignBlock, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Call, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add),
    *(nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat),
    *(nodes.Extends, nodes.Block, nodes.Include, nodes.Import, nodes.FromImport, nodes.Macro, nodes.CallBlock),
)
_NAMING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


class Refused(Exception):
    """The template, its data or its output breaks a limit; the text is for the template's author."""


class _Compiler(CodeGenerator):
    """Nothing is computed while it compiles: neither for ever, nor by other rules than at run time."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2 without what can freeze, bloat or look out; keys of the data win over methods of dict."""

    code_generator_class = _Compiler
    intercepted_binops = frozenset({"*", "%", "/"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, finalize=_finalize, cache_size=0, optimized=False
        )
        self.globals = {"range": _range, "dict": dict, "namespace": self.globals["namespace"]}
        ours = {"float": as_decimal, "join": _join, "round": rounded, **FORMATS}
        known = {name: function for name, function in self.filters.items() if name in FILTERS} | ours
        self.filters = {name: _of_text(function) if name in _OF_TEXT else function for name, function in known.items()}
        self.tests = {**self.tests, "float": lambda value: isinstance(value, Decimal)}
        self.policies["json.dumps_function"] = json_text
        self.parts: Mapping[str, Template] = {}

    def get_template(self, name: str | Template, parent: str | None = None, globals: Any = None) -> Template:  # noqa: A002
        """A template that another one names; there are those that came with it, and no others."""
        if not isinstance(name, str) or name not in self.parts:
            raise TemplateNotFound(str(name))
        return self.parts[name]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]  # {{ order.items }} means the key
        return super().getattr(obj, attribute)

    def is_safe_callable(self, obj: Any) -> bool:
        """Tell whether a template may call it: by allow-list, also when it was stored in a variable first."""
        if obj in self.globals.values() or type(obj) in {Macro, BlockReference}:
            return True
        return getattr(obj, "__name__", None) in METHODS and hasattr(obj, "__self__")

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: PYI063 - as Jinja2 has it
        """`obj(...)`; the sandbox's own refusal would show the object's address."""
        if isinstance(__obj, Undefined):
            return __obj()  # raises its own, better sentence
        if not self.is_safe_callable(__obj):
            raise SecurityError("it calls something that templates may not call")
        return __context.call(__obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`left * right`, `left % right`, `left / right`, for numbers only; `**` never gets here."""
        for operand in (left, right):
            if isinstance(operand, Undefined):
                str(operand)  # raises its own, better sentence
            if not isinstance(operand, int | Decimal):
                raise SecurityError(f"{operator} is for numbers only")
        return divided(left, right) if operator == "/" else super().call_binop(context, operator, left, right)


def _range(*args: int) -> range:
    numbers = range(*args)
    if len(numbers) > LONGEST_RANGE:
        raise SecurityError(f"range() gives at most {LONGEST_RANGE} numbers")
    return numbers


def _finalize(value: Any) -> Any:
    """What `{{ value }}` prints: null as nothing, and no Python objects, whose text shows addresses."""
    if value is None:
        return ""
    if isinstance(value, list | tuple | dict):
        return _shown(value)
    return _printable(value)


def _printable(value: Any) -> Any:
    """What becomes part of a text: null as nothing, a decimal without an exponent."""
    if value is None:
        return ""
    if type(value) is Decimal:
        return Number(value)
    if isinstance(value, _PRINTABLE):
        return value
    raise SecurityError("it prints something that is no value: a method needs (), a result of map | list or | join")


def _shown(value: Any) -> Any:
    """A list or a table as Python writes it, with decimals as they stand."""
    if isinstance(value, list | tuple):
        return type(value)(map(_shown, value)) if type(value) in {list, tuple} else tuple(map(_shown, value))
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, Undefined):
        str(value)  # raises its own sentence
    return value if value is None else _printable(value)


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with its texts made from what it is given; what Jinja2 passes first stays as it is."""

    @wraps(function)  # with the mark that asks Jinja2 for its environment
    def filtered(*args: Any, **named: Any) -> Any:
        return function(*[one if isinstance(one, _JINJA) else _printable(one) for one in args], **named)

    return filtered


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = map(make_attrgetter(eval_ctx.environment, attribute), value)
    return sync_do_join(eval_ctx, map(_printable, value), d)


def _str_join(values: Iterable[Any]) -> str:
    return str_join(map(_printable, values))


def _markup_join(values: Iterable[Any]) -> str:
    return markup_join(map(_printable, values))


def check(tree: nodes.Template) -> None:
    """Refuse, before anything is compiled, what could freeze the compiler or get around the sandbox."""
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    called: list[nodes.Getattr] = []
    modules = {"self"}
    while waiting:
        node, loops = waiting.pop()
        if isinstance(node, nodes.For):
            loops += 1
            if node.recursive:
                _refuse(node, "recursive loops are not available")
            if loops > DEEPEST_LOOP:
                _refuse(node, f"loops are nested deeper than {DEEPEST_LOOP}")
        _check_node(node)
        if isinstance(node, nodes.Import):
            modules.add(node.target)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr not in METHODS:
            called.append(node.node)
        waiting.extend((child, loops) for child in node.iter_child_nodes())
    for method in called:
        # What an import holds is known when it runs; the sandbox calls macros and blocks only.
        if not (isinstance(method.node, nodes.Name) and method.node.name in modules):
            _refuse(method, f"the method {method.attr[:40]} is not available")


def _check_node(node: nodes.Node) -> None:
    if isinstance(node, nodes.Pow):
        _refuse(node, "** is not available")
    if not isinstance(node, _ALLOWED):
        _refuse(node, f"{type(node).__name__.lower()} is not available in templates")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        _refuse(node, f"the filter {node.name[:40]} is not available")
    if isinstance(node, nodes.Mul) and (_is_sequence(node.left) or _is_sequence(node.right)):
        _refuse(node, "* is for numbers only")
    if isinstance(node, nodes.Mod) and _is_sequence(node.left):
        _refuse(node, "% is for numbers only: join texts with ~")
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        _refuse(node, f"names with a leading underscore are private: {node.attr[:40]}")
    if isinstance(node, _NAMING) and not (
        isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)
    ):
        _refuse(node, "the name of another template is written out: it is not computed")


def _is_sequence(node: nodes.Node) -> bool:
    return isinstance(node, _SEQUENCES) or (isinstance(node, nodes.Const) and isinstance(node.value, str))


def _refuse(node: nodes.Node, why: str) -> None:
    raise Refused(f"line {node.lineno}: {why}")


_PLAIN = Environment(autoescape=False)
_HTML = Environment(autoescape=True)


@lru_cache(maxsize=256)
def compiled(source: str, html: bool) -> Template:
    """The template of a source; raises Refused or what Jinja2 raises."""
    return _template(_HTML if html else _PLAIN, parsed(source, html), NAME)


@lru_cache(maxsize=64)
def composed(source: str, html: bool, sources: tuple[tuple[str, str], ...]) -> Template:
    """The template of a source that names others, which are among `sources`, by name; raises as `compiled` does."""
    environment = copy(_HTML if html else _PLAIN)
    trees: dict[str, nodes.Template] = {}
    root = parsed(source, html)
    _gather(root, dict(sources), html, trees, ())
    environment.parts = {name: _template(environment, tree, named(name)) for name, tree in trees.items()}
    return _template(environment, root, NAME)


def named(name: str) -> str:
    """What a template that another one names is called where an error is told."""
    return f"<template {name}>"


def names_in(tree: nodes.Template) -> list[str]:
    """The templates that a checked one names."""
    return [node.template.value for kind in _NAMING for node in tree.find_all(kind)]  # type: ignore[attr-defined]


def _gather(
    tree: nodes.Template, sources: Mapping[str, str], html: bool, trees: dict[str, nodes.Template], way: tuple[str, ...]
) -> None:
    for name in names_in(tree):
        if name in way:
            raise Refused(f"templates name each other in a circle: {', '.join((*way[way.index(name) :], name))}")
        if name in sources and name not in trees:
            try:
                part = parsed(sources[name], html)
            except Refused as refused:
                raise Refused(f"{name}, {refused}") from None
            except TemplateSyntaxError as wrong:
                raise Refused(f"{name}, line {wrong.lineno}: {wrong.message}"[:300]) from None
            _gather(part, sources, html, trees, (*way, name))
            trees[name] = part


def parsed(source: str, html: bool) -> nodes.Template:
    """The syntax tree of a source, checked; raises Refused or what Jinja2 raises."""
    if len(source.encode(errors="replace")) > LONGEST_SOURCE:
        raise Refused(f"the source is longer than {LONGEST_SOURCE // 1024} KiB")
    tree = (_HTML if html else _PLAIN).parse(source)
    check(tree)
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, float):
            constant.value = Decimal(repr(constant.value))
    return tree


def _template(environment: Environment, tree: nodes.Template, filename: str) -> Template:
    code = environment.compile(tree, filename=filename)
    template = Template.from_code(environment, code, environment.globals)
    ours = {"escape": _escaped, "Decimal": Number, "str_join": _str_join, "markup_join": _markup_join}
    template.root_render_func.__globals__.update(ours)
    return template


def _escaped(value: Any) -> str:
    """What Jinja2 prints in HTML; most texts have nothing to escape, and wrapping them all takes half of the time."""
    return value if type(value) is str and _SPECIAL.search(value) is None else escape(value)
