"""`config show`: every setting, where it comes from, and no secret."""

import tomllib
from pathlib import Path

import click
import pytest

from noti_worker.cli import completion
from noti_worker.cli.main import main
from noti_worker.settings import describe
from noti_worker.settings.shown import lines
from tests.cli.conftest import Invoke, read

FILE = """\
# a comment
[database]
url = "postgresql://noti:hush@db.example.com/app"   # [not a header]

[accounts.relay]
provider = "smtp"
host = "smtp.example.com"
username = "noti"
password = "env:NOT_SET_ANYWHERE"
from = [
  "Example <no-reply@example.com>",  # the default
  "billing@example.com",
]

[accounts]
hooks.provider = "webhook"
hooks.secret = "file:/not/there"
hooks.ca_file = \"\"\"
[worker]
lease = 3\"\"\"

[channels.email]
retry = { initial_delay = "2m", jitter = 0.1 }
"worker.lease" = 1

[worker]
lease = "3m"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "noti.toml"
    path.write_text(FILE.replace('"worker.lease" = 1\n', "\n"))
    return path


@pytest.fixture
def origins(bare: Invoke, file: Path) -> dict[str, tuple[object, str]]:
    shown = read(bare("--config", str(file), "config", "show", "--json"))
    return {line["key"]: (line["value"], line["origin"]) for line in shown}


def test_each_value_says_the_line_of_the_file_that_set_it(origins: dict[str, tuple[object, str]], file: Path) -> None:
    assert origins["accounts.relay.host"] == ("smtp.example.com", f"{file}:7")
    assert origins["accounts.relay.from"][1] == f"{file}:10"
    assert origins["accounts.hooks.provider"] == ("webhook", f"{file}:16")
    assert origins["accounts.hooks.ca_file"][1] == f"{file}:18"
    assert origins["channels.email.retry.initial_delay"] == ("2m", f"{file}:23")
    assert origins["channels.email.retry.max_delay"] == ("30m", "default")
    assert origins["worker.lease"] == ("3m", f"{file}:27")
    assert origins["worker.poll_interval"] == ("1s", "default")


def test_lines_are_those_of_the_parser() -> None:
    found = lines(FILE)
    assert found["channels", "email", "worker.lease"] == 24
    assert found["worker", "lease"] == 27
    table = tomllib.loads(FILE)
    for path in found:
        value = table
        for part in path:
            value = value[part]


def test_secrets_are_neither_shown_nor_read(bare: Invoke, file: Path, origins: dict[str, tuple[object, str]]) -> None:
    # The variable and the file do not exist: reading them would be an error.
    assert origins["accounts.relay.password"] == ("***", f"{file}:9, env:NOT_SET_ANYWHERE")
    assert origins["accounts.hooks.secret"] == ("***", f"{file}:17, file:/not/there")
    assert origins["database.url"] == ("***", f"{file}:3")
    for words in ((), ("--origin",), ("--json",)):
        assert "hush" not in bare("--config", str(file), "config", "show", *words).output


def test_the_environment_and_the_command_line_are_named(
    bare: Invoke, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTI_WORKER__LEASE", "5m")
    monkeypatch.setenv("NOTI_DATABASE_URL", "postgresql://noti:hush@/other")
    monkeypatch.setenv("NOTI_ACCOUNTS__RELAY__PORT", "2525")
    shown = bare("--config", str(file), "config", "show", "--origin").stdout.splitlines()
    assert 'worker.lease = "5m"' + " " * 41 + "  # NOTI_WORKER__LEASE" in shown
    assert any(line.startswith("accounts.relay.port = 2525 ") and "__RELAY__PORT" in line for line in shown)
    assert any(line.startswith('database.url = "***"') and line.endswith("# NOTI_DATABASE_URL") for line in shown)
    over = bare("--config", str(file), "--database-url", "postgresql://:hush@/third", "config", "show", "--origin")
    assert "hush" not in over.stdout
    assert "# --database-url" in over.stdout


def test_every_setting_is_there_also_without_a_file(bare: Invoke) -> None:
    keys = {line["key"] for line in read(bare("config", "show", "--json"))}
    for setting in describe():
        if not setting.key.startswith(("accounts", "bounces", "routes")):
            assert setting.key.replace("CHANNEL", "voice") in keys
    assert "routes.voice" in keys


def test_without_origin_it_is_a_configuration_that_says_the_same(bare: Invoke, file: Path, tmp_path: Path) -> None:
    first = bare("--config", str(file), "config", "show").stdout
    again = tmp_path / "again.toml"
    again.write_text(first.replace('"***"', '"env:SOMETHING"'))
    assert bare("--config", str(again), "config", "show").stdout == first


def test_a_wrong_configuration_ends_with_78(bare: Invoke, tmp_path: Path) -> None:
    (tmp_path / "noti.toml").write_text('[accounts.a]\nprovider = "smtp"\nhots = "x"\n')
    result = bare("--config", str(tmp_path / "noti.toml"), "config", "show")
    assert result.exit_code == 78
    assert 'did you mean "host"?' in result.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration in the working directory, which nobody names."""
    monkeypatch.delenv("NOTI_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "noti-worker.toml"
    secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
    path.write_text(f'[accounts.hooks]\nprovider = "webhook"\nsecret = "exec:/bin/echo {secret}"\n')
    return path


def test_the_configuration_of_the_working_directory_is_read_when_it_is_ours_and_that_is_told(
    bare: Invoke, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = bare("config", "show", "--json")
    assert shown.stderr == "configuration: ./noti-worker.toml\n"
    assert {line["key"]: line["origin"] for line in read(shown)}["accounts.hooks.provider"] == "noti-worker.toml:2"
    other = here.with_name("other.toml")
    other.write_text("")
    assert "hooks" not in bare("--config", str(other), "config", "show").output
    monkeypatch.setenv("NOTI_CONFIG", str(other))
    assert "hooks" not in bare("config", "show").output
    assert bare("docs", "quickstart").stderr == ""


def test_the_configuration_of_the_working_directory_is_not_read_when_it_is_somebody_else_s(
    bare: Invoke, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: here.stat().st_uid + 1)
    shown = bare("config", "show")
    assert "hooks" not in shown.stdout
    assert "./noti-worker.toml is somebody else's and is not read: say --config noti-worker.toml" in shown.stderr


def test_a_program_is_run_for_a_configuration_that_is_named_alone(bare: Invoke, here: Path) -> None:
    refused = bare("webhook", "secret", "https://example.com/hooks")
    assert refused.exit_code == 78
    assert "programs are run only for a configuration that is named" in refused.stderr
    assert bare("--config", str(here), "webhook", "secret", "https://example.com/hooks").stdout.startswith("whsec_")


@pytest.mark.usefixtures("bare")
def test_completion_reads_it_too_and_runs_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> list[str]:
        return completion.accounts(click.Context(main), click.Argument(["account"]), "h")

    assert names() == ["hooks"]
    monkeypatch.setattr("os.geteuid", lambda: here.stat().st_uid + 1)
    assert names() == [], "it is somebody else's"
    monkeypatch.undo()
    monkeypatch.chdir(here.parent)
    ran = here.with_name("ran")
    here.write_text(f'{here.read_text()}[database]\nurl = "exec:/usr/bin/touch {ran}"\n')
    assert names() == []
    assert not ran.exists()


def test_a_provider_that_does_not_exist_is_named_with_its_place(bare: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text('[accounts.relay]\nprovider = "smpt"\n')
    result = bare("--config", str(file), "config", "show")
    assert result.exit_code == 78
    assert f"{file}: accounts.relay.provider: provider 'smpt' does not exist; did you mean \"smtp\"?" in result.stderr
