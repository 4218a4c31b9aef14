"""SPF (RFC 7208): whether the record of an envelope domain can be evaluated, and whom it lets send."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from noti_worker.domain.dns import Ask, NotTold, not_told
from noti_worker.domain.dns.services import Service
from noti_worker.domain.finding import Finding, ok, problem, warning

MOST = 10
"""So many lookups may an evaluation need; with one more receivers call the record broken."""

MOST_VOID = 2
"""So many of them may find nothing."""

_BEGINS = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][\w.-]*)=(.*)")
_DIRECTIVE = re.compile(r"([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]+))?(/.*)?", re.IGNORECASE)
_LENGTHS = re.compile(r"(?:/(\d{1,2}))?(?://(\d{1,3}))?")
_NAME = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_](?:[\w-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[\w-]*[A-Za-z0-9_])?)+\.?")


class _Broken(Exception):
    """Receivers answer "permerror" to it."""


@dataclass(slots=True)
class _Walk:
    """What the records of a domain and of all that it includes add up to."""

    ask: Ask
    lookups: int = 0
    void: int = 0
    included: set[str] = field(default_factory=set)
    ptr: bool = False

    def record(self, domain: str) -> str | None:
        """The one record of a domain; None when it has none."""
        found = [text for text in self.ask(domain, "TXT").records if _BEGINS.match(text)]
        if len(found) > 1:
            raise _Broken(f"{domain} has {len(found)} SPF records, one is allowed: merge them")
        return found[0] if found else None

    def walk(self, domain: str, record: str, chain: tuple[str, ...]) -> str | None:
        """Follow a record; gives the qualifier of its `all`, None when it has no end."""
        redirect = None
        for term in record.split()[1:]:
            if (modifier := _MODIFIER.fullmatch(term)) is not None:
                if modifier[1].lower() == "redirect":
                    redirect = modifier[2]
                continue
            directive = _DIRECTIVE.fullmatch(term)
            if directive is None:
                raise _Broken(f'{domain}: "{term[:80]}" is nothing that SPF knows')
            if directive[2].lower() == "all":
                if directive[3] or directive[4]:
                    raise _Broken(f'{domain}: "{term[:80]}" must be all, alone')
                return directive[1] or "+"
            self._term(domain, directive, chain)
        if redirect is None:
            return None
        self.lookups += 1
        return self._other(domain, f"redirect={redirect}", redirect, chain)

    def _term(self, domain: str, term: re.Match[str], chain: tuple[str, ...]) -> None:
        name, value, lengths = term[2].lower(), term[3], term[4] or ""
        if name in {"ip4", "ip6"}:
            try:
                network = ip_network((value or "") + lengths, strict=False)
            except ValueError:
                raise _Broken(f'{domain}: "{term[0][:80]}" is no network') from None
            if network.version != int(name[2]):
                raise _Broken(f'{domain}: "{term[0][:80]}" is of the other family: write ip{network.version}:')
            return
        self.lookups += 1
        if lengths and (name not in {"a", "mx"} or not _lengths_fit(lengths)):
            raise _Broken(f'{domain}: "{term[0][:80]}" has a wrong length of a network')
        if name in {"include", "exists"} and not value:
            raise _Broken(f'{domain}: "{term[0][:80]}" names no domain')
        self.ptr = self.ptr or name == "ptr"
        if name == "include":
            self._other(domain, term[0], value, chain)
        elif name in {"a", "mx"}:
            self._hosts(domain, name, value or domain)

    def _hosts(self, domain: str, name: str, of: str) -> None:
        if "%" in of:
            return
        if _NAME.fullmatch(of) is None:
            raise _Broken(f'{domain}: "{name}:{of[:80]}" names no domain')
        kinds = ("MX",) if name == "mx" else ("A", "AAAA")
        self.void += not any(self.ask(of, kind).records for kind in kinds)

    def _other(self, domain: str, term: str, name: str, chain: tuple[str, ...]) -> str | None:
        """Follow an include or a redirect; whose name depends on the mail counts, and is not followed."""
        if "%" in name:
            return "?"
        name = name.rstrip(".").lower()
        if _NAME.fullmatch(name) is None:
            raise _Broken(f'{domain}: "{term[:80]}" names no domain')
        if name in chain:
            raise _Broken(f"{domain}: {term} leads back to where it came from")
        if self.lookups > 2 * MOST:  # broken in any case: it need not be walked to its end
            return "?"
        self.included.add(name)
        record = self.record(name)
        if record is None:
            raise _Broken(f"{domain}: {term} leads to no SPF record: take it out, or correct it")
        return self.walk(name, record, (*chain, name))


def spf(ask: Ask, domain: str, services: Collection[Service] = ()) -> Iterator[Finding]:
    """Look at the record of a domain that mails go out from through these services."""
    walk = _Walk(ask)
    mended = f'correct the TXT record of {domain} that begins with "v=spf1"'
    try:
        record = walk.record(domain)
        if record is None:
            wanted = " ".join(["v=spf1", *(f"include:{service.includes[0]}" for service in services), "-all"])
            todo = f'publish what names all that sends for it, as a TXT record of {domain}, such as "{wanted}"'
            yield problem("spf", f"{domain} has no SPF record", todo)
            return
        end = walk.walk(domain, record, (domain,))
    except _Broken as error:
        yield problem("spf", f"{error}; receivers then take the whole record for broken", mended)
        return
    except NotTold as error:
        yield not_told("spf", error)
        return
    if walk.lookups > MOST:
        count = f"more than {2 * MOST}" if walk.lookups > 2 * MOST else str(walk.lookups)
        todo = "take out what sends nothing any more, and name networks (ip4:, ip6:) instead of hosts"
        yield problem("spf", f"{domain}: {count} lookups, and receivers make {MOST}: they call it broken", todo)
    if walk.void > MOST_VOID:
        todo = "take out the names (a:, mx:) that do not exist any more"
        yield problem("spf", f"{domain}: {walk.void} lookups find nothing; receivers allow {MOST_VOID}", todo)
    yield _end(domain, record, end, walk.lookups, mended)
    if walk.ptr:
        yield warning("spf", f"{domain}: ptr is slow, and many receivers do not follow it", "name networks instead")
    for service in services:
        if not any(one == name or one.endswith(f".{name}") for one in walk.included for name in service.includes):
            yield _missing(domain, service)


def _missing(domain: str, service: Service) -> Finding:
    name = service.includes[0]
    todo = f'put include:{name} before the "all" of the record'
    if service.own:
        what = f"{domain} does not include {name}: right as long as that service has envelope senders of its own"
        return ok("spf", what, f"if it was given this domain for them, {todo}")
    what = f"{domain} does not let {name} send, and an account of the configuration sends through it"
    return warning("spf", what, f"{todo}, unless its networks are named there")


def _end(domain: str, record: str, end: str | None, lookups: int, mended: str) -> Finding:
    whole = f'{domain}: "{record}"'
    if end is None:
        return warning("spf", f"{whole} does not end in all: it says nothing about all others", "end it with -all")
    if end == "+":
        return problem("spf", f"{whole} ends in +all: anybody may send for it", f"{mended}: end it with -all")
    if end == "?":
        return warning("spf", f"{whole} says nothing about all others", "end it with ~all or -all")
    return ok("spf", f"{whole}; lookups: {lookups} of {MOST}")


def _lengths_fit(text: str) -> bool:
    found = _LENGTHS.fullmatch(text)
    return found is not None and int(found[1] or 0) <= 32 and int(found[2] or 0) <= 128
