"""DMARC (RFC 7489): what receivers are to do with mails that only claim to be of a domain, and who hears of it."""

import re
from collections.abc import Iterator, Mapping

from noti_worker.domain.dns import Ask, NotTold, not_told, tags_of
from noti_worker.domain.finding import Finding, ok, problem, warning

_BEGINS = re.compile(r"\s*v\s*=\s*DMARC1\s*(?:;|$)", re.IGNORECASE)
_URI = re.compile(r"mailto:[^@\s,!]+@([^@\s,!]+)(?:![0-9]+[kmgt]?)?", re.IGNORECASE)
_POLICIES = {"none", "quarantine", "reject"}
_DEEPEST = 8
"""Names that are asked on the way up."""


def dmarc(ask: Ask, domain: str, envelopes: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Look at the policy of a domain, its own or that of a domain above; `envelopes` are our envelope senders'."""
    try:
        found = _policy(ask, domain)
        if found is None:
            first = '"v=DMARC1; p=none; rua=mailto:ADDRESS"'
            todo = f"publish {first} as a TXT record of _dmarc.{domain}, and read what comes"
            yield problem("dmarc", f"neither {domain} nor a domain above it has a DMARC record", todo)
            return
        holder, records = found
        if len(records) > 1:
            yield problem("dmarc", f"_dmarc.{holder} has {len(records)} records: then none of them counts", "leave one")
            return
        yield from _record(ask, domain, holder, records[0], envelopes)
    except NotTold as error:
        yield not_told("dmarc", error)


def _policy(ask: Ask, domain: str) -> tuple[str, list[str]] | None:
    """Whose record holds: its own, else that of the highest domain above that has one (its organisational domain)."""
    labels = domain.split(".")
    found = None
    for depth in [0, *range(max(1, len(labels) - _DEEPEST), len(labels) - 1)]:
        holder = ".".join(labels[depth:])
        if records := [text for text in ask(f"_dmarc.{holder}", "TXT").records if _BEGINS.match(text)]:
            found = holder, records
            if depth == 0:
                break
    return found


def _record(ask: Ask, domain: str, holder: str, record: str, envelopes: tuple[str, ...]) -> Iterator[Finding]:
    name = f"_dmarc.{holder}"
    mended = f"correct the TXT record of {name}"
    try:
        tags = dict(tags_of(record))
    except ValueError as error:
        yield problem("dmarc", f'{name}: "{error}" is no name=value', mended)
        return
    policy = tags.get("p", "").lower()
    if holder != domain:
        policy = tags.get("sp", policy).lower()
    if faults := list(_faults(tags, policy)):
        yield problem("dmarc", f"{name}: {'; '.join(faults)}", mended)
        return
    whose = f'{domain}: "{record}"' if holder == domain else f'{domain}: by the record of {holder}, "{record}"'
    if policy == "none":
        todo = "once the reports show that all that you send passes, ask for p=quarantine, then p=reject"
        yield ok("dmarc", f"{whose}: receivers only watch", todo)
    else:
        share = "" if tags.get("pct", "100") == "100" else f" of {tags['pct']} % of what fails"
        yield ok("dmarc", f"{whose}: {policy}{share}")
    yield from _reports(ask, holder, name, tags)
    for envelope in envelopes:
        if (hint := _alignment(domain, holder, envelope, tags)) is not None:
            yield hint


def _faults(tags: Mapping[str, str], policy: str) -> Iterator[str]:
    if policy not in _POLICIES:
        yield f"p= is none, quarantine or reject, and not {policy[:40] or 'missing'}"
    for tag in ("adkim", "aspf"):
        if tags.get(tag, "r").lower() not in {"r", "s"}:
            yield f"{tag}= is r or s"
    pct = tags.get("pct", "100")
    if not (pct.isascii() and pct.isdigit() and int(pct) <= 100):
        yield "pct= is a number up to 100"
    for tag in ("rua", "ruf"):
        wrong = [uri for uri in tags.get(tag, "").split(",") if uri.strip() and not _URI.fullmatch(uri.strip())]
        if wrong:
            yield f"{tag}= is a list of mailto:ADDRESS, and not {wrong[0].strip()[:80]}"


def _reports(ask: Ask, holder: str, name: str, tags: Mapping[str, str]) -> Iterator[Finding]:
    to = sorted({found[1].lower().rstrip(".") for found in map(_URI.fullmatch, _uris(tags)) if found is not None})
    if not to:
        what = f"{name} has no rua=: nobody is told what fails, nor who sends in your name"
        yield warning("dmarc", what, "add rua=mailto:ADDRESS, of a mailbox that somebody or something reads")
    for other in to:
        if _related(other, holder):
            continue
        permit = f"{holder}._report._dmarc.{other}"
        if not any(_BEGINS.match(text) for text in ask(permit, "TXT").records):
            what = f"{name}: reports go to {other}, which does not say that it takes them: none are sent"
            yield warning("dmarc", what, f'{other} has to publish "v=DMARC1" as a TXT record of {permit}')


def _uris(tags: Mapping[str, str]) -> list[str]:
    return [uri.strip() for uri in tags.get("rua", "").split(",")]


def _alignment(domain: str, holder: str, envelope: str, tags: Mapping[str, str]) -> Finding | None:
    """A hint where SPF cannot count for DMARC, because mails leave with an envelope sender of another domain."""
    strict = tags.get("aspf", "r").lower() == "s"
    if envelope == domain or (not strict and _related(envelope, holder)):
        return None
    why = "aspf=s asks for the very same domain" if strict else "they are not of one organisation"
    return warning(
        "dmarc",
        f"mails from {domain} leave with envelope senders of {envelope}, and {why}: SPF does not count",
        f"sign with DKIM for {domain}, or take a return_path of {'it' if strict else holder}",
    )


def _related(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
