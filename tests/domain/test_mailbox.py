"""Addresses: what is exactly one, in every script."""

import unicodedata
from typing import Any

import pytest
from idna.idnadata import codepoint_classes

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import read_mailbox, spellings

NOT_ONE_ADDRESS = [
    "",
    " ",
    "ann",
    "@",
    "ann@",
    "@example.net",
    "a@b.example, evil@x.example",
    "a@b.example; evil@x.example",
    "a@b.example evil@x.example",
    "Ann, Bob <a@b.example>",
    "g: a@b.example, evil@x.example;",
    "g:a@b.example;",
    "<a@b.example> <evil@x.example>",
    "a@b.example <evil@x.example>",
    "Ann <a@b.example>, Eve <evil@x.example>",
    "Ann <a@b.example",
    "a@b.example>",
    "a@b.example> RCPT TO:<evil@x.example",
    "<@x.example,@y.example:evil@b.example>",
    "@x.example,@y:evil@b.example",
    '"a b"@c.example',
    '"evil"@c.example',
    "a@b@c.example",
    "a(comment)@b.example",
    "evil%x.example@b.example",
    "x.example!evil@b.example",
    "|cat@b.example",
    "/tmp/x@b.example",
    "a/../b@c.example",
    "a@b.example (comment)",
    ".a@b.example",
    "a.@b.example",
    "a..b@c.example",
    "a b@c.example",
    "a@b..example",
    "a@.b.example",
    "a@b.example.",
    "a@-b.example",
    "a@b-.example",
    "a@b_c.example",
    "a@_dmarc.b.example",
    "a@b.example/x",
    "a@" + "b" * 64 + ".example",
    "a" * 65 + "@b.example",
    "a@" + "b.example." * 30 + "example",
    "x" * 600 + " <a@b.example>",
    "a@localhost",
    "a@mail.localhost",
    "a@intranet",
    "a@127.0.0.1",
    "a@127.1",
    "a@2130706433",
    "a@127\u30020\u30020\u30021",
    "a@\u2460\u2461\u2466.\u2460",
    "a@[10.0.0.1]",
    "a@[IPv6:::1]",
    "a@x\u2100y.example",
    "a@l\u00b7m.example",
    "a@\U0001f600.example",
    "a@\u0301b.example",
    "a@a\u200db.example",
    "a@\u05d0b.example",
    "a@b\uff0ec\u3002example",
    "a\u202eb@c.example",
    "a\u200bb@c.example",
    "a\u00a0b@c.example",
    None,
    17,
    ["a@b.example"],
]


@pytest.mark.parametrize("text", NOT_ONE_ADDRESS)
def test_what_is_not_one_address_is_refused_and_not_shown(text: Any) -> None:
    with pytest.raises(BadNotification) as refusal:
        read_mailbox(text, "options.cc[3]")
    assert str(refusal.value).startswith("options.cc[3] ")
    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a@b_c.example", "underscore after the @"),
        ("a%b.example@c.example", "% or ! before the @.*relays act on"),
        ("b.example!a@c.example", "% or ! before the @.*relays act on"),
        ("a@intranet", "not known on the internet"),
        ("a, b@c.example", "not one e-mail address: write it alone, or as Name <address>"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(BadNotification, match=said):
        read_mailbox(text, "recipient")


# A name of a country, a city or a word of each script whose letters carry marks, some with joiners (RFC 5892).
SCRIPTS = {
    "Arabic": "مِصر",
    "Armenian": "հայաստան",
    "Balinese": "ᬩᬮᬶ",
    "Bengali": "বাংলাদেশ",
    "Burmese": "မြန်မာ",
    "Chakma": "𑄌𑄋𑄴𑄟𑄳𑄦",
    "Cham": "ꨌꩌ",
    "Cherokee": "ᏣᎳᎩ",
    "Chinese": "中国",
    "Cyrillic": "ї̈ж",
    "Devanagari": "हिन्दी",
    "Ethiopic": "ኢትዮጵያ",
    "Georgian": "საქართველო",
    "Greek": "ελλάδα",
    "Gujarati": "ગુજરાતી",
    "Gurmukhi": "ਪੰਜਾਬੀ",
    "Hebrew": "יִשְׂרָאֵל",
    "Hiragana": "ひらがな",
    "Javanese": "ꦗꦮ",
    "Kannada": "ಕನ್ನಡ",
    "Khmer": "កម្ពុជា",
    "Korean": "한국",
    "Lao": "ລາວ",
    "Latin": "việtnam",
    "Lepcha": "ᰛᰩᰵ",
    "Limbu": "ᤕᤠᤰᤌᤢᤱ",
    "Malayalam": "മലയാളം",
    "Malayalam with a joiner": "നന്\u200dമ",
    "Meetei Mayek": "ꯃꯤꯇꯩ",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ",
    "NKo": "ߒߞߏ߫",
    "New Tai Lue": "ᦟᦲᧉ",
    "Odia": "ଓଡ଼ିଆ",
    "Persian with a joiner": "نامه\u200cی",
    "Saurashtra": "ꢱꣃꢬꢵ",
    "Sinhala with a joiner": "ශ්\u200dරී",
    "Sundanese": "ᮞᮥᮔ᮪ᮓ",
    "Syriac": "ܣܘܪܝܬ",
    "Tagalog": "ᜊᜌ᜔ᜊᜌᜒᜈ᜔",
    "Tai Tham": "ᨾᩮᩬᩥᨦ",
    "Tamil": "தமிழ்",
    "Telugu": "తెలుగు",
    "Thaana": "ދިވެހި",
    "Thai": "เมืองไทย",
    "Tibetan": "བོད",
    "Tifinagh": "ⵜⵉⴼⵉⵏⴰⵖ",
    "a middle dot between two l": "l·l",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_may_name_a_domain(script: str) -> None:
    domain = SCRIPTS[script]
    box = read_mailbox(f"ann@{domain}.example", "recipient")
    assert box.address.isascii()
    label = box.domain.removesuffix(".example").removeprefix("xn--")
    assert label.encode("ascii").decode("punycode") == unicodedata.normalize("NFKC", domain), "the same letters"


def test_every_combining_mark_may_stand_behind_a_letter_of_its_script() -> None:
    letters: dict[str, str] = {}
    marks: dict[str, list[str]] = {}
    for both_ends in codepoint_classes["PVALID"]:
        for char in map(chr, range(both_ends >> 32, both_ends & 0xFFFFFFFF)):
            script = unicodedata.name(char, "").partition(" ")[0]
            if unicodedata.category(char) in {"Lo", "Ll"}:
                letters.setdefault(script, char)
            elif unicodedata.category(char)[0] == "M":
                marks.setdefault(script, []).append(char)
    scripts = letters.keys() & marks.keys()
    assert len(scripts) > 70
    for script in scripts:
        for mark in marks[script]:
            label = unicodedata.normalize("NFKC", letters[script] + mark)
            box = read_mailbox(f"ann@{label}.example", "recipient")
            assert box.domain.removesuffix(".example").encode("ascii") == b"xn--" + label.encode("punycode"), script


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("ada@example.com", ()),
        ("user:1", ()),
        ("@", ()),
        ("ada@xn--.example", ()),
        ("Ada@bücher.example", ("Ada@xn--bcher-kva.example",)),
        ("ada@straße.example", ("ada@xn--strae-oqa.example",)),
        ("Ada <ada@XN--BCHER-KVA.example>", ("ada@XN--BCHER-KVA.example", "ada@bücher.example")),
        (
            "ada@bücher.xn--bcher-kva.example",
            (
                "ada@bücher.bücher.example",
                "ada@xn--bcher-kva.xn--bcher-kva.example",
                "ada@xn--bcher-kva.bücher.example",
            ),
        ),
    ],
)
def test_an_address_has_as_many_spellings_as_its_domain(name: str, spelled: tuple[str, ...]) -> None:
    assert spellings(name) == (name, *spelled)


def test_spellings_are_bounded() -> None:
    assert len(spellings("ada@" + "ü." * 20 + "example")) <= 65
