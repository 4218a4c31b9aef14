"""Each function of the schema is what its newest file says, and no file that was released has changed."""

import re
from pathlib import Path
from typing import Any

import psycopg
from alembic.script import ScriptDirectory
from alembic.util import load_python_file

from noti_worker.store import migrate

FUNCTIONS = Path(__file__).parents[2] / "migrations" / "functions"
mended = load_python_file(str(FUNCTIONS.parent), "mended.py").mended
HEAD = re.compile(r"(?:--[^\n]*\n)+CREATE OR REPLACE FUNCTION noti\.(\w+)\(")

OVERLOADS = {"send_each": "send"}
"""Folders of functions that stand beside another of the same name: they alone give a set."""

SOURCES = (
    "SELECT CASE WHEN proretset AND proname = 'send' THEN 'send_each' ELSE proname::text END, prosrc"
    " FROM pg_proc WHERE pronamespace = 'noti'::regnamespace"
)
DEFINITIONS = "SELECT proname::text, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'noti'::regnamespace"


def newest(name: str) -> Path:
    return max((FUNCTIONS / name).glob("*.sql"), key=lambda file: int(file.stem))


def test_every_function_is_what_its_newest_file_says(connection: psycopg.Connection[Any]) -> None:
    sources = dict(connection.execute(SOURCES).fetchall())
    assert sorted(sources) == sorted(folder.name for folder in FUNCTIONS.iterdir() if folder.name in sources)
    before = connection.execute(DEFINITIONS).fetchall()
    for name, source in sources.items():
        text = newest(name).read_text(encoding="utf-8")
        assert source in text, name
        connection.execute(text.encode())
    # The file says all of it, arguments and settings too: made again, it is the same, and nothing stands beside it.
    assert sorted(connection.execute(DEFINITIONS).fetchall()) == sorted(before)


def test_a_file_holds_one_function_of_its_folders_name() -> None:
    for file in FUNCTIONS.glob("*/*"):
        text = file.read_text(encoding="utf-8")
        head = HEAD.match(text)
        assert head is not None, file
        assert head[1] == OVERLOADS.get(file.parent.name, file.parent.name)
        assert text.endswith(";\n")
        assert len(re.findall("^CREATE ", text, re.MULTILINE)) == 1, file
    for folder in FUNCTIONS.iterdir():
        numbers = sorted(int(file.stem) for file in folder.iterdir())
        assert numbers == [*range(1, len(numbers) + 1)], folder


def test_a_name_stands_for_one_function(connection: psycopg.Connection[Any]) -> None:
    names = [name for name, _ in connection.execute(SOURCES)]
    assert sorted(names) == sorted(set(names))


def test_every_file_after_the_first_is_made_by_one_migration() -> None:
    """And each migration takes a function from the file that the one before it left."""
    at = {folder.name: 1 for folder in FUNCTIONS.iterdir() if made_before_files(folder.name)}
    for step in [*ScriptDirectory.from_config(migrate._config()).walk_revisions()][::-1]:
        for change in getattr(step.module, "FUNCTIONS", ()):
            assert (step.revision, change.name, change.back) == (step.revision, change.name, at.get(change.name))
            assert change.to == (change.back or 0) + 1
            at[change.name] = change.to
    assert at == {folder.name: int(newest(folder.name).stem) for folder in FUNCTIONS.iterdir()}


def made_before_files(name: str) -> bool:
    """Tell whether the first file of a function repeats what a migration before 0008 made."""
    versions = FUNCTIONS.parent / "versions"
    texts = [file.read_text(encoding="utf-8") for file in versions.glob("000[1-7]_*.sql")]
    return any(re.search(rf"CREATE (OR REPLACE )?FUNCTION noti\.{name}\(", text) for text in texts)


def test_the_first_files_are_what_the_migrations_before_them_left(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0007")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        before = connection.execute(DEFINITIONS).fetchall()
        for name, _ in before:
            connection.execute(mended((FUNCTIONS / name / "1.sql").read_text(encoding="utf-8")).encode())
        assert sorted(connection.execute(DEFINITIONS).fetchall()) == sorted(before)


def test_a_step_down_leaves_the_older_texts(database_url: str, empty_database_url: str) -> None:
    older = migrate.pending(empty_database_url)[-2]
    migrate.downgrade(database_url, older)
    migrate.upgrade(empty_database_url, older)
    assert definitions(database_url) == definitions(empty_database_url)


def definitions(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return sorted(connection.execute(DEFINITIONS).fetchall())
