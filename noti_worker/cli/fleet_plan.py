"""What `fleet apply` would do, and doing it: files, and what systemd is asked for; nothing that is so already."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from noti_worker.cli import fleet_files as standing
from noti_worker.domain.errors import ConfigurationError
from noti_worker.settings.fleet import Member

Ask = Callable[[Sequence[str]], tuple[int, str]]
"""Runs `systemctl` with these words; gives its exit code and what it said."""

_TIME = 180
"""Seconds for one question: a worker that stops takes its drain deadline."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done for one database: files written, files removed, then words for systemctl, in this order.

    A `leaving` one is no longer named: systemd is asked first.
    """

    name: str
    write: dict[str, str]
    remove: tuple[str, ...]
    asks: tuple[tuple[str, ...], ...]
    leaving: bool = False

    def __bool__(self) -> bool:
        return bool(self.write or self.remove or self.asks)

    def words(self, root: Path) -> Iterator[str]:
        """One line for each step."""
        asks = [f"systemctl {' '.join(words)}" for words in self.asks]
        changes = [*(f"write {root / path}" for path in self.write), *(f"remove {root / path}" for path in self.remove)]
        yield from [*asks, *changes] if self.leaving else [*changes, *asks]


def plan(members: Sequence[Member], root: Path, ask: Ask | None) -> list[Change]:
    """The changes in the order of the file, then those who leave. Without `ask` files only; ConfigurationError."""
    there = standing.written(root)
    changes = [_kept(member, there.get(member.name, {}), ask) for member in members]
    gone = sorted(there.keys() - {member.name for member in members})
    return [change for change in (*changes, *(_left(name, there[name], ask) for name in gone)) if change]


def carry_out(change: Change, root: Path, ask: Ask | None) -> str | None:
    """Do it; gives what went wrong, of this database alone."""
    try:
        if change.leaving and (wrong := _asked(change, ask)):
            return wrong
        for path, text in change.write.items():
            standing.write(root, path, text)
        for path in change.remove:
            standing.remove(root, path)
        if ask is not None:
            ask(["daemon-reload"])
        return None if change.leaving else _asked(change, ask)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except ConfigurationError as error:
        return str(error)


def systemctl(words: Sequence[str]) -> tuple[int, str]:
    """Ask the systemd of this host."""
    try:
        done = subprocess.run(  # noqa: S603
            ["systemctl", "--no-ask-password", *words],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIME,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError("there is no systemctl here: fleet apply --root DIR writes the files only") from None
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_TIME} s"
    return done.returncode, done.stdout.strip()


def _kept(member: Member, there: dict[str, str], ask: Ask | None) -> Change:
    wanted = standing.files(member)
    write = {path: text for path, text in wanted.items() if there.get(path) != text}
    asks: list[tuple[str, ...]] = []
    if ask is not None:
        unit = standing.unit(member.name)
        if ask(["is-enabled", unit])[1] != "enabled":
            asks.append(("enable", unit))
        if ask(["is-active", unit])[1] not in {"active", "activating", "reloading"}:
            asks += [("reset-failed", unit), ("start", unit)] if ask(["is-failed", unit])[0] == 0 else [("start", unit)]
        elif write:
            asks.append(("restart", unit))
    return Change(member.name, write, tuple(there.keys() - wanted.keys()), tuple(asks))


def _left(name: str, there: dict[str, str], ask: Ask | None) -> Change:
    asks = () if ask is None else (("disable", "--now", standing.unit(name)),)
    return Change(name, {}, tuple(sorted(there)), asks, leaving=True)


def _asked(change: Change, ask: Ask | None) -> str | None:
    for words in change.asks if ask is not None else ():
        assert ask is not None
        code, said = ask(list(words))
        if code:
            return f"systemctl {' '.join(words)}: {said or f'exit code {code}'}"
    return None
