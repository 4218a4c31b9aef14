"""The render process as its parent sees it: start it, ask it, find out why it ended."""

import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from noti_worker.domain.errors import NotiError
from noti_worker.domain.notification import Template

_BOOT = "import sys; sys.path += sys.argv[2:]; import render_child; render_child.main(float(sys.argv[1]))"
_START_LIMIT = 15.0
_PATIENCE = 10  # wall time per second of CPU time: a busy or suspended machine is not the template's fault
_LONGEST_REPLY = 16 * 1024 * 1024
_MOST_KNOWN = 128  # templates whose sources the child keeps
_OUT_OF_MEMORY = 9  # render_child.OUT_OF_MEMORY; importing it here would import Jinja2


class RendererAway(NotiError):
    """The render process cannot be had for now; no row is to blame."""


@dataclass(frozen=True, slots=True)
class Request:
    """A template to fill in; `row` is what it is filled in with, as JSON: `data` (JSON text) and `notification`."""

    template: Template
    row: str = field(repr=False)

    @property
    def size(self) -> int:
        """Characters, about what it takes on the line."""
        template = self.template
        return sum(len(source or "") for source in (self.row, template.subject, template.body, template.html))


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
            self._receive(monotonic() + _START_LIMIT)
        except (OSError, EOFError) as silent:
            self.end()
            raise RendererAway(f"the render process does not start: {type(silent).__name__}") from None

    def ask(self, requests: Sequence[Request]) -> Iterator[dict[str, Any]]:
        """One trip; gives the answers one by one, in order, and raises Ended when the next one does not come."""
        content = b"[" + b",".join([self._encoded(request) for request in requests]) + b"]"
        try:
            self._line.settimeout(self._timeout * _PATIENCE)
            self._line.sendall(struct.pack("!I", len(content)) + content)
            for _ in requests:
                yield _reply(self._receive(monotonic() + self._timeout * _PATIENCE))
        except TimeoutError:
            raise Ended(f"had no answer within {self._timeout * _PATIENCE:g} s", innocent=True) from None
        except (OSError, EOFError):
            raise self._why() from None
        except ValueError:
            raise Ended("made the render process talk nonsense", guilty=True) from None

    def _encoded(self, request: Request) -> bytes:
        """The request as JSON, with the sources only when the child does not have them yet."""
        template = request.template
        number = self._known.get(template)
        if number is not None:
            return f'{{"template": {number}, "row": {request.row}}}'.encode()
        if len(self._known) == _MOST_KNOWN:
            self._known.clear()  # the child overwrites them one by one
        number = self._known[template] = len(self._known)
        parts = {"subject": template.subject, "body": template.body, "html": template.html}
        sources = json.dumps({part: source for part, source in parts.items() if source is not None})
        return f'{{"template": {number}, "parts": {sources}, "row": {request.row}}}'.encode()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._line.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, until: float) -> bytes:
        (size,) = struct.unpack("!I", self._read(4, until))
        if size > _LONGEST_REPLY:
            raise EOFError
        return self._read(size, until)

    def _read(self, size: int, until: float) -> bytes:
        while len(self._buffer) < size:
            self._line.settimeout(max(0.001, until - monotonic()))
            piece = self._line.recv(65536)
            if not piece:
                raise EOFError
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


def _reply(content: bytes) -> dict[str, Any]:
    """An answer of the child, whom nobody trusts; raises ValueError when it is none."""
    reply = json.loads(content)
    if isinstance(reply, dict):
        parts = reply.get("parts")
        if isinstance(reply.get("error"), str):
            return reply
        if isinstance(parts, dict) and all(isinstance(text, str) for text in parts.values()):
            return reply
    raise ValueError


def _import_paths() -> list[str]:
    """Where the child finds itself and Jinja2: it starts without site-packages and environment."""
    paths = [str(Path(__file__).parent)]
    for package in ("jinja2", "markupsafe"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise RendererAway(f"the package {package} is not installed")
        paths.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(paths))
