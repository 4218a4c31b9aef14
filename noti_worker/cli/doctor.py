"""`doctor`: looks at everything that delivery needs, and says what to do about what is wrong."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from noti_worker.cli.checking import check_accounts, proxy_passed_by
from noti_worker.cli.domains import ascii_domains, of_domains
from noti_worker.cli.place import Heading, Place, database_url
from noti_worker.cli.reach import reach
from noti_worker.cli.show import plain, show_finding, show_json
from noti_worker.domain.finding import Finding, Level, ok, problem, warning

if TYPE_CHECKING:
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Connection


@click.command()
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    callback=ascii_domains,
    help="Look at the DNS of this domain of senders alone.",
)
@click.option("--domains", "own", is_flag=True, help="Look at the DNS of all domains that accounts send from.")
@click.option("--selector", "selectors", multiple=True, metavar="NAME", help="Where a DKIM key is; else common places.")
@click.option("--resolver", metavar="ADDRESS[:PORT]", help="Ask this resolver; else the system's.")
@click.option("--json", "as_json", is_flag=True, help="JSON: the worst level and all findings.")
@click.pass_obj
def doctor(
    place: Place,
    domains: tuple[str, ...],
    own: bool,
    selectors: tuple[str, ...],
    resolver: str | None,
    as_json: bool,
) -> None:
    """Look at all that delivery needs, and say what to do about what is wrong. Nothing is sent or changed."""
    from noti_worker.domain.errors import ConfigurationError

    if (selectors or resolver) and not (domains or own):
        raise click.UsageError("say whose DNS is looked at: --domain example.com, or --domains")
    findings: list[Finding] = []
    misconfigured = False
    heading: Heading | None = None
    try:
        with ExitStack() as stack:
            if domains or own:
                looked = of_domains(place.configured(), domains, own=own, selectors=selectors, resolver=resolver)
            else:
                settings = stack.enter_context(place.settings(migrated=False))
                heading = place.named(settings)
                looked = _all(place, settings)
            if heading is not None and not as_json:
                click.echo(plain(str(heading)))
            for finding in looked:
                misconfigured |= finding.level is Level.PROBLEM and finding.area == "configuration"
                findings.append(finding)
                if not as_json:
                    show_finding(finding)
    except ConfigurationError as error:
        misconfigured = True
        todo = "mend it; noti-worker docs configuration has all settings"
        findings.append(problem("configuration", str(error), todo))
        if not as_json:
            show_finding(findings[-1])
    worst = max((finding.level for finding in findings), key=list(Level).index)
    if as_json:
        about = None if heading is None else asdict(heading)
        show_json({"result": worst.value, "findings": [asdict(finding) for finding in findings], "about": about})
    else:
        counts = [sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.WARNING)]
        click.echo(f"\nproblems: {counts[0]}, warnings: {counts[1]}")
    if misconfigured:
        sys.exit(78)
    sys.exit(1 if worst is Level.PROBLEM else 0)


def _all(place: Place, settings: "Settings") -> Iterator[Finding]:
    from noti_worker.cli.exposure import exposed

    if settings.source is not None:
        yield from exposed(settings.source)
    yield from _accounts(settings)
    yield from _mailboxes(settings)
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
    from noti_worker.store.people.doctor import ask, leaving, look, server, stuck, upkeep
    from noti_worker.store.people.doctor.addresses import view_of_contacts
    from noti_worker.store.people.doctor.endpoints import endpoints
    from noti_worker.store.people.doctor.receipts import receipts
    from noti_worker.store.people.doctor.tenants import tenants

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
        yield from look(connection, "tenants", tenants)
        yield from look(connection, "snapshots", upkeep.snapshots)
        yield from look(connection, "autovacuum", upkeep.tables)
        yield from look(connection, "indexes", upkeep.indexes)

        def work(connection: "Connection") -> Iterator[Finding]:
            return stuck.work(connection, __version__)

        yield from look(connection, "rows", work)
        yield from look(connection, "accounts", lambda connection: _own_accounts(connection, settings))
        if (view := settings.contacts.view) is not None:
            yield from look(connection, "contacts", lambda connection: view_of_contacts(connection, view))
        if settings.web.links is None:
            yield from look(connection, "unsubscribe", leaving.without_links)
        if posting := [account.name for account in settings.accounts.values() if account.receipt_token is not None]:
            yield from look(connection, "receipts", lambda connection: receipts(connection, posting))
        sends = "webhook" in settings.routes or any(one.provider == "webhook" for one in settings.accounts.values())
        yield from look(connection, "endpoints", lambda connection: endpoints(connection, sends=sends))


def _own_accounts(connection: "Connection", settings: "Settings") -> "Iterator[Finding]":
    from noti_worker.accounts.own import fault
    from noti_worker.cli.account import own
    from noti_worker.secrets.sealed import read_keys
    from noti_worker.store.people.doctor.accounts import own_accounts

    source = settings.secrets.keys
    keys = None if source is None else list(read_keys(source.reveal()))
    return own_accounts(connection, lambda line: fault(own(line)), keys)


def _accounts(settings: "Settings") -> Iterator[Finding]:
    """The configuration as a worker reads it, and whether each account lets us in."""
    from noti_worker.accounts import open_accounts, open_inlets
    from noti_worker.cli.place import now
    from noti_worker.domain.errors import ConfigurationError
    from noti_worker.domain.mode import Mode
    from noti_worker.transport import Kit

    source = f"read from {settings.source}" if settings.source else "no file"
    try:
        open_inlets(settings, Kit(now))
        accounts = open_accounts(settings, Kit(now))
        accounts.close()
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
    checked = check_accounts(settings, settings.accounts)
    if passed_by := proxy_passed_by(one.account for one in checked if one.direct):
        yield ok("account", passed_by)
    yield from (one.finding for one in checked)


def _mailboxes(settings: "Settings") -> Iterator[Finding]:
    """Whether each mailbox of bounces can be read, and whether mails come back to it at all."""
    from noti_worker.domain.bounces import MailboxAway, address_of
    from noti_worker.domain.errors import ConfigurationError
    from noti_worker.transport.maildrop import visit

    named = set()
    for account in settings.accounts.values():
        with suppress(ConfigurationError):  # told already
            named.add(address_of(str(account.options.get("return_path"))))
    for name, mailbox in settings.bounces.items():
        if mailbox.signed.address not in named:
            yield warning(
                "bounces",
                f"{name}: no account has its return_path, so that no bounce of ours can come to it",
                f"set return_path in the accounts of smtp whose bounces it reads, or remove bounces.{name}",
            )
        try:
            session = visit(mailbox)
            try:
                count = len(session.names())
            finally:
                session.close()
        except MailboxAway as error:
            yield problem("bounces", f"{name}: {error}", f"check bounces.{name}, the server and the network")
        else:
            yield ok("bounces", f"{name} ({mailbox.protocol}): can be read; mails there: {count}")
