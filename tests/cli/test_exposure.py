"""`doctor` about a configuration that strangers on the machine may write or read."""

import grp
import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke

PLAIN = '[database]\nurl = "{url}"\n'


def warned(noti: Invoke, file: Path) -> list[str]:
    result = noti("--config", str(file), "doctor", "--json")
    assert "hunter2" not in result.output
    found = [f for f in json.loads(result.stdout)["findings"] if f["area"] == "configuration"]
    assert all(f["todo"] for f in found if f["level"] == "warning")
    return [f["what"] for f in found if f["level"] == "warning"]


@pytest.fixture
def file(open_directory: Path) -> Path:
    """A configuration in a directory into which everybody comes."""
    folder = open_directory / "etc"
    folder.mkdir()
    folder.chmod(0o755)
    file = folder / "noti.toml"
    file.write_text("[worker]\nbatch_size = 50\n")
    file.chmod(0o644)
    return file


def test_a_configuration_that_everybody_reads_is_no_matter(noti: Invoke, file: Path) -> None:
    assert warned(noti, file) == []


def test_one_that_others_may_write_is_told(noti: Invoke, file: Path) -> None:
    file.chmod(0o666)
    assert warned(noti, file) == [f"everybody on this machine may change {file}"]
    file.parent.chmod(0o700)
    assert warned(noti, file) == []


def test_one_that_others_may_replace_is_told(noti: Invoke, file: Path) -> None:
    file.parent.chmod(0o777)
    assert warned(noti, file) == [f"everybody on this machine may change {file}"]
    file.parent.chmod(0o1777)
    assert warned(noti, file) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_one_that_a_shared_group_may_write_is_told(noti: Invoke, file: Path) -> None:
    file.chmod(0o664)
    assert warned(noti, file) == []  # the group is the owner's own
    os.chown(file, -1, grp.getgrnam("daemon").gr_gid)
    assert warned(noti, file) == [f"whoever is in the group daemon may change {file}"]


def test_a_password_that_everybody_reads_is_told(noti: Invoke, file: Path) -> None:
    words = [f"everybody on this machine may read {file}, and the password of database.url in it"]
    for url in ("postgresql://noti:hunter2@127.0.0.1:1/app", "host=127.0.0.1 port=1 password=hunter2"):
        file.write_text(PLAIN.format(url=url))
        assert warned(noti, file) == words
    file.chmod(0o640)
    assert warned(noti, file) == []
    file.chmod(0o644)
    file.write_text(PLAIN.format(url="postgresql://noti@127.0.0.1:1/app"))
    assert warned(noti, file) == []


def test_a_secret_that_others_may_write_is_told(noti: Invoke, file: Path) -> None:
    secret = file.with_name("secret")
    secret.write_text("whsec_" + "QUFB" * 8)
    file.write_text(f'[accounts.hooks]\nprovider = "webhook"\nsecret = "file:{secret}"\n')
    secret.chmod(0o444)
    assert warned(noti, file) == []
    secret.chmod(0o666)
    assert warned(noti, file) == [f"everybody on this machine may change {secret}"]
