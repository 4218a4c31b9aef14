"""`rules replay`: what the present rules would make of what was said before."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from noti_worker.cli import completion
from noti_worker.cli.kinds import MOMENT, moment
from noti_worker.cli.place import Place
from noti_worker.cli.show import show, show_json, table
from noti_worker.domain.counts import counted

if TYPE_CHECKING:
    from noti_worker.domain.replay import Recorded, Replay

_SHOWN = 100
"""So many lines are told to people; programs get all."""


@click.group()
def rules() -> None:
    """Look at what answers of providers mean."""


@rules.command()
@click.option(
    "--since",
    metavar=MOMENT,
    default="7d",
    show_default=True,
    callback=moment,
    help="Tries recorded since then: 7d ago, or an instant.",
)
@click.option("--rule", metavar="NAME", help="Only what this rule judged, or would judge now.")
@click.option("--account", metavar="NAME", shell_complete=completion.accounts, help="Only tries through this account.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000_000),
    default=100_000,
    show_default=True,
    help="At most so many tries, the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON: what would change, by account, code and rule, and counts.")
@click.pass_obj
def replay(
    place: Place, since: timedelta | datetime, rule: str | None, account: str | None, limit: int, as_json: bool
) -> None:
    """Judge recorded tries by the rules of this configuration, tell which would be judged otherwise; change nothing."""
    from noti_worker.accounts import rules_of
    from noti_worker.domain.replay import Replay
    from noti_worker.store.people import tries

    again = _Again(Replay(rules_of(place.configured())), rule)
    with place.connection() as connection:
        for number, tried in enumerate(tries.recorded(connection, since, account, limit + 1)):
            if number == limit:
                again.more = True
            else:
                again.read(tried)
    if as_json:
        show_json(again.as_json())
    else:
        _tell(again, rule)
        if again.more:
            click.echo(f"there are older ones: these are the newest {limit} (--limit)", err=True)


@dataclass(slots=True)
class _Change:
    """Tries that would be judged otherwise in the same way."""

    account: str
    code: str | None
    old_kind: str
    old_rule: str | None
    new_kind: str
    new_rule: str
    tries: int
    first_at: datetime
    last_at: datetime
    example_id: int


class _Again:
    """What became of the tries that were judged again."""

    def __init__(self, replay: "Replay", rule: str | None) -> None:
        self._replay = replay
        self._rule = rule
        self._changes: dict[tuple[str | None, ...], _Change] = {}
        self.judged = 0
        self.not_replayed: Counter[str] = Counter()
        self.more = False

    def read(self, tried: "Recorded") -> None:
        """Judge one again; they come the newest first."""
        found = self._replay.judge(tried)
        if isinstance(found, str):
            self.not_replayed[found] += 1
            return
        kind, rule = found
        if self._rule is not None and self._rule not in {tried.rule, rule}:
            return
        self.judged += 1
        if (kind, rule) == (tried.kind, tried.rule):
            return
        alike = (tried.account, tried.code, tried.kind, tried.rule, kind, rule)
        change = self._changes.get(alike)
        if change is None:
            change = self._changes[alike] = _Change(
                tried.account or "",
                tried.code,
                tried.kind or "",
                tried.rule,
                kind,
                rule,
                tries=0,
                first_at=tried.at,
                last_at=tried.at,
                example_id=tried.notification_id,
            )
        change.tries += 1
        change.first_at = tried.at

    @property
    def changes(self) -> list[_Change]:
        """The most frequent first."""
        return sorted(self._changes.values(), key=lambda change: -change.tries)

    def as_json(self) -> dict[str, object]:
        """All of it for programs."""
        return {
            "judged": self.judged,
            "changed": [asdict(change) for change in self.changes],
            "not_replayed": dict(self.not_replayed),
            "more": self.more,
        }


def _tell(again: _Again, rule: str | None) -> None:
    from noti_worker.domain.replay import REASONS

    changes = again.changes
    if changes:
        columns = ("account", "code", "tries", "was", "would be", "first", "last", "example")
        show(
            table(
                columns,
                [
                    (
                        one.account,
                        one.code,
                        one.tries,
                        f"{one.old_kind} {one.old_rule or ''}",
                        f"{one.new_kind} {one.new_rule}",
                        one.first_at,
                        one.last_at,
                        one.example_id,
                    )
                    for one in changes[:_SHOWN]
                ],
            )
        )
    if len(changes) > _SHOWN:
        click.echo(f"and {len(changes) - _SHOWN} more of them (--json)", err=True)
    of_rule = f" that {rule} judged or would judge" if rule is not None else ""
    otherwise = sum(change.tries for change in changes)
    tries = counted(again.judged, "try", "tries")
    if again.judged:
        click.echo(f"{tries}{of_rule}: {otherwise or 'none'} would be judged otherwise", err=True)
    else:
        click.echo(f"no try{of_rule} was recorded since then that can be judged again", err=True)
    for reason, count in again.not_replayed.most_common():
        click.echo(f"not judged again: {counted(count, 'try', 'tries')} {REASONS[reason]}", err=True)
