"""The stricter mode applies."""

import pytest

from noti_worker.domain.mode import Mode, stricter


@pytest.mark.parametrize(
    ("installation", "account", "applies"),
    [
        ("live", "live", "live"),
        ("live", "redirect", "redirect"),
        ("live", "dry", "dry"),
        ("redirect", "live", "redirect"),
        ("redirect", "redirect", "redirect"),
        ("redirect", "dry", "dry"),
        ("dry", "live", "dry"),
        ("dry", "redirect", "dry"),
        ("dry", "dry", "dry"),
    ],
)
def test_an_account_may_be_stricter_than_the_installation_and_never_looser(
    installation: str, account: str, applies: str
) -> None:
    assert stricter(Mode(installation), Mode(account)) is Mode(applies)
