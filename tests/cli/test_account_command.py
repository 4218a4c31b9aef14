"""`account`: tenants' own accounts, by an operator who may write secrets and read none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.domain.own_accounts import Place, Sealed
from noti_worker.domain.secret import Secret
from noti_worker.secrets.sealed import Keys
from tests.cli.conftest import Invoke, read
from tests.providers.smtp_server import PASSWORD, USERNAME, Inbox
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]

OLD, NEW = "2026-01 " + "1f" * 32, "2026-02 " + "a7" * 32


@pytest.fixture(autouse=True)
def as_operator(
    monkeypatch: pytest.MonkeyPatch, noti: Invoke, database_url: str, tmp_path: Path, connection: Connection
) -> None:
    """Ada, with keys; the configuration has an account of the installation."""
    monkeypatch.setenv("NOTI_DATABASE_URL", member_of("noti_operator", database_url))
    monkeypatch.setenv("SUDO_USER", "ada")
    (tmp_path / "keys").write_text(OLD)
    config = tmp_path / "own.toml"
    config.write_text(
        f'[accounts.box]\nprovider = "sandbox"\n[secrets]\nkeys = "file:{tmp_path}/keys"\n'
        '[database]\naccount_networks = ["127.0.0.0/8"]\n'
    )
    monkeypatch.setenv("NOTI_CONFIG", str(config))


@pytest.fixture
def open_inbox() -> Iterator[Inbox]:
    with Inbox(auth=True) as opened:
        yield opened


def add(noti: Invoke, inbox: Inbox, *more: str) -> Any:
    words = ("host=127.0.0.1", f"port={inbox.port}", "tls=none", f"username={USERNAME}", "from=Acme <hello@acme.test>")
    return noti("account", "add", "mail", *words, "--tenant", "acme", "--provider", "smtp", *more)


def test_an_account_is_added_gets_its_secret_sends_and_is_removed(
    noti: Invoke, bare: Invoke, open_inbox: Inbox, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    dry = add(noti, open_inbox, "--dry-run")
    assert dry.stdout.startswith("would be set: acme/mail (smtp), enabled\n  channels: email\n")
    assert connection.execute("SELECT FROM noti.accounts").fetchall() == []
    added = add(noti, open_inbox)
    assert "not ready: the account acme/mail" in added.stderr
    assert "is there already" in add(noti, open_inbox).stderr
    secret = ("account", "secret", "mail", "password", "--tenant", "acme")
    assert noti(*secret, "--dry-run", stdin="guessed").stdout == (
        "would be sealed under the key 2026-01: password of acme/mail\n"
    )
    assert connection.execute("SELECT FROM noti.secrets").fetchall() == []
    assert noti(*secret, stdin=f"{PASSWORD}\n").stdout == "sealed under the key 2026-01: password of acme/mail\n"
    (tmp_path / "secret").write_text(PASSWORD)
    assert noti(*secret, "--from-file", str(tmp_path / "secret")).exit_code == 0
    assert "none cannot be read (No such file" in noti(*secret, "--from-file", "none").stderr
    shown = read(noti("account", "show", "mail", "--tenant", "acme", "--json"))
    assert (shown["fault"], shown["secrets"], shown["set_by"]) == (None, {"password": "2026-01"}, "ada")
    assert PASSWORD not in str(connection.execute("SELECT * FROM noti.audit_log").fetchall())

    test = ("account", "test", "mail", "--tenant", "acme", "--to", "ann@example.com")
    assert "may not do this" in noti(*test).stderr  # an operator reads no secret
    sent = bare("--database-url", member_of("noti_worker", database_url), *test)
    assert (sent.exit_code, [mail.sender for mail in open_inbox.mails]) == (0, ["hello@acme.test"])

    assert noti("account", "set", "mail", "--tenant", "acme", "--disable", "local_hostname=mx.acme.test").exit_code == 0
    [line] = read(noti("account", "list", "--tenant", "acme", "--json"))["accounts"]
    assert (line["enabled"], line["settings"]["local_hostname"]) == (False, "mx.acme.test")
    listed = noti("account", "list").stdout
    assert "acme    mail     smtp      email     disabled    password" in listed
    assert "all     box      sandbox   -         configured  -" in listed
    assert noti("account", "set", "mail", "--tenant", "acme", "--enable", "local_hostname=").exit_code == 0
    assert "local_hostname" not in noti("account", "show", "mail", "--tenant", "acme").stdout
    removed = noti("account", "remove", "mail", "--tenant", "acme")
    assert removed.stdout == "removed: acme/mail with 1 secrets\n"
    assert connection.execute("SELECT FROM noti.secrets").fetchall() == []
    told = connection.execute(
        "SELECT DISTINCT action, metadata->>'by' FROM noti.audit_log WHERE tenant_id = 'acme' ORDER BY 1"
    ).fetchall()
    assert told == [
        ("account_removed", "ada"),
        ("account_set", "ada"),
        ("secret_removed", "ada"),
        ("secret_set", "ada"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hots=x",), 'hots: no such setting; did you mean "host"?'),
        (("port=many",), "port"),
        (("password=hush",), "password is a secret: noti-worker account secret NAME password asks for it"),
        (("password=file:/etc/shadow",), "password is a secret"),
        (("ca_file=/etc/passwd",), "ca_file stands in the configuration of the worker only"),
        (("--channel", "sms"), "smtp does not serve sms"),
        (("host",), "write KEY=VALUE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_belong_into_the_database_is_refused(
    noti: Invoke, connection: Connection, words: tuple[str, ...], said: str
) -> None:
    result = noti("account", "add", "mail", "--tenant", "acme", "--provider", "smtp", *words)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "hush" not in result.stderr
    assert connection.execute("SELECT FROM noti.accounts").fetchall() == []


def test_a_route_names_accounts_of_the_tenant_in_their_order(
    noti: Invoke, open_inbox: Inbox, connection: Connection
) -> None:
    add(noti, open_inbox)
    noti("account", "add", "trial", "--tenant", "acme", "--provider", "sandbox", "--channel", "sms")
    route = ("account", "route", "email", "--tenant", "acme")
    assert "does not serve email" in noti(*route, "trial").stderr
    assert "there is no account acme/spare" in noti(*route, "spare").stderr
    assert noti(*route, "mail", "--then-installation", "--dry-run").stdout.startswith("would be: email of acme: mail,")
    assert connection.execute("SELECT FROM noti.routes").fetchall() == []
    assert noti(*route, "mail", "--then-installation").stdout == "email of acme: mail, the installation's route\n"
    assert "route of acme, email: mail, the installation's route" in noti("account", "list").stdout
    assert read(noti(*route, "--remove", "--json")) == {"dry_run": False, "steps": []}
    assert noti(*route).exit_code == 2


def test_new_keys_seal_all_that_can_be_opened_and_tell_what_cannot(
    noti: Invoke, bare: Invoke, open_inbox: Inbox, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    add(noti, open_inbox)
    noti("account", "secret", "mail", "password", "--tenant", "acme", stdin=PASSWORD)
    noti("account", "add", "hooks", "--tenant", "acme", "--provider", "webhook")
    noti("account", "secret", "hooks", "secret", "--tenant", "acme", stdin="whsec_" + "b3RoZXIh" * 4)
    connection.execute("UPDATE noti.secrets SET key_id = 'lost' WHERE account = 'hooks'")
    (tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    rotate = ("account", "rotate")
    assert "may not do this" in noti(*rotate).stderr
    worker = ("--database-url", member_of("noti_worker", database_url))
    assert bare(*worker, *rotate, "--dry-run").stdout == "would be sealed anew under the key 2026-02: 1\n"
    rotated = bare(*worker, *rotate)
    assert (rotated.exit_code, rotated.stdout) == (1, "sealed anew under the key 2026-02: 1\n")
    assert "the secret of acme/hooks is sealed under the key lost" in rotated.stderr
    found = connection.execute("SELECT key_id, sealed, version FROM noti.secrets WHERE account = 'mail'").fetchone()
    assert found is not None
    assert (found[0], found[2]) == ("2026-02", 1)
    opened = Keys(Secret(NEW)).open(Place("acme", "mail", "password"), Sealed(found[0], found[1]))
    assert opened.reveal() == PASSWORD


def test_applications_and_operators_read_no_secret(connection: Connection) -> None:
    for role in ("noti_app", "noti_operator", "noti_readonly"):
        connection.execute(f"SET ROLE {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT sealed FROM noti.secrets")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE noti.secrets SET purpose = sealed::text")
    connection.execute("SET ROLE noti_app")
    for statement in (
        "SELECT settings FROM noti.accounts",
        "SELECT FROM noti.secrets",
        "INSERT INTO noti.accounts (name, provider, channels) VALUES ('x', 'smtp', '{email}')",
        "DELETE FROM noti.routes",
        "SELECT FROM noti.account_versions",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    connection.execute("RESET ROLE")


def test_the_doctor_names_what_keeps_accounts_from_sending(
    noti: Invoke, bare: Invoke, open_inbox: Inbox, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    def found() -> list[tuple[str, str]]:
        result = bare("--database-url", member_of("noti_worker", database_url), "doctor", "--json")
        findings = json.loads(result.stdout)["findings"]
        return [(one["level"], one["what"]) for one in findings if one["area"] == "accounts"]

    assert found() == []
    add(noti, open_inbox)
    [(level, what), _] = found()
    assert (level, "the account acme/mail: " in what) == ("problem", True)
    noti("account", "secret", "mail", "password", "--tenant", "acme", stdin=PASSWORD)
    assert found() == [("ok", "of tenants' own, in the database: 1")]
    (tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    assert found()[0] == ("ok", "1 secrets are sealed under an older key: noti-worker account rotate")
    (tmp_path / "keys").write_text(NEW)
    assert found()[0] == ("problem", "1 secrets are sealed under keys that are not here: 2026-01")
    connection.execute("SELECT noti.open_circuit('acme/mail', 'wrong password')")
    assert ("warning", "acme/mail is in trouble: wrong password") in found()
