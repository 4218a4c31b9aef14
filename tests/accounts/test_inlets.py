"""Which accounts take receipts: those with a token, whose providers post some and can be checked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from noti_worker.accounts import open_inlets, read_accounts
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.receipts import NotGenuine, Posted
from noti_worker.secrets import References
from noti_worker.settings import Settings
from noti_worker.transport import Kit
from tests.test_settings import read

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = "0123456789abcdef"
ENVIRON = {"T": TOKEN, "K": "key", "A": "x"}
WEB = '[web]\nurl = "https://noti.example.com/hooks/"\n'
MAILGUN = 'provider = "mailgun"\napi_key = "env:K"\ndomain = "example.com"\nfrom = "a@example.com"\n'


@pytest.fixture
def kit() -> Kit:
    return Kit(lambda: NOW)


def settings(file: Path, monkeypatch: pytest.MonkeyPatch, account: str) -> Settings:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return read(file, f"{WEB}[accounts.mail]\n{account}", ENVIRON)


def test_an_account_with_a_token_has_an_inlet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Kit) -> None:
    given = settings(
        tmp_path / "noti.toml", monkeypatch, f'{MAILGUN}receipt_token = "env:T"\nwebhook_signing_key = "env:A"'
    )
    inlets = open_inlets(given, kit)
    assert {name: (inlet.provider, inlet.token.reveal()) for name, inlet in inlets.items()} == {
        "mail": ("mailgun", TOKEN)
    }
    with pytest.raises(NotGenuine):
        inlets["mail"].receiver.take(Posted(b"{}"), NOW)


def test_without_a_token_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Kit) -> None:
    assert open_inlets(settings(tmp_path / "noti.toml", monkeypatch, MAILGUN), kit) == {}


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (f'{MAILGUN}receipt_token = "env:T"', "accounts.mail: webhook_signing_key is missing"),
        ('provider = "smtp"\nhost = "a.example"\nfrom = "a@b.example"\nreceipt_token = "env:T"', "posts no receipts"),
    ],
)
def test_an_account_that_cannot_check_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Kit, account: str, words: str
) -> None:
    given = settings(tmp_path / "noti.toml", monkeypatch, account)
    with pytest.raises(ConfigurationError, match=words):
        open_inlets(given, kit)


@pytest.mark.parametrize(("provider", "kept"), [("ses", True), ("sandbox", False)])
def test_ids_of_providers_are_kept_where_receipts_know_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Kit, provider: str, kept: bool
) -> None:
    of = {"ses": 'region = "eu-west-1"\nfrom = "a@example.com"\n', "sandbox": ""}[provider]
    for token, references in (('receipt_token = "env:T"', kept), ("", False)):
        given = settings(tmp_path / "noti.toml", monkeypatch, f'provider = "{provider}"\n{of}{token}')
        accounts = read_accounts(given, kit, References())
        assert accounts.account("mail").references is references
