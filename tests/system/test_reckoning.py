"""The judge of what came afterwards catches each kind of lie, and lets honest books pass."""

from dataclasses import replace

import pytest

from tests.system.reckoning import Books, Entry, Kept, Mailed, Person, Told, reckon

ADA, BEA, CID = (Person("default", f"{name}@example.com") for name in ("ada", "bea", "cid"))
DELIVERED, BOUNCED = Told("api", "e1", "delivered", "key-1"), Told("api", "e2", "bounced", "key-1")
FIRST = [
    Mailed(1, "key-1", ADA, "sent", "bounced"),
    Mailed(2, "key-2", BEA, "sent", None),
    Mailed(3, "key-3", CID, "sent", None),
]
NEXT = [
    Mailed(4, "key-4", ADA, "suppressed", None, next=True),
    Mailed(5, "key-5", BEA, "suppressed", None, next=True),
    Mailed(6, "key-6", CID, "sent", None, next=True),
]
DEAD, LEFT = Entry(ADA, "dead", "", 1), Entry(BEA, "optout", "news", 1)
KEPT = [Kept("api", "delivered", 1), Kept("api", "bounced", 1)]
HONEST = Books([DELIVERED, BOUNCED, BOUNCED], [BEA], "news", [*FIRST, *NEXT], KEPT, [DEAD, LEFT])


def test_honest_books_pass() -> None:
    assert reckon(HONEST) == []


def test_what_is_told_of_a_repeat_is_told_twice() -> None:
    again = replace(BOUNCED, event="e3")
    kept = [*KEPT, Kept("api", "bounced", 1)]
    honest = replace(HONEST, told=[*HONEST.told, again], kept=kept, entries=[replace(DEAD, hits=2), LEFT])
    assert reckon(honest) == []


@pytest.mark.parametrize(
    ("books", "lies"),
    [
        (replace(HONEST, kept=KEPT[1:]), ["told, and not there"]),
        (replace(HONEST, kept=[*KEPT, KEPT[1]]), ["there more often than told"]),
        (
            replace(HONEST, kept=[KEPT[0], replace(KEPT[1], id=2)]),
            ["told, and not there", "there more often than told"],
        ),
        (replace(HONEST, kept=[KEPT[0], replace(KEPT[1], parked=True)]), ["its message is still looked for"]),
        (
            replace(HONEST, rows=[replace(FIRST[0], receipt=None), *FIRST[1:], *NEXT]),
            ["its row does not say the worst"],
        ),
        (
            replace(HONEST, rows=[*FIRST[:2], replace(FIRST[2], receipt="failed"), *NEXT]),
            ["its row does not say the worst"],
        ),
        (replace(HONEST, entries=[LEFT]), ["not on the list"]),
        (replace(HONEST, entries=[DEAD, LEFT, Entry(CID, "dead", "", 1)]), ["on the list, and nobody said so"]),
        (replace(HONEST, entries=[replace(DEAD, hits=2), LEFT]), ["not counted as often as it was told"]),
        (
            replace(HONEST, entries=[DEAD, replace(LEFT, category="")]),
            ["not on the list", "on the list, and nobody said so"],
        ),
        (replace(HONEST, rows=[*FIRST, replace(NEXT[0], status="sent"), *NEXT[1:]]), ["written to again"]),
        (
            replace(HONEST, rows=[*FIRST, *NEXT[:2], replace(NEXT[2], status="suppressed")]),
            ["not sent, and nobody said so"],
        ),
        (
            replace(HONEST, rows=[*FIRST[:2], replace(FIRST[2], status="failed"), *NEXT]),
            ["not sent, and nobody said so"],
        ),
    ],
)
def test_each_lie_is_named(books: Books, lies: list[str]) -> None:
    assert [finding.what for finding in reckon(books)] == lies
