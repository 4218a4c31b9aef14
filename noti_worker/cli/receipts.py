"""`receipts`: what providers told of messages after they took them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from noti_worker.cli.completion import accounts
from noti_worker.cli.filters import NOTIFICATION_ID
from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.cli.place import Place
from noti_worker.cli.show import moment as shown
from noti_worker.cli.show import show, show_json, table
from noti_worker.domain.receipts import REPLIED, ReceiptKind

if TYPE_CHECKING:
    from noti_worker.store.people.receipts import ReceiptLine

_KINDS = click.Choice([*(kind.value for kind in ReceiptKind), REPLIED])
_WORDS = 120
"""Characters of a provider's words in a list."""

_ACCOUNT = click.option(
    "--account", multiple=True, metavar="NAME", shell_complete=accounts, help="Told to this account."
)
_SINCE = click.option("--since", metavar=MOMENT, callback=moment, help="That came since then: 1h ago, or an instant.")
_LIMIT = click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")


@click.group()
def receipts() -> None:
    """Look at what providers told of messages afterwards."""


@receipts.command("list")
@click.option("--notification", metavar="ID", type=NOTIFICATION_ID, help="Of this notification.")
@click.option("--kind", multiple=True, type=_KINDS, help="Of this kind; replied is what a person wrote.")
@_ACCOUNT
@click.option("--provider", multiple=True, metavar="NAME", help="Told by this provider; mailbox: by a mail of bounces.")
@click.option("--tenant", multiple=True, metavar="ID", help="Of notifications of this tenant.")
@click.option("--parked", is_flag=True, help="Whose notification is not found yet, and looked for again.")
@_SINCE
@_LIMIT
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_receipts(
    place: Place,
    notification: int | None,
    kind: tuple[str, ...],
    account: tuple[str, ...],
    provider: tuple[str, ...],
    tenant: tuple[str, ...],
    parked: bool,
    since: datetime | timedelta | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what was told, what came last first; without a notification it is parked for 36 hours, then given up."""
    from noti_worker.store.people import receipts as told

    chosen = told.Chosen(notification, kind, account, provider, tenant, parked, since)
    with place.connection() as connection:
        found = told.receipts(connection, chosen, limit + 1)
    _tell(found, limit, _receipts_table, as_json=as_json)


@receipts.command("count")
@_SINCE
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def count_receipts(place: Place, since: datetime | timedelta | None, as_json: bool) -> None:
    """Count what was told by provider and kind, and how much of it found no notification."""
    from noti_worker.store.people import receipts as told

    with place.connection() as connection:
        lines = told.counts(connection, since)
    columns = ("provider", "kind", "receipts", "parked", "given up", "newest")
    cells = [
        (line.provider, line.kind, line.receipts, line.parked, line.given_up, shown(line.newest_at)) for line in lines
    ]
    _tell(lines, len(lines), lambda _: table(columns, cells), as_json=as_json)


@receipts.command("requests")
@click.option("--state", type=click.Choice(["unread", "unreadable"]), help="That nobody has read, or nobody could.")
@_ACCOUNT
@_LIMIT
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_requests(place: Place, state: str | None, account: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the requests that providers posted and that are kept, the newest first; never what they hold."""
    from noti_worker.store.people import receipts as told

    with place.connection() as connection:
        found = told.requests(connection, state, account, limit + 1)
    columns = ("id", "account", "provider", "received", "read", "error")

    def drawn(lines: Sequence[told.RequestLine]) -> Any:
        return table(
            columns,
            [
                (line.raw_id, line.account, line.provider, shown(line.received_at), line.read_at or "-", line.error)
                for line in lines
            ],
        )

    _tell(found, limit, drawn, as_json=as_json)


def _tell(found: Sequence[Any], limit: int, drawn: Callable[[Sequence[Any]], Any], *, as_json: bool) -> None:
    """Print at most `limit` lines, and say when there are more."""
    lines = found[:limit]
    if as_json:
        show_json([asdict(line) for line in lines])
    elif lines:
        show(drawn(lines))
    else:
        click.echo("nothing fits", err=True)
    if len(found) > limit:
        click.echo(f"there are more: these are the newest {limit} (--limit)", err=True)


def _receipts_table(lines: "Sequence[ReceiptLine]") -> Any:
    columns = ("id", "at", "account", "kind", "notification", "recipient", "state", "code", "words")
    return table(
        columns,
        [
            (
                line.receipt_id,
                shown(line.at),
                line.account,
                line.kind,
                line.notification_id or "-",
                line.recipient or "-",
                line.state if line.look_at is None else f"parked, looked for again at {shown(line.look_at)}",
                line.code or "-",
                (line.words or "")[:_WORDS],
            )
            for line in lines
        ],
    )
