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
