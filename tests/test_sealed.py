"""Secrets that stand sealed in the database: opened where they belong, and nowhere else."""

from dataclasses import replace

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.own_accounts import Place, Sealed
from noti_worker.domain.secret import Secret
from noti_worker.secrets.sealed import LONGEST, Keys, read_keys

OLD, NEW = "2026-01 " + "1f" * 32, "2026-02 " + "a7" * 32
PLACE = Place("acme", "mail", "password")


def keys(*lines: str) -> Keys:
    return Keys(Secret("\n".join(lines)))


def test_a_secret_is_opened_where_it_was_sealed_for_and_looks_otherwise_each_time() -> None:
    sealing = keys("# the newest first", NEW, "", OLD)
    one, other = sealing.seal(PLACE, "grüße"), sealing.seal(PLACE, "grüße")
    assert (one.key_id, one.data != other.data) == ("2026-02", True)
    assert keys(OLD, NEW).open(PLACE, one).reveal() == "grüße"
    assert "gr" not in repr(one)
    assert len(sealing.seal(PLACE, "x" * LONGEST).data) <= 65636  # what noti.secrets takes


@pytest.mark.parametrize(
    "place",
    [
        Place("globex", "mail", "password"),
        Place("acme", "spare", "password"),
        Place("acme", "mail", "token"),
        Place("acmem", "ail", "password"),  # the same letters, divided otherwise
        Place("acme", "mailp", "assword"),
    ],
    ids=str,
)
def test_a_secret_of_another_row_is_refused_by_name(place: Place) -> None:
    sealed = keys(OLD).seal(PLACE, "hush")
    with pytest.raises(ConfigurationError, match="sealed for another tenant, account or purpose") as refused:
        keys(OLD).open(place, sealed)
    assert str(place) in str(refused.value)
    assert "hush" not in str(refused.value)


def test_what_was_changed_or_is_under_another_key_is_refused() -> None:
    sealed = keys(OLD).seal(PLACE, "hush")
    flipped = replace(sealed, data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))
    with pytest.raises(ConfigurationError, match="was changed"):
        keys(OLD).open(PLACE, flipped)
    with pytest.raises(ConfigurationError, match="cannot be opened with the key 2026-01"):
        keys("2026-01 " + "00" * 32).open(PLACE, sealed)
    with pytest.raises(ConfigurationError, match=r"the key 2026-01, which secrets\.keys does not hold"):
        keys(NEW).open(PLACE, sealed)
    renamed = Sealed("2026-02", sealed.data)
    with pytest.raises(ConfigurationError, match="cannot be opened with the key 2026-02"):
        keys("2026-02 " + "1f" * 32).open(PLACE, renamed)
    with pytest.raises(ConfigurationError, match="a form that this version does not know"):
        keys(OLD).open(PLACE, replace(sealed, data=b"\x02" + sealed.data[1:]))


def test_a_key_that_came_later_is_found_without_a_restart() -> None:
    lines = [OLD]
    running = Keys(Secret(OLD, lambda: Secret("\n".join(lines))))
    lines.insert(0, NEW)
    assert running.open(PLACE, keys(NEW).seal(PLACE, "hush")).reveal() == "hush"
    assert running.newest == "2026-02"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "hold none"),
        ("# nothing\n", "hold none"),
        ("2026-01 1f1f", "line 1 of the keys is not an id"),
        (f"{OLD}\n{OLD}", "line 2 of the keys gives the id 2026-01 a second time"),
        ("hush" * 16, "line 1 of the keys is not an id"),
    ],
)
def test_keys_that_cannot_be_read_are_refused_without_showing_them(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        read_keys(text)
    assert "1f1f" not in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("secret", ["", "x" * (LONGEST + 1)], ids=["empty", "long"])
def test_an_empty_or_endless_secret_is_not_sealed(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="the password of acme/mail is"):
        keys(OLD).seal(PLACE, secret)
