"""DKIM (RFC 6376, 8301, 8463): whether the keys of a domain can be used to check its signatures."""

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterator, Mapping, Sequence

from noti_worker.domain.dns import Ask, NotTold, Told, not_told, tags_of
from noti_worker.domain.finding import Finding, ok, problem, warning

COMMON = (
    *("default", "dkim", "dkim1", "mail", "email", "key1", "k1", "k2", "k3", "s1", "s2", "s1024", "s2048"),
    *("selector1", "selector2", "google", "mx", "smtp", "mta", "pic", "mailo", "krs", "pdk1", "pdk2", "resend"),
    *("mandrill", "fm1", "fm2", "fm3", "zoho", "protonmail"),
)
"""Selectors that services and guides use; others are guessed by nobody."""

LEAST = 1024
GOOD = 2048

Bits = Callable[[bytes], int | None]
"""How long an RSA key is; None for what is none."""

Each = Callable[[Callable[[str], Told | NotTold], Sequence[str]], Sequence[Told | NotTold]]
"""Asks for several at once, as `map` does."""


def dkim(ask: Ask, domain: str, selectors: Sequence[str], bits: Bits, each: Each) -> Iterator[Finding]:
    """Look at the keys of these selectors; without any at those that are common."""

    def look(selector: str) -> Told | NotTold:
        try:
            return ask(f"{selector}._domainkey.{domain}", "TXT")
        except NotTold as error:
            return error

    named = bool(selectors)
    asked = selectors or COMMON
    found = False
    away: NotTold | None = None
    for selector, told in zip(asked, each(look, asked), strict=True):
        name = f"{selector}._domainkey.{domain}"
        if isinstance(told, NotTold):
            away = told
            if named:
                yield not_told("dkim", told)
            continue
        records = told.records if named else [text for text in told.records if "p=" in text.replace(" ", "")]
        if len(records) > 1:
            found = True
            yield problem("dkim", f"{name} has {len(records)} TXT records: which counts is open", "leave one")
        elif records:
            found = True
            yield key(name, records[0], bits)
        elif named:
            what = f"{name} has no TXT record" if told.exists else f"there is no {name}"
            yield problem("dkim", what, "publish the key that the signer shows, or sign with a selector that is there")
    if named or found:
        return
    if away is not None:
        yield not_told("dkim", away)
        return
    yield warning(
        "dkim",
        f"{domain} has no key at any of {len(asked)} common selectors; that others are there cannot be seen",
        "name yours: --selector NAME; it is s= in the DKIM-Signature of a mail that arrived, and your service shows it",
    )


def key(name: str, record: str, bits: Bits) -> Finding:
    """Say what is right or wrong with one key."""
    again = f"publish the record of {name} anew, exactly as the signer shows it"
    try:
        tags = dict(tags_of(record))
    except ValueError as error:
        return problem("dkim", f'{name}: "{error}" is no name=value', again)
    if (wrong := _unusable(tags)) is not None:
        return problem("dkim", f"{name}: {wrong}", again)
    if not tags["p"]:
        return problem("dkim", f"{name}: the key is revoked (p= is empty)", f"sign with another selector, or {again}")
    try:
        raw = b64decode("".join(tags["p"].split()), validate=True)
    except Error:
        return problem("dkim", f"{name}: p= is no base64, often because a long record was cut or split wrongly", again)
    return _by_algorithm(name, tags, raw, bits, again)


def _unusable(tags: Mapping[str, str]) -> str | None:
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        return "it has to begin with v=DKIM1"
    if "p" not in tags:
        return "there is no key in it (p=)"
    if tags.get("k", "rsa").lower() not in {"rsa", "ed25519"}:
        return f"k={tags['k'][:40]} is a kind of key that receivers do not know"
    if not {"*", "email"}.intersection(tags.get("s", "*").replace(" ", "").split(":")):
        return f"s={tags['s'][:40]}: the key is not for e-mail"
    if "sha256" not in tags.get("h", "sha256").replace(" ", "").lower().split(":"):
        return f"h={tags['h'][:40]} does not allow sha256, the only hash that counts"
    return None


def _by_algorithm(name: str, tags: Mapping[str, str], raw: bytes, bits: Bits, again: str) -> Finding:
    if tags.get("k", "rsa").lower() == "ed25519":
        if len(raw) != 32:
            return problem("dkim", f"{name}: an Ed25519 key has 32 bytes, this one {len(raw)}", again)
        size = "Ed25519"
        todo = "many receivers check RSA alone: sign with an RSA key of another selector, too"
    else:
        length = bits(raw)
        if length is None:
            return problem("dkim", f"{name}: what stands there is no RSA key", again)
        if length < LEAST:
            return problem("dkim", f"{name}: {length} bits, receivers take no less than {LEAST}", f"make one of {GOOD}")
        size = f"RSA, {length} bits"
        todo = "" if length >= GOOD else f"make one of {GOOD} bits when you next change it"
    if "y" in tags.get("t", "").replace(" ", "").split(":"):
        what = f"{name}: a key ({size}) that is marked as a test (t=y): receivers treat the mail as if unsigned"
        return warning("dkim", what, "take t=y out once the signatures are right")
    return ok("dkim", f"{name}: a key ({size})", todo)
