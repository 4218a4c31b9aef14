"""References to secrets: read where they lie, never shown."""

from pathlib import Path

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.ports import Secrets
from noti_worker.domain.secret import Secret
from noti_worker.secrets import References, command
from noti_worker.secrets.file import LARGEST

SECRETS: Secrets = References({"TOKEN": "hunter2\n", "EMPTY": ""})


def test_a_variable_is_read_as_it_stands() -> None:
    assert SECRETS.resolve("env:TOKEN").reveal() == "hunter2\n"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"hunter2", "hunter2"), (b"hunter2\n", "hunter2"), (b"hunter2\r\n", "hunter2"), (b" a\n\n", " a\n")],
)
def test_one_newline_at_the_end_of_a_file_is_not_part_of_the_secret(
    tmp_path: Path, content: bytes, secret: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert SECRETS.resolve(f"file:{path}").reveal() == secret


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:GONE", "env:GONE: the environment variable GONE is not set"),
        ("env:EMPTY", "env:EMPTY: the environment variable EMPTY is empty"),
        ("env:", "names no variable"),
        ("file:secret", "file:secret: write the absolute path"),
        ("file:/a\0b", "write the absolute path"),
        ("file:/nowhere/secret", r"file:/nowhere/secret: cannot be read \(No such file"),
        ("file:/", r"file:/: cannot be read \(Is a directory"),
        ("file:/dev/zero", "file:/dev/zero: longer than 64 KiB"),
        ("file:/dev/null", "file:/dev/null: the file is empty"),
        ("exec:", "write the absolute path of the program"),
        ("exec:printf secret", "write the absolute path of the program"),
        ("exec:/bin/sh 'unfinished", "cannot be read as a command"),
        ("exec:/nowhere/token", r"exec:/nowhere/token: cannot be run \(No such file"),
        ("exec:/bin/false", "exec:/bin/false: ended with 1"),
        ("exec:/bin/true", "exec:/bin/true: printed nothing"),
        ("exec:/bin/sh -c 'yes | head -c 100000'", "printed too much"),
        (r"exec:/usr/bin/printf '\377'", "did not print UTF-8 text"),
    ],
)
def test_an_error_names_the_reference(reference: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SECRETS.resolve(reference)


@pytest.mark.parametrize("plain", ["hunter2", "sealed:hunter2", "https://x/hunter2", ""])
def test_what_is_no_reference_is_refused_and_not_quoted(plain: str) -> None:
    with pytest.raises(
        ConfigurationError, match="write it as env:NAME, file:PATH, exec:PROGRAM or vault:MOUNT/PATH#FIELD"
    ) as caught:
        SECRETS.resolve(plain)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hunter2\xff", b"hunter2" * LARGEST])
def test_an_error_does_not_quote_the_content_of_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        SECRETS.resolve(f"file:{path}")
    assert "hunter2" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_program_prints_a_secret_and_no_shell_reads_its_arguments() -> None:
    assert SECRETS.resolve("exec:/bin/echo 'one two' $HOME; x").reveal() == "one two $HOME; x"


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LIMIT", 0.2)
    with pytest.raises(ConfigurationError, match="did not end within"):
        SECRETS.resolve("exec:/bin/sleep 600")


def test_what_a_program_says_of_its_failure_is_not_quoted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SECRETS.resolve("exec:/bin/sh -c 'echo hunter$((1+1)); echo hunter$((1+1)) >&2; exit 3'")
    assert "hunter2" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_program_is_run_only_for_a_configuration_that_was_named() -> None:
    with pytest.raises(ConfigurationError, match="programs are run only for a configuration that is named"):
        References(commands=False).resolve("exec:/bin/echo hunter2")


def test_a_fresh_secret_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    secret = SECRETS.resolve(f"file:{path}")
    path.write_text("second")
    assert (secret.reveal(), secret.fresh().reveal(), Secret("plain").fresh().reveal()) == ("first", "second", "plain")


def test_a_program_is_not_run_for_each_of_many_who_ask_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    references = References()
    secret = references.resolve(f"exec:/bin/sh -c 'echo x >> {ran}; wc -l < {ran}'")
    assert secret.fresh().reveal() == secret.reveal()
    monkeypatch.setattr(command, "KEPT", 0.0)
    assert int(secret.fresh().fresh().reveal()) == 3
