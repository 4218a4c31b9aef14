"""What a terminal shows while a command runs in it, as text and as a picture."""

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte
from PIL import Image, ImageDraw, ImageFont

_QUIET = 0.3
"""Seconds without a word after which a picture is whole."""

_FONT = "DejaVuSansMono.ttf"
_SIZE = 15
_COLOURS = {
    "black": "#000000",
    "red": "#e06c6c",
    "green": "#7ec97e",
    "brown": "#d7ba5f",  # what pyte calls yellow
    "blue": "#6c9be0",
    "magenta": "#c58ad6",
    "cyan": "#5fc2c9",
    "white": "#dddddd",
    "default": "#dddddd",
}
_GROUND = "#1b1d21"


class Screen:
    """A terminal of `columns` by `lines`; `seen` are its texts whenever they had changed."""

    def __init__(self, columns: int, lines: int) -> None:
        self._screen: Any = pyte.Screen(columns, lines)
        self._stream: Any = pyte.ByteStream(self._screen)
        self.seen: list[str] = []

    def run(self, command: Sequence[str], environ: Mapping[str, str], seconds: float) -> None:
        """Run the command for so long at most; the last screen is that before Ctrl-C ends it."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0))
        process = subprocess.Popen(
            command,
            stdin=its,
            stdout=its,
            stderr=its,
            env={**environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(its)
        try:
            for data in _written(ours, seconds):
                self._show(data)
            for data in _written(ours, _QUIET, again=True):  # not in the middle of a picture
                self._show(data)
            process.send_signal(signal.SIGINT)
            for _ in _written(ours, 20):  # a terminal that nobody reads would hold up its end
                pass
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def _show(self, data: bytes) -> None:
        self._stream.feed(data)
        text = self.text()
        if text != "\n" and self.seen[-1:] != [text]:
            self.seen.append(text)

    def text(self) -> str:
        """What stands on it, without the empty lines below."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip() + "\n"

    def draw(self, file: Path) -> None:
        """Write it as a PNG."""
        font = ImageFont.truetype(_FONT, _SIZE)
        width, height = round(font.getlength("M")), sum(font.getmetrics()) + 1
        size = (width * (self._screen.columns + 2), height * (self._screen.lines + 1))
        image = Image.new("RGB", size, _GROUND)
        draw = ImageDraw.Draw(image)
        for row in range(self._screen.lines):
            for column in range(self._screen.columns):
                cell = self._screen.buffer[row][column]
                ink, ground = (_COLOURS.get(name, f"#{name}") for name in (cell.fg, cell.bg))
                ground = _GROUND if cell.bg == "default" else ground
                if cell.reverse:
                    ink, ground = ground, ink
                at = (width * (column + 1), height // 2 + height * row)
                if ground != _GROUND:
                    draw.rectangle((*at, at[0] + width - 1, at[1] + height - 1), fill=ground)
                draw.text(at, cell.data, fill=ink, font=font, stroke_width=0.3 if cell.bold else 0)
        image.save(file)


def _written(source: int, seconds: float, *, again: bool = False) -> Iterator[bytes]:
    """What comes within so many seconds (with `again`: after each part), or until the end."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        if select.select([source], [], [], left)[0]:
            try:
                data = os.read(source, 65536)
            except OSError as error:  # Linux says so when the last writer is gone
                if error.errno == errno.EIO:
                    return
                raise
            if not data:
                return
            yield data
            ends = time.monotonic() + seconds if again else ends
