"""The words of a provider, read: without what we said ourselves, and for the wait that they ask for.

A server repeats whom it was told: `<rate@example.net>: user unknown` is not about a rate, and `15min@` asks for
no wait.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from noti_worker.domain.notification import Message

BLANK = "***"
_MOST_WORDS = 4_000  # what stands further behind is not read

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s<>\"]+|\bwww\.[^\s<>\"]+", re.IGNORECASE)
# Everything but white space, brackets and what ends a word may stand in an address (RFC 5322, 5321, 6531).
_ATOMS = r"[^\s<>()\[\],;:\"@\\]{1,256}"
_ADDRESS = re.compile(
    rf"<[^<>@]{{0,256}}@[^<>]{{0,256}}>|\"[^\"]{{0,256}}\"@{_ATOMS}|{_ATOMS}@(?:{_ATOMS}|\[[^\]\s]{{0,256}}\])"
)
# One case throughout: "unknown.Please" is the end of one sentence and the beginning of the next.
_HOST = re.compile(
    r"(?<![\w.-])(?:(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
    r"|(?:[A-Z0-9_](?:[A-Z0-9_-]{0,61}[A-Z0-9])?\.)+[A-Z][A-Z0-9-]*[A-Z0-9])(?![\w-])"
)
_WAIT = re.compile(r"\b(\d{1,6}) ?(second|sec|minute|min|hour)s?\b", re.IGNORECASE)
_UNIT = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600}
_A_LITTLE_MORE = 10.0
_SHORTEST_NAME = 3
_NUMBER = re.compile(r"[+-]?[0-9](?:[-. ()]*[0-9]){4,}")
_RUN = re.compile(r"[A-Za-z0-9]+")
_BETWEEN = "[-. ()\u00a0]*"
_VALUE = re.compile(r':\s*"([^"\\]{8,})"')


def blanked(words: str, message: Message | None) -> str:
    """`words` without what we sent, or what looks like it: the recipient and copies, addresses, URLs, host names."""
    words = words[:_MOST_WORDS]
    for ours in sorted(_sent(message), key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(ours)}(?!\w)", BLANK, words, flags=re.IGNORECASE)
    for pattern in (_URL, _ADDRESS, _HOST):
        words = pattern.sub(BLANK, words)
    return words


def without_recipient(words: str, recipient: str, mark: str = "…") -> str:
    """`words` with a mark wherever they name the recipient, in any spelling that a service may have made of it."""
    if not _may_name(words, recipient):
        return words
    named = _naming(recipient)
    return words if named is None else named.sub(mark, words)


def _may_name(words: str, recipient: str) -> bool:
    """Tell quickly that words name nobody: to look closely costs a millisecond."""
    if _NUMBER.fullmatch(recipient):
        return "".join(filter(str.isdigit, recipient)) in "".join(filter(str.isdigit, words))
    address = address_of(recipient)
    runs = _RUN.findall(address.rpartition("@")[0] or address)
    of_several = "://" in recipient  # of a URL, or of a document that holds one, a part may stand alone
    said = words.casefold()
    return not runs or any(run.casefold() in said for run in (runs if of_several else [max(runs, key=len)]))


@lru_cache(maxsize=256)
def _naming(recipient: str) -> re.Pattern[str] | None:
    """A number is found with and without + or 00 and with blanks in it, `@name` and `#room` without their sign too.

    Of a URL also what stands behind its host, of a subscription (JSON) its endpoint and keys; all of it
    percent-encoded as well, and in any case.
    """
    names = {recipient, address_of(recipient)}
    if recipient[:1] in {"@", "#"}:
        names.add(recipient[1:])
    names.update(_VALUE.findall(recipient))
    for url in [name for name in names if "://" in name]:
        names.add(url.split("://", 1)[1].partition("/")[2])
    names |= {quote(name, safe="") for name in names} | {quote(name) for name in names}
    spelled = [rf"(?<!\w){re.escape(name)}(?!\w)" for name in names if len(name) >= _SHORTEST_NAME]
    if _NUMBER.fullmatch(recipient):
        digits = _BETWEEN.join(char for char in recipient if char.isdigit())
        spelled.append(rf"(?<![0-9])(?:\+|%2B|00|-)?{digits}(?![0-9])")
    longest_first = sorted(spelled, key=len, reverse=True)
    return re.compile("|".join(longest_first), re.IGNORECASE) if longest_first else None


def asked_wait(words: str, message: Message | None) -> float | None:
    """The wait that the words ask for ("try again in 5 minutes") in seconds, and a little more."""
    found = _WAIT.search(blanked(words, message))
    return int(found[1]) * _UNIT[found[2].lower()] + _A_LITTLE_MORE if found else None


def copies(message: Message) -> tuple[str, ...]:
    """The addresses of `options.cc` and `options.bcc` that get it, too, without those that are the recipient's own."""
    if message.options.get("copy_of"):
        return ()  # it goes to the recipient alone
    own = address_of(message.recipient).casefold()
    return tuple(one for one in _copies(message) if one.casefold() != own)


def address_of(mailbox: str) -> str:
    """`ada@example.com` of `Ada <ada@example.com>`; anything else as it is."""
    _, bracket, rest = mailbox.rpartition("<")
    return rest.rstrip(" >") if bracket else mailbox.strip()


def _copies(message: Message) -> Iterator[str]:
    for name in ("cc", "bcc", "copy_of"):
        given = message.options.get(name)
        for one in [given] if isinstance(given, str) else given if isinstance(given, list | tuple) else ():
            if isinstance(one, str):
                yield address_of(one)


def _sent(message: Message | None) -> Iterator[str]:
    if message is None:
        return
    if message.recipient:
        yield message.recipient
    for address in (address_of(message.recipient), *_copies(message)):
        if address:
            yield address
        local, at, host = address.rpartition("@")
        if at and local and host:
            yield f"<{local}>"
            if "." in host:  # "localhost" or "user" alone may be the server's own word
                yield host
