"""`tenant`: who sees whom; and every other command as an operator of one tenant gives it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from noti_worker.cli.main import main
from tests.cli.conftest import Invoke, read
from tests.store.rows import insert
from tests.store.tenants import MARK, MINE, THEIRS, digest_of_theirs, furnish, role, shared

Connection = psycopg.Connection[Any]

IN_WORDS = ("is bound to tenants", "is not bound", "may not do this", "this role may not")
"""How a command says that this is not for a role of one tenant."""

READS = {
    "status": ("--json",),
    "list": ("--json",),
    "why": ("{mine}", "--json"),
    "circuits list": ("--json",),
    "limit list": ("--json",),
    "category list": ("--json",),
    "suppression list": ("--json",),
    "suppression export": ("-", "--channel", "email"),
    "suppression why": (f"{MARK}@example.com", "--tenant", MINE),
    "doctor": ("--json",),
    "rules replay": ("--json",),
    "tenant members": ("--json",),
    "migrate": ("--check",),
    "endpoint list": ("--json",),
    "receipts list": ("--json",),
    "receipts count": ("--json",),
    "receipts requests": ("--json",),
    "account list": ("--json",),
    "account show": ("relay", "--tenant", MINE, "--json"),
    "template list": ("--json",),
    "template show": ("of-acme", "--tenant", MINE, "--json"),
    "template diff": ("of-acme", "1", "1", "--tenant", MINE),
    "template preview": ("of-acme", "--tenant", MINE, "--json"),
    "user show": ("of-acme", "--json"),
    "user export": ("of-acme",),
    "tenant list": ("--json",),
    "tenant show": (MINE, "--json"),
    "tenant setting": (MINE, "--json"),
    "tenant usage": (MINE, "--json"),
}
"""What shows its own and nothing of the other tenant's."""

STEERS = {
    "hold": ("{mine}",),
    "release": ("{mine}",),
    "cancel": ("{mine}",),
    "requeue": ("{mine}",),
    "retry": ("--tenant", MINE, "--dry-run"),
    "pause": ("channel", "sms", "--tenant", MINE),
    "resume": ("channel", "sms", "--tenant", MINE),
    "suppression add": ("email", "b@example.com", "--tenant", MINE),
    "suppression lift": ("b@example.com", "--tenant", MINE),
    "suppression import": ("{file}", "--channel", "email", "--tenant", MINE),
    "erase": ("of-acme@example.com", "--tenant", MINE, "--yes", "--wait", "0"),
    "endpoint add": ("crm", "https://crm.example.com", "--tenant", MINE),
    "endpoint set": ("crm", "--event", "sent", "--tenant", MINE),
    "endpoint disable": ("crm", "--tenant", MINE),
    "endpoint enable": ("crm", "--tenant", MINE),
    "endpoint recover": ("crm", "--since", "1d", "--tenant", MINE),
    "endpoint remove": ("crm", "--tenant", MINE),
    "account add": ("second", "host=mail.example.com", "--provider", "smtp", "--channel", "email", "--tenant", MINE),
    "account set": ("second", "port=2525", "--tenant", MINE),
    "account route": ("email", "second", "relay", "--tenant", MINE),
    "account remove": ("second", "--tenant", MINE),
    "template publish": ("{template}", "--no-lint", "--tenant", MINE),
    "category set": ("news", "--opt-in", "--tenant", MINE),
    "category remove": ("news", "--tenant", MINE),
    "user erase": ("of-acme", "--yes", "--wait", "0"),
}
"""What it does to its own, in an order in which that works."""

REFUSED = {
    "pause": ("everything",),
    "resume": ("everything",),
    "erase": ("x@example.com", "--yes"),
    "suppression add": ("email", "b@example.com", "--tenant", THEIRS),
    "category set": ("news", "--opt-in"),
    "category remove": ("news",),
    "limit set": ("channel", "sms", "1/s", "--tenant", MINE),
    "limit remove": ("channel", "sms", "--tenant", MINE),
    "circuits open": ("relay",),
    "send": ("--channel", "in_app", "--recipient", "user:1", "--body", "x"),  # operators do not send
    "tenant bind": ("noti_acme_operator", THEIRS),
    "tenant isolate": ("--off",),
    "retention": (),
    "tenant add": ("another",),
    "tenant set": (MINE, "--waiting-rows", "1k"),
    "tenant suspend": (MINE,),
    "tenant setting": (MINE, "flag.mine", "true"),
    "tenant export": (MINE, "{archive}"),
    "template test": ("of-acme", "--to", "me@example.com", "--tenant", MINE),
    "account route": ("email", "--remove", "--tenant", THEIRS),
    "endpoint remove": (MARK, "--tenant", THEIRS),
    "endpoint recover": (MARK, "--since", "1d", "--tenant", THEIRS),
    "endpoint test": (MARK, "--timeout", "1s", "--tenant", THEIRS),
}
"""What is for the installation, or for somebody else: it fails in words."""

FINDS_NOTHING = {
    "why": ("{theirs}",),
    "hold": ("{theirs}",),
    "cancel": ("{theirs}",),
    "requeue": ("{theirs}",),
    "resume": ("template", MARK),
    "tenant unbind": ("noti_acme_operator", MINE),
    "circuits close": ("relay",),
    "account set": ("relay", "port=2525", "--tenant", THEIRS),
    "account remove": ("relay", "--tenant", THEIRS),
    "template rollback": ("hello", "--to", "9", "--tenant", MINE),
    "tenant resume": (MINE,),  # it is not suspended
    "tenant remove": (MINE, "--yes"),
    "account show": ("relay", "--tenant", THEIRS),
    "template show": (MARK, "--tenant", THEIRS),
    "endpoint disable": (MARK, "--tenant", THEIRS),
    "tenant show": (THEIRS,),
    "user show": (MARK, "--tenant", THEIRS),
    "user export": (MARK,),
}

ELSEWHERE = {
    "demo", "top", "run", "web", "completion", "docs", "config show", "provider list", "provider check",
    "provider test", "webhook secret", "template lint", "fleet check", "fleet apply", "fleet status", "fleet migrate",
    "account secret", "account rotate", "account test", "tail",
}  # fmt: skip
"""What asks no database, is a program with a role of its own, wants a key of the configuration, or asks again and again
as `status` (top) and `list` (tail) do."""


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def test_every_command_was_thought_of() -> None:
    assert {*READS, *STEERS, *REFUSED, *FINDS_NOTHING, *ELSEWHERE} == {*commands(main)}


def _without(shown: str, words: Iterable[str]) -> str:
    """What was shown besides the words that were given."""
    for word in words:
        shown = shown.replace(word, "", 1)
    return shown


@pytest.fixture
def names(connection: Connection, database_url: str, tmp_path: Path) -> dict[str, str]:
    """Two tenants, and an operator who is bound to the first."""
    mine = furnish(connection, database_url, MINE, "of-acme")
    theirs = furnish(connection, database_url, THEIRS, MARK)
    connection.execute("INSERT INTO noti.workers (host, state) VALUES ('h', '{\"channels\": [\"email\"]}')")
    connection.execute("SELECT noti.resume('tenant', %s)", [MINE])
    role(connection, "noti_acme_operator", "noti_operator", MINE)
    connection.execute("SELECT noti.isolate_tenants(true)")
    file = tmp_path / "list.csv"
    file.write_text("address\nc@example.com\n")
    template = tmp_path / "hello.txt"
    template.write_text("Hello")
    return {
        "mine": str(mine[3]),
        "theirs": str(theirs[3]),
        "file": str(file),
        "template": str(template),
        "archive": str(tmp_path / "acme.zip"),
    }


@pytest.fixture
def operator(bare: Invoke, database_url: str, names: dict[str, str]) -> Invoke:
    """`operator("pause", "everything")`, as somebody who is bound to one tenant."""
    url = make_conninfo(database_url, user="noti_acme_operator")

    def invoke(command: str, *words: str) -> Any:
        return bare("--database-url", url, *command.split(), *(word.format_map(names) for word in words))

    return invoke


def test_an_operator_of_one_tenant_reads_and_steers_its_own_alone(operator: Invoke, connection: Connection) -> None:
    theirs = digest_of_theirs(shared(connection)).encode()
    before = connection.execute(theirs).fetchone()
    wrong: list[tuple[str, str, str]] = []
    for table, exit_code in ((READS, 0), (STEERS, 0), (REFUSED, 1), (FINDS_NOTHING, 1)):
        for command, words in table.items():
            result = operator(command, *words)
            shown = result.stdout + result.stderr
            if (result.exit_code != exit_code and command != "doctor") or "could not be looked at" in shown:
                wrong.append((command, f"exit code {result.exit_code}", shown))
            if table is REFUSED and not any(reason in shown for reason in IN_WORDS):
                wrong.append((command, "not in words", shown))
            if MARK in _without(shown, words):
                wrong.append((command, "shows theirs", shown))
    assert wrong == []
    assert {row["tenant_id"] for row in read(operator("list", "--json"))} == {MINE}
    assert connection.execute(theirs).fetchone() == before


def test_binding_and_isolating_by_command(noti: Invoke, connection: Connection) -> None:
    insert(connection, tenant_id=MINE)
    insert(connection, tenant_id=THEIRS)
    role(connection, "noti_acme_app", "noti_app")
    role(connection, "noti_unbound_app", "noti_app")
    assert noti("tenant", "members").stderr == (
        "tenants are not isolated: every role sees all (noti-worker tenant isolate)\n"
    )
    assert noti("tenant", "bind", "nobody_here", MINE).stderr == (
        "Error: there is no database role of that name: CREATE ROLE first\n"
    )
    assert (
        noti("tenant", "bind", "noti_acme_app", MINE, "--dry-run").stdout
        == f"would be bound to: noti_acme_app: {MINE}\n"
    )
    assert noti("tenant", "bind", "noti_acme_app", MINE, "--json").exit_code == 0
    assert noti("tenant", "bind", "noti_acme_app", MINE).stderr == "noti_acme_app is bound to them already\n"
    dry = noti("tenant", "isolate", "--dry-run")
    assert dry.stdout.startswith("tenants would be isolated\n")
    assert f"  noti_acme_app sees {MINE}\n" in dry.stdout
    assert "  noti_unbound_app sees nothing: bind it to tenants, or GRANT noti_all_tenants to it\n" in dry.stdout
    assert "sees all tenants: it is a superuser" in dry.stdout
    assert dry.stderr == f"no role is bound to: {THEIRS}\n"
    assert connection.execute("SELECT noti.isolated()").fetchone() == (False,)
    assert read(noti("tenant", "isolate", "--json"))["changed"]
    assert connection.execute("SELECT noti.isolated()").fetchone() == (True,)
    assert noti("tenant", "isolate").stderr.startswith("tenants are isolated already\n")
    assert noti("tenant", "members").stdout == f"noti_acme_app: {MINE}\n"
    assert noti("tenant", "unbind", "noti_acme_app", MINE).stdout == f"no longer bound to: noti_acme_app: {MINE}\n"
    assert noti("tenant", "unbind", "noti_acme_app", MINE).exit_code == 1
    assert noti("tenant", "isolate", "--off").stdout == "tenants are open to all again\n"
