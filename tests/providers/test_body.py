"""The bodies of requests."""

import pytest

from noti_worker.domain.errors import BadNotification
from noti_worker.providers._body import as_json, form


def test_a_form_and_json_are_utf_8() -> None:
    assert form({"Body": "ü & 😀"}) == b"Body=%C3%BC+%26+%F0%9F%98%80"
    assert as_json({"a": ["ü", 1]}) == '{"a":["ü",1]}'.encode()


def test_half_a_character_is_refused() -> None:
    for body in (form, as_json):
        with pytest.raises(BadNotification, match="UTF-8"):
            body({"Body": "\ud800"})
