"""What a stranger reads is true: tables, snippets, commands and links of the README and of the shipped pages."""

import asyncio
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine
from standardwebhooks import Webhook

from noti_worker import enqueue, providers, settings
from noti_worker.accounts import open_accounts
from noti_worker.cli.main import main as cli
from noti_worker.domain.notification import Channel, Status
from noti_worker.domain.outcome import LOST, Kind
from noti_worker.observe.catalogue import METRICS
from noti_worker.observe.log import EVENTS
from noti_worker.settings.fleet import read_fleet
from noti_worker.store.client import Fields
from noti_worker.transport import Kit
from tests.cli.test_main import understand
from tests.keys import a_service_account, a_vapid_key
from tests.observe.otel import needed
from tests.readme_tables import CONTRIBUTING, PAGES, ROOT, TABLES, filled, names, own_providers, page_of

README = ROOT / "README.md"
DOCS = ROOT / "noti_worker" / "docs"
EVERYTHING = (*PAGES, CONTRIBUTING, ROOT / ".github" / "CHANGELOG.md", ROOT / ".github" / "SECURITY.md")
SECRET = "whsec_" + "c2VjcmV0" * 4


def some_keys() -> str:
    return f"2026-01 {'1f' * 32}"


KEY_FILES = {
    "firebase.json": a_service_account,
    "vapid.pem": a_vapid_key,
    "apns.p8": a_vapid_key,
    "keys": some_keys,
}
"""What a file of the examples holds, by its name, where it is no text of one's own choice."""
SHAPED = {
    "SLACK_BOT_TOKEN": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44f",
    "TEAMS_WEBHOOK_URL": "https://prod-00.westeurope.logic.azure.com/workflows/4f2d/triggers/manual?sig=x",
    "MATTERMOST_WEBHOOK_URL": "https://chat.example.com/hooks/1w4ma8ph33nt7jzqxcr5ydsu6e",
    "GOOGLE_CHAT_WEBHOOK_URL": "https://chat.googleapis.com/v1/spaces/AAAAMpdlehY/messages?key=x&token=y",
    "TELEGRAM_BOT_TOKEN": "123456789:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
    "PAGERDUTY_ROUTING_KEY": "e93facc04764012d7bfb002500d5d1a6",
    "OPSGENIE_API_KEY": "eb243592-faa2-4ba2-a551-1afdf565c889",
    "APPRISE_URL": "zulip://noti-bot@example/ezl0H2LRbO6U3fSQ4vLTOGSaBhtaO2sc/{recipient}",
    "PUSHOVER_TOKEN": "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
}
"""Values of the examples whose providers know what theirs look like; all others are `SECRET`."""
NOT_EMBEDDING = tuple(page for page in PAGES if page.stem != "embedding")
"""Programs of their own stand on that page; tests/test_embedding.py runs them."""

_ROLES = re.compile(r"^(CREATE|ALTER) ROLE|SET LOCAL ROLE", re.MULTILINE)
"""Roles are the whole server's: tests/store/test_tenants_pooled.py makes those, and runs what stands there."""
_SNIPPET = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def snippets(language: str, pages: tuple[Path, ...] = PAGES) -> list[Any]:
    """Every snippet of a language, as a parameter with a readable id."""
    found_there = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in _SNIPPET.finditer(text):
            if found["language"] == language and not _ROLES.search(found["text"]):
                line = text.count("\n", 0, found.start()) + 1
                found_there.append(pytest.param(found["text"], id=f"{page.name}:{line}"))
    return found_there


@pytest.fixture
def app_user(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The role that the quickstart grants something to; roles are the cluster's, not the database's."""
    connection.execute("CREATE ROLE app_user")
    yield
    connection.execute("DROP OWNED BY app_user")
    connection.execute("DROP ROLE app_user")


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.name)
def test_the_tables_are_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "write them anew: python -m tests.readme_tables"


def test_every_table_stands_on_a_page_and_the_readme_is_for_people() -> None:
    assert {name for page in (*PAGES, CONTRIBUTING) for name in names(page.read_text(encoding="utf-8"))} == set(TABLES)
    readme = README.read_text(encoding="utf-8")
    assert names(readme) == ["channels"]
    assert len(readme.splitlines()) <= 250


def test_every_command_setting_metric_and_event_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    commands = {
        f"{name} {part}" if part else name
        for name, command in cli.commands.items()
        for part in (command.commands if isinstance(command, click.Group) else [""])
    }
    calls = {re.split(r" [\[A-Z]", name)[0] for name in named}  # `why [ID]` is the command why
    assert commands <= calls
    assert {line.key for line in settings.describe()} | {metric.name for metric in METRICS} | EVENTS.keys() <= named


def test_every_status_kind_and_column_is_explained() -> None:
    def first_cells(page: str) -> set[str]:
        lines = re.findall(r"^\| (`[^|]+) \|", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
        return {name for line in lines for name in re.findall(r"`(\w+)`", line)}

    assert first_cells("outcomes") == {*Status, *Kind}
    assert f"`{LOST}`" in (DOCS / "outcomes.md").read_text(encoding="utf-8")
    assert first_cells("sending") == Fields.__annotations__.keys()


def test_the_readme_says_what_serves_each_channel() -> None:
    table = TABLES["channels"]()
    lines = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))
    assert lines.keys() == set(Channel)
    for channel, provider in (
        ("email", "smtp"),
        ("sms", "twilio"),
        ("webhook", "webhook"),
        ("chat", "slack"),
        ("push", "fcm"),
    ):
        assert f"`{provider}`" in lines[channel]
    assert "`sandbox`" not in table  # it only pretends to send


def test_the_readme_names_every_page() -> None:
    linked = set(_LINK.findall(README.read_text(encoding="utf-8")))
    assert {f"noti_worker/docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


@pytest.mark.parametrize("command", ["pip install '.[embedded]'", "pip install -e '.[dev]'"])
def test_each_way_of_setting_up_is_one_line_that_can_be_pasted(command: str) -> None:
    first = next(line for line in README.read_text(encoding="utf-8").splitlines() if command in line)
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert first.endswith((" && .venv/bin/noti-worker demo", " && .venv/bin/pytest -n 3"))


@pytest.mark.usefixtures("app_user")
@pytest.mark.parametrize("sql", snippets("sql", NOT_EMBEDDING))
def test_every_sql_snippet_runs(sql: str, connection: psycopg.Connection[Any]) -> None:
    connection.execute(sql.encode())
    assert connection.execute("SELECT * FROM noti.assert_invariants()").fetchall() == []


@pytest.mark.usefixtures("app_user")
def test_the_grants_of_the_quickstart_are_enough_for_an_application(connection: psycopg.Connection[Any]) -> None:
    grants = {str(snippet.values[0]) for snippet in snippets("sql") if "GRANT" in str(snippet.values[0])}
    assert grants == {"GRANT noti_app TO app_user;\n"}  # on two pages
    connection.execute(grants.pop().encode())
    connection.execute("SET ROLE app_user")
    connection.execute("INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('in_app', 'user:1', 'x')")
    enqueued = enqueue(connection, channel="in_app", recipient="user:1", body="x", idempotency_key="k")
    for move in ("hold", "release", "cancel", "requeue"):
        connection.execute(f"SELECT noti.{move}(%s)", [enqueued])
    story = connection.execute("SELECT event FROM noti.why(%s)", [enqueued]).fetchall()
    assert [event for (event,) in story][-2:] == ["requeued", "next"]
    connection.execute("INSERT INTO noti.attachments (filename, content) VALUES ('a.txt', 'x')")
    connection.execute("UPDATE noti.inbox SET seen_at = now()")
    connection.execute("RESET ROLE")


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # in standardwebhooks
@pytest.mark.parametrize("python", snippets("python", NOT_EMBEDDING))
def test_every_python_snippet_runs(python: str, connection: psycopg.Connection[Any], database_url: str) -> None:
    if "opentelemetry" in python:
        needed("opentelemetry.propagate")
    body = '{"event": "order.paid"}'
    now = datetime.now(UTC)  # noqa: TID251 - what a receiver compares the signature's time with
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
    module: dict[str, Any] = {
        "__name__": "snippet",
        "DATABASE_URL": database_url,
        "connection": connection,
        "engine": engine,
        "secret": SECRET,
        "body": body,
        "headers": {
            "webhook-id": "17",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("17", now, body),
        },
    }
    exec(compile(python, "snippet", "exec", dont_inherit=True), module)
    for function in [value for value in module.values() if inspect.iscoroutinefunction(value)]:
        asyncio.run(_called(function, database_url))
    engine.dispose()
    (count,) = connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() or (0,)
    calls = len(re.findall(r"\b(enqueue|enqueue_many|insert)\(", python))
    assert count >= calls  # they really enqueue, and really commit


async def _called(function: Any, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await function(connection)


@pytest.mark.parametrize("toml", snippets("toml"))
def test_every_configuration_loads_and_its_accounts_can_be_built(
    toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in re.findall(r'"file:(/[^"]*)"', toml):
        (tmp_path / Path(path).name).write_text(KEY_FILES.get(Path(path).name, lambda: SECRET)())
    for name in re.findall(r'"env:(\w+)"', toml):
        monkeypatch.setenv(name, SHAPED.get(name, f"user:{SECRET}" if name.endswith("_LOGIN") else SECRET))
    config = tmp_path / "noti-worker.toml"
    config.write_text(re.sub(r'"file:/[^"]*?([^"/]*)"', rf'"file:{tmp_path}/\1"', toml))
    every = [member.settings for member in read_fleet(config)] if "[databases." in toml else [settings.load(config)]
    for loaded in every:
        open_accounts(loaded, Kit(lambda: datetime(2026, 3, 1, tzinfo=UTC))).close()


def test_the_entry_point_of_the_guide_is_of_the_group_that_is_looked_up() -> None:
    (ini,) = (snippet.values[0] for snippet in snippets("ini"))
    assert tomllib.loads(str(ini)) == {"project": {"entry-points": {providers.GROUP: {"pigeon": "noti_pigeon"}}}}


def commands() -> Iterator[Any]:
    """Every `noti-worker …` line of the shell snippets, and every one that stands in the text."""
    for snippet in snippets("sh", EVERYTHING):
        text = str(snippet.values[0])
        for line in text.splitlines():
            for part in line.split("&&"):
                words = shlex.split(part.removeprefix("docker compose exec worker "), comments=True)
                if words and words[0].endswith("noti-worker"):
                    yield pytest.param(words[1:], id=f"{snippet.id} {' '.join(words[1:])}")
    for page in EVERYTHING:
        for found in re.findall(r"`noti-worker ([a-z][^`\n]*)`", page.read_text(encoding="utf-8")):
            words = shlex.split(found)
            if not words[-1].isupper():  # `docs NAME` is a shape, not a call
                yield pytest.param(words, id=f"{page.name} {found}")


@pytest.mark.parametrize("words", list(commands()))
def test_every_command_line_is_understood(words: list[str]) -> None:
    path = understand(words)  # UsageError for what does not exist
    if path == ["docs"]:
        shown = CliRunner().invoke(cli, words)
        assert shown.exit_code == 0, shown.output  # the page and its heading exist


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        test_every_command_line_is_understood(["list", "--failed"])


def test_every_environment_variable_that_is_exported_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[accounts.relay]\nprovider = "sandbox"\n[accounts.second]\nprovider = "sandbox"\n', encoding="utf-8"
    )
    exported: dict[str, str] = {}
    for snippet in snippets("sh"):
        exported |= dict(re.findall(r"^export (\w+)=(\S+)$", str(snippet.values[0]), re.MULTILINE))
    assert len(exported) >= 4
    settings.load(tmp_path / "c.toml", exported)


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: page.name)
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target
    for path in re.findall(r"`((?:tests|noti_worker|migrations|config|\.ci)/[\w./]*)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path


@pytest.mark.parametrize("name", own_providers())
def test_every_provider_of_ours_has_a_page_with_the_same_headings(name: str) -> None:
    above, *parts = re.split(r"^## (.+)$", page_of(name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.match(r"# [^\n]+\n\n\S", above)  # a title, and what it is
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(sections) == [
        "Account",
        "How to get the key",
        "Settings",
        "Options",
        "Limits",
        "What the answers mean",
        "What is not known",
    ]
    assert all(text.strip() for text in sections.values())
    for what, heading in (("settings", "Settings"), ("options", "Options"), ("answers", "What the answers mean")):
        table = f"{what} of {name}"
        assert (table in names(sections[heading])) == (table in TABLES)


def test_every_page_of_a_provider_is_of_one_that_exists() -> None:
    assert {page.stem for page in (DOCS / "providers").iterdir()} == set(own_providers())
