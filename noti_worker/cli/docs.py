"""`docs`: the pages that are shipped with the program."""

import os
import re
import shutil
import sys
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path

import click

from noti_worker.domain.errors import NotFound

_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1 *$", re.MULTILINE | re.DOTALL)


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [page for page in _pages() if page.startswith(incomplete)]


def _headings(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    page = _pages().get(str(ctx.params.get("name")))
    sections = _sections(page.read_text(encoding="utf-8")) if page is not None else {}
    return [heading for heading in sections if heading.lower().startswith(incomplete.lower())]


@click.command()
@click.argument("name", required=False, shell_complete=_names)
@click.argument("heading", required=False, shell_complete=_headings)
def docs(name: str | None, heading: str | None) -> None:
    """Print a page of the documentation, or what stands below a heading of it; without NAME list the pages."""
    pages = _pages()
    if name is None:
        width = max(map(len, pages))
        for about, found in groupby(pages.items(), lambda page: page[1].parent.name):
            click.echo("Pages:" if about == "docs" else f"\nPages of {about}:")
            for page, file in found:
                title = file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
                click.echo(f"  {page.ljust(width)}  {title}")
        return
    if name not in pages:
        near = get_close_matches(name, pages, n=1)
        raise NotFound(
            f"there is no page {name!r}; " + (f"did you mean {near[0]}?" if near else "see noti-worker docs")
        )
    text = pages[name].read_text(encoding="utf-8")
    if heading is not None:
        text = _below(name, text, heading)
    if sys.stdout.isatty():
        _show(text)
    else:
        click.echo(text, nl=False)


def _below(page: str, text: str, wanted: str) -> str:
    """The section of a heading: its whole name whatever the case, else the only one that holds the words."""
    sections = _sections(text)
    named = {heading.lower(): heading for heading in sections}
    held = [heading for key, heading in named.items() if wanted.lower() in key]
    if wanted.lower() in named:
        return sections[named[wanted.lower()]]
    if len(held) == 1:
        return sections[held[0]]
    near = held or [named[key] for key in get_close_matches(wanted.lower(), named, n=1, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near[:5])}?" if near else f"its headings: {', '.join(sections)}"
    raise NotFound(f"the page {page} has no heading {wanted!r}; {hint} (noti-worker docs {page})")


def _sections(text: str) -> dict[str, str]:
    """Each heading with all that stands below it, up to the next one that is no deeper."""
    code = [found.span() for found in _CODE.finditer(text)]  # a comment in a shell's example is no heading
    found = [one for one in _HEADING.finditer(text) if not any(begin < one.start() < end for begin, end in code)]
    sections: dict[str, str] = {}
    for number, one in enumerate(found):
        later = (other.start() for other in found[number + 1 :] if len(other[1]) <= len(one[1]))
        sections.setdefault(one[2], text[one.start() : next(later, len(text))].rstrip() + "\n")
    return sections


def _show(text: str) -> None:
    """Drawn for a terminal; what is longer than that through the person's pager."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.capture() as drawn:
        console.print(Markdown(text))
    if drawn.get().count("\n") < shutil.get_terminal_size().lines:
        click.echo(drawn.get(), nl=False)
    else:
        os.environ.setdefault("LESS", "-R")  # let colours through, and change nothing that the person set
        click.echo_via_pager(drawn.get())


def _pages() -> dict[str, Path]:
    """Each page by the name that is typed: those of the program, then those of the providers."""
    # A plain path: the package is never run from inside a zip, and importlib.resources takes 20 ms to load.
    docs = Path(__file__).parents[1] / "docs"
    return {page.stem: page for folder in (docs, docs / "providers") for page in sorted(folder.glob("*.md"))}
