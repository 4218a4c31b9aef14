"""`vault:` references, against a real OpenBao server."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest
from hvac.exceptions import VaultError
from requests.exceptions import RequestException

from noti_worker.domain.errors import ConfigurationError
from noti_worker.secrets import References

BAO = Path(sys.executable).parent / "bao"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A development server in memory, with one secret: the variables that lead to it."""
    with socket.socket() as probe:  # it must be told a port
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    home = tmp_path_factory.mktemp("bao")
    program = str(BAO if BAO.exists() else shutil.which("bao"))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                "server",
                "-dev",
                f"-dev-listen-address={address}",
                "-dev-root-token-id=root",
                "-dev-no-store-token",
            ],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        client = hvac.Client(url=f"http://{address}", token="root")
        ends = time.monotonic() + 60
        while True:
            try:
                client.secrets.kv.v2.create_or_update_secret("noti/mail", {"password": "hush", "port": 25})
                break
            except (VaultError, RequestException):
                assert time.monotonic() < ends, (home / "log").read_text()
        yield {"VAULT_ADDR": f"http://{address}", "VAULT_TOKEN": "root"}
        client.session.close()
    finally:
        process.terminate()
        process.wait(20)


def test_a_field_is_read_and_after_a_while_anew(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    secret = References(server).resolve("vault:secret/noti/mail#password")
    assert secret.reveal() == "hush"
    client = hvac.Client(url=server["VAULT_ADDR"], token="root")
    client.secrets.kv.v2.create_or_update_secret("noti/mail", {"password": "other"})
    assert secret.fresh().reveal() == "hush"
    monkeypatch.setattr("noti_worker.secrets.vault.KEPT", 0.0)
    assert secret.fresh().reveal() == "other"
    client.secrets.kv.v2.create_or_update_secret("noti/mail", {"password": "hush", "port": 25})
    client.session.close()


def test_an_approle_logs_in_and_sees_what_its_policy_lets_it(server: dict[str, str]) -> None:
    client = hvac.Client(url=server["VAULT_ADDR"], token="root")
    client.sys.enable_auth_method("approle")
    client.sys.create_or_update_policy("noti", 'path "secret/data/noti/*" { capabilities = ["read"] }')
    client.auth.approle.create_or_update_approle("noti", token_policies=["noti"])
    client.secrets.kv.v2.create_or_update_secret("else/where", {"password": "theirs"})
    environ = {
        "VAULT_ADDR": server["VAULT_ADDR"],
        "VAULT_ROLE_ID": client.auth.approle.read_role_id("noti")["data"]["role_id"],
        "VAULT_SECRET_ID": client.auth.approle.generate_secret_id("noti")["data"]["secret_id"],
    }
    client.session.close()
    assert References(environ).resolve("vault:secret/noti/mail#password").reveal() == "hush"
    with pytest.raises(ConfigurationError, match=r"does not give it \(Forbidden\)"):
        References(environ).resolve("vault:secret/else/where#password")


@pytest.mark.parametrize(
    ("reference", "environ", "words"),
    [
        ("vault:secret/noti/mail", {}, "write vault:MOUNT/PATH#FIELD"),
        ("vault:secret/noti/mail#password", {"VAULT_ADDR": ""}, "VAULT_ADDR is not set"),
        ("vault:secret/noti/none#password", {}, r"does not give it \(InvalidPath\)"),
        ("vault:secret/noti/mail#user", {}, "no text in the field user"),
        ("vault:secret/noti/mail#port", {}, "no text in the field port"),
        ("vault:secret/noti/mail#password", {"VAULT_TOKEN": "guessed"}, r"does not give it \(Forbidden\)"),
        (
            "vault:secret/noti/mail#password",
            {"VAULT_ADDR": "http://127.0.0.1:1"},
            r"does not give it \(ConnectionError\)",
        ),
    ],
)
def test_what_is_not_given_is_said_in_words(
    server: dict[str, str], reference: str, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        References({**server, **environ}).resolve(reference)
    assert "guessed" not in str(refused.value)
