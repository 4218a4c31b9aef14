"""A bounce comes back to an address that only we can make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.return_path import LONGEST_LOCAL, ReturnPath
from noti_worker.domain.secret import Secret

PATH = ReturnPath("bounce@example.com", Secret("0123456789abcdef"))
IDS = st.integers(min_value=1, max_value=2**63 - 1)


@given(IDS)
def test_a_tag_is_read_back(notification_id: int) -> None:
    assert PATH.notification_in([PATH.of(notification_id)]) == notification_id


@given(IDS)
def test_the_longest_one_is_a_valid_address(notification_id: int) -> None:
    longest = ReturnPath(f"{'b' * LONGEST_LOCAL}@example.com", PATH.key)
    assert read_mailbox(longest.of(notification_id), "return path").address == longest.of(notification_id)


@given(IDS, IDS)
def test_a_tag_of_another_notification_or_key_is_forged(one: int, other: int) -> None:
    forged = f"{PATH.of(other).partition('-')[0]}-{PATH.of(one).partition('-')[2]}"
    if one != other:
        assert PATH.notification_in([forged]) is None
        assert PATH.is_forged_in([forged])
    stranger = ReturnPath(PATH.address, Secret("fedcba9876543210"))
    assert PATH.notification_in([stranger.of(one)]) is None
    assert PATH.is_forged_in([stranger.of(one)])


def test_it_is_found_among_other_words() -> None:
    texts = ["undisclosed recipients", f'"Bounces" <{PATH.of(17).upper()}>, someone@example.com']
    assert PATH.notification_in(texts) == 17
    assert not PATH.is_forged_in(texts)


@pytest.mark.parametrize(
    "text",
    [
        "bounce@example.com",
        "bounce+@example.com",
        "bounce+h@example.com",
        PATH.of(17).replace("@example.com", "@example.com.evil.example"),
        f"x{PATH.of(17)}",
        PATH.of(17).replace("example.com", "exampleXcom"),
        "",
    ],
)
def test_what_is_no_tag_of_this_address_is_none(text: str) -> None:
    assert PATH.notification_in([text]) is None
    assert not PATH.is_forged_in([text])


def test_a_genuine_tag_beside_a_forged_one_counts() -> None:
    stranger = ReturnPath(PATH.address, Secret("fedcba9876543210"))
    texts = [stranger.of(3), PATH.of(17)]
    assert PATH.notification_in(texts) == 17
    assert not PATH.is_forged_in(texts)


def test_its_key_is_not_shown() -> None:
    assert "0123456789abcdef" not in repr(PATH)
