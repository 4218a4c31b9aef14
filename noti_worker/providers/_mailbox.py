"""One e-mail address with an optional display name: read strictly, so that one text never means two people."""

import re
import unicodedata
from dataclasses import field

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.value import value

_MAILBOX = re.compile(
    r"""\s* (?: (?P<bare>[^<>\s]+) | (?P<name> "(?:[^"\\]|\\.)*" | [^"<>,;:@\\]*? ) \s* <(?P<angle>[^<>]*)> ) \s*""",
    re.VERBOSE,
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TEXT_CATEGORIES = frozenset("LMN")
_LONGEST = 512  # a display name and an address


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
    (`localhost`, one label). Address literals, source routes and quoted local parts are refused.
    Raises BadNotification, which does not show the address.
    """
    text = header_text(text, where)
    if len(text) > _LONGEST:
        raise BadNotification(f"{where} is longer than {_LONGEST} characters")
    parts = _MAILBOX.fullmatch(text)
    if parts is None:
        raise BadNotification(f"{where} is not one e-mail address")
    address = parts["bare"] if parts["bare"] is not None else parts["angle"]
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise BadNotification(f"{where} is not one e-mail address")
    if not local.isascii() and any(unicodedata.category(char)[0] in "CZ" for char in local):
        raise BadNotification(f"{where} holds an invisible character: remove it")
    if len(local.encode()) > 64:
        raise BadNotification(f"{where} has more than 64 characters before the @")
    address = f"{local}@{_ascii_domain(domain, where, intranet=intranet)}"
    if len(address.encode()) > 254:
        raise BadNotification(f"{where} is longer than 254 characters")
    return Mailbox(address, _plain(parts["name"] or ""))


def header_text(text: object, where: str) -> str:
    """`text` if it may stand in a header; raises BadNotification for what could become another header.

    An encoded word ("=?…?=") is refused too: decoded and written again, it may hold a line break
    (CVE-2024-6923).
    """
    if not isinstance(text, str):
        raise BadNotification(f"{where} is not a text")
    if _CONTROLS.search(text):
        raise BadNotification(f"{where} holds a line break or another control character")
    if "=?" in text:
        raise BadNotification(f'{where} holds "=?", which mail programs would decode: write plain text')
    return text


def _plain(name: str) -> str:
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return " ".join(name.split())


def _ascii_domain(domain: str, where: str, *, intranet: bool) -> str:
    # Each label on its own, as IDNA 2008 has it: the standard library's codec (IDNA 2003) turns ß into
    # ss, and the mail would go to somebody else's domain.
    labels = [_ascii_label(label) for label in unicodedata.normalize("NFKC", domain).lower().split(".")]
    ascii_domain = ".".join(labels)
    if not _DOMAIN.fullmatch(ascii_domain) or labels[-1].isdecimal():
        raise BadNotification(f"{where} has no valid domain after the @")
    if not intranet and (len(labels) < 2 or labels[-1] in {"localhost", "localdomain"}):
        raise BadNotification(f"{where} has a domain that is not known on the internet")
    return ascii_domain


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    if any(unicodedata.category(char)[0] not in _TEXT_CATEGORIES and char != "-" for char in label):
        return ""
    return "xn--" + label.encode("punycode").decode("ascii")
