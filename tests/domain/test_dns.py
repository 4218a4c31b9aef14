"""What the records of a sending domain are worth: SPF, DKIM, DMARC and MX, each by the words of its RFC."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from noti_worker.cli.domains import _bits
from noti_worker.domain.dns import NotTold, Told
from noti_worker.domain.dns.dkim import COMMON, dkim
from noti_worker.domain.dns.dmarc import dmarc
from noti_worker.domain.dns.mail_hosts import mail_hosts
from noti_worker.domain.dns.services import BY_PROVIDER, Service, service_of
from noti_worker.domain.dns.spf import spf
from noti_worker.domain.finding import Finding

D = "example.com"


class Names:
    """The DNS of a test."""

    def __init__(self, records: Mapping[str, Sequence[str] | NotTold]) -> None:
        self._records = records

    def __call__(self, name: str, kind: str) -> Told:
        found = self._records.get(f"{name} {kind}", ())
        if isinstance(found, NotTold):
            raise found
        return Told(found, exists=any(key.split()[0].endswith(name) for key in self._records))


def levels(findings: Sequence[Finding]) -> list[str]:
    assert all(finding.todo for finding in findings if finding.level != "ok")
    return [finding.level.value for finding in findings]


def texts(*records: str, **others: str) -> dict[str, Sequence[str]]:
    return {f"{D} TXT": records, **{f"{name.replace('__', '.')} TXT": [text] for name, text in others.items()}}


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        (texts("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "google-site=1"), "ok", "lookups: 0 of 10"),
        (texts("V=SPF1 A MX include:_spf.other.net ~ALL"), "problem", "leads to no SPF record"),
        (texts("v=spf1 include:a.net -all", a__net="v=spf1 redirect=b.net", b__net="v=spf1 -all"), "ok", "lookups: 2"),
        (texts("v=spf1 exists:%{i}.list.net include:%{d}.x.net -all"), "ok", "lookups: 2"),
        (texts("v=spf10 -all"), "problem", "has no SPF record"),
        ({}, "problem", "has no SPF record"),
        (texts("v=spf1 -all", "v=spf1 ~all"), "problem", "has 2 SPF records"),
        (texts("v=spf1 mx"), "warning", "does not end in all"),
        (texts("v=spf1 ?all"), "warning", "says nothing"),
        (texts("v=spf1 all"), "problem", "anybody may send"),
        (texts("v=spf1 redirect=a.net", a__net="v=spf1 +all"), "problem", "anybody may send"),
        (texts("v=spf1 ipv4:192.0.2.1 -all"), "problem", '"ipv4:192.0.2.1" is nothing that SPF knows'),
        (texts("v=spf1 ip4:192.0.2.300 -all"), "problem", "is no network"),
        (texts("v=spf1 ip4:2001:db8::1 -all"), "problem", "write ip6:"),
        (texts("v=spf1 a/33 -all"), "problem", "wrong length"),
        (texts("v=spf1 include -all"), "problem", "names no domain"),
        (texts("v=spf1 include:a,b -all"), "problem", "names no domain"),
        (texts("v=spf1 -all:x"), "problem", "must be all, alone"),
        (texts("v=spf1 include:a.net -all", a__net=f"v=spf1 include:{D}"), "problem", "leads back"),
        ({f"{D} TXT": NotTold("SERVFAIL", theirs=True)}, "problem", "SERVFAIL"),
        ({f"{D} TXT": NotTold("no answer", theirs=False)}, "warning", "no answer"),
    ],
)
def test_spf(records: Mapping[str, Sequence[str] | NotTold], level: str, words: str) -> None:
    hosts = {f"{D} A": ["192.0.2.1"], f"{D} MX": ["10 mail.example.com."]}
    [found] = spf(Names({**hosts, **records}), D)
    assert (found.level, words in found.what) == (level, True), found
    levels([found])


def test_spf_counts_all_lookups_and_those_that_find_nothing() -> None:
    eleven = " ".join(f"include:n{number}.net" for number in range(11))
    names = Names(texts(f"v=spf1 {eleven} -all", **{f"n{number}__net": "v=spf1 -all" for number in range(11)}))
    found = list(spf(names, D))
    assert levels(found) == ["problem", "ok"]
    assert "11 lookups" in found[0].what
    gone = list(spf(Names(texts("v=spf1 a:gone1.net mx:gone2.net a:gone3.net ptr -all")), D))
    assert levels(gone) == ["problem", "ok", "warning"]
    assert "3 lookups find nothing" in gone[0].what
    bomb = {f"n{number}__net": f"v=spf1 include:n{number + 1}.net a:n1.net" for number in range(200)}
    assert "more than 20" in next(iter(spf(Names(texts("v=spf1 include:n0.net -all", **bomb)), D))).what


def test_spf_lets_the_configured_services_send() -> None:
    mailgun, sendgrid = BY_PROVIDER["mailgun"], BY_PROVIDER["sendgrid"]
    names = Names(texts("v=spf1 include:eu.mailgun.org -all", eu__mailgun__org="v=spf1 -all"))
    assert levels(list(spf(names, D, [mailgun]))) == ["ok"]
    found = list(spf(Names(texts("v=spf1 -all")), D, [mailgun, sendgrid]))
    assert levels(found) == ["ok", "warning", "ok"]  # SendGrid has envelope senders of its own
    assert "include:mailgun.org" in found[1].todo
    assert "include:sendgrid.net" in found[2].todo
    assert 'v=spf1 include:mailgun.org -all"' in next(iter(spf(Names({}), D, [mailgun]))).todo
    assert service_of("smtp", "email-smtp.eu-central-1.amazonaws.com") is BY_PROVIDER["ses"]
    assert service_of("smtp", "smtp.gmail.com") == Service(("_spf.google.com",))
    assert service_of("smtp", "mail.notgmail.com") is None


SHORT = (  # RSA with 512 bits: nothing makes such a key any more
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqbHeRLCyOdykC5SDLqI49ArYGYG1mqaH9/GnWjGavZM02fos4lc2w6tCchcUBNtJvGqKwhC5JE"
    "nx3RYoSX2ucCAwEAAQ=="
)


def written(key: Any, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    """A public key as it stands after p=."""
    return b64encode(key.public_key().public_bytes(Encoding.DER, form)).decode()


@pytest.fixture(scope="module")
def keys() -> Mapping[str, str]:
    bare = written(rsa.generate_private_key(65537, 1024), PublicFormat.PKCS1)
    return {
        "LONG": written(rsa.generate_private_key(65537, 2048)),
        "USUAL": written(rsa.generate_private_key(65537, 1024)),
        "BARE": bare,
        "PIECES": f"{bare[:60]} {bare[60:]}",
        "CUT": bare[:-5],
        "SHORTER": bare[:-8],
        "CURVE": written(ec.generate_private_key(ec.SECP256R1())),
        "SHORT": SHORT,
        "ED": b64encode(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode(),
        "NONE": "",
    }


@pytest.mark.parametrize(
    ("record", "level", "words"),
    [
        ("v=DKIM1; k=rsa; p=LONG", "ok", "RSA, 2048 bits"),
        ("p=USUAL", "ok", "RSA, 1024 bits"),
        ("v=DKIM1;p=PIECES", "ok", "RSA, 1024 bits"),
        ("v=DKIM1; k=ed25519; p=ED", "ok", "Ed25519"),
        ("v=DKIM1; t=s:y; p=BARE", "warning", "t=y"),
        ("v=DKIM1; p=SHORT", "problem", "512 bits"),
        ("v=DKIM1; p=NONE", "problem", "revoked"),
        ("v=DKIM1; k=rsa", "problem", "no key in it"),
        ("k=rsa; v=DKIM1; p=BARE", "problem", "begin with v=DKIM1"),
        ("v=DKIM1; p=CUT", "problem", "no base64"),
        ("v=DKIM1; p=SHORTER", "problem", "no RSA key"),
        ("v=DKIM1; p=CURVE", "problem", "no RSA key"),
        ("v=DKIM1; k=ed25519; p=BARE", "problem", "32 bytes"),
        ("v=DKIM1; k=dsa; p=BARE", "problem", "k=dsa"),
        ("v=DKIM1; s=tlsrpt; p=BARE", "problem", "not for e-mail"),
        ("v=DKIM1; h=sha1; p=BARE", "problem", "sha256"),
        ('"v=DKIM1; p=BARE', "problem", "no name=value"),
        ("BARE", "problem", "no name=value"),
    ],
)
def test_a_dkim_key(keys: Mapping[str, str], record: str, level: str, words: str) -> None:
    whole = re.sub(r"\b[A-Z]+$", lambda found: keys[found[0]], record)
    names = Names({f"s9._domainkey.{D} TXT": [whole]})
    [found] = dkim(names, D, ["s9"], _bits, lambda look, all_: [look(one) for one in all_])
    assert (found.level, words in found.what) == (level, True), found
    levels([found])


def test_dkim_keys_are_looked_for_where_they_mostly_are(keys: Mapping[str, str]) -> None:
    one = [f"p={keys['BARE']}"]

    def at(records: Mapping[str, Sequence[str] | NotTold], *named: str) -> list[Finding]:
        return list(dkim(Names(records), D, named, _bits, lambda look, all_: [look(one) for one in all_]))

    assert levels(at({f"s1._domainkey.{D} TXT": one, f"google._domainkey.{D} TXT": one})) == ["ok"] * 2
    everywhere = {f"{selector}._domainkey.{D} TXT": ["v=spf1 -all"] for selector in COMMON}  # a wildcard
    [none] = at(everywhere)
    assert (none.level, "--selector" in none.todo) == ("warning", True)
    assert levels(at({}, "s1", "s2")) == ["problem"] * 2
    assert levels(at({f"s1._domainkey.{D} TXT": [*one, "p="]}, "s1")) == ["problem"]
    assert levels(at({f"k1._domainkey.{D} TXT": NotTold("gone", theirs=True)})) == ["problem"]


@pytest.mark.parametrize(
    ("holder", "record", "level", "words"),
    [
        (D, f"v=DMARC1; p=reject; rua=mailto:dmarc@{D}", ["ok"], ": reject"),
        (D, f"v=DMARC1; p=none; rua=mailto:a@{D}!10m,mailto:b@mail.{D}", ["ok"], "only watch"),
        (D, f"v=DMARC1;p=quarantine;pct=20;rua=mailto:a@{D};", ["ok"], "20 % of"),
        (D, "v=DMARC1; p=reject", ["ok", "warning"], ": reject"),
        (D, "v=DMARC1; p=reject; rua=mailto:a@else.net", ["ok", "warning"], ": reject"),
        (D, "v=DMARC1; p=rejct", ["problem"], "rejct"),
        (D, "v=DMARC1; rua=mailto:a@b.net", ["problem"], "missing"),
        (D, "v=DMARC1; p=none; aspf=x; pct=200", ["problem"], "aspf= is r or s; pct="),
        (D, f"v=DMARC1; p=none; rua=a@{D}", ["problem"], "list of mailto:"),
        (D, "v=DMARC1; reject", ["problem"], "no name=value"),
        (D, "v=DMARC2; p=none", ["problem"], "has a DMARC record"),
        ("com", "v=DMARC1; p=none", ["problem"], "has a DMARC record"),
    ],
)
def test_dmarc(holder: str, record: str, level: list[str], words: str) -> None:
    found = list(dmarc(Names({f"_dmarc.{holder} TXT": [record]}), D))
    assert (levels(found), words in found[0].what) == (level, True), found


def test_the_policy_of_the_domain_above_holds_for_those_below() -> None:
    above = {f"_dmarc.{D} TXT": [f"v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@{D}"]}
    [found] = dmarc(Names(above), f"news.mail.{D}")
    assert f"by the record of {D}" in found.what
    assert found.what.endswith(": quarantine")
    own = {
        **above,
        f"_dmarc.mail.{D} TXT": ["v=DMARC1; p=none; rua=mailto:a@x.net"],
        f"{D}._report._dmarc.x.net TXT": ["v=DMARC1"],
    }
    assert f"_dmarc.mail.{D}" not in next(iter(dmarc(Names(own), f"news.mail.{D}"))).what, "the highest one above"
    assert "only watch" in next(iter(dmarc(Names(own), f"mail.{D}"))).what
    twice = {f"_dmarc.{D} TXT": ["v=DMARC1; p=none"] * 2}
    assert levels(list(dmarc(Names(twice), D))) == ["problem"]


def test_an_envelope_of_another_domain_is_hinted_at() -> None:
    relaxed = Names({f"_dmarc.{D} TXT": [f"v=DMARC1; p=none; rua=mailto:a@{D}"]})
    strict = Names({f"_dmarc.{D} TXT": [f"v=DMARC1; p=none; aspf=s; rua=mailto:a@{D}"]})
    assert levels(list(dmarc(relaxed, D, (D, f"bounce.{D}")))) == ["ok"]
    assert levels(list(dmarc(strict, D, (D, f"bounce.{D}")))) == ["ok", "warning"]
    assert levels(list(dmarc(relaxed, D, ("else.net",)))) == ["ok", "warning"]


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        (
            {f"{D} MX": ["10 b.net.", "5 a.net."], "a.net A": ["192.0.2.1"], "b.net AAAA": ["2001:db8::1"]},
            "ok",
            "a.net, b.net",
        ),
        ({f"{D} MX": ["10 b.net.", "5 a.net."], "a.net A": ["192.0.2.1"]}, "warning", "b.net has no address"),
        ({f"{D} MX": ["10 b.net."]}, "problem", "b.net has no address"),
        ({f"{D} MX": ["0 ."]}, "problem", "takes no mail"),
        ({f"{D} A": ["192.0.2.1"]}, "warning", "has no MX record"),
        ({f"{D} TXT": ["x"]}, "problem", "no MX record and no address"),
        ({}, "problem", f"there is no {D}"),
        ({f"{D} MX": NotTold("REFUSED", theirs=False)}, "warning", "REFUSED"),
    ],
)
def test_where_mails_to_it_go(records: Mapping[str, Sequence[str] | NotTold], level: str, words: str) -> None:
    [found] = mail_hosts(Names(records), D, "bounces")
    assert (found.level, words in found.what) == (level, True), found
    levels([found])
