"""The text part of a message that has only HTML: what a person would read, with links and lists."""

import re
from html.parser import HTMLParser

_UNREAD = frozenset({"title", "script", "style", "template", "noscript", "svg", "object"})
# A block begins on a line of its own; a paragraph has an empty line before it.
_BLOCKS = frozenset(
    {"address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "figcaption", "footer", "form"}
    | {"header", "html", "legend", "li", "main", "nav", "section", "table", "tbody", "tfoot", "thead", "tr"}
)
_PARAGRAPHS = frozenset(
    {"blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "ul"}
)
_SPACES = re.compile(r"[ \t\r\n\f]+")
_LESS = re.compile(r"<(?:(?P<tag>/?[a-zA-Z][^<>]*>)|(?P<unread>[!?][^<>]*>))?")
_LINKS = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_DEEPEST = 8
_LONGEST = 500_000


def plain_text(html: str) -> str:
    """The readable text of `html`: never raises, and takes a time that grows with its length only."""
    reader = _Reader()
    reader.feed(_closed(html[:_LONGEST]))
    reader.close()
    if len(html) > _LONGEST:
        reader.pieces.append("\n[…]")
    lines = [line.rstrip() for line in "".join(reader.pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def _closed(html: str) -> str:
    """The html without comments and declarations, and with each "<" that begins no tag as text.

    What is never closed makes the parser look for its end again and again: 250 kB of it would take minutes.
    """
    pieces: list[str] = []
    at = 0
    while (begin := html.find("<!--", at)) >= 0 and (end := html.find("-->", begin + 4)) >= 0:
        pieces.append(html[at:begin])
        at = end + 3
    pieces.append(html[at:])
    return _LESS.sub(_kept, "".join(pieces))


def _kept(less: re.Match[str]) -> str:
    if less["tag"] is not None:
        return less[0]
    return "&lt;" if less["unread"] is None else ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unread = 0
        self._pre = 0
        self._lists: list[int | None] = []  # the number of the last item, None for a list of points
        self._link: str | None = None
        self._link_begins = 0
        self._at_start = True  # of a line: spaces do not count there

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNREAD:
            self._unread += 1
        elif self._unread:
            return
        elif tag == "br":
            self._write("\n")
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in {"td", "th"} and not self._at_start:
            self._write("  ")
        elif tag == "a":
            self._link, self._link_begins = dict(attrs).get("href"), len(self.pieces)
        elif tag == "li":
            self._line()
            self._item()
        elif tag in _PARAGRAPHS or tag in _BLOCKS:
            self._line(2 if tag in _PARAGRAPHS and not self._lists else 1)
        if tag == "hr":
            self._write("-" * 20)
            self._line()
        elif tag == "pre":
            self._pre += 1
        elif tag in {"ol", "ul"} and len(self._lists) < _DEEPEST:
            self._lists.append(0 if tag == "ol" else None)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNREAD:
            self._unread = max(0, self._unread - 1)
        elif self._unread:
            return
        elif tag == "a":
            self._end_link()
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
        elif tag in {"ol", "ul"} and self._lists:
            self._lists.pop()
        if tag in _PARAGRAPHS or tag in _BLOCKS:
            self._line(2 if tag in _PARAGRAPHS and not self._lists else 1)

    def handle_data(self, data: str) -> None:
        if self._unread or not data:
            return
        if not self._pre:
            data = _SPACES.sub(" ", data)
            if self._at_start:
                data = data.removeprefix(" ")
        self._write(data)

    def _item(self) -> None:
        mark = "- "
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
            mark = f"{number + 1}. "
        self._write("  " * (len(self._lists) - 1) + mark)
        self._at_start = True

    def _end_link(self) -> None:
        """Where a link leads stands behind its words, unless they say it already."""
        link, self._link = self._link, None
        if link is None or not _LINKS.match(link.strip()):
            return
        link = link.strip()
        words = "".join(self.pieces[self._link_begins :]).strip()
        if not words:
            self._write(link)
        elif words not in {link, link.partition(":")[2], link.partition("://")[2].rstrip("/")}:
            self._write(f" ({link})")

    def _line(self, breaks: int = 1) -> None:
        """End the line; two breaks leave an empty one. More than two in a row are made two at the end."""
        if self.pieces and (breaks > 1 or not self._at_start):
            self._write("\n" * breaks)

    def _write(self, text: str) -> None:
        if text:
            self.pieces.append(text)
            self._at_start = text.endswith(("\n", " ") if not self._pre else "\n")
