"""The revisions of the schema that this version brings, by the names of their files: alembic is slow to import."""

from pathlib import Path


def place() -> Path:
    """Where the migrations lie: inside the installed package, or beside it in the tree."""
    package = Path(__file__).parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def known() -> list[str]:
    """The revisions, the oldest first."""
    return sorted(file.name.partition("_")[0] for file in (place() / "versions").glob("[0-9]*_*.py"))
