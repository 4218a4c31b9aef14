"""`fleet`: one file, several databases, a worker for each."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from noti_worker.cli import fleet_plan
from noti_worker.cli.main import main
from noti_worker.settings.fleet import read_fleet
from noti_worker.store import migrate
from tests.system.daemon import Daemon, member_of, of_the_unit

NOWHERE = "postgresql://noti@127.0.0.1:1/nowhere"
SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def databases(database_url: str, empty_database_url: str) -> Iterator[dict[str, str]]:
    """Three real ones: `acme` has the schema, `blue` and `coral` are empty."""
    name = f"coral_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        named = {"dbname": name}
        yield {"acme": database_url, "blue": empty_database_url, "coral": make_conninfo(database_url, **named)}
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class House:
    """A host's directory with the file of a fleet and its secrets."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "host"
        self.file = directory / "fleet.toml"
        self.secrets = directory / "secrets"
        self.secrets.mkdir(mode=0o700)

    def secret(self, name: str, text: str) -> str:
        place = self.secrets / name
        place.write_text(f"{text}\n")
        place.chmod(0o600)
        return f"file:{place}"

    def name(self, urls: dict[str, str], more: str = "") -> None:
        """Write the file: each URL is a secret, a webhook's key holds for all."""
        lines = [f'[defaults.accounts.hooks]\nprovider = "webhook"\nsecret = "{self.secret("hook", SECRET)}"\n']
        lines += ['[defaults.accounts.box]\nprovider = "sandbox"\n[defaults.http]\nlisten = "127.0.0.1:0"\n']
        lines += [f'[databases.{name}]\nurl = "{self.secret(name, url)}"\n' for name, url in urls.items()]
        self.file.write_text("".join(lines) + more)

    def run(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, ["fleet", "--file", str(self.file), *words])
        assert result.exit_code == code, result.output
        return result

    def apply(self, *words: str, code: int = 0) -> str:
        return self.run("apply", "--root", str(self.root), *words, code=code).output

    def files(self) -> dict[str, str]:
        return {str(path.relative_to(self.root)): path.read_text() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_databases_are_migrated_in_turn_and_one_that_fails_harms_no_other(
    house: House, databases: dict[str, str]
) -> None:
    house.name({"acme": databases["acme"], "lost": NOWHERE, "blue": databases["blue"], "coral": databases["coral"]})
    checked = house.run("check", code=1).output
    assert f"acme: revision {migrate.head()}: up to date" in checked
    assert f"blue: {len(migrate.pending(databases['blue']))} migrations are pending" in checked
    assert "lost: " in checked

    planned = house.run("migrate", "--dry-run", "blue").output
    assert f"would run: {migrate.pending(databases['blue'])[0]} to {migrate.head()}" in planned
    assert migrate.current(databases["blue"]) is None

    report = house.run("migrate", code=1).stdout.splitlines()
    assert [line.split()[0:2] for line in report[1:]] == [
        ["acme", "up"],
        ["lost", "failed:"],
        ["blue", "not"],
        ["coral", "not"],
    ]
    assert migrate.current(databases["blue"]) is None

    house.run("migrate", "coral")
    assert (migrate.current(databases["blue"]), migrate.current(databases["coral"])) == (None, migrate.head())
    house.run("migrate", "--keep-going", code=1)
    assert migrate.current(databases["blue"]) == migrate.head()
    assert "the fleet has no green: acme, blue, coral, lost" in house.run("migrate", "green", code=1).output


def test_the_status_has_a_line_for_each_database_and_one_that_is_away_is_a_line(
    house: House, databases: dict[str, str], tmp_path: Path, wait_for: Callable[..., Any]
) -> None:
    """The worker is started from the files that were written, with the credentials that its unit would be handed."""
    migrate.upgrade(databases["coral"])
    own = member_of("noti_worker", databases["acme"])
    house.name({"acme": own, "lost": NOWHERE, "blue": databases["blue"], "coral": databases["coral"]})
    with psycopg.connect(databases["coral"], autocommit=True) as connection:
        connection.execute(
            "INSERT INTO noti.notifications_log (channel, recipient, body) VALUES ('email', 'ada@example.com', 'x')"
        )
    house.apply()
    configuration, environ = _handed_over(house, "acme", tmp_path)
    daemon = Daemon(configuration, tmp_path / "worker.log", {**of_the_unit(), **environ})
    try:
        daemon.wait_ready()
        lines = {line["name"]: line for line in json.loads(house.run("status", "--json", code=1).stdout)}
    finally:
        daemon.process.kill()
        daemon.process.wait()
    assert list(lines) == ["acme", "lost", "blue", "coral"]
    assert (lines["acme"]["workers"], lines["acme"]["revision"], lines["acme"]["error"]) == (1, migrate.head(), None)
    assert lines["lost"]["error"]
    assert (lines["blue"]["revision"], lines["blue"]["pending"]) == (None, len(migrate.pending(databases["blue"])))
    assert (lines["coral"]["due"], lines["coral"]["workers"]) == (1, 0)
    assert lines["coral"]["oldest_due_seconds"] >= 0
    shown = house.run("status", code=1).stdout
    assert re.search(r"^blue +none +not migrated: fleet migrate$", shown, re.MULTILINE)
    assert re.search(r"^coral .*nobody works$", shown, re.MULTILINE)


def _handed_over(house: House, name: str, directory: Path) -> tuple[Path, dict[str, str]]:
    """Do with the files of a database what systemd does: credentials as files, %d as their directory."""
    unit = f"noti-worker@fleet-{name}.service"
    credentials = directory / "credentials"
    credentials.mkdir()
    drop_in = (house.root / f"etc/systemd/system/{unit}.d/zz-fleet.conf").read_text()
    for credential, path in re.findall(r"^LoadCredential=(.+?):(.+)$", drop_in, re.MULTILINE):
        (credentials / credential).write_bytes(Path(path).read_bytes())
    [(variable, value)] = re.findall(r'^Environment="(.+?)=(.+)"$', drop_in, re.MULTILINE)
    text = (house.root / f"etc/noti-worker/fleet-{name}.toml").read_text()
    configuration = directory / "noti-worker.toml"
    configuration.write_text(text.replace(f"/run/credentials/{unit}", str(credentials)) + '[log]\nformat = "json"\n')
    return configuration, {variable: value.replace("%d", str(credentials))}


def test_what_differs_is_written_and_what_is_no_longer_named_goes_after_it_was_said(
    house: House, databases: dict[str, str]
) -> None:
    own = house.root / "etc/noti-worker/fleet-mine.toml"
    own.parent.mkdir(parents=True)
    own.write_text("# by hand\n")
    house.name({"acme": databases["acme"], "blue": databases["blue"]}, '[databases.blue.worker]\nlease = "3m"\n')
    planned = house.apply("--dry-run")
    assert planned.count("  write ") == 4
    assert list(house.files()) == ["etc/noti-worker/fleet-mine.toml"]
    assert "2 changed, 0 failed" in house.apply()
    written = house.files()
    assert tomllib.loads(written["etc/noti-worker/fleet-blue.toml"])["worker"] == {"lease": "3m"}
    for text in written.values():
        assert SECRET not in text
        assert str(conninfo_to_dict(databases["acme"])["dbname"]) not in text
    assert house.apply() == "everything is as the file says\n"

    house.name({"acme": databases["acme"], "blue": databases["blue"]}, '[databases.blue.worker]\nlease = "4m"\n')
    assert re.findall(r"write .*/(\S+)$", house.apply(), re.MULTILINE) == ["fleet-blue.toml"]

    house.name({"acme": databases["acme"]})
    refused = house.apply(code=2)
    assert "blue: no longer named" in refused
    assert "--yes" in refused
    assert "etc/noti-worker/fleet-blue.toml" in house.files()
    house.apply("--yes")
    assert sorted(house.files()) == [
        "etc/noti-worker/fleet-acme.toml",
        "etc/noti-worker/fleet-mine.toml",
        "etc/systemd/system/noti-worker@fleet-acme.service.d/zz-fleet.conf",
    ]
    assert not (house.root / "etc/systemd/system/noti-worker@fleet-blue.service.d").exists()

    house.name({"mine": databases["blue"], "acme": databases["acme"], "new": databases["coral"]})
    said = house.apply(code=1)
    assert "fleet-mine.toml was not written by fleet apply" in said
    assert "1 changed, 1 failed" in said  # one that cannot be written harms no other
    assert own.read_text() == "# by hand\n"


WRONG = {
    "[databases.'a/b']\nurl = 'postgresql://noti@/a'": "a name becomes a unit of systemd",
    "[databases.A]\nurl = 'postgresql://noti@/a'": "a name becomes a unit of systemd",
    "[databases.a]": "databases.a.url is missing",
    "[databases.a]\nurl = 'env:URL'": "handed its secrets as files",
    "[databases.a]\nurl = 'postgresql://noti:hush@h/a'": "url holds a password",
    "[databases.a]\nurl = 'host=h password=hush'": "databases.a.url holds a password",
    "[databases.a]\nurl = 'host=h'\nmigrate_url = 'postgresql://o:hush@h/a'": "migrate_url holds a password",
    "[databases.a]\nurl = 'host=h'\ndatabase.listen_url = 'postgresql://o:hush@h/a'": "listen_url holds a password",
    "[databases.a]\nurl = 'file:/nowhere/at all'": "cannot be read",
    "[databases.a]\nurl = 'postgresql://noti@/a'\n[databases.a.database]\nurl = 'x'": "is written as databases.a.url",
    "[databases.a]\nurl = 'postgresql://noti@/a'\n[databases.a.worker]\nleese = '2m'": "did you mean",
    "[database.a]\nurl = 'postgresql://noti@/a'": "database is no section of a fleet",
    "": "no database is named",
    "[defaults.http]\nlisten = '127.0.0.1:9000'\n[databases.a]\nurl = 'postgresql://noti@/a'\n"
    "[databases.b]\nurl = 'postgresql://noti@/b'": "a and b would both listen at 127.0.0.1:9000",
}


@pytest.mark.parametrize("text", WRONG, ids=WRONG.values())
def test_a_wrong_file_is_refused_as_a_whole(house: House, text: str) -> None:
    house.file.write_text(text)
    said = house.apply(code=78)
    assert WRONG[text] in said
    assert "hush" not in said
    assert not house.root.exists()


def test_systemd_is_asked_for_no_more_than_what_differs(house: House) -> None:
    """What it answers to is tried under a real one in `tests/system/test_booted.py`."""
    house.file.write_text("".join(f"[databases.{name}]\nurl = 'postgresql://noti@/{name}'\n" for name in "abc"))
    asked: list[tuple[str, ...]] = []
    up: set[str] = set()

    def ask(words: Sequence[str]) -> tuple[int, str]:
        unit = words[-1]
        match words[0]:
            case "is-enabled":
                return (0, "enabled") if unit in up else (1, "disabled")
            case "is-active":
                return (0, "active") if unit in up else (3, "inactive")
            case "is-failed":
                return 1, "inactive"
        asked.append(tuple(words))
        if words[0] == "start" and "fleet-b" in unit:
            return 1, "it does not"
        if words[0] == "start":
            up.add(unit)
        return 0, ""

    def go() -> dict[str, str | None]:
        asked.clear()
        changes = fleet_plan.plan(read_fleet(house.file), house.root, ask)
        return {change.name: fleet_plan.carry_out(change, house.root, ask) for change in changes}

    unit = "noti-worker@fleet-{}.service".format
    assert go() == {"a": None, "b": f"systemctl start {unit('b')}: it does not", "c": None}
    assert [words for words in asked if unit("c") in words] == [("enable", unit("c")), ("start", unit("c"))]
    assert list(go()) == ["b"]  # the others are as they should be
    text = house.file.read_text().replace("[databases.c]", "[databases.c.worker]\nlease = '3m'\n[databases.c]")
    house.file.write_text(text.replace("[databases.a]\nurl = 'postgresql://noti@/a'\n", ""))
    assert go()["c"] is None
    assert [words for words in asked if words[-1] in {unit("a"), unit("c")}] == [
        ("restart", unit("c")),
        ("disable", "--now", unit("a")),
    ]
