"""The render process as its parent sees it: start it, ask it, find out why it ended."""

import importlib.util
import marshal
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from time import monotonic
from typing import Any

from noti_worker.delivery.render_locales import ENGLISH, MOST_KNOWN, asks, locale_of, zones
from noti_worker.domain.errors import NotiError
from noti_worker.domain.notification import Template
from noti_worker.domain.value import value

_BOOT = (
    "import sys; sys.path += sys.argv[2:];"
    " from noti_worker.delivery import render_child; render_child.main(float(sys.argv[1]))"
)
_START_LIMIT = 15.0
_PATIENCE = 10  # wall time per second of CPU time: a busy or suspended machine is not the template's fault
_LONGEST_TEXT = 4 * 1024 * 1024
_MOST_KNOWN = 128  # templates whose sources the child keeps
# As in render_child.py; importing it here would import Jinja2.
_OUT_OF_MEMORY = 9
_HEAD = struct.Struct("!5i")

_Piece = tuple[int, tuple[str | None, ...] | None, bytes, Mapping[str, tuple[str, bytes]] | None] | None
"""As in render_formats.py."""


class RendererAway(NotiError):
    """The render process cannot be had for now; no row is to blame."""


@value
class Request:
    """A template to fill in with `data` (JSON text) and the variable `notification`."""

    template: Template
    data: str | None = field(repr=False)
    notification: Mapping[str, Any] = field(repr=False)
    tenant_id: str

    @property
    def size(self) -> int:
        """Characters, about what it takes on the line."""
        template = self.template
        texts = (self.data, template.subject, template.body, template.html)
        return sum([len(text) for text in texts if text]) + sum(
            [len(text) for part in template.parts for text in (part.subject, part.body, part.html) if text]
        )


@value
class Answer:
    """What the child said: the parts filled in, or what is wrong with them; `seconds` of CPU time it took."""

    seconds: float
    error: str | None
    subject: str | None = field(repr=False)
    body: str | None = field(repr=False)
    html: str | None = field(repr=False)

    @property
    def over(self) -> bool:
        """Nothing at all: the process says that it is ready for the next trip."""
        return self.error is self.subject is self.body is self.html is None


class Ended(Exception):
    """The child is no more (or will be ended); `guilty` and `innocent` tell what is known about the template."""

    def __init__(self, why: str, *, guilty: bool = False, innocent: bool = False) -> None:
        super().__init__(why)
        self.guilty = guilty
        self.innocent = innocent


class Process:
    """One render process and the line to it. Raises RendererAway when it cannot be started."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._known: dict[Template, int] = {}
        self._asking: set[int] = set()  # those that may write numbers or dates
        self._languages: dict[str, int] = {}
        self._has_zones = False
        self._buffer = bytearray()
        self._line, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own program, by our own interpreter
                    [sys.executable, "-I", "-S", "-c", _BOOT, str(timeout), *_import_paths()],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # Nothing of ours; some Pythons need the one variable to find their own library.
                    env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                    cwd="/",
                    start_new_session=True,  # Ctrl-C in a terminal is for the worker, which drains first
                )
        except OSError as refused:
            self._line.close()
            raise RendererAway(f"the render process cannot be started: {type(refused).__name__}") from None
        try:
            self._line.settimeout(_START_LIMIT)
            self._receive(monotonic() + _START_LIMIT)
        except (OSError, EOFError, ValueError) as silent:
            self.end()
            raise RendererAway(f"the render process does not start: {type(silent).__name__}") from None

    def ask(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One trip; gives the answers one by one, in order, and raises Ended when the next one does not come.

        A trip that took long is over before its last request: there is an answer to the first at least.
        """
        content = marshal.dumps([self._told(request) for request in requests])
        try:
            self._line.settimeout(self._timeout * _PATIENCE)
            self._line.sendall(struct.pack("!I", len(content)) + content)
            for number in range(len(requests)):
                answer = self._receive(monotonic() + self._timeout * _PATIENCE, something=number == 0)
                if answer.over:
                    return
                yield answer
        except TimeoutError:
            raise Ended(f"had no answer within {self._timeout * _PATIENCE:g} s", innocent=True) from None
        except (OSError, EOFError):
            raise self._why() from None
        except ValueError:
            raise Ended("made the render process talk nonsense", guilty=True) from None

    def _told(self, request: Request) -> tuple[int, dict[str, Any] | None, str | None, Mapping[str, Any], _Piece]:
        """The request, with the sources, the language and the zones only when the child does not have them yet."""
        template = request.template
        number, sources = self._known.get(template), None
        if number is None:
            if len(self._known) == _MOST_KNOWN:
                self._known.clear()  # the child overwrites them one by one
                self._asking.clear()
            number = self._known[template] = len(self._known)
            if asks(template):
                self._asking.add(number)
            parts = {"subject": template.subject, "body": template.body, "html": template.html}
            sources = {part: (text, named_parts(template, part)) for part, text in parts.items() if text is not None}
        piece = self._piece(request.notification.get("language") or ENGLISH) if number in self._asking else None
        return number, sources, request.data, request.notification, piece

    def _piece(self, tag: str) -> _Piece:
        all_zones, self._has_zones = None if self._has_zones else zones(), True
        if (number := self._languages.get(tag)) is not None:
            return number, None, b"", all_zones
        if len(self._languages) == MOST_KNOWN:
            self._languages.clear()  # the child forgets them with number 0
        number = self._languages[tag] = len(self._languages)
        locale = locale_of(tag)
        return (number, (), b"", all_zones) if locale is None else (number, locale.parts, locale.data, all_zones)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._line.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, until: float, *, something: bool = False) -> Answer:
        """An answer of the child, whom nobody trusts; raises ValueError when it is none (or not `something`)."""
        microseconds, *sizes = _HEAD.unpack(self._read(_HEAD.size, until))
        if microseconds < 0 or not all(-1 <= size <= _LONGEST_TEXT for size in sizes):
            raise ValueError
        texts = [None if size < 0 else self._read(size, until).decode(errors="surrogatepass") for size in sizes]
        answer = Answer(microseconds / 1e6, *texts)
        if something and answer.over:
            raise ValueError
        return answer

    def _read(self, size: int, until: float) -> bytes:
        while len(self._buffer) < size:
            piece = self._line.recv(65536)
            if not piece:
                raise EOFError
            if monotonic() > until:
                raise TimeoutError
            self._buffer += piece
        read = bytes(self._buffer[:size])
        del self._buffer[:size]
        return read

    def _why(self) -> Ended:
        try:
            status = self._process.wait(_START_LIMIT)
        except subprocess.TimeoutExpired:
            return Ended("hung up")
        if status == -signal.SIGPROF:
            return Ended(f"did not end within {self._timeout:g} s", guilty=True)
        if status == _OUT_OF_MEMORY:
            return Ended("took too much memory")
        return Ended(f"ended the render process (status {status})")


def named_parts(template: Template, part: str) -> tuple[tuple[str, str], ...]:
    """The same part of what a template is made of, or the body of what has no such part."""
    texts = ((other.template_id, getattr(other, part) or other.body) for other in template.parts)
    return tuple((name, text) for name, text in texts if text is not None)


def _import_paths() -> list[str]:
    """Where the child finds itself, Jinja2 and Babel: it starts without site-packages and environment."""
    paths = [str(Path(__file__).parents[2])]
    for package, needed in (("jinja2", True), ("markupsafe", True), ("babel", False)):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            paths.append(str(Path(spec.origin).parent.parent))
        elif needed:
            raise RendererAway(f"the package {package} is not installed")
    return list(dict.fromkeys(paths))
