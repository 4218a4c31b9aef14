"""Keys that stand in a header."""

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.providers._keys import read_token


def test_a_key_is_what_can_stand_in_a_header() -> None:
    assert read_token("token", Secret("tk_A-1/+=~")) == "tk_A-1/+=~"
    for token in ("", "two words", "line\n", "tab\t", "schlüssel", "\x7f"):
        with pytest.raises(ConfigurationError, match=r"^api_key is empty, or holds") as refusal:
            read_token("api_key", Secret(token))
        assert not token or token not in str(refusal.value)
