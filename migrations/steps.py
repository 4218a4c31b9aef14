"""What migrations are made of: SQL files, and functions that are replaced as a whole.

A migration cannot import it as a module: alembic loads each migration by its path, from the tree or from inside the
installed package. It says `steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alembic import context, op

PLACE = Path(__file__).parent

PINNED = "SET LOCAL search_path = pg_catalog, pg_temp;"
"""The first statement of each transaction of ours: who may create in `public` could otherwise slip in a function or an
operator that fits better than PostgreSQL's own, and it would run with our rights."""


@dataclass(frozen=True)
class Replaced:
    """A function `noti.NAME` goes from the text `functions/NAME/BACK.sql` to `functions/NAME/TO.sql`."""

    name: str
    to: int
    back: int | None


def replace(name: str, *, to: int, back: int | None) -> Replaced:
    """A function gets the text number `to`; on the way down that of `back`, or it is dropped: None says it is new."""
    return Replaced(name, to, back)


def up(changes: Iterable[Replaced]) -> None:
    """Make the functions as these changes leave them, in this order: each after those that it calls."""
    for change in changes:
        run_sql(text_of(change.name, change.to))


def down(changes: Iterable[Replaced]) -> None:
    """Make the functions as they were before, in the opposite order."""
    for change in reversed(tuple(changes)):
        if change.back is None:
            run_sql(f"DROP FUNCTION noti.{change.name};")
        else:
            run_sql(text_of(change.name, change.back))


def text_of(name: str, number: int) -> str:
    """The statement that makes a function."""
    return (PLACE / "functions" / name / f"{number}.sql").read_text(encoding="utf-8")


def run_file(name: str) -> None:
    """Run a file that lies beside the migrations."""
    run_sql((PLACE / "versions" / name).read_text(encoding="utf-8"))


def run_sql(sql: str) -> None:
    """Run statements, or print them when only the SQL is wanted."""
    if context.is_offline_mode():
        op.get_context().impl.static_output(sql)
    else:
        # As it stands: neither SQLAlchemy nor the driver looks for parameters in it.
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})


def grant() -> None:
    """Give our roles what the rows of noti.rights say, after a migration has added some."""
    run_file("0006_roles.sql")
