"""What a person chooses on the page that the link of a message leads to."""

from collections.abc import Sequence
from datetime import timedelta

from noti_worker.domain.choice import ChoiceLine, Frequency, Wish
from noti_worker.domain.personal import Person
from noti_worker.store.arrays import texts
from noti_worker.store.connect import Database, Row
from noti_worker.store.statements import statement

_READ = statement("read_choices")
_CHOOSE = statement("choose")

WITHIN = timedelta(seconds=3)
"""Somebody looks at an empty page meanwhile."""

_FREQUENCIES = {frequency.value: frequency for frequency in Frequency}


class Preferences:
    """Reads and writes choices, each in a transaction of its own. Used by several threads, which take turns."""

    def __init__(self, database: Database) -> None:
        """Connect when the first person comes."""
        self._session = database.session("preferences", WITHIN)

    def lines(self, person: Person, language: str, most: int) -> list[ChoiceLine]:
        """What there is to choose, titles in `language` where they are known; raises DatabaseAway, DatabaseRefused."""
        asked = {"user_ref": person.user_ref, "tenant_id": person.tenant_id, "language": language, "most": most}
        return [_line(row) for row in self._session.run(_READ, asked)]

    def choose(self, person: Person, wishes: Sequence[Wish]) -> None:
        """Keep all of them or none; who wants a category again takes back having left it. Raises as `lines`."""
        self._session.run(
            _CHOOSE,
            {
                "user_ref": person.user_ref,
                "tenant_id": person.tenant_id,
                "categories": texts(wish.category for wish in wishes),
                "channels": texts(wish.channel for wish in wishes),
                "wanted": texts("true" if wish.allowed else "false" for wish in wishes),
                "frequencies": texts(wish.frequency or "" for wish in wishes),
            },
        )

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _line(row: Row) -> ChoiceLine:
    return ChoiceLine(
        row["category"],
        row["title"],
        row["channel"],
        row["mandatory"],
        row["opt_in"],
        row["allowed"],
        _FREQUENCIES.get(row["frequency"], Frequency.INSTANT),
        row["left_out"] or "",
    )
