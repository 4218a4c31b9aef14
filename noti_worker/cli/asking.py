"""Questions before what cannot be undone, or concerns many; without anybody to ask, the answer must be given before."""

import sys

import click


def someone_answers() -> bool:
    """Tell whether a person sits at the keyboard and sees what is asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(what: str) -> None:
    """Ask, and end unless the answer is yes; a usage error when nobody can be asked."""
    if not someone_answers():
        raise click.UsageError(f"{what}, and nobody can be asked: --yes does it without a question")
    click.confirm(f"{what}. Go on?", abort=True, err=True)
