"""`docs`: the pages that are shipped with the program."""

import sys
from difflib import get_close_matches
from pathlib import Path

import click

from noti_worker.domain.errors import NotFound


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [page for page in _pages() if page.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_names)
def docs(name: str | None) -> None:
    """Print a page of the documentation; without NAME list the pages."""
    pages = _pages()
    if name is None:
        width = max(map(len, pages))
        for page, file in pages.items():
            title = file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            click.echo(f"{page.ljust(width)}  {title}")
        return
    if name not in pages:
        near = get_close_matches(name, pages, n=1)
        raise NotFound(
            f"there is no page {name!r}; " + (f"did you mean {near[0]}?" if near else "see noti-worker docs")
        )
    text = pages[name].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        click.echo(text, nl=False)


def _pages() -> dict[str, Path]:
    # A plain path: the package is never run from inside a zip, and importlib.resources takes 20 ms to load.
    return {page.stem: page for page in sorted((Path(__file__).parents[1] / "docs").glob("*.md"))}
