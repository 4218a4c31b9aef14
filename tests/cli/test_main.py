"""The surface of the command line: help, exit codes, errors in sentences."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from noti_worker import __version__
from noti_worker.cli.examples import EXAMPLES, EXITS
from noti_worker.cli.main import main
from tests.cli.conftest import Invoke

READING = {
    "status",
    "list",
    "why",
    "doctor",
    "config show",
    "provider list",
    "provider test",
    "rules replay",
    "webhook secret",
}
CHANGING = {"migrate", "send", "requeue", "cancel", "hold", "release"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command; those of a group by both names."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", each) for part, each in command.commands.items())


def options_of(name: str) -> set[str]:
    return {option for parameter in dict(commands())[name].params for option in parameter.opts}


def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "noti_worker", *words],
        env={"PATH": "/usr/bin:/bin", **environ},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_every_command_of_a_first_day_is_there() -> None:
    names = [name for name, _ in commands()]
    assert names == [
        "demo",
        "run",
        "web",
        "migrate",
        "send",
        "status",
        "top",
        "list",
        "why",
        "tail",
        "requeue",
        "retry",
        "cancel",
        "hold",
        "release",
        "pause",
        "resume",
        "circuits",
        "circuits list",
        "circuits close",
        "circuits open",
        "category",
        "category list",
        "category set",
        "category remove",
        "limit",
        "limit list",
        "limit set",
        "limit remove",
        "suppression",
        "suppression list",
        "suppression add",
        "suppression lift",
        "suppression why",
        "suppression import",
        "suppression export",
        "endpoint",
        "endpoint list",
        "endpoint add",
        "endpoint set",
        "endpoint enable",
        "endpoint disable",
        "endpoint remove",
        "endpoint recover",
        "endpoint test",
        "receipts",
        "receipts list",
        "receipts count",
        "receipts requests",
        "tenant",
        "tenant list",
        "tenant add",
        "tenant show",
        "tenant set",
        "tenant suspend",
        "tenant resume",
        "tenant setting",
        "tenant usage",
        "tenant isolate",
        "tenant bind",
        "tenant unbind",
        "tenant members",
        "tenant export",
        "tenant remove",
        "template",
        "template list",
        "template show",
        "template diff",
        "template lint",
        "template preview",
        "template test",
        "template publish",
        "template rollback",
        "retention",
        "erase",
        "user",
        "user show",
        "user export",
        "user erase",
        "doctor",
        "config",
        "config show",
        "provider",
        "provider list",
        "provider check",
        "provider test",
        "account",
        "account list",
        "account show",
        "account add",
        "account set",
        "account remove",
        "account secret",
        "account route",
        "account rotate",
        "account test",
        "rules",
        "rules replay",
        "webhook",
        "webhook secret",
        "fleet",
        "fleet check",
        "fleet status",
        "fleet migrate",
        "fleet apply",
        "docs",
        "completion",
    ]


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_and_every_option_says_what_it_does(name: str) -> None:
    command = dict(commands())[name]
    assert command.help
    assert command.help.endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]}"
            assert parameter.help.endswith((".", "}.")), f"{name} {parameter.opts[0]}"


def test_the_help_says_of_each_command_in_a_whole_sentence_what_it_does(noti: Invoke) -> None:
    shown = " ".join(noti("--help").stdout.split())
    for name, command in main.commands.items():
        sentence = (command.help or "").partition(".")[0]
        assert f" {name} {' '.join(sentence.split())}." in shown, name


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_help_ends_with_examples_that_are_understood(name: str) -> None:
    command = dict(commands())[name]
    assert "Examples:" in (command.epilog or "")
    for line in EXAMPLES[name]:
        words = shlex.split(line.replace('eval "$(', "").replace(')"', ""), comments=True)
        mine = words[words.index("noti-worker") + 1 :]
        mine = mine[: next((i for i, word in enumerate(mine) if word in {"|", ">", "<"}), len(mine))]
        understood = understand(mine)
        assert understood[: len(name.split())] == name.split(), line


def understand(words: list[str]) -> list[str]:
    """The path of the command that a line calls; raises UsageError for what does not exist."""
    command: click.Command = main
    context = click.Context(main)
    path: list[str] = []
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(list(words))
        assert rest, f"no command in {words}"
        path.append(rest[0])
        command, words = command.commands[rest[0]], rest[1:]
    command.make_context(path[-1], list(words), parent=context)
    return path


def test_exit_codes_that_say_more_stand_in_the_help() -> None:
    assert EXITS.keys() <= EXAMPLES.keys()
    assert "78 the account is refused" in (dict(commands())["provider test"].epilog or "")


def test_what_reads_has_json_and_what_changes_has_dry_run() -> None:
    assert all("--json" in options_of(name) for name in READING)
    assert all("--dry-run" in options_of(name) for name in CHANGING)


def test_help_names_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "requeue" in done.stdout


def test_help_loads_no_database_driver() -> None:
    code = "import sys, noti_worker.cli.main; print({'sqlalchemy', 'psycopg', 'rich', 'alembic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_neither_the_command_line_nor_the_worker_loads_an_sdk_that_no_account_needs() -> None:
    code = (
        "import sys, noti_worker.cli.main, noti_worker.app\n"
        "from noti_worker.providers import find, known\n"
        "for name in known(): find(name)\n"
        "print({'boto3', 'botocore', 'cryptography', 'h2', 'twilio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_version_is_that_of_the_package(bare: Invoke) -> None:
    assert bare("--version").stdout == f"noti-worker, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("why",),
        ("why", "seventeen"),
        ("why", "0"),
        ("why", "9223372036854775808"),
        ("requeue",),
        ("cancel", "1", "--channel", "email"),
        ("list", "--status", "lost"),
        ("list", "--failed-since", "yesterday"),
        ("list", "--failed-since", "2026-01-01T00:00:00"),
        ("list", "--entity", ":17"),
        ("list", "--limit", "0"),
        ("send", "--channel", "email"),
        ("send", "--channel", "email", "--recipient", "a@example.com", "--body", "x", "--data", "[1]"),
        ("send", "--channel", "email", "--recipient", "a@example.com", "--body", "x", "--body-file", "-"),
        ("send", "--channel", "email", "--recipient", "a@example.com", "--body-file", "/nowhere"),
        ("config",),
        ("provider", "tset"),
        ("provider", "test", "relay"),
        ("completion", "tcsh"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(bare: Invoke, words: tuple[str, ...]) -> None:
    result = bare(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage:" in result.stderr


def test_wrong_configuration_ends_with_78_and_names_the_place(bare: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text("[worker]\nbatchsize = 5\n")
    result = bare("--config", str(file), "status")
    assert result.exit_code == 78
    assert "batch_size" in result.stderr
    assert result.stderr.endswith("\nNext: noti-worker docs configuration has all settings\n")
    assert bare("--config", str(tmp_path / "missing.toml"), "status").exit_code == 78
    assert bare("--database-url", "not a url", "status").exit_code == 78


def test_a_database_that_is_away_ends_with_1(bare: Invoke) -> None:
    result = bare("--database-url", "postgresql://noti:hush@127.0.0.1:1/noti", "status")
    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert result.stderr.endswith("\nNext: noti-worker doctor looks into it\n")
    assert "hush" not in result.stderr


def test_a_database_without_the_schema_says_what_to_do(bare: Invoke, empty_database_url: str) -> None:
    for words in (("status",), ("list",), ("why", "1"), ("requeue", "1")):
        result = bare("--database-url", empty_database_url, *words)
        assert result.exit_code == 1
        assert "run noti-worker migrate" in result.stderr


def test_a_role_without_rights_is_told_so(noti: Invoke, database_url: str) -> None:
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE noti_stranger LOGIN")
    try:
        result = noti("--database-url", database_url.replace("postgres@", "noti_stranger@"), "status")
        assert result.exit_code == 1
        assert "noti-worker doctor tells what to grant" in result.stderr
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE noti_stranger")


def test_the_process_ends_as_its_command_says(database_url: str) -> None:
    assert run("status", NOTI_DATABASE_URL=database_url).returncode == 0
    unknown = run("why", "17", NOTI_DATABASE_URL=database_url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == (
        "Error: there is no notification 17\nNext: noti-worker list shows the newest notifications\n"
    )
    assert run("why").returncode == 2
    assert run("--config", "/nowhere.toml", "list", NOTI_DATABASE_URL=database_url).returncode == 78


def test_a_database_on_the_command_line_wins(noti: Invoke, empty_database_url: str) -> None:
    assert noti("status").exit_code == 0
    assert noti("--database-url", empty_database_url, "status").exit_code == 1
