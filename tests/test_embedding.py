"""The examples of the page about embedding, each run as a program of its language against a real database."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.needs import needs
from tests.readme_tables import ROOT
from tests.system.daemon import member_of

PAGE = (ROOT / "noti_worker" / "docs" / "embedding.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(?!sql)\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = {
    section.partition("\n")[0]: found["text"] for section in PAGE.split("\n## ") if (found := _FENCE.search(section))
}
"""The program of each section, by its heading."""
JDBC = "/usr/share/java/postgresql.jar"

Connection = psycopg.Connection[Any]
Run = Callable[..., None]


@pytest.fixture
def port(connection: Connection) -> Iterator[int]:
    """A TCP port that leads to the server, which has only a socket: not every driver knows those."""
    path = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
    listener = socket.create_server(("127.0.0.1", 0))
    opened = [listener]

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(path)
                opened.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    for each in opened:
        each.close()


@pytest.fixture
def run(connection: Connection, port: int, tmp_path: Path) -> Run:
    """`run("Ruby", "pay.rb", "ruby", "pay.rb")`: write the example, run it twice, and see one notification."""
    connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, paid boolean NOT NULL DEFAULT false)")
    connection.execute("INSERT INTO orders (id) VALUES (17); GRANT SELECT, UPDATE ON orders TO noti_app")
    name, user = connection.info.dbname, "noti_app_member"
    member_of("noti_app", connection.info.dsn)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", str(tmp_path)),
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{port}/{name}?sslmode=disable",
        "JDBC_URL": f"jdbc:postgresql://127.0.0.1:{port}/{name}?user={user}",
        "PDO_DSN": f"pgsql:host=127.0.0.1;port={port};dbname={name}",
        "PDO_USER": user,
    }

    def execute(heading: str, file: str, *command: str, before: str = "", after: str = "") -> None:
        (tmp_path / file).write_text(before + EXAMPLES[heading] + after, encoding="utf-8")
        for _ in range(2):
            done = subprocess.run(
                command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=90, check=False
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout == "1\n"
        seen = connection.execute(
            "SELECT channel, recipient, subject, body, entity_type, entity_id, idempotency_key, status"
            " FROM noti.notifications_log"
        ).fetchall()
        assert seen == [
            *[
                (
                    "email",
                    "ada@example.com",
                    "Your order",
                    "It is on its way.",
                    "order",
                    "17",
                    "order-17-paid",
                    "pending",
                )
            ]
        ]
        assert connection.execute("SELECT paid FROM orders").fetchall() == [(True,)]

    return execute


def test_sql(connection: Connection) -> None:
    for found in re.finditer(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        connection.execute(found[1].encode())
    assert connection.execute("SELECT status FROM noti.notifications_log").fetchall() == [("cancelled",)]


@pytest.mark.parametrize("heading", ["Python with psycopg", "SQLAlchemy"])
def test_python(heading: str, run: Run) -> None:
    run(heading, "pay.py", sys.executable, "-W", "error", "pay.py")


def test_django(run: Run, connection: Connection) -> None:
    before = """\
import os
from urllib.parse import urlsplit

import django
from django.conf import settings

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": url.hostname,
            "PORT": url.port,
            "USER": url.username,
            "NAME": url.path[1:],
        }
    }
)
django.setup()
"""
    after = """
print(pay(17))

from django.db import models


class Notification(models.Model):
    notification_id = models.BigAutoField(primary_key=True)
    status = models.TextField()
    category = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        managed = False
        db_table = 'noti"."notifications_log'


found = Notification.objects.get(notification_id=1)
found.category = "orders"
found.save(update_fields=["category"])
"""
    run("Django", "pay.py", sys.executable, "-W", "error", "pay.py", before=before, after=after)
    assert connection.execute("SELECT category FROM noti.notifications_log").fetchall() == [("orders",)]


def test_node(run: Run, tmp_path: Path) -> None:
    node, npm = needs("node", "nodejs.org"), needs("npm", "nodejs.org")
    installed = subprocess.run(
        [npm, "install", "--no-save", "--prefer-offline", "--ignore-scripts", "pg@8"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install pg: {installed.stderr[-300:]}")
    run("Node", "pay.js", node, "pay.js")


def test_java(run: Run) -> None:
    java = needs("java", "Debian package default-jdk-headless")
    needs(JDBC, "Debian package libpostgresql-jdbc-java")
    run("Java", "Pay.java", java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", JDBC, "Pay.java")


def test_php(run: Run) -> None:
    run("PHP", "pay.php", needs("php", "Debian packages php-cli and php-pgsql"), "pay.php")


def test_ruby(run: Run) -> None:
    run("Ruby", "pay.rb", needs("ruby", "Debian packages ruby and ruby-pg"), "pay.rb")


@pytest.mark.slow  # compiling the driver takes a minute
def test_go(run: Run, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed: at 500 MB it is no part of the machine that the tests are made for")
    # With the driver that Debian packages (golang-github-lib-pq-dev): what is said to it is the same.
    text = EXAMPLES["Go"].replace("github.com/jackc/pgx/v5/stdlib", "github.com/lib/pq")
    (tmp_path / "pay.go").write_text(text.replace('"pgx"', '"postgres"'))
    environ = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", **os.environ}
    built = subprocess.run(
        [go, "build", "-o", "pay", "pay.go"], cwd=tmp_path, env=environ, capture_output=True, timeout=110, check=False
    )
    assert built.returncode == 0, built.stderr.decode()
    run("Go", "pay.txt", str(tmp_path / "pay"))


def test_every_example_is_run() -> None:
    own = Path(__file__).read_text(encoding="utf-8")
    assert len(EXAMPLES) == 8
    for heading in EXAMPLES:
        assert f'"{heading}"' in own, heading


def test_the_arguments_that_are_listed_are_those_of_the_function(connection: Connection) -> None:
    [(names,)] = connection.execute(
        "SELECT proargnames FROM pg_proc WHERE pronamespace = 'noti'::regnamespace AND proname = 'send'"
        " AND NOT proretset"
    ).fetchall()
    listed = PAGE[PAGE.index("in any order:") : PAGE.index("In Python, `template_data`")]
    assert re.findall(r"`(\w+)`", listed) == names


def test_each_error_code_is_what_postgresql_gives(connection: Connection) -> None:
    connection.execute("SELECT noti.send('in_app', 'u', body => 'x', idempotency_key => 'k')")
    wrong = {
        "23514": "SELECT noti.send('pigeon', 'u', body => 'x')",
        "23505": "SELECT noti.send('in_app', 'u', body => 'y', idempotency_key => 'k')",
        "55006": "UPDATE noti.notifications_log SET claim_count = 7",
        "42501": "SET ROLE pg_monitor; INSERT INTO noti.notifications_log (channel) VALUES ('in_app')",
    }
    for code, statement in wrong.items():
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(statement.encode())
        assert refused.value.sqlstate == code
        assert f"| `{code}` |" in PAGE
