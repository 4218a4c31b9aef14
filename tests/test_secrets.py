"""References to secrets: read where they lie, never shown."""

from pathlib import Path

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.ports import Secrets
from noti_worker.secrets import References
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
    ],
)
def test_an_error_names_the_reference(reference: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SECRETS.resolve(reference)


@pytest.mark.parametrize("plain", ["hunter2", "vault:hunter2", "https://x/hunter2", ""])
def test_what_is_no_reference_is_refused_and_not_quoted(plain: str) -> None:
    with pytest.raises(ConfigurationError, match="write it as env:NAME or file:PATH") as caught:
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
