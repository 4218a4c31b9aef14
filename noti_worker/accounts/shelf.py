"""The senders that are ready: built when they are needed, so many at most, closed when nobody uses them any more."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from noti_worker.domain.account import Account
from noti_worker.domain.notification import Message
from noti_worker.domain.ports import Sender
from noti_worker.domain.said import Said

MOST = 500
"""Senders kept at a time; each may have connections and threads. The one that was not used for longest goes first."""


@dataclass(slots=True, eq=False)
class _Kept:
    sender: Sender
    version: int
    users: int = 0
    retired: bool = False  # closed by the last who uses it


class Shelf:
    """Senders by the name of their account. Thread-safe; a call under way ends by itself whatever happens here."""

    def __init__(self, build: Callable[[Account], Sender], most: int = MOST) -> None:
        """`build` makes the sender of an account; it may raise ConfigurationError, and whoever wanted it hears that."""
        self._build = build
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._closed = False

    def sender(self, account: Account) -> Sender:
        """What sends for the account whenever it is asked, also when its sender has left the shelf meanwhile."""
        return _Lent(self, account)

    @contextmanager
    def lend(self, account: Account) -> Iterator[Sender]:
        """The sender itself, for one call."""
        kept = self._take(account)
        try:
            yield kept.sender
        finally:
            self._give_back(kept)

    def send(self, account: Account, message: Message, limit: float) -> Said:
        """Send through the account; as `lend`, which would cost each row a generator."""
        kept = self._take(account)
        try:
            return kept.sender.send(message, limit)
        finally:
            self._give_back(kept)

    def close(self) -> None:
        """Close all senders, those in use after their calls."""
        with self._lock:
            self._closed = True
            kept = list(self._kept.values())
            self._kept.clear()
            idle = self._retire(kept)
        for sender in idle:
            sender.close()

    def __len__(self) -> int:
        return len(self._kept)

    def _take(self, account: Account) -> _Kept:
        with self._lock:
            kept = self._kept.get(account.name)
            if kept is not None and kept.version == account.version:
                self._kept.move_to_end(account.name)
                kept.users += 1
                return kept
        return self._put(account, self._build(account))

    def _give_back(self, kept: _Kept) -> None:
        with self._lock:
            kept.users -= 1
            idle = kept.retired and not kept.users
        if idle:
            kept.sender.close()

    def _put(self, account: Account, sender: Sender) -> _Kept:
        """Keep a sender that was just built, in place of an older one. It was built outside the lock: it may take long.

        Where two threads built one at the same time both are used, and the later stays.
        """
        fresh = _Kept(sender, account.version, users=1)
        with self._lock:
            leaving = [kept] if (kept := self._kept.pop(account.name, None)) is not None else []
            if self._closed:
                leaving.append(fresh)
            else:
                self._kept[account.name] = fresh
            while len(self._kept) > self._most:
                leaving.append(self._kept.popitem(last=False)[1])
            idle = self._retire(leaving)
        for old in idle:
            old.close()
        return fresh

    @staticmethod
    def _retire(leaving: Iterable[_Kept]) -> list[Sender]:
        """Let them go; gives those that nobody uses, to be closed outside the lock."""
        idle = []
        for kept in leaving:
            kept.retired = True
            if not kept.users:
                idle.append(kept.sender)
        return idle


class _Lent:
    """Port Sender: takes the sender from the shelf for each call."""

    __slots__ = ("_account", "_shelf")

    def __init__(self, shelf: Shelf, account: Account) -> None:
        self._shelf = shelf
        self._account = account

    def send(self, message: Message, limit: float) -> Said:
        return self._shelf.send(self._account, message, limit)

    def close(self) -> None:
        """Nothing: the shelf closes what it has built."""
