"""`webhook secret`: what is printed for a receiver is what its requests are signed with."""

from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.cli.conftest import Invoke, read
from tests.providers.misbehaving_http import misbehaving
from tests.system.conftest import SECRET


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    file = tmp_path / "noti.toml"
    file.write_text(
        f'[accounts.hooks]\nprovider = "webhook"\nsecret = "file:{tmp_path}/secret"\nsign_with = "endpoint"\n'
        'allow_http = true\nallow_networks = ["127.0.0.0/8"]\n'
    )
    return file


def test_the_receiver_verifies_by_what_is_printed(bare: Invoke, file: Path) -> None:
    with misbehaving() as server:
        url = server.url("/ok")
        printed = bare("--config", str(file), "webhook", "secret", url)
        assert (printed.exit_code, printed.stderr) == (0, "")
        assert bare("--config", str(file), "provider", "test", "hooks", "--to", url, "--body", "{}").exit_code == 0
        (received,) = server.received
    Webhook(printed.stdout.strip()).verify(received.body, received.headers)
    told = read(bare("--config", str(file), "webhook", "secret", url, "--json"))
    assert told == {
        "account": "hooks",
        "tenant": "default",
        "origin": url.removesuffix("/ok"),
        "sign_with": "endpoint",
        "secret": printed.stdout.strip(),
    }


def test_each_tenant_and_origin_has_its_own(bare: Invoke, file: Path) -> None:
    ways = (
        ("https://a.example/x",),
        ("https://b.example/x",),
        ("https://a.example:8443/x",),
        ("https://a.example/x", "--tenant", "acme"),
    )
    printed = [bare("--config", str(file), "webhook", "secret", *way).stdout for way in ways]
    assert len(set(printed)) == len(ways)
    assert bare("--config", str(file), "webhook", "secret", "https://A.example:443/other").stdout == printed[0]
    assert SECRET not in "".join(printed)


def test_before_the_change_it_says_that_nothing_signs_with_it_yet(bare: Invoke, file: Path) -> None:
    file.write_text(file.read_text().replace('sign_with = "endpoint"\n', ""))
    result = bare("--config", str(file), "webhook", "secret", "https://example.com/hooks")
    assert result.exit_code == 0
    assert result.stdout.startswith("whsec_")
    assert 'sign_with = "both"' in result.stderr


def test_which_account_is_meant_must_be_clear(bare: Invoke, file: Path) -> None:
    one = file.read_text()
    ask = ("--config", str(file), "webhook", "secret", "https://example.com/hooks")
    assert bare(*ask, "--account", "hook").exit_code == 1
    file.write_text(one + one.replace("accounts.hooks", "accounts.others"))
    several = bare(*ask)
    assert several.exit_code == 2
    assert "--account; there are hooks, others" in several.stderr
    assert bare(*ask, "--account", "others").exit_code == 0
    file.write_text("")
    assert "none is configured" in bare(*ask).stderr
    file.write_text('[accounts.hooks]\nprovider = "webhook"\nunsigned = true\n')
    assert bare(*ask).exit_code == 78


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com/", "https://a:b@example.com/"])
def test_what_is_no_url_is_wrong_usage(bare: Invoke, file: Path, url: str) -> None:
    assert bare("--config", str(file), "webhook", "secret", url).exit_code == 2
