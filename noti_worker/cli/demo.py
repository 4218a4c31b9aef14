"""`noti-worker demo`: a database, a worker, an inbox and a webhook receiver of its own, and eleven lives to watch."""

import base64
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from types import FrameType
from typing import Any

import click
import psycopg
from psycopg.rows import namedtuple_row

import noti_worker
from noti_worker.cli.demo_lives import CONFIG, INSERTS, STATES
from noti_worker.cli.demo_servers import HOST, Inbox, Receiver, certificate
from noti_worker.cli.rest import rest
from noti_worker.cli.show import plain
from noti_worker.domain.errors import ConfigurationError, NotiError
from noti_worker.domain.spans import span
from noti_worker.embedded import Server
from noti_worker.embedded.child import tied
from noti_worker.store import migrate

LIMIT = 45.0
"""Seconds after which the demo gives up waiting for the last notification."""

_GO_ON = (
    ("demo --keep", "the same, and it stays up to look around with psql, status, why and send"),
    ("docs quickstart", "your own database, mail server and webhook in five minutes"),
    ("docs providers", "what sends SMS, pushes, chats and other mail, each with how to get its key"),
    ("--help", "all commands"),
)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Life:
    """One notification of the demo."""

    notification_id: int
    about: str


@dataclass(frozen=True, slots=True)
class House:
    """Everything that the demo started."""

    server: Server
    inbox: Inbox
    receiver: Receiver
    config: Path
    worker: "subprocess.Popen[bytes]"
    log: Path


def run(*, keep: bool) -> int:
    """Show it all; gives the exit code. Raises ConfigurationError when something needed is missing."""
    began = time.monotonic()
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup stays in force
            signal.signal(number, _end)
    directory = Path(tempfile.mkdtemp(prefix="noti-demo-"))
    directory.chmod(0o711)  # the server's user passes through; the files in it are closed
    try:
        with _house(directory) as house, psycopg.connect(house.server.url, autocommit=True) as connection:
            lives = _insert(connection, house)
            complete = _watch(connection, lives, house)
            if not complete:
                click.echo(f"not everything was finished after {LIMIT:.0f} s; the worker's log:", err=True)
                click.echo(house.log.read_text()[-2000:], err=True)
            _epilogue(connection, lives, house, time.monotonic() - began)
            if keep:
                _keep(house)
            else:
                _go_on()
        return 0 if complete else 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _end(number: int, frame: FrameType | None) -> None:
    """Unwind as on Ctrl-C whatever signal ends us, and let no second one break off the cleaning up."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _program() -> str:
    """How to start noti-worker from any directory and shell, as this one was started."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "noti_worker"])
    found = shutil.which(started.name)
    return started.name if found and Path(found).samefile(started) else shlex.quote(str(started.absolute()))


def _go_on() -> None:
    click.echo("\nEverything is stopped and removed. How to go on:\n")
    commands = [(f"{_program()} {words}", purpose) for words, purpose in _GO_ON]
    width = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        click.echo(f"    {command:<{width}}  {purpose}")


@contextmanager
def _house(directory: Path) -> Iterator[House]:
    """Start everything, and leave nothing running."""
    with ExitStack() as stack:
        click.echo("starting PostgreSQL … ", nl=False)
        server = stack.enter_context(Server(directory / "postgres"))
        migrate.upgrade(server.url)
        click.echo("migrated … ", nl=False)
        private = directory / "private"
        private.mkdir(mode=0o700)
        password = _write(private / "smtp-password", secrets.token_urlsafe(16))
        secret = _write(private / "webhook-secret", "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        ca_file = certificate(private)
        inbox, receiver = Inbox(ca_file, "noti", password), Receiver(secret)
        for each in (inbox, receiver):
            each.start()
            stack.callback(each.stop)
        config = private / "noti-worker.toml"
        _write(
            config,
            CONFIG.format(database=server.url, host=HOST, smtp_port=inbox.port, ca_file=ca_file, directory=private),
        )
        log = directory / "worker.log"
        worker = _start_worker(config, log)
        stack.callback(_stop_worker, worker)
        click.echo("worker, inbox and webhook receiver are up.\n")
        click.echo(f"To look into it meanwhile:\n\n    {server.psql_command}\n")
        yield House(server, inbox, receiver, config, worker, log)


def _write(file: Path, text: str) -> str:
    file.touch(mode=0o600)
    file.write_text(text)
    return text


def _start_worker(config: Path, log: Path) -> "subprocess.Popen[bytes]":
    # Without -P it would import what lies where the demo was started, as root perhaps.
    command = [sys.executable, "-P", "-m", "noti_worker", "--config", str(config), "run"]
    if sys.platform == "linux":
        command = tied(command)  # it stops with us, even after kill -9
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOTI_")}
    home = Path(noti_worker.__file__).parents[1]
    if not sys.flags.safe_path and sys.path and Path(sys.path[0]).resolve() == home:  # python -m, in a source tree
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), environment.get("PYTHONPATH"))))
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=config.parent,
            start_new_session=True,
        )


def _stop_worker(worker: "subprocess.Popen[bytes]") -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(10)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _insert(connection: psycopg.Connection[Any], house: House) -> list[Life]:
    """Insert each notification by its plain SQL; show the first, the others are alike."""
    click.echo("An application inserts rows with plain SQL, like this one:\n")
    click.echo(indent(dedent(INSERTS[0][1]).strip(), "    ") + "\n")
    lives: list[Life] = []
    for about, sql in INSERTS:
        row = connection.execute(sql.format(url=house.receiver.url).encode()).fetchone()
        assert row is not None
        if any(life.notification_id == row[0] for life in lives):
            lives[-1] = Life(row[0], f"{lives[-1].about}, asked for twice")
        else:
            lives.append(Life(row[0], about))
    cancelled = next(life for life in lives if "cancelled" in life.about)
    connection.execute("SELECT noti.cancel(%s)", [cancelled.notification_id])
    return lives


_STYLES = {
    "sent": "green",
    "failed": "red",
    "cancelled": "dim",
    "retrying": "yellow",
    "sending": "cyan",
    "held": "magenta",
    "gathering": "blue",
    "unknown": "magenta",
}


def _watch(connection: psycopg.Connection[Any], lives: Sequence[Life], house: House) -> bool:
    """Show the lives until all are finished; True when they are."""
    if sys.stdout.isatty():
        return _watch_drawn(connection, lives, house)
    shown: dict[int, str] = {}
    for rows in _rounds(connection, house):
        for life, row in zip(lives, rows, strict=True):
            line = f"{row.status:<10} {_what(row)}".rstrip()
            if shown.get(life.notification_id) != row.status:
                shown[life.notification_id] = row.status
                click.echo(f"{row.now:%H:%M:%S}  #{life.notification_id} {life.about}: {line}")
        if all(row.finished for row in rows):
            return True
    return False


def _watch_drawn(connection: psycopg.Connection[Any], lives: Sequence[Life], house: House) -> bool:
    from rich import box
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def drawn(rows: Sequence[Any]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
        for heading in ("id", "what it is", "channel", "status", "tries", "what happens"):
            table.add_column(heading, justify="right" if heading in {"id", "tries"} else "left")
        for life, row in zip(lives, rows, strict=True):
            style = _STYLES.get(row.status, "")
            table.add_row(
                str(row.notification_id),
                life.about,
                row.channel,
                Text(row.status, style=style),
                str(row.attempt_count or ""),
                Text(plain(_what(row)), style="dim"),
            )
        return table

    with Live(console=Console(), refresh_per_second=10) as live:
        for rows in _rounds(connection, house):
            live.update(drawn(rows))
            if all(row.finished for row in rows):
                return True
    return False


def _rounds(connection: psycopg.Connection[Any], house: House) -> Iterator[Sequence[Any]]:
    """The rows as they stand, five times a second, until the demo has lasted too long."""
    ends = time.monotonic() + LIMIT
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        while time.monotonic() < ends:
            if house.worker.poll() is not None:
                raise NotiError(f"the worker ended: {house.log.read_text()[-2000:]}")
            yield cursor.execute(STATES).fetchall()
            rest(0.2)


def _what(row: Any) -> str:
    """What happens to a row, in a few words."""
    if row.status == "sent":
        return f"after {row.took:.1f} s"
    if row.status == "pending" and row.due_in > 0:
        return f"due in {span(row.due_in + 1)}"
    if row.status == "retrying":
        return f"again in {span(max(row.due_in, 0) + 1)}: {row.error_message or ''}"
    return str(row.error_message or "")


def _epilogue(connection: psycopg.Connection[Any], lives: Sequence[Life], house: House, seconds: float) -> None:
    """Ask why, count what arrived, and say how to go on."""
    asked = next(life for life in lives if "greylist" in life.about)
    click.echo(f"\nSELECT * FROM noti.why({asked.notification_id}) tells the whole story of the greylisted one:\n")
    for row in connection.execute("SELECT at, event, detail FROM noti.why(%s)", [asked.notification_id]).fetchall():
        click.echo(f"    {row[0]:%H:%M:%S}  {plain(row[1])}  {plain(row[2])}".rstrip())
    inbox = connection.execute("SELECT count(*) FROM noti.inbox").fetchone()
    violations = connection.execute("SELECT * FROM noti.assert_invariants()").fetchall()
    click.echo(
        f"\nThe SMTP inbox holds {len(house.inbox.messages)} messages, the receiver checked {house.receiver.signed}"
        f" signature(s), noti.inbox has {inbox[0] if inbox else 0} message(s);"
        f" {len(violations)} invariants are violated. {seconds:.0f} s in all."
    )


def _keep(house: House) -> None:
    """Leave everything up until the person has seen enough."""
    me = _program()
    click.echo(
        f"\nEverything stays up until you press Ctrl-C. In another terminal:\n\n"
        f"    {house.server.psql_command}\n"
        f"    {me} --config {house.config} status\n"
        f"    {me} --config {house.config} send --channel email --recipient you@example.com --body 'Hello'\n"
        f"    tail -f {house.log}\n"
    )
    try:
        house.worker.wait()
    except KeyboardInterrupt:
        click.echo("\nstopping …")
    else:
        raise ConfigurationError(f"the worker ended: {house.log.read_text()[-2000:]}")
