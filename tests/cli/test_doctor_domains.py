"""`doctor --domain` with a name server of the test's: what the DNS says of the domains that mails come from."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from tests.zones import SILENT, Zone, zones

GOOD: Zone = {
    ("example.com", "TXT"): ['"v=spf1 include:_spf.example.net -all"'],
    ("_spf.example.net", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject; " "rua=mailto:dmarc@example.com"'],
    ("example.com", "MX"): ["10 mail.example.com."],
    ("mail.example.com", "A"): ["192.0.2.1"],
}


def findings(noti: Invoke, place: str, *words: str, exits: int) -> list[tuple[str, str, str]]:
    result = noti("doctor", *words, "--resolver", place, "--json")
    assert result.exit_code == exits, result.output
    told = json.loads(result.stdout)
    assert told["about"] is None
    return [(one["level"], one["area"], one["what"]) for one in told["findings"]]


def test_a_domain_that_is_set_up_well(bare: Invoke) -> None:
    from base64 import b64encode

    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = rsa.generate_private_key(65537, 4096).public_key()
    text = "v=DKIM1; p=" + b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    pieces = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
    with zones({**GOOD, ("s1._domainkey.example.com", "TXT"): [pieces]}) as server:
        found = findings(bare, server.place, "--domain", "Example.com.", exits=0)
        asked = server.asked
    assert [(level, area) for level, area, _ in found] == [("ok", "spf"), ("ok", "dkim"), ("ok", "dmarc"), ("ok", "mx")]
    assert "RSA, 4096 bits" in found[1][2]
    assert ("s1._domainkey.example.com", "TXT", "tcp") in asked, "a long answer comes over TCP"


def test_what_is_wrong_is_told_with_what_to_do(bare: Invoke) -> None:
    zone: Zone = {
        ("example.com", "TXT"): ['"v=spf1 include:gone.example.net -all"'],
        ("s1._domainkey.example.com", "TXT"): ['"v=DKIM1; p="'],
    }
    with zones(zone) as server:
        result = bare("doctor", "--domain", "example.com", "--selector", "s1", "--resolver", server.place)
    assert result.exit_code == 1
    assert result.stdout.endswith("\nproblems: 4, warnings: 0\n")
    for words in ("leads to no SPF record", "the key is revoked", "_dmarc.example.com", "publish an MX record"):
        assert words in result.stdout


def test_no_name_no_answer_and_a_failure_are_told_apart(bare: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    zone: Zone = {
        **GOOD,
        ("example.com", "MX"): "SERVFAIL",
        ("refused.example", "TXT"): "REFUSED",
        ("silent.example", "TXT"): SILENT,
        ("broken.example", "TXT"): "SERVFAIL",
    }
    monkeypatch.setattr("noti_worker.transport.records.PATIENCE", 1.0)
    with zones(zone) as server:
        names = ("none.example", "refused.example", "silent.example", "broken.example")
        found = findings(bare, server.place, *(f"--domain={name}" for name in names), exits=1)
        assert [level for level, _, _ in found] == ["problem", "warning", "warning", "problem"]
        for (_, area, what), words in zip(found, ("NXDOMAIN", "REFUSED", "no answer", "SERVFAIL"), strict=True):
            assert area == "dns"
            assert words in what
        partly = findings(bare, server.place, "--domain", "example.com", exits=1)
        assert ("problem", "mx") in [(level, area) for level, area, _ in partly], (
            "one part is told, the others looked at"
        )
        assert len(partly) == 4


def test_the_domains_of_the_configured_senders(bare: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text(
        '[accounts.relay]\nprovider = "smtp"\nhost = "relay.example.com"\nfrom = ["Shop <a@example.com>"]\n'
        'return_path = "bounce@back.example.net"\n'
        '[accounts.gun]\nprovider = "mailgun"\napi_key = "env:NOT_SET"\ndomain = "mg.example.org"\n'
        'from = "b@example.org"\n[accounts.again]\nprovider = "resend"\n'
        'api_key = "env:NOT_SET"\nfrom = "c@example.org"\n'
        '[accounts.hooks]\nprovider = "webhook"\nsecret = "env:NOT_SET"\n'
    )
    zone: Zone = {
        **GOOD,
        ("back.example.net", "MX"): ["10 mail.example.com."],
        ("back.example.net", "TXT"): ['"v=spf1 mx -all"'],
        ("example.org", "TXT"): ['"v=spf1 -all"'],
        ("mg.example.org", "TXT"): ['"v=spf1 include:mailgun.org ~all"'],
        ("mailgun.org", "TXT"): ['"v=spf1 ip4:192.0.2.7 ~all"'],
        ("send.example.org", "TXT"): ['"v=spf1 ~all"'],
    }
    with zones(zone) as server:
        result = bare("--config", str(file), "doctor", "--domains", "--resolver", server.place, "--json")
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    told = "\n".join(f"{one['level']} {one['area']} {one['what']}" for one in found)
    assert "ok spf back.example.net" in told
    assert "ok mx back.example.net" in told
    assert "warning dmarc mails from example.com leave with envelope senders of back.example.net" in told
    assert "ok spf mg.example.org" in told
    assert "warning spf send.example.org does not let amazonses.com send" in told
    assert "spf example.org" not in told, "no envelope sender is of it"


def test_words_that_make_no_sense_are_refused(bare: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no domain" in bare("doctor", "--domain", "not a domain").stderr
    assert bare("doctor", "--domain", "-x").exit_code == 2
    assert "--domain example.com" in bare("doctor", "--selector", "s1").stderr
    assert "no address of a resolver" in bare("doctor", "--domain", "example.com", "--resolver", "ns.example").stderr
    for name in [name for name in sys.modules if name == "dns" or name.startswith("dns.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dns", None)
    missing = bare("doctor", "--domain", "example.com")
    assert (missing.exit_code, "pip install 'noti-worker[dns]'" in missing.stderr) == (1, True)
