"""From what an author writes to the HTML that mail programs read: MJML, and styles moved to where they count."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

_JINJA = r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}"
_TAG = re.compile(rf"<!--.*?-->|<(?:{_JINJA}|[^<>])*>|(?P<jinja>{_JINJA})", re.DOTALL)
_WITHIN = re.compile(_JINJA, re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TOKEN = re.compile(r"noti(\d+)x")
_NAME = re.compile(r"<[a-z-]+", re.IGNORECASE)
_TEXT_ONLY = frozenset({"<title", "<style", "<textarea", "<mj-title", "<mj-preview", "<mj-style"})
"""Elements without comments."""
_KEPT = re.compile(r"(?:<|&lt;)!--noti(\d+)x--(?:>|&gt;)|noti(\d+)x")


def built(path: Path, source: str, *, inline: bool) -> str:
    """The HTML of a file; raises click.ClickException for what cannot be built."""
    if path.suffix == ".mjml":
        source = _through(path, source, _mjml)
    return _through(path, source, _inlined) if inline else source


def _through(path: Path, source: str, build: object) -> str:
    """Build with what Jinja2 reads put aside: a parser of HTML would move a loop out of its table."""
    assert callable(build)
    aside: list[str] = []
    inside = ""

    def keep(found: re.Match[str]) -> str:
        aside.append(found[0])
        return f"noti{len(aside) - 1}x"

    def kept(found: re.Match[str]) -> str:
        nonlocal inside
        if found["jinja"] is None:
            inside = (_NAME.match(found[0]) or [""])[0]
            tag = _WITHIN.sub(keep, found[0])
            if not tag.startswith("<!--") and (between := _TOKEN.search(_QUOTED.sub("", tag))):
                said = aside[int(between[1])][:60]
                raise click.ClickException(f"{path}: {said} stands between attributes: put it into a value")
            return tag
        # What is printed stands where text may stand; a statement may stand where only elements may.
        return keep(found) if found[0].startswith("{{") or inside in _TEXT_ONLY else f"<!--{keep(found)}-->"

    bare = _TAG.sub(kept, source)
    try:
        made = str(build(bare))
    except click.ClickException:
        raise
    except Exception as wrong:  # noqa: BLE001 - each library raises its own
        raise click.ClickException(f"{path}: it cannot be built: {wrong}"[:300]) from None
    missing = [n for n in range(len(aside)) if f"noti{n}x" not in made]
    if missing:
        lost = aside[missing[0]][:60]
        raise click.ClickException(f"{path}: {lost} got lost in building: in MJML put it into <mj-raw> or into a text")
    return _KEPT.sub(lambda found: aside[int(found[1] or found[2])], made)


def _mjml(source: str) -> str:
    return str(_library("mjml", "mjml").mjml2html(source))


def _inlined(source: str) -> str:
    library = _library("css_inline", "css-inline")
    if "<html" in source.lower():
        return str(library.inline(source, load_remote_stylesheets=False))
    styles = "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", source, re.DOTALL | re.IGNORECASE))
    bare = re.sub(r"<style[^>]*>.*?</style>", "", source, flags=re.DOTALL | re.IGNORECASE)
    return str(library.inline_fragment(bare, styles, load_remote_stylesheets=False))


def _library(module: str, what: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        raise click.ClickException(f"{what} is not installed: pip install 'noti-worker[templates]'") from None
