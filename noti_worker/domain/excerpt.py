"""Words from outside, as people may see them: without tokens, and without what they quote of a message.

Addresses, URLs and phone numbers are masked where words are shown; these two know more, or need to know the message.
"""

import re
from collections.abc import Sequence

MOST_CONTENT = 65_536
"""Characters of each part of a message in which quotations are looked for."""

_LONGEST = 200
_QUOTED = "[…]"

_WORD = re.compile(r"[^\s<>\"'(),;:=\[\]{}/\\]+")
_ORDINARY = re.compile("[a-z]+")

_NAMED_SECRET = re.compile(
    r"\b(pass(?:word|wd|phrase)?|pwd|secret|(?:\w*[_-])?token|(?:\w*[_-])?key|apikey|authorization|sig(?:nature)?)"
    r"(['\"]?\s*[=:]\s*)((?:basic|bearer)\s+)?['\"]?[^\s'\",;&]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(basic|bearer)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_+=-])(?=[A-Za-z_+=-]*[0-9])(?=[0-9_+=-]*[A-Za-z])[A-Za-z0-9_+=-]{24,}")

_HIDDEN_PART = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)", re.IGNORECASE)
_TAG = re.compile(r"<[a-z/!?][^<>]*(?:>|$)", re.IGNORECASE)


def excerpt(words: str, content: str) -> str:
    """The beginning of what an endpoint answered, on one line, for a person who does not see `content`.

    `words` are on one line already; of a page in HTML or XML only its text is left.
    """
    if words.startswith("<"):
        words = " ".join(_TAG.sub(" ", _HIDDEN_PART.sub(" ", words)).split())
    # Masked before it is cut: half a token is not known as one.
    words = without_secrets(unquoted(words[: 4 * _LONGEST], [content]))
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1].rstrip() + "…"


def without_secrets(text: str) -> str:
    """Without what follows a name such as `token=`, and without what looks like a token."""
    text = _NAMED_SECRET.sub(r"\1\2[secret]", text)
    text = _BEARER.sub(r"\1 [secret]", text)
    return _TOKEN.sub("[token]", text)


def unquoted(text: str, content: Sequence[str | None]) -> str:
    """Without what also stands in `content`: its names and numbers, and three words of it in a row.

    An ordinary word by itself is no quotation.
    """
    known = " ".join(part[:MOST_CONTENT] for part in content if part).lower()
    if not known:
        return text
    known_words = {word.strip(".!?") for word in _WORD.findall(known)}

    def shared(bare: str) -> bool:
        return bare in known_words or (len(bare) >= 4 and bare in known)

    found = [
        (word, shared(bare.lower()), len(bare) < 3 or _ORDINARY.fullmatch(bare) is not None)
        for word in _WORD.finditer(text)
        for bare in [word.group().strip(".!?")]
    ]
    masked: list[re.Match[str]] = []
    run: list[re.Match[str]] = []
    for word, quoted, ordinary in [*found, (None, False, True)]:
        if quoted and word is not None:
            run.append(word)
            if not ordinary:
                masked.append(word)
        else:
            masked += run if len(run) >= 3 else []
            run = []
    spots = {word.span() for word in masked}
    for begin, end in sorted(spots, reverse=True):
        text = f"{text[:begin]}{_QUOTED}{text[end:]}"
    return text
