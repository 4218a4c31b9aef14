"""What the render process has to know of languages and time zones: it can open no file, so its parent reads for it."""

import pickle
import re
import zoneinfo
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

from noti_worker.domain.language import languages
from noti_worker.domain.notification import Template
from noti_worker.domain.value import value

ENGLISH = "en"
"""The language of whoever says none."""

MOST_KNOWN = 16
"""Languages that a process keeps, each a megabyte or two; with the next one it forgets them all."""

_WORDS = re.compile(r"\b(?:date|datetime|money|number|percent|plural|time)\b")


@value
class Locale:
    """A language as Babel knows it: the parts of its name, and the data, pickled."""

    parts: tuple[str | None, ...]
    data: bytes


def asks(template: Template) -> bool:
    """Tell whether a template may write numbers or dates; one that has such a word elsewhere costs a little more."""
    own = (template.subject, template.body, template.html)
    texts = [*own, *(text for part in template.parts for text in (part.subject, part.body, part.html))]
    return any(_WORDS.search(text) for text in texts if text is not None)


@lru_cache(maxsize=32)
def locale_of(tag: str) -> Locale | None:
    """The language of a tag, or the nearest that stands in for it; None when there is none, or no Babel."""
    try:
        from babel import core, localedata
    except ImportError:
        return None
    for name in languages(tag):
        try:
            locale = core.Locale.parse(name, sep="-")
        except (ValueError, core.UnknownLocaleError):
            continue
        data = pickle.dumps(localedata.load(str(locale)), pickle.HIGHEST_PROTOCOL)
        localedata.clear_caches()  # a worker lives long, and a stranger may name a thousand
        return Locale((locale.language, locale.territory, locale.script, locale.variant), data)
    return None


@lru_cache(maxsize=32)
def plural_categories(tag: str) -> frozenset[str]:
    """The categories that a language has for whole numbers up to 200, of CLDR's six; none when it is not known."""
    try:
        from babel import core, localedata
    except ImportError:
        return frozenset()
    for name in languages(tag):
        try:
            form = core.Locale.parse(name, sep="-").plural_form
        except (ValueError, core.UnknownLocaleError):
            continue
        localedata.clear_caches()
        return frozenset(form(number) for number in range(201))
    return frozenset()


@cache
def zones() -> dict[str, tuple[str, bytes]]:
    """Every time zone by its name in small letters, with its name and what it says as TZif (RFC 8536).

    A third of a megabyte. PostgreSQL tells `europe/berlin` and `Europe/Berlin` not apart either.
    """
    found = {}
    for name in sorted(zoneinfo.available_timezones()):
        if (content := _zone(name)) is not None:
            found[name.lower()] = name, content
    return found


def _zone(name: str) -> bytes | None:
    for place in (*map(Path, zoneinfo.TZPATH), _packaged()):
        if place is not None and (path := place / name).is_file():
            return path.read_bytes()
    return None


@cache
def _packaged() -> Path | None:
    """Where the package tzdata has them, for machines that have none."""
    try:
        return Path(str(resources.files("tzdata"))) / "zoneinfo"
    except ModuleNotFoundError:
        return None
