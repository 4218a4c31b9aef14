"""What is wrong with templates before anybody gets them: by reading them, and by filling them in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from noti_worker.cli.template_files import Folder, Text, to_check
from noti_worker.cli.template_rendering import LINK, Shown, fill
from noti_worker.cli.template_shelf import compose
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.delivery.render import Renderer

CLIPPED = 102 * 1024
"""Bytes of HTML after which Gmail shows a link to the rest instead of it."""

LONGEST_SMS = 3
"""Parts after which an SMS is dearer than its author may think."""

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with a text; an error keeps it from being published."""

    text: str
    file: str
    level: str
    what: str


def lint(
    renderer: "Renderer", folder: Folder, texts: Iterable[Text], data: Mapping[str, Any] | None = None
) -> list[Fault]:
    """The faults of these texts of a folder. `data` is filled in instead of what lies in the folder.

    Layouts and what else others are made of, or has a name with _ in front, are looked at where they are used.
    """
    faults: list[Fault] = []
    for text in to_check(folder, texts):
        own = data if data is not None else folder.data_for(text.template_id, text.locale or None)
        found = dict.fromkeys(_faults(renderer, folder, text, own))
        faults += [Fault(str(text), str(text.files[0]), level, what) for level, what in found]
    return faults


def _faults(
    renderer: "Renderer", folder: Folder, text: Text, data: Mapping[str, Any] | None
) -> Iterable[tuple[str, str]]:
    from noti_worker.delivery.render_locales import plural_categories
    from noti_worker.delivery.template_reading import plurals, variables

    channel = text.channel or (Channel.EMAIL.value if text.html is not None or text.subject is not None else "")
    if text.body is None and text.html is None:
        yield ERROR, "it has a subject only: it needs a .txt or .html"
        return
    template = compose(folder.texts, text, channel, text.locale or None)
    asked = variables(template)
    for forms in sorted(map(sorted, plurals(template))):
        if text.locale and (lacks := sorted(plural_categories(text.locale) - set(forms))):
            yield WARNING, f"a plural lacks {' and '.join(lacks)}, which {text.locale} has: other stands in for it"
    if data is None:
        if asked:
            names = ", ".join(sorted(asked))
            yield WARNING, f"there is no {text.template_id}.json with data to try it with: it asks for {names}"
        # What it asks for is not known to be there: only what it is written like can be told.
        data = _Anything(asked)
    else:
        for name in sorted(asked - data.keys()):
            yield WARNING, f"{name} is not in the data"
        for name in sorted(data.keys() - _asked_by_all(folder, text)):
            yield WARNING, f"{name} is in the data and not used"
    try:
        shown = fill(renderer, folder.texts, text, channel, text.locale or None, data)
    except BadNotification as bad:
        if not isinstance(data, _Anything) or not any(word in str(bad) for word in _OF_DATA):
            yield ERROR, str(bad).partition(": ")[2] or str(bad)
        return
    yield from _of_channel(text, channel, shown)
    if shown.html is not None:
        yield from _of_html(text, shown.html)
    if text.category and channel == Channel.EMAIL and LINK not in f"{shown.html or ''}{shown.text or ''}":
        yield ERROR, f"people may leave {text.category}, and it has no {{{{ unsubscribe_url }}}}"


_OF_DATA = (
    "undefined",
    "has no attribute",
    "has no element",
    "TypeError",
    "ValueError",
    "is for numbers",
    "no value",
    "() is for",
    "time zone",
)
"""What an error says that made-up data may have brought about."""


class _Anything(dict[str, Any]):
    """Made-up data: a word for each name."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__({name: name for name in names})


def _asked_by_all(folder: Folder, text: Text) -> frozenset[str]:
    """What any text of the template asks for: the data is for all of them."""
    from noti_worker.delivery.template_reading import variables

    return frozenset().union(
        *(
            variables(compose(folder.texts, other, other.channel, other.locale or None))
            for other in folder.texts.values()
            if other.template_id == text.template_id
        )
    )


def _of_channel(text: Text, channel: str, shown: Shown) -> Iterable[tuple[str, str]]:
    if channel == Channel.EMAIL and not shown.subject:
        yield WARNING, "it has no subject: messages need one of their own"
    if shown.subject is not None and any(ord(char) < 32 for char in shown.subject):
        yield ERROR, "its subject is more than a single line"
    if text.html is not None and text.body is None and channel in {"", Channel.EMAIL}:
        yield WARNING, "it has no .txt: mails get a text made from the HTML, other channels nothing"
    if shown.parts:
        known = f"{len(shown.parts)} parts ({shown.encoding}), each is paid for"
        if len(shown.parts) > LONGEST_SMS:
            yield WARNING, f"an SMS of {known}"


def _of_html(text: Text, html: str) -> Iterable[tuple[str, str]]:
    size = len(html.encode(errors="replace"))
    if size > CLIPPED:
        yield WARNING, f"its HTML has {size / 1024:.0f} kB: Gmail clips mails of more than {CLIPPED // 1024} kB"
    for attribute, url in _links(html):
        scheme = urlsplit(url).scheme.lower() if ":" in url else ""
        said = f"{attribute}={url[:80]!r}"
        if scheme in {"javascript", "vbscript"}:
            yield ERROR, f"{said}: mail programs run no script"
        elif scheme == "http":
            yield WARNING, f"{said}: it is not https"
        elif not scheme and not url.startswith("#"):
            yield ERROR, f"{said}: a mail is nowhere that a link could begin from: write https://…"


def _links(html: str) -> list[tuple[str, str]]:
    reader = _Reader()
    reader.feed(html)
    return reader.links


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src", "action"} and value is not None:
                self.links.append((name, value.strip()))
