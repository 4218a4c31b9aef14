"""`doctor` on the mailboxes of bounces: whether they can be read, and whether anything can come to them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.cli.conftest import Invoke
from tests.dovecot import PASSWORD, USERNAME, dovecot


@pytest.fixture
def bounces(noti: Invoke, tmp_path: Path, authority: Authority) -> Callable[..., list[tuple[str, str, str]]]:
    """What is found, of a mailbox at a port."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "key").write_text("0123456789abcdef")

    def ask(port: int, *, returns: bool, exits: int) -> list[tuple[str, str, str]]:
        file = tmp_path / "noti.toml"
        file.write_text(
            '[accounts.relay]\nprovider = "smtp"\nhost = "127.0.0.1"\nport = 1\ntls = "none"\n'
            'from = "no-reply@example.com"\n'
            + ('return_path = "Bounce@example.com"\n' if returns else "")
            + f'[bounces.back]\nreturn_path = "bounce@example.com"\nkey = "file:{tmp_path}/key"\nhost = "127.0.0.1"\n'
            f'port = {port}\nusername = "{USERNAME}"\npassword = "file:{tmp_path}/password"\n'
            f'ca_file = "{authority.ca_file}"\n'
        )
        result = noti("--config", str(file), "doctor", "--json")
        assert result.exit_code == exits, result.output
        assert PASSWORD not in result.output
        findings = json.loads(result.stdout)["findings"]
        return [(one["level"], one["what"], one["todo"]) for one in findings if one["area"] == "bounces"]

    return ask


def test_a_mailbox_that_can_be_read_tells_how_much_is_there(
    bounces: Callable[..., Any], open_directory: Path, authority: Authority, wait_for: Callable[..., Any]
) -> None:
    with dovecot(open_directory, authority, wait_for) as server:
        server.put(b"Subject: left here\r\n\r\n")
        found = bounces(server.ports["imaps"], returns=True, exits=1)  # the account is not there
    assert found == [("ok", "back (imap): can be read; mails there: 1", "")]
    assert server.mails(), "nothing is changed"


def test_a_mailbox_that_cannot_be_read_is_a_problem(bounces: Callable[..., Any]) -> None:
    [(level, what, todo)] = bounces(1, returns=True, exits=1)
    assert level == "problem"
    assert what.startswith("back: 127.0.0.1 port 1: ")
    assert "bounces.back" in todo


def test_a_mailbox_to_which_nothing_comes_is_told(bounces: Callable[..., Any]) -> None:
    first = bounces(1, returns=False, exits=1)[0]
    assert first[0] == "warning"
    assert "no account has its return_path" in first[1]
