"""`web` as a command: what it needs, in words, before anything listens."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke

WEB = '[web]\nlisten = "{listen}"\nurl = "https://hooks.example.com"\n[http]\nlisten = "127.0.0.1:0"\n'
MAIL = '[accounts.mail]\nprovider = "postmark"\nserver_token = "env:TEST_TOKEN"\nfrom = "a@example.com"\n'
TOKEN = 'receipt_token = "env:TEST_TOKEN"\n'


@pytest.fixture
def refused(noti: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Start it with a configuration that it does not take; its words."""
    monkeypatch.setenv("TEST_TOKEN", "0123456789abcdef")

    def start(text: str) -> str:
        (tmp_path / "noti.toml").write_text(text)
        result = noti("--config", str(tmp_path / "noti.toml"), "web")
        assert result.exit_code == 78, result.output
        return result.stderr

    return start


def test_without_an_address_it_does_not_start(refused: Callable[[str], str]) -> None:
    assert "web.listen is missing" in refused(MAIL)


def test_without_an_account_that_takes_receipts_it_does_not_start(refused: Callable[[str], str]) -> None:
    assert "there is nothing to answer: give accounts whose providers post receipts a receipt_token" in refused(
        WEB.format(listen="127.0.0.1:0") + MAIL
    )


def test_a_key_that_is_missing_is_named(refused: Callable[[str], str]) -> None:
    text = MAIL.replace("postmark", "resend").replace("server_token", "api_key") + TOKEN
    assert "accounts.mail: signing_secret is missing" in refused(WEB.format(listen="127.0.0.1:0") + text)


def test_an_address_in_use_is_named(refused: Callable[[str], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"web.listen: {address} cannot be used" in refused(WEB.format(listen=address) + MAIL + TOKEN)


def test_without_the_extra_it_says_how_to_get_it(
    refused: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("noti_worker.web.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    assert "pip install 'noti-worker[web]'" in refused(WEB.format(listen="127.0.0.1:0") + MAIL + TOKEN)
