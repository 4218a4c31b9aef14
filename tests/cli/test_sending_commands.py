"""`send`: every field, bodies from elsewhere, dry runs, waiting for the end."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from noti_worker.store.client import Fields
from tests.cli.conftest import Invoke, read
from tests.cli.test_main import options_of
from tests.store.lives import claim, end
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]

PLAIN = ("send", "--channel", "email", "--recipient", "ada@example.com")


def row(connection: Connection, notification_id: int = 1) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT * FROM noti.notifications_log WHERE notification_id = %s", (notification_id,)
        ).fetchone()
    assert found is not None
    return found


def test_it_prints_the_id(noti: Invoke, connection: Connection) -> None:
    result = noti(*PLAIN, "--body", "Hello")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1\n", "")
    assert row(connection)["body"] == "Hello"


def test_every_field_has_its_option(noti: Invoke, connection: Connection) -> None:
    options = {
        "--subject": "Grüße",
        "--body": "Hello",
        "--template": "welcome",
        "--template-version": "2",
        "--data": '{"name": "Zoë"}',
        "--locale": "de",
        "--tenant": "acme",
        "--entity": "order:17",
        "--priority": "high",
        "--send-at": "2030-01-02T03:04:05Z",
        "--expires-at": "2030-01-02T05:04:05+01:00",
        "--idempotency-key": "order-17",
        "--max-retries": "7",
        "--category": "billing",
        "--provider": "relay",
        "--collapse-key": "orders",
        "--digest-key": "orders of the day",
        "--on-uncertain": "hold",
        "--options": '{"cc": ["boss@example.com"]}',
        "--metadata": '{"source": "test"}',
        "--traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    other = {"--channel", "--recipient", "--body-file", "--wait", "--timeout", "--dry-run", "--json"}
    assert options_of("send") == set(options) | other
    # entity is one option for two fields
    assert len(options) + 1 == len(Fields.__annotations__) - len({"channel", "recipient"})
    noti(*PLAIN, *(word for option in options.items() for word in option))
    stored = row(connection)
    assert all(stored[name] is not None for name in Fields.__annotations__)
    assert stored["template_data"] == {"name": "Zoë"}
    assert (stored["entity_type"], stored["entity_id"]) == ("order", "17")
    assert stored["send_at"].isoformat() == "2030-01-02T03:04:05+00:00"


def test_a_body_comes_from_a_file_or_standard_input(noti: Invoke, connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "body.txt"
    file.write_bytes("Grüße\r\n".encode())
    noti(*PLAIN, "--body-file", str(file))
    noti(*PLAIN, "--body-file", "-", stdin="Grüße\n")
    assert row(connection, 1)["body"] == "Grüße\r\n"
    assert row(connection, 2)["body"] == "Grüße\n"
    file.write_bytes(b"\xff\xfe")
    assert noti(*PLAIN, "--body-file", str(file)).exit_code == 2


def test_a_span_counts_from_the_databases_now(noti: Invoke, connection: Connection) -> None:
    noti(*PLAIN, "--body", "x", "--send-at", "1h30m", "--expires-at", "2d")
    stored = row(connection)
    assert 5395 < (stored["send_at"] - stored["created_at"]).total_seconds() < 5405
    assert stored["expires_at"] > stored["send_at"]


def test_a_dry_run_keeps_nothing(noti: Invoke, connection: Connection) -> None:
    result = noti(*PLAIN, "--body", "x", "--dry-run")
    assert result.stdout.startswith("would queue: email to ada@example.com, due 20")
    assert result.stdout.endswith("; no account for it is known here\n")
    found = read(noti(*PLAIN, "--body", "x", "--dry-run", "--json"))
    assert [found[name] for name in ("dry_run", "notification_id", "status", "account")] == [
        True,
        None,
        "pending",
        None,
    ]
    assert connection.execute("SELECT count(*) FROM noti.notifications_log").fetchone() == (0,)
    assert noti(*PLAIN, "--body", "x", "--subject", "x" * 5000, "--dry-run").exit_code == 1


def test_a_number_is_checked_at_once_where_the_channel_has_a_region(
    noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = ("send", "--channel", "sms", "--body", "x", "--recipient")
    assert noti(*number, "0171 234").exit_code == 0  # who delivers may know the region
    monkeypatch.setenv("NOTI_CHANNELS__SMS__REGION", "DE")
    refused = noti(*number, "0171 234")
    assert refused.exit_code == 2
    assert "--recipient: the recipient is no phone number as it is dialled in DE" in " ".join(refused.stderr.split())
    assert noti(*number, "0171 2345678", "--dry-run").exit_code == 0
    queued = noti(*number, "0171 2345678")
    assert row(connection, int(queued.stdout))["recipient"] == "0171 2345678"


def test_a_dry_run_names_the_account_of_the_configuration_else_of_the_workers(
    noti: Invoke, connection: Connection, tmp_path: Path
) -> None:
    connection.execute("INSERT INTO noti.workers (worker_id, state) VALUES (1, '{}')")
    connection.execute(
        "INSERT INTO noti.worker_routes (worker_id, channel, account, provider, mode, position) VALUES"
        " (1, 'email', 'relay', 'smtp', 'live', 1), (1, 'email', 'own', 'not_installed_here', 'live', 2)"
    )
    words = (*PLAIN, "--body", "x", "--dry-run")
    assert noti(*words).stdout.endswith(", through relay\n")
    assert noti(*words, "--provider", "own").stdout.endswith(", through own\n")
    file = tmp_path / "noti.toml"  # its secret is not even read
    file.write_text(
        '[accounts.local]\nprovider = "smtp"\nhost = "h"\nusername = "u"\n'
        'password = "env:NOT_SET"\nfrom = "a@b.example"'
    )
    assert noti("--config", str(file), *words).stdout.endswith(", through local\n")
    file.write_text(file.read_text() + '\nmode = "dry"')
    assert "it would end as suppressed: dry mode" in noti("--config", str(file), *words).stderr


def test_a_dry_run_tells_of_an_option_that_the_account_cannot_carry(noti: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text('[accounts.own]\nprovider = "ntfy"\n')
    words = ("send", "--channel", "push", "--recipient", "alerts", "--body", "x", "--options", '{"ttl": 60}')
    refused = noti("--config", str(file), *words, "--dry-run")
    assert refused.exit_code == 1
    assert "it would end as failed: options.ttl cannot go through this account, whose provider" in refused.stderr


def test_a_dry_run_knows_where_a_template_has_a_link(noti: Invoke, connection: Connection, tmp_path: Path) -> None:
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('news', '{{ unsubscribe_url }}')")
    connection.execute("INSERT INTO noti.categories (category, can_be_left) VALUES ('news', true)")
    words = (*PLAIN, "--template", "news", "--dry-run", "--category")
    assert noti(*words, "news").exit_code == 0  # who delivers may have the key
    refused = noti(*words, "orders")
    assert (
        "there is no unsubscribe_url: the row has no category that noti.categories lets recipients leave"
        in refused.stderr
    )
    file = tmp_path / "noti.toml"
    file.write_text('[accounts.local]\nprovider = "smtp"\nhost = "h"\nfrom = "a@b.example"\n')
    assert "or [web] has no unsubscribe_keys" in noti("--config", str(file), *words, "news").stderr
    (tmp_path / "key").write_text("k" * 32)
    file.write_text(f'{file.read_text()}[web]\nurl = "https://a.example"\nunsubscribe_keys = ["file:{tmp_path}/key"]\n')
    assert noti("--config", str(file), *words, "news").exit_code == 0


def test_a_dry_run_names_the_accounts_that_share_a_channel(noti: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    account = '[accounts.{}]\nprovider = "smtp"\nhost = "h"\nfrom = "a@b.example"\n'
    accounts = "".join(account.format(name) for name in ("one", "two", "spare"))
    file.write_text(f"{accounts}[routes]\nemail = {{ one = 1, two = 3, spare = 0 }}\n")
    words = ("--config", str(file), *PLAIN, "--body", "x", "--dry-run")
    assert noti(*words).stdout.endswith(", through two or one\n")
    assert read(noti(*words, "--json"))["account"] is None
    assert noti(*words, "--provider", "spare").stdout.endswith(", through spare\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--template", "nothing"), "template 'nothing' does not exist for tenant 'default'"),
        (("--template", "hello"), "'name' is undefined"),
        (("--template", "hello", "--data", '{"name": "Ada"}'), None),
        (("--template", "broken", "--data", '{"name": "Ada"}'), "template"),
        (("--body", "x", "--recipient", "no at"), "it would end as failed: the recipient is not one e-mail address"),
        (("--body", "x", "--options", '{"cd": ["a@example.com"]}'), "options.cd"),
        (("--body", "x", "--options", '{"attachments": ["0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"]}'), "attachment"),
        (("--body", "x" * 20_000, "--subject", "a\nb"), "the subject holds a line break"),
        (("--body", "x", "--provider", "smpt"), "provider 'smpt' is neither an account nor a provider of email"),
        (("--body", "x", "--expires-at", "2001-01-01T00:00:00Z"), "expired"),
        (("--body", "x", "--send-at", "5s", "--expires-at", "1s"), "expires_at is not after send_at"),
    ],
)
@pytest.mark.parametrize("role", [None, "noti_app"])
def test_a_dry_run_checks_as_delivery_does(
    bare: Invoke,
    connection: Connection,
    database_url: str,
    role: str | None,
    words: tuple[str, ...],
    sentence: str | None,
) -> None:
    connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES ('hello', 'Hi {{ name }}'), ('broken', 'Hi {{ name')"
    )
    url = database_url if role is None else member_of(role, database_url)
    result = bare("--database-url", url, *PLAIN, *words, "--dry-run")
    if sentence is None:
        assert result.exit_code == 0, result.stderr
    else:
        assert result.exit_code == 1
        assert sentence in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "there is nothing to send"),
        (("--body", "x", "--send-at", "5s", "--expires-at", "5s"), "it would expire before it may be sent"),
        (("--body", "x", "--entity", "order"), "entity_type and entity_id"),
        (("--body", "x", "--subject", "x" * 5000), "subject is larger than 4096 bytes"),
    ],
)
def test_what_cannot_be_sent_is_a_sentence(noti: Invoke, words: tuple[str, ...], sentence: str) -> None:
    result = noti(*PLAIN, *words)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert "ada@example.com" not in result.stderr


def test_the_same_key_gives_the_same_id_and_another_body_is_refused(noti: Invoke) -> None:
    assert noti(*PLAIN, "--body", "x", "--idempotency-key", "k").stdout == "1\n"
    assert noti(*PLAIN, "--body", "x", "--idempotency-key", "k").stdout == "1\n"
    other = noti(*PLAIN, "--body", "y", "--idempotency-key", "k")
    assert other.exit_code == 1
    assert "belongs to another message, notification 1" in other.stderr


@pytest.mark.parametrize(("status", "code"), [("sent", 0), ("failed", 1), ("held", 1), ("unknown", 1)])
def test_waiting_ends_with_the_outcome(
    noti: Invoke, connection: Connection, wait_for: Callable[..., Any], status: str, code: int
) -> None:
    def deliver() -> None:
        wait_for(lambda: connection.execute("SELECT 1 FROM noti.notifications_log").fetchone())
        claim(connection, 1)
        end(connection, status, 1, error="the words of the provider")

    worker = threading.Thread(target=deliver)
    worker.start()
    result = noti(*PLAIN, "--body", "x", "--wait")
    worker.join()
    assert result.exit_code == code
    assert result.stdout == f"notification 1 is {status}: the words of the provider\n"
    assert "no worker is running" in result.stderr


def test_waiting_has_an_end(noti: Invoke) -> None:
    result = noti(*PLAIN, "--body", "x", "--wait", "--timeout", "300ms", "--json")
    assert result.exit_code == 1
    assert '"status": "pending"' in result.stdout
    assert "not finished after 0s" in result.stderr
