"""Templates in a folder: which file is which text, and what stands at its head.

`order-shipped.de.html` is the HTML of the template `order-shipped` in German, `order-shipped.sms.txt` its text for SMS
in every language, `order-shipped.json` data to try it with. A name in a subfolder has the folder in it: `mail/layout`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from noti_worker.cli.template_build import built
from noti_worker.domain.language import languages
from noti_worker.domain.notification import Channel

_CHANNELS = frozenset(channel.value for channel in Channel)
_KINDS = {".txt": "body", ".html": "html", ".mjml": "html", ".json": "data"}
_HEAD = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?\n", re.DOTALL | re.MULTILINE)
# As noti.template_names.
_NAMED = re.compile(r"\{%[-+]?\s*(?:extends|include|import|from)\s+[\"']([^\"']+)[\"']")
_HEADINGS = ("subject", "category", "css")

Key = tuple[str, str, str]
"""Template, channel and locale; empty for every channel, and for every language."""


class Faulty(click.ClickException):
    """A file that cannot be read as a template."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a template: for a channel, in a language."""

    template_id: str
    channel: str = ""
    locale: str = ""
    subject: str | None = None
    body: str | None = None
    html: str | None = None
    category: str | None = None  # the one that its messages have, where recipients may leave it
    files: tuple[Path, ...] = ()

    @property
    def key(self) -> Key:
        """What it is the text of."""
        return self.template_id, self.channel, self.locale

    @property
    def parts(self) -> dict[str, str]:
        """Its parts by name, those that there are."""
        named = {"subject": self.subject, "body": self.body, "html": self.html}
        return {name: text for name, text in named.items() if text is not None}

    def __str__(self) -> str:
        return " ".join(filter(None, self.key))


@dataclass(slots=True)
class Folder:
    """What lies in a folder: texts, and data to try templates with, by template and locale."""

    texts: dict[Key, Text] = field(default_factory=dict)
    data: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def data_for(self, template_id: str, locale: str | None) -> Mapping[str, Any] | None:
        """The data of the language or what stands in for it."""
        tags = (*languages(locale), "")
        return next((self.data[template_id, tag] for tag in tags if (template_id, tag) in self.data), None)


def load(root: Path) -> Folder:
    """Read a folder of templates, subfolders too; raises Faulty."""
    folder = Folder()
    if not root.is_dir():
        raise Faulty(f"{root} is no folder")
    for path in sorted(path for path in root.rglob("*") if path.suffix in _KINDS and path.is_file()):
        key = key_of(path, root)
        try:
            content = path.read_bytes().decode()
        except (OSError, UnicodeError) as error:
            raise Faulty(f"{path}: it cannot be read as UTF-8 ({type(error).__name__})") from None
        if path.suffix == ".json":
            folder.data[key[0], key[2]] = _data(path, content)
        else:
            folder.texts[key] = _with(folder.texts.get(key, Text(*key)), path, content)
    return folder


def chosen(paths: Sequence[Path], root: Path | None) -> tuple[Folder, list[Text]]:
    """The folder that the paths lie in, and the texts that they mean: all of a folder, of a file what it is part of."""
    roots = {root or (path if path.is_dir() else path.parent) for path in paths}
    if len(roots) > 1:
        raise click.UsageError("the files lie in several folders: name the one that their names begin in with --root")
    for path in paths:
        if not path.exists():
            raise click.UsageError(f"{path} is not there")
    (only,) = roots
    folder = load(only)
    if any(path.is_dir() for path in paths):
        return folder, list(folder.texts.values())
    keys = {key_of(path, only) for path in paths}
    return folder, [text for text in folder.texts.values() if text.key in keys]


def key_of(path: Path, root: Path) -> Key:
    """What a file is the text of, by its name: NAME[.CHANNEL][.LOCALE].KIND."""
    if path.suffix not in _KINDS:
        raise click.UsageError(f"{path} is no file of a template: {', '.join(_KINDS)} are")
    name = path.resolve().relative_to(root.resolve()).with_suffix("").as_posix()
    channel = locale = ""
    while "." in name:
        rest, _, word = name.rpartition(".")
        tags = languages(word)
        if not channel and word in _CHANNELS:
            channel = word
        elif not locale and tags:
            locale = tags[0]
        else:
            break
        name = rest
    return name, channel, locale


def _with(text: Text, path: Path, content: str) -> Text:
    heading, content = _head(path, content)
    part = _KINDS[path.suffix]
    if part in text.parts:
        raise Faulty(f"{path}: {' and '.join(str(one) for one in text.files)} has this part already: leave one")
    for name in ("subject", "category"):
        if name in heading and getattr(text, name) not in {None, heading[name]}:
            raise Faulty(f"{path}: its {name} is not that of {text.files[0]}: say it once")
    if part == "html":
        content = built(path, content, inline=heading.get("css") == "inline")
    said = {name: heading[name] for name in ("subject", "category") if name in heading}
    return replace(text, files=(*text.files, path), **{part: content}, **said)


def _head(path: Path, content: str) -> tuple[dict[str, str], str]:
    """What stands between two lines of --- at the top, `name: value` on each line, and the rest."""
    found = _HEAD.match(content)
    if found is None:
        return {}, content
    heading = {}
    for line in found[1].splitlines():
        name, colon, value = line.partition(":")
        if not line.strip() or line.startswith("#"):
            continue
        if not colon or name.strip() not in _HEADINGS:
            raise Faulty(
                f"{path}: {line.strip()[:60]!r} is no heading: {', '.join(_HEADINGS)} are, as `subject: Hello`"
            )
        heading[name.strip()] = value.strip()
    if heading.get("css", "inline") != "inline":
        raise Faulty(f"{path}: css is inline, or it is left out")
    return heading, content[found.end() :]


def _data(path: Path, content: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Faulty(f"{path}: this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Faulty(f"{path}: a JSON object is needed")
    return found


def names_in(source: str) -> list[str]:
    """The templates that a source names."""
    return _NAMED.findall(source)


def to_check(folder: Folder, texts: Iterable[Text]) -> list[Text]:
    """The texts but for layouts and the like (with a _ in front, too), which are checked with what is made of them."""
    names: dict[str, set[str]] = {}
    for text in folder.texts.values():
        found = names.setdefault(text.template_id, set())
        found.update(name for part in text.parts.values() for name in names_in(part))
    inner = {name for template_id, found in names.items() for name in found if name != template_id}
    reached: set[str] = set()
    waiting = [template_id for template_id in names if template_id not in inner]
    while waiting:
        new = names.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    hidden = {name for name in names if name.rpartition("/")[2].startswith("_")}
    # Whom nobody reaches from outside stands in a circle.
    return [text for text in texts if text.template_id not in hidden | (reached & inner)]
