"""`doctor`: looks at everything that delivery needs, and says what to do about what is wrong."""

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Heading, Place, database_url
from noti_worker.cli.provider import proxy_passed_by
from noti_worker.cli.reach import reach
from noti_worker.cli.show import plain, show_json
from noti_worker.domain.finding import Finding, Level, ok, problem, warning

if TYPE_CHECKING:
    from noti_worker.domain.outcome import Outcome
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Connection

LIMIT = 15.0
"""Seconds that one account may take to let us in."""

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON: the worst level and all findings.")
@click.pass_obj
def doctor(place: Place, as_json: bool) -> None:
    """Look at all that delivery needs, and say what to do about what is wrong. Nothing is sent or changed."""
    from noti_worker.domain.errors import ConfigurationError

    findings: list[Finding] = []
    misconfigured = False
    heading: Heading | None = None
    try:
        with place.settings(migrated=False) as settings:
            heading = place.named(settings)
            if not as_json:
                click.echo(plain(str(heading)))
            for finding in _all(place, settings):
                misconfigured |= finding.level is Level.PROBLEM and finding.area == "configuration"
                findings.append(finding)
                if not as_json:
                    _show(finding)
    except ConfigurationError as error:
        misconfigured = True
        todo = "mend it; noti-worker docs configuration has all settings"
        findings.append(problem("configuration", str(error), todo))
        if not as_json:
            _show(findings[-1])
    worst = max((finding.level for finding in findings), key=list(Level).index)
    if as_json:
        show_json(
            {
                "result": worst.value,
                "findings": [asdict(finding) for finding in findings],
                "about": None if heading is None else asdict(heading),
            }
        )
    else:
        counts = [sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.WARNING)]
        click.echo(f"\nproblems: {counts[0]}, warnings: {counts[1]}")
    if misconfigured:
        sys.exit(78)
    sys.exit(1 if worst is Level.PROBLEM else 0)


def _show(finding: Finding) -> None:
    """Two lines at most of each kind, within the terminal: what it is, and what to do."""
    width = get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 10_000
    mark = click.style(f"{finding.level.value:<8}", fg=_COLOURS[finding.level])
    for lead, text in ((f"{finding.area:<14}", finding.what), ("→ ", finding.todo)):
        if text:
            indent = " " * (22 if lead != "→ " else 24)
            lines = textwrap.wrap(plain(text), max(20, width - len(indent) - 1), break_on_hyphens=False)
            click.echo((mark + " " if lead != "→ " else " " * 22) + lead[:14] + f"\n{indent}".join(lines))


def _all(place: Place, settings: "Settings") -> Iterator[Finding]:
    from noti_worker.cli.exposure import exposed

    if settings.source is not None:
        yield from exposed(settings.source)
    yield from _accounts(settings)
    if settings.web.url is not None:
        yield reach(settings.web.url)
    if place.configured().database.url is None:
        yield warning(
            "database",
            "no database is configured: this is the embedded one, for trying out",
            "for anything that matters set NOTI_DATABASE_URL or database.url (noti-worker docs quickstart)",
        )
    yield from _database(settings)


def _database(settings: "Settings") -> Iterator[Finding]:
    from noti_worker import __version__
    from noti_worker.domain.errors import DatabaseError
    from noti_worker.store.people.doctor import ask, look, server, stuck, upkeep
    from noti_worker.store.people.doctor.receipts import receipts

    url = database_url(settings)
    try:
        connection = server.open_plain(url)
    except DatabaseError as error:
        yield problem(
            "database",
            f"not reached: {error}",
            "check database.url (noti-worker config show --origin), that the server runs, its pg_hba.conf, the network",
        )
        return
    with connection:
        yield server.reached(connection)
        try:
            yield server.pooler(connection, url, configured=settings.database.pgbouncer)
            if settings.database.listen_url is not None:
                yield server.listening(settings.database.listen_url)
            migrated = ask(connection, "doctor_server")[0]["migrated"]
        except DatabaseError as error:
            yield problem("database", f"it breaks off: {error}", "look into the server's log")
            return
        yield from look(connection, "database", server.server)
        if not migrated:
            yield server.schema(url, migrated=False)
            return
        yield from look(connection, "rights", server.rights)
        yield from look(connection, "schema", lambda _: [server.schema(url, migrated=True)])
        yield from look(connection, "schema", server.places)
        yield from look(connection, "snapshots", upkeep.snapshots)
        yield from look(connection, "autovacuum", upkeep.tables)
        yield from look(connection, "indexes", upkeep.indexes)

        def work(connection: "Connection") -> Iterator[Finding]:
            return stuck.work(connection, __version__)

        yield from look(connection, "rows", work)
        if posting := [account.name for account in settings.accounts.values() if account.receipt_token is not None]:
            yield from look(connection, "receipts", lambda connection: receipts(connection, posting))


def _accounts(settings: "Settings") -> Iterator[Finding]:
    """The configuration as a worker reads it, and whether each account lets us in."""
    from concurrent.futures import ThreadPoolExecutor

    from noti_worker.accounts import open_accounts, open_inlets
    from noti_worker.cli.place import now
    from noti_worker.domain.errors import ConfigurationError
    from noti_worker.domain.mode import Mode
    from noti_worker.transport import Kit

    source = f"read from {settings.source}" if settings.source else "no file"
    try:
        open_inlets(settings, Kit(now))
        accounts = open_accounts(settings, Kit(now))
    except ConfigurationError as error:
        yield problem("configuration", f"{source}: {error}", "mend it; noti-worker docs providers has all keys")
        return
    yield ok("configuration", f"{source}; channels served: {', '.join(accounts.routes)}")
    for mode in (Mode.REDIRECT, Mode.DRY):
        if careful := [name for name, account in accounts.accounts.items() if account.mode is mode]:
            yield warning(
                "configuration",
                f"safe mode: {mode.value} for {', '.join(careful)}; their messages do not reach the recipients",
                "right for a staging system; else set delivery.mode and accounts.NAME.mode to live",
            )
    try:
        if passed_by := proxy_passed_by(accounts, accounts.accounts):
            yield ok("account", passed_by)
        with ThreadPoolExecutor() as pool:
            asked = {
                name: pool.submit(accounts.check, name, LIMIT)
                for name in accounts.accounts
                if name in settings.accounts
            }
            for name, answer in asked.items():
                shown = f"{name} ({accounts.account(name).provider})"
                if (outcome := answer.result()) is not None:
                    yield _account(name, shown, outcome)
                else:
                    yield ok("account", f"{shown}: its settings are complete; only a message can tell more")
    finally:
        accounts.close()


def _account(name: str, shown: str, outcome: "Outcome") -> Finding:
    from noti_worker.domain.outcome import Kind

    error = outcome.error or outcome.code or outcome.kind.value
    whole = f"noti-worker provider test {name} --to ADDRESS shows the whole conversation"
    match outcome.kind:
        case Kind.OK:
            return ok("account", f"{shown}: {outcome.error or 'it lets us in'}")
        case Kind.THROTTLED:
            return warning("account", f"{shown}: {error}", "wait, and use fewer connections at once")
        case Kind.CONFIG:
            todo = f"mend accounts.{name}, then: noti-worker release --account {name}; {whole}"
            return problem("account", f"{shown}: {error}", todo)
        case _:
            todo = f"check host, port and network, or wait until the other side is back; {whole}"
            return problem("account", f"{shown}: {error}", todo)
