"""One line of text from a stranger, fit to stand in a header, a list or an address."""

import re

from noti_worker.domain.errors import BadNotification

LONGEST_LINE = 2000

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def one_line(text: object, where: str, longest: int = LONGEST_LINE) -> str:
    """`text` if it is one line of at most `longest` characters; `where` names the field in errors.

    An encoded word ("=?…?=") is refused too: decoded and written again, it may hold a line break
    (CVE-2024-6923). Raises BadNotification, which does not show the text.
    """
    if not isinstance(text, str):
        raise BadNotification(f"{where} is not a string")
    if not text.isprintable() and _CONTROLS.search(text):  # most are, which is seen twice as fast
        raise BadNotification(f"{where} holds a line break or another control character: write plain text")
    if "=?" in text:
        raise BadNotification(
            f'{where} holds an encoded word ("=?"), which mail programs would decode: write plain text'
        )
    if len(text) > longest:
        raise BadNotification(f"{where} is longer than {longest} characters: shorten it")
    return text


def shown(name: str) -> str:
    """A name from outside as an error may show it: short, and without what would break a line."""
    return _CONTROLS.sub("?", name[:40].encode(errors="replace").decode())
