"""The rooms of the house: what a room may import stands here, and nothing else is imported."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "noti_worker"

DOMAIN = "noti_worker.domain"
MAY_IMPORT: dict[str, set[str]] = {
    "domain": {DOMAIN},
    "delivery": {DOMAIN, "noti_worker.delivery", "jinja2", "markupsafe"},
    "transport": {DOMAIN, "noti_worker.transport", "requests", "urllib3"},
    "providers": {DOMAIN, "noti_worker.transport", "noti_worker.providers"},
    "store": {DOMAIN, "noti_worker.store", "sqlalchemy", "psycopg", "alembic"},
    "worker": {DOMAIN, "noti_worker.worker"},
    "chores": {DOMAIN, "noti_worker.store", "noti_worker.chores", "apscheduler"},
    "observe": {DOMAIN, "noti_worker.observe", "structlog", "prometheus_client", "opentelemetry"},
    "secrets": {DOMAIN, "noti_worker.secrets"},
    "settings": {DOMAIN, "noti_worker.settings", "noti_worker.secrets"},
    "embedded": {"noti_worker.domain.errors", "noti_worker.embedded", "psycopg"},
}
"""By room; besides the standard library. `cli` and `app` may import everything."""

SDK_OF: dict[str, set[str]] = {}
"""A provider's own SDK, by file; those that need none are not named."""


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """What a file imports besides the standard library."""
    return {name for name in all_imports_of(path) if name.split(".")[0] not in sys.stdlib_module_names}


def all_imports_of(path: Path) -> set[str]:
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package} uses a relative import"
            if node.module == "noti_worker":
                found.update(f"noti_worker.{alias.name}" for alias in node.names)
            elif node.module is not None:
                found.add(node.module)
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in {"cli", "app", "__init__", "__main__"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_its_line_names(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_IMPORT, f"{room} is a new room: give it a line here and in the design"
    allowed = MAY_IMPORT[room] | (SDK_OF.get(path.stem, set()) if room == "providers" else set())
    forbidden = {name for name in imports_of(path) if not any(name == a or name.startswith(a + ".") for a in allowed)}
    assert not forbidden, f"{path.name} imports {sorted(forbidden)}"


@pytest.mark.parametrize("path", sorted((ROOT / "migrations").rglob("*.py")), ids=lambda path: path.name)
def test_migrations_import_nothing_of_the_package(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.startswith("noti_worker")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "manager", "service", "handler", "base"}


WAYS_OUT = {"asyncio", "http", "select", "selectors", "smtplib", "socket", "ssl", "subprocess", "urllib.request"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "providers").glob("*.py")), ids=lambda path: path.name)
def test_a_provider_does_no_network_i_o_of_its_own(path: Path) -> None:
    assert not {name for name in all_imports_of(path) for way in WAYS_OUT if f"{name}.".startswith(f"{way}.")}
