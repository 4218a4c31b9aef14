"""One e-mail address with an optional display name: read strictly, so that one text never means two people."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from functools import lru_cache
from itertools import islice, product

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.line import one_line
from noti_worker.domain.value import value

_MAILBOX = re.compile(
    r"""\s* (?: (?P<bare>[^<>\s]+) | (?P<name> "(?:[^"\\]|\\.)*" | [^"<>,;:@\\]*? ) \s* <(?P<angle>[^<>]*)> ) \s*""",
    re.VERBOSE,
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# What relays take for a route to somewhere else, for a program or a file (Exim's list of restricted characters).
_ROUTED = re.compile(r"[%!]|^[/|]|/\.\./")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST = 512  # a display name and an address
_SPELLINGS = 64


@value
class Mailbox:
    """`address` is local@domain with the domain in ASCII; `name` is the display name, as a person reads it."""

    address: str = field(repr=False)
    name: str = field(default="", repr=False)

    @property
    def domain(self) -> str:
        """The part after the @, in ASCII."""
        return self.address.rpartition("@")[2]

    @property
    def needs_utf8(self) -> bool:
        """True when only a server with SMTPUTF8 (RFC 6531) can take this address."""
        return not self.address.isascii()


def read_mailbox(text: object, where: str, *, intranet: bool = False) -> Mailbox:
    """Read exactly one `local@domain` or `Name <local@domain>`; lists and groups are refused.

    `where` names the field in errors. `intranet` admits domains that only the own network knows
    (`localhost`, one label). Address literals, source routes (also `user%host@…`, `host!user@…`) and
    quoted local parts are refused. Raises BadNotification, which does not show the address.
    """
    text = one_line(text, where)
    if len(text) > _LONGEST:
        raise BadNotification(f"{where} is longer than {_LONGEST} characters: shorten it")
    parts = _MAILBOX.fullmatch(text)
    if parts is None:
        raise _no_address(where)
    bare, name, angle = parts.groups()
    address = angle if bare is None else bare
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise _no_address(where)
    if not local.isascii() and any(unicodedata.category(char)[0] in "CZ" for char in local):
        raise BadNotification(f"{where} holds an invisible character: remove it")
    if not local.isalnum() and _ROUTED.search(local):
        raise BadNotification(
            f"{where} holds % or ! before the @, or begins like a file or a program there, which relays act on:"
            " write the address itself"
        )
    if len(local.encode()) > 64:
        raise BadNotification(f"{where} has more than 64 characters before the @: correct it")
    address = f"{local}@{_ascii_domain(domain, where, intranet=intranet)}"
    if len(address.encode()) > 254:
        raise BadNotification(f"{where} is longer than 254 characters: correct it")
    return Mailbox(address, _plain(name) if name else "")


def spellings(name: str) -> tuple[str, ...]:
    """How rows may write an address: as given, and its domain with each label in ASCII and as people read it.

    What is no address, and one whose domain is plain, has the one spelling. Capitals and display names are not told
    apart by whoever compares.
    """
    angle = re.search(r"<([^<>]*@[^<>]*)>\s*$", name)
    local, at, domain = (angle[1] if angle else name).strip().rpartition("@")
    if not at or (domain.isascii() and "xn--" not in domain.lower()):
        return (name,)
    labels = [tuple(_written(label)) for label in domain.split(".")]
    written = (f"{local}@{'.'.join(labels)}" for labels in islice(product(*labels), _SPELLINGS))
    return tuple(dict.fromkeys((name, *written)))


def _written(label: str) -> Iterator[str]:
    import idna

    yield label
    plain = unicodedata.normalize("NFKC", label).lower()
    if plain.startswith("xn--"):
        with suppress(idna.IDNAError, UnicodeError):
            yield idna.ulabel(plain)
    elif not plain.isascii() and (ascii_label := _ascii_label(plain)):
        yield ascii_label


def _no_address(where: str) -> BadNotification:
    return BadNotification(f"{where} is not one e-mail address: write it alone, or as Name <address>")


def _plain(name: str) -> str:
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return " ".join(name.split())


@lru_cache(maxsize=4096)  # most mails go to a few domains
def _ascii_domain(domain: str, where: str, *, intranet: bool) -> str:
    labels = [_ascii_label(label) for label in unicodedata.normalize("NFKC", domain).split(".")]
    ascii_domain = ".".join(labels)
    if "_" in ascii_domain:
        raise BadNotification(f"{where} has an underscore after the @, which no mail domain may have: correct it")
    if not _DOMAIN.fullmatch(ascii_domain) or labels[-1].isdecimal():
        raise BadNotification(f"{where} has no valid domain after the @: correct it")
    if not intranet and (len(labels) < 2 or labels[-1] in {"localhost", "localdomain"}):
        raise BadNotification(f"{where} has a domain that is not known on the internet: correct it")
    return ascii_domain


def _ascii_label(label: str) -> str:
    """The label in ASCII, "" when IDNA 2008 does not know it.

    Not by the standard library's codec (IDNA 2003): that turns ß into ss, and the mail would go to somebody
    else's domain.
    """
    if label.isascii():
        return label.lower()
    import idna  # its tables cost 10 ms at the start, and most installations never meet such a domain

    for spelling in (label.lower(), label):  # Cherokee knows its capitals only
        try:
            return idna.alabel(spelling).decode("ascii")
        except idna.IDNAError:
            pass
    return ""
