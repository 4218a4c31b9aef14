"""A URL that takes a time limit away is refused by name; one that tightens it is not."""

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.store.timeouts import check_limits

SERVER = "postgresql://noti:hunter2@db/app"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "?connect_timeout=3",
        "?tcp_user_timeout=14000",
        "?options=-c%20statement_timeout%3D3s",
        "?options=-c%20lock_timeout%3D500%20-c%20search_path%3Dnoti",
        "?options=--statement-timeout%3D14000",
    ],
)
def test_a_url_may_tighten_the_limits(words: str) -> None:
    check_limits(Secret(SERVER + words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("?connect_timeout=0", "connect_timeout is 0; it must end .* before the 15s"),
        ("?connect_timeout=60", "connect_timeout is 60"),
        ("?tcp_user_timeout=0", "tcp_user_timeout is 0"),
        ("?tcp_user_timeout=15000", "tcp_user_timeout is 15000"),
        ("?options=-c%20statement_timeout%3D0", "statement_timeout is 0ms"),
        ("?options=-cstatement_timeout%3D1min", "statement_timeout is 1min"),
        ("?options=--statement-timeout%3D20000", "statement_timeout is 20000ms"),
        ("?options=-c%20lock_timeout%3D0", "lock_timeout is 0ms, statement_timeout 10s"),
        ("?options=-c%20statement_timeout%3D1s", "lock_timeout is 2s, statement_timeout 1s"),
    ],
)
def test_a_url_may_not_take_them_away(words: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"database\.url: {said}") as caught:
        check_limits(Secret(SERVER + words))
    assert "hunter2" not in str(caught.value)
