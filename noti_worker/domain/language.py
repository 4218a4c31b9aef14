"""Language tags, and what stands in for a language (BCP 47; the look-up of RFC 4647, 3.4)."""

import re

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")


def languages(tag: str | None) -> tuple[str, ...]:
    """The tag as it is written, and those that stand in for it: pt_br gives pt-BR and pt; none for what is no tag."""
    if tag is None or len(tag) > 64 or _TAG.fullmatch(tag) is None:
        return ()
    parts = [_written(part, place) for place, part in enumerate(tag.replace("_", "-").split("-"))]
    return tuple("-".join(parts[:some]) for some in range(len(parts), 0, -1))


def _written(part: str, place: int) -> str:
    if place and len(part) == 2:
        return part.upper()
    return part.capitalize() if place and len(part) == 4 else part.lower()


def spoken(asked: str | None, written: str | None) -> str | None:
    """The language by which numbers and dates of a text are written, as a tag; None when nobody said one.

    It is what the row asks for (de-CH), unless the text that was found is in another language: a Finnish date has no
    place in an English sentence.
    """
    ours, theirs = languages(asked), languages(written)
    if theirs and (not ours or ours[-1] != theirs[-1]):
        return theirs[0]
    return asked or None


def direction(tag: str | None) -> str:
    """Which way a language is written: `rtl` or `ltr`, as HTML's attribute `dir` has it."""
    if not (ways := languages(tag)):
        return "ltr"
    subtags = ways[0].split("-")
    script = next((one for one in subtags[1:] if len(one) == 4 and one.isalpha()), None)
    return "rtl" if (script in _RTL_SCRIPTS if script else subtags[0] in _RTL_LANGUAGES) else "ltr"


_RTL_SCRIPTS = frozenset({"Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})
_RTL_LANGUAGES = frozenset(
    {"aeb", "apc", "ar", "arc", "arz", "azb", "bal", "bgn", "ckb", "dv", "fa", "glk", "he", "iw", "ji", "ks", "lrc"}
    | {"mzn", "nqo", "pnb", "prs", "ps", "rhg", "sd", "sdh", "skr", "syr", "ug", "ur", "yi"}
)


def in_words(language: str | None, zone: str | None) -> dict[str, str | None]:
    """What a template's variable `notification` says of how numbers and dates are written for its reader."""
    return {"language": language, "direction": direction(language), "zone": zone or "UTC"}
