"""The render process: fills in templates that nobody trusts, in a process that has nothing to give away.

Run under `python -I -S`, so it imports the standard library, Jinja2, Babel and the files beside it only. Standard
input is a socket: lists of requests come, marshalled, behind a length of 4 bytes, and answers go, each by itself,
as plain texts behind their lengths, for nobody believes what comes from here. The process is the boundary, with a
limit of memory around it and one of CPU over each request; the sandbox inside (`render_sandbox.py`) is the second
one: escapes from it turn up every few years.
"""

import gc
import json
import marshal
import os
import resource
import signal
import socket
import struct
from collections.abc import Iterator, Mapping
from decimal import localcontext
from time import process_time
from typing import Any

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError, TemplateRuntimeError

from noti_worker.delivery import render_formats
from noti_worker.delivery.render_numbers import ARITHMETIC, no_constant, read_number
from noti_worker.delivery.render_sandbox import NAME, Refused, compiled, composed, named

MEMORY = 256 * 1024 * 1024
LONGEST_OUTPUT = 256 * 1024
DEEPEST_DATA = 100
OUT_OF_MEMORY = 9
"""Exit status: the parent knows why."""

NO_LINK = {
    "unsubscribe_url": "the row has no category that noti.categories lets recipients leave, or [web] has no"
    " unsubscribe_keys",
    "preferences_url": "nobody is known whose address this is (noti.contacts), or [web] has no unsubscribe_keys",
}
"""The variables that are not there for every row, and why not."""
OURS = (*NO_LINK, "direction")
"""What a template need not ask `notification` for."""

TEXTS = ("error", "subject", "body", "html")
HEAD = struct.Struct("!5i")
"""What an answer begins with: microseconds of CPU time, and how many bytes each of its texts has, -1 for none."""
LONGEST_TRIP = 0.1
"""Seconds of CPU time after which a trip is over: others wait for the next one."""


Source = tuple[str, tuple[tuple[str, str], ...]]
"""A text, and the texts of those that it names, by name."""


def fill(source: Source, html: bool, data: Mapping[str, Any]) -> str:
    """The template filled in; the output is counted while it comes."""
    text, parts = source
    template = composed(text, html, parts) if parts else compiled(text, html)
    try:
        return _joined(template, data)
    finally:
        # What an import without context left behind is not for the next message.
        for part in template.environment.parts.values() if parts else ():  # type: ignore[attr-defined]
            part._module = None  # noqa: SLF001 - Jinja2 has no other word for it


def _joined(template: Template, data: Mapping[str, Any]) -> str:
    pieces = []
    size = 0
    for piece in template.generate(data):
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
        data = json.loads(text, parse_float=read_number, parse_constant=no_constant)
    except RecursionError:
        raise Refused(f"template_data is nested deeper than {DEEPEST_DATA} levels: flatten it") from None
    except ValueError:
        raise Refused("template_data cannot be read: a number in it is too long, write it as a text") from None
    if data is None:  # what a serialiser writes for "no data"
        return {}
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


def answer(sources: Mapping[str, Source], text: str | None, notification: Mapping[str, Any]) -> dict[str, str]:
    """The parts filled in, or `{"error": why}`; whatever a template raises is told, MemoryError apart."""
    part, source = None, None
    try:
        data = read_data(text)
        data["notification"] = notification
        for name in OURS:
            if name in notification:
                data.setdefault(name, notification[name])  # the row's own comes first
        parts = {}
        with localcontext(ARITHMETIC):
            for part, source in sources.items():
                parts[part] = fill(source, part == "html", data)
    except MemoryError:
        raise
    except Exception as wrong:  # noqa: BLE001 - a template can raise anything, and harms its own row only
        said = _said(wrong, source)
        return {"error": f"{part}, {said}" if part else said}
    return parts


def packed(texts: Mapping[str, str], seconds: float = 0.0) -> bytes:
    """An answer as it goes over the line; without texts: ready for the next trip."""
    contents = [texts[name].encode(errors="surrogatepass") if name in texts else None for name in TEXTS]
    sizes = [-1 if content is None else len(content) for content in contents]
    return HEAD.pack(int(seconds * 1e6), *sizes) + b"".join(filter(None, contents))


def _said(wrong: Exception, source: Source | None) -> str:
    """What is wrong, for the template's author: sentences that may quote data are replaced by the class."""
    if isinstance(wrong, Refused):
        return str(wrong)
    if isinstance(wrong, TemplateSyntaxError):
        return f"line {wrong.lineno}: {wrong.message}"[:300]
    line = _line(wrong)
    for name, why in NO_LINK.items():
        if isinstance(wrong, UndefinedError) and wrong.message == f"'{name}' is undefined":
            return f"{line}there is no {name}: {why}. Mend that, or ask first: {{% if {name} is defined %}}"
    if isinstance(wrong, TemplateNotFound):
        return f"{line}there is no template {wrong.name!r}, or it stands behind too many others"[:300]
    if isinstance(wrong, UndefinedError | SecurityError):
        text = "" if source is None else "\n".join([source[0], *(part for _, part in source[1])])
        return f"{line}{_looked_up(wrong.message or '', text)}"[:300]
    if type(wrong) is TemplateRuntimeError and (wrong.message or "").startswith("Required block"):
        return f"{line}{wrong.message}"[:300]
    if isinstance(wrong, RecursionError | SyntaxError):  # Python's own compiler: 200 parentheses, 20 blocks
        return f"{line}it is nested too deeply"
    kind = ZeroDivisionError if isinstance(wrong, ZeroDivisionError) else type(wrong)
    return f"{line}{kind.__name__}"


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
    line = ""
    trace = wrong.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename == NAME:
            line = f"line {trace.tb_lineno}: "
        elif filename.startswith(named("")[:-1]):
            line = f"{filename[len(named('')) - 1 : -1]}, line {trace.tb_lineno}: "
        trace = trace.tb_next
    return line


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
    knows at which request the process ended. A trip of more than `LONGEST_TRIP` is over before its last request.
    """
    sources: dict[int, dict[str, Source]] = {}
    while (requests := _receive(line)) is not None:
        began, over, left = process_time(), False, False
        for template, parts, data, notification, piece in marshal.loads(requests):  # noqa: S302 - from our own parent
            if parts is not None:
                sources[template] = parts
            render_formats.learn(piece)
            if over:
                left = True
                continue
            since = process_time()
            # CPU time, not wall time: a busy machine is not the template's fault. The signal's default action
            # ends the process inside one long C call too, and also when the parent is gone.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            render_formats.begin(piece, notification)
            texts = answer(sources[template], data, notification)
            now = process_time()
            reply = packed(texts, now - since)
            signal.setitimer(signal.ITIMER_PROF, 0)
            line.sendall(reply)
            over = now - began > LONGEST_TRIP
        if left:
            line.sendall(packed({}))


def _receive(line: socket.socket) -> bytes | None:
    head = line.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    return line.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL)


def main(seconds: float) -> None:
    """Warm up, give everything up, say ready, serve."""
    line = socket.socket(fileno=0)
    for html in (False, True):  # loads what is loaded late: codecs, the error path
        fill(
            ("{{ 'a\\n' ~ x|tojson|escape|striptags }}{% for y in [1] %}{{ loop.index }}{% endfor %}", ()),
            html,
            {"x": "é"},
        )
    answer({"body": ("{{ nothing }}", ())}, None, {})
    render_formats.prepare()
    gc.freeze()
    confine()
    try:
        line.sendall(packed({}))
        serve(line, seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except ConnectionError:
        pass  # the parent is gone
