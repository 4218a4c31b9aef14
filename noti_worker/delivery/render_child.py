"""The render process: fills in templates that nobody trusts, in a process that has nothing to give away.

Run under `python -I -S`, so it imports the standard library and Jinja2 only. Standard input is a
socket: lists of requests come, marshalled, behind a length of 4 bytes, and answers go, each by itself, as
plain texts behind their lengths, for nobody believes what comes from here. The
process is the boundary, the sandbox inside is the second one: escapes from it turn up every few years.
Templates can freeze a process at *compile* time already (`{{ 9**9999999 }}` is folded), hence the check of
the syntax tree before, the memory limit around and the CPU limit over both.
"""

import gc
import json
import marshal
import os
import re
import resource
import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jinja2.debug  # noqa: F401 - Jinja2 imports it at the first error, when no file can be opened any more
from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

MEMORY = 256 * 1024 * 1024
LONGEST_SOURCE = 64 * 1024
LONGEST_OUTPUT = 256 * 1024
DEEPEST_DATA = 100
DEEPEST_LOOP = 3
LONGEST_RANGE = 1000
NAME = "<template>"
OUT_OF_MEMORY = 9
"""Exit status: the parent knows why."""

TEXTS = ("error", "subject", "body", "html")
SIZES = struct.Struct("!4i")
"""What an answer begins with: how many bytes each of its texts has, -1 for those that it lacks."""

# fmt: off
FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "filesizeformat", "first", "float",
    "forceescape", "int", "items", "join", "last", "length", "list", "lower", "max", "min", "replace", "reverse",
    "round", "safe", "sort", "string", "striptags", "sum", "title", "tojson", "trim", "truncate", "unique", "upper",
    "urlencode", "wordcount",
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
_PRINTABLE = (str, int, float, list, tuple, dict, Undefined)
_SPECIAL = re.compile("[&<>'\"]")
_SEQUENCES = (nodes.List, nodes.Tuple, nodes.TemplateData)
_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.NSRef, nodes.List, nodes.Tuple),
    *(nodes.Dict, nodes.Pair, nodes.Keyword, nodes.For, nodes.If, nodes.CondExpr, nodes.Filter, nodes.Test),
    *(nodes.FilterBlock, nodes.With, nodes.Assign, nodes.AssignBlock, nodes.Getattr, nodes.Getitem, nodes.Slice),
    *(nodes.Call, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add),
    *(nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat),
)


class Refused(Exception):
    """The template, its data or its output breaks a limit; the text is for the template's author."""


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2 without what can freeze, bloat or look out; keys of the data win over methods of dict."""

    intercepted_binops = frozenset({"*", "%"})  # also keeps the compiler from folding them

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined, finalize=_finalize, cache_size=0)
        self.globals = {"range": _range, "dict": dict, "namespace": self.globals["namespace"]}
        self.filters = {name: function for name, function in self.filters.items() if name in FILTERS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]  # {{ order.items }} means the key
        return super().getattr(obj, attribute)

    def is_safe_callable(self, obj: Any) -> bool:
        """Tell whether a template may call it: by allow-list, also when it was stored in a variable first."""
        if obj in self.globals.values():
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
        """`left * right`, `left % right`, for numbers only; `**` never gets here."""
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} is for numbers only")
        return super().call_binop(context, operator, left, right)


def _range(*args: int) -> range:
    numbers = range(*args)
    if len(numbers) > LONGEST_RANGE:
        raise SecurityError(f"range() gives at most {LONGEST_RANGE} numbers")
    return numbers


def _finalize(value: Any) -> Any:
    """What `{{ value }}` prints: null as nothing, and no Python objects, whose text shows addresses."""
    if value is None:
        return ""
    if isinstance(value, _PRINTABLE):
        return value
    raise SecurityError("it prints something that is no value: a method needs ()")


def check(tree: nodes.Template) -> None:
    """Refuse, before anything is compiled, what could freeze the compiler or get around the sandbox."""
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, loops = waiting.pop()
        if isinstance(node, nodes.For):
            loops += 1
            if node.recursive:
                _refuse(node, "recursive loops are not available")
            if loops > DEEPEST_LOOP:
                _refuse(node, f"loops are nested deeper than {DEEPEST_LOOP}")
        _check_node(node)
        waiting.extend((child, loops) for child in node.iter_child_nodes())


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
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr not in METHODS:
        _refuse(node, f"the method {node.node.attr[:40]} is not available")


def _is_sequence(node: nodes.Node) -> bool:
    return isinstance(node, _SEQUENCES) or (isinstance(node, nodes.Const) and isinstance(node.value, str))


def _refuse(node: nodes.Node, why: str) -> None:
    raise Refused(f"line {node.lineno}: {why}")


_PLAIN = Environment(autoescape=False)
_HTML = Environment(autoescape=True)


@lru_cache(maxsize=256)
def compiled(source: str, html: bool) -> Template:
    """The template of a source; raises Refused or what Jinja2 raises."""
    if len(source.encode(errors="replace")) > LONGEST_SOURCE:
        raise Refused(f"the source is longer than {LONGEST_SOURCE // 1024} KiB")
    environment = _HTML if html else _PLAIN
    tree = environment.parse(source)
    check(tree)
    code = environment.compile(tree, filename=NAME)
    template = Template.from_code(environment, code, environment.globals)
    template.root_render_func.__globals__["escape"] = _escaped
    return template


def _escaped(value: Any) -> str:
    """What Jinja2 prints in HTML; most texts have nothing to escape, and wrapping them all takes half of the time."""
    return value if type(value) is str and _SPECIAL.search(value) is None else escape(value)


def fill(source: str, html: bool, data: Mapping[str, Any]) -> str:
    """The template filled in; the output is counted while it comes."""
    pieces = []
    size = 0
    for piece in compiled(source, html).generate(data):
        size += len(piece) if piece.isascii() else len(piece.encode(errors="replace"))
        if size > LONGEST_OUTPUT:
            raise Refused(f"the output is longer than {LONGEST_OUTPUT // 1024} KiB")
        pieces.append(piece)
    return "".join(pieces)


def read_data(text: str | None) -> dict[str, Any]:
    """The row's template_data; raises Refused, without any of it in the text."""
    if text is None:
        return {}
    try:
        data = json.loads(text)
    except RecursionError:
        raise Refused(f"template_data is nested deeper than {DEEPEST_DATA} levels: flatten it") from None
    except ValueError:
        raise Refused("template_data cannot be read: a number in it is too long, write it as a text") from None
    if not isinstance(data, dict):
        raise Refused('template_data is not a JSON object: write {"name": value}')
    if "notification" in data:
        raise Refused("template_data has a key notification, a name that stands for the row itself: rename it")
    # Few documents have that many brackets at all, so the walk is rare.
    if text.count("[") + text.count("{") > DEEPEST_DATA and _depth(data) > DEEPEST_DATA:
        raise Refused(f"template_data is nested deeper than {DEEPEST_DATA} levels: flatten it")
    return data


def _depth(data: Any) -> int:
    depth = 0
    level = [data]
    while level:
        depth += 1
        level = [one for parent in level for one in _children(parent) if isinstance(one, dict | list)]
    return depth


def _children(parent: Any) -> Iterator[Any]:
    return iter(parent.values() if isinstance(parent, dict) else parent)


def answer(sources: Mapping[str, str], text: str | None, notification: Mapping[str, Any]) -> dict[str, str]:
    """The parts filled in, or `{"error": why}`; whatever a template raises is told, MemoryError apart."""
    part, source = None, ""
    try:
        data = read_data(text)
        data["notification"] = notification
        parts = {}
        for part, source in sources.items():
            parts[part] = fill(source, part == "html", data)
    except MemoryError:
        raise
    except Exception as wrong:  # noqa: BLE001 - a template can raise anything, and harms its own row only
        said = _said(wrong, source)
        return {"error": f"{part}, {said}" if part else said}
    return parts


def packed(texts: Mapping[str, str]) -> bytes:
    """An answer as it goes over the line."""
    contents = [texts[name].encode(errors="surrogatepass") if name in texts else None for name in TEXTS]
    sizes = [-1 if content is None else len(content) for content in contents]
    return SIZES.pack(*sizes) + b"".join(filter(None, contents))


def _said(wrong: Exception, source: str) -> str:
    """What is wrong, for the template's author: sentences that may quote data are replaced by the class."""
    if isinstance(wrong, Refused):
        return str(wrong)
    if isinstance(wrong, TemplateSyntaxError):
        return f"line {wrong.lineno}: {wrong.message}"[:300]
    line = _line(wrong)
    if isinstance(wrong, UndefinedError | SecurityError):
        return f"{line}{_looked_up(wrong.message or '', source)}"[:300]
    if isinstance(wrong, RecursionError | SyntaxError):  # Python's own compiler: 200 parentheses, 20 blocks
        return f"{line}it is nested too deeply"
    return f"{line}{type(wrong).__name__}"


def _looked_up(message: str, source: str) -> str:
    """A name that the template does not spell out came from the data: `prices[name]`."""
    for lead, end in ((" has no attribute ", ""), (" has no element ", ""), ("access to attribute ", " of ")):
        before, found, named = message.partition(lead)
        if found:
            name, between, after = named.rpartition(end) if end else (named, "", "")
            if name.strip("'\"") not in source:
                return f"{before}{found}[…]{between}{after}"
    return message


def _line(wrong: Exception) -> str:
    line = None
    trace = wrong.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f"line {line}: "


def confine() -> None:
    """Give up what a template has no use for: memory, files, sockets, processes, signals of the terminal."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the parent decides; when it is gone, the socket ends
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_NOFILE, 3),  # 0 to 2 are taken: no file and no socket can be opened
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def serve(line: socket.socket, seconds: float) -> None:
    """Answer until the parent closes; a request that takes more CPU time than `seconds` ends the process.

    The sources of a template come with its first request only. Each answer goes out at once, so that the parent
    knows at which request the process ended.
    """
    sources: dict[int, dict[str, str]] = {}
    while (requests := _receive(line)) is not None:
        for template, parts, data, notification in marshal.loads(requests):  # noqa: S302 - from our own parent
            if parts is not None:
                sources[template] = parts
            # CPU time, not wall time: a busy machine is not the template's fault. The signal's default action
            # ends the process inside one long C call too, and also when the parent is gone.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            reply = packed(answer(sources[template], data, notification))
            signal.setitimer(signal.ITIMER_PROF, 0)
            line.sendall(reply)


def _receive(line: socket.socket) -> bytes | None:
    head = line.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    return line.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL)


def main(seconds: float) -> None:
    """Warm up, give everything up, say ready, serve."""
    line = socket.socket(fileno=0)
    for html in (False, True):  # loads what is loaded late: codecs, the error path
        fill("{{ 'a\\n' ~ x|tojson|escape|striptags }}{% for y in [1] %}{{ loop.index }}{% endfor %}", html, {"x": "é"})
    answer({"body": "{{ nothing }}"}, None, {})
    gc.freeze()
    confine()
    try:
        line.sendall(packed({}))
        serve(line, seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except ConnectionError:
        pass  # the parent is gone
