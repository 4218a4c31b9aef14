"""The rooms of the house: what a room may import stands here, and nothing else is imported."""

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "noti_worker"

DOMAIN = "noti_worker.domain"
MAY_IMPORT: dict[str, set[str]] = {
    "domain": {DOMAIN, "idna"},
    "delivery": {DOMAIN, "noti_worker.delivery", "babel", "jinja2", "markupsafe"},
    "accounts": {
        DOMAIN,
        "noti_worker.accounts",
        "noti_worker.providers",
        "noti_worker.secrets",
        "noti_worker.settings",
        "noti_worker.transport",
    },
    "transport": {DOMAIN, "noti_worker.transport", "dns", "h2", "requests", "urllib3"},
    "providers": {DOMAIN, "noti_worker.transport", "noti_worker.providers"},
    "store": {DOMAIN, "noti_worker.store", "sqlalchemy", "psycopg", "alembic"},
    "worker": {DOMAIN, "noti_worker.worker"},
    "chores": {DOMAIN, "noti_worker.store", "noti_worker.chores", "apscheduler"},
    "observe": {DOMAIN, "noti_worker.observe", "structlog", "prometheus_client", "opentelemetry"},
    "secrets": {DOMAIN, "noti_worker.secrets", "cryptography", "hvac", "requests"},
    "settings": {DOMAIN, "noti_worker.settings", "noti_worker.secrets", "phonenumbers"},
    "tasks": {DOMAIN, "noti_worker.providers", "noti_worker.store", "noti_worker.tasks"},
    "web": {DOMAIN, "noti_worker.web", "anyio", "starlette", "uvicorn"},
    "embedded": {"noti_worker.domain.errors", "noti_worker.embedded", "psycopg"},
}
"""By room; besides the standard library. `cli` and `app` may import everything."""

SDK_OF: dict[str, set[str]] = {
    "_aws": {"botocore"},
    "_push": {"cryptography"},
    "_sns_envelope": {"cryptography"},
    "_templates": {"jinja2"},
    "apns": {"cryptography"},
    "apprise": {"apprise"},
    "fcm": {"cryptography"},
    "twilio": {"twilio"},
    "sendgrid": {"cryptography"},
    "webpush": {"cryptography"},
}
"""A provider's own SDK, by file; those that need none are not named."""


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
"""Every file of the package by the name that imports it."""


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """What a file imports besides the standard library."""
    return {name for name in all_imports_of(path) if name.split(".")[0] not in sys.stdlib_module_names}


def all_imports_of(path: Path) -> set[str]:
    """What a file imports, inside its functions too."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package} uses a relative import"
            assert node.module is not None
            for one in (f"{node.module}.{alias.name}" for alias in node.names):
                found.add(one if one in MODULES else node.module)
    return found


def arrows() -> dict[str, set[str]]:
    """By room, the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = found.setdefault(room_of(path), set())
        room.update(name.split(".")[1] for name in imports_of(path) if name.startswith("noti_worker."))
    rooms = found.keys() & {room for room in found if room != "__init__"}
    return {room: (found[room] & rooms) - {room} for room in rooms}


def floors() -> list[list[str]]:
    """The rooms by floor, the lowest first: each stands above all that it imports. Raises on a circle of rooms."""
    sorter = TopologicalSorter(arrows())
    sorter.prepare()
    found = []
    while sorter.is_active():
        found.append(sorted(sorter.get_ready()))
        sorter.done(*found[-1])
    return found


def drawing() -> str:
    """The house as a table, the top floor first; what a room is for is the first sentence of its docstring."""
    imports = arrows()
    lines = ["| floor | room | imports | what lives there |", "| --- | --- | --- | --- |"]
    for number, rooms in reversed(list(enumerate(floors(), 1))):
        for room in rooms:
            folder = PACKAGE / room
            file = folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{room}.py"
            purpose = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0].replace("\n", " ")
            below = ", ".join(f"`{one}`" for one in sorted(imports[room]))
            lines.append(f"| {number} | `{room}{'/' if folder.is_dir() else '.py'}` | {below} | {purpose} |")
    return "".join(f"{line}\n" for line in lines)


def test_no_room_imports_one_above_it() -> None:
    order = [room for rooms in floors() for room in rooms]
    assert order[0] == "domain"
    assert set(order) == {*MAY_IMPORT, "cli", "app", "__main__"}


def test_no_files_import_each_other_in_a_circle() -> None:
    sorter = TopologicalSorter({name: (imports_of(path) & MODULES.keys()) - {name} for name, path in MODULES.items()})
    sorter.prepare()  # raises CycleError, which names the circle


def test_most_files_are_short_and_none_is_long() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py"))
    assert lengths[-1] <= 400
    assert lengths[len(lengths) // 2] < 120


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


def protocols() -> dict[str, ast.ClassDef]:
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        f"{path.relative_to(PACKAGE)}: {node.name}": node
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"\bProtocol\b", ast.unparse(parent)) for parent in node.bases)
    }


@pytest.mark.parametrize("protocol", protocols().values(), ids=protocols().keys())
def test_a_protocol_stays_under_six_methods(protocol: ast.ClassDef) -> None:
    assert [ast.unparse(parent).split("[")[0] for parent in protocol.bases] == ["Protocol"], (
        "a door that inherits another is not narrow"
    )
    asks = [node for node in protocol.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)]
    assert 0 < len(asks) < 6, "split it by who asks"


@pytest.mark.parametrize("path", sorted((PACKAGE / "worker").glob("*.py")), ids=lambda path: path.stem)
def test_no_part_of_the_worker_is_given_more_than_seven_things(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            given = [*node.args.args, *node.args.kwonlyargs][1:]
            assert len(given) <= 7, f"{[one.arg for one in given]}: what belongs together is one thing (context.py)"


WAYS_OUT = {"asyncio", "http", "select", "selectors", "smtplib", "socket", "ssl", "subprocess", "urllib.request"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "providers").glob("*.py")), ids=lambda path: path.name)
def test_a_provider_does_no_network_i_o_of_its_own(path: Path) -> None:
    assert not {name for name in all_imports_of(path) for way in WAYS_OUT if f"{name}.".startswith(f"{way}.")}
