"""How a line of the log is written: whole, in order, and whatever happens to its reader."""

import os
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog


class Lines:
    """Writes whole lines. A reader who went away (EPIPE) or a full disk costs lines, not the worker."""

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; without one every line is dropped."""
        self._write: Callable[[str], object] = _writer(stream)

    def msg(self, line: str) -> None:
        """Write one line."""
        try:
            self._write(f"{line}\n")
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = msg


def _writer(stream: TextIO | None) -> Callable[[str], object]:
    if stream is None:
        return lambda _: None
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return stream.write
    # Straight to the descriptor: one write per line keeps lines of threads and processes apart, and no buffer is
    # left behind that fails again (exit code 120) when the interpreter flushes it at its end.
    return lambda line: os.write(descriptor, line.encode("utf-8", "backslashreplace"))


def in_order(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Put first what a reader looks for first."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return {**first, **event}


def exception(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> dict[str, Any]:
    """The class and the way to it. Not the words of the exception: they may hold a statement's parameters."""
    frames = traceback.extract_tb(trace)[-5:]
    return {
        "exception": (kind or type(error)).__name__,
        "frames": [f"{os.path.basename(frame.filename)} {frame.lineno} {frame.name}" for frame in frames],
    }


def thread_died(args: threading.ExceptHookArgs) -> None:
    """Say that a thread ended by an error, as an event of ours."""
    where = args.thread.name if args.thread is not None else "a thread"
    fields = exception(args.exc_type, args.exc_value, args.exc_traceback)
    structlog.get_logger().error("trouble", where=where, **fields)
