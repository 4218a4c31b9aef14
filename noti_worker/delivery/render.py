"""Templates are filled in by one limited child process per worker: this is the parent's side.

What the child may do and how it is confined stands in `render_child.py`.
"""

import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from time import monotonic
from typing import Any

from noti_worker.domain.errors import BadNotification, NotiError
from noti_worker.domain.facts import RendererKilled
from noti_worker.domain.notification import Template
from noti_worker.domain.ports import Observer
from noti_worker.domain.value import value

_BOOT = "import sys; sys.path += sys.argv[2:]; import render_child; render_child.main(float(sys.argv[1]))"
_START_LIMIT = 15.0
_PATIENCE = 10  # wall time per second of CPU time: a busy or suspended machine is not the template's fault
_LONGEST_REPLY = 16 * 1024 * 1024
_OUT_OF_MEMORY = 9  # render_child.OUT_OF_MEMORY; importing it here would import Jinja2


class RendererAway(NotiError):
    """The render process cannot be had for now; no row is to blame."""


@value
class Rendered:
    """The parts of a message; None for a part that there is not."""

    subject: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)


class Renderer:
    """Renders for all threads of a worker, one template at a time; the child starts with the first one.

    `timeout` is the CPU time in seconds that one message's templates may take.
    """

    def __init__(self, observer: Observer, timeout: float = 1.0) -> None:
        self._observer = observer
        self._timeout = timeout
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any]) -> Rendered:
        """Fill in the parts that `template` has, with `data` (JSON text) and the variable `notification`.

        Raises BadNotification when the template or its data is at fault, RendererAway when the machine is.
        """
        parts = {"subject": template.subject, "body": template.body, "html": template.html}
        sources = {part: source for part, source in parts.items() if source is not None}
        if not sources:
            return Rendered()
        request = json.dumps({"parts": sources, "data": data, "notification": notification}).encode()
        reply = self._ask(request, template.template_id)
        if "error" in reply:
            raise BadNotification(f"template {template.template_id!r}: {reply['error']}")
        filled = reply["parts"]
        return Rendered(filled.get("subject"), filled.get("body"), filled.get("html"))

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _ask(self, request: bytes, template_id: str) -> dict[str, Any]:
        with self._lock:
            try:
                return self._once(request, template_id)
            except _Ended as first:
                if first.guilty:
                    raise BadNotification(f"template {template_id!r} {first}") from None
            # Killed from outside, or full of other templates: the fresh child decides.
            try:
                return self._once(request, template_id)
            except _Ended as second:
                if second.innocent:
                    raise RendererAway(f"the render process {second}") from None
                raise BadNotification(f"template {template_id!r} {second}") from None

    def _once(self, request: bytes, template_id: str) -> dict[str, Any]:
        if self._child is None:
            self._child = _Child(self._timeout)
        try:
            return self._child.ask(request)
        except _Ended as ended:
            self._end()
            self._observer.on(RendererKilled(template_id, str(ended)))
            raise

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Ended(Exception):
    """The child is no more (or will be ended); `guilty` and `innocent` tell what is known about the template."""

    def __init__(self, why: str, *, guilty: bool = False, innocent: bool = False) -> None:
        super().__init__(why)
        self.guilty = guilty
        self.innocent = innocent


class _Child:
    """One render process and the line to it. Raises RendererAway when it cannot be started."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
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

    def ask(self, request: bytes) -> dict[str, Any]:
        """One trip; raises _Ended when no answer comes."""
        try:
            self._line.settimeout(self._timeout * _PATIENCE)
            self._line.sendall(struct.pack("!I", len(request)) + request)
            reply = json.loads(self._receive(monotonic() + self._timeout * _PATIENCE))
        except TimeoutError:
            raise _Ended(f"had no answer within {self._timeout * _PATIENCE:g} s", innocent=True) from None
        except (OSError, EOFError):
            raise self._why() from None
        except ValueError:
            raise _Ended("made the render process talk nonsense", guilty=True) from None
        if not _is_reply(reply):
            raise _Ended("made the render process talk nonsense", guilty=True)
        return dict(reply)

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
        read = bytearray()
        while len(read) < size:
            self._line.settimeout(max(0.001, until - monotonic()))
            piece = self._line.recv(size - len(read))
            if not piece:
                raise EOFError
            read += piece
        return bytes(read)

    def _why(self) -> _Ended:
        try:
            status = self._process.wait(_START_LIMIT)
        except subprocess.TimeoutExpired:
            return _Ended("hung up")
        if status == -signal.SIGPROF:
            return _Ended(f"did not end within {self._timeout:g} s", guilty=True)
        if status == _OUT_OF_MEMORY:
            return _Ended("took too much memory")
        return _Ended(f"ended the render process (status {status})")


def _is_reply(reply: Any) -> bool:
    if not isinstance(reply, dict):
        return False
    if isinstance(reply.get("error"), str):
        return True
    parts = reply.get("parts")
    return isinstance(parts, dict) and all(isinstance(text, str) for text in parts.values())


def _import_paths() -> list[str]:
    """Where the child finds itself and Jinja2: it starts without site-packages and environment."""
    paths = [str(Path(__file__).parent)]
    for package in ("jinja2", "markupsafe"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise RendererAway(f"the package {package} is not installed")
        paths.append(str(Path(spec.origin).parent.parent))
    return list(dict.fromkeys(paths))
