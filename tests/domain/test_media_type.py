"""Media types with their parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.media_type import MediaType, read_media_type


@pytest.mark.parametrize(
    ("text", "name", "parameters", "written"),
    [
        ("text/plain", "text/plain", {}, "text/plain"),
        ("Text/Calendar; Method=REQUEST", "text/calendar", {"method": "REQUEST"}, "text/calendar; method=REQUEST"),
        ('text/html;charset="UTF-8"', "text/html", {"charset": "UTF-8"}, "text/html; charset=UTF-8"),
        (
            'a/b ; name="a; b=\\"c\\".txt";',
            "a/b",
            {"name": 'a; b="c".txt'},
            'a/b; name="a; b=\\"c\\".txt"',
        ),
        ("application/vnd.ms-excel; x=1;y=2", "application/vnd.ms-excel", {"x": "1", "y": "2"}, None),
        (" image/svg+xml ", "image/svg+xml", {}, "image/svg+xml"),
    ],
)
def test_a_media_type_is_read(text: str, name: str, parameters: dict[str, str], written: str | None) -> None:
    media_type = read_media_type(text, "x")
    assert media_type == MediaType(name, parameters)
    if written is not None:
        assert str(media_type) == written
    assert read_media_type(str(media_type), "x") == media_type


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "text",
        "a/b/c",
        "ä/b",
        "a/b; x",
        "a/b; x=",
        'a/b; x="',
        "a/b x=1",
        "a/b; x=1; X=2",
        "a/b\r\nX: y",
        1,
        None,
    ],
)
def test_what_is_none_is_refused(text: object) -> None:
    with pytest.raises(BadNotification, match=r"^its type "):
        read_media_type(text, "its type")


@given(st.text(max_size=30) | st.from_regex(r'\w+/\w+(; ?\w+=("[^"]*"|\w+))*', fullmatch=True))
def test_any_text_is_read_the_same_again_or_refused(text: str) -> None:
    try:
        media_type = read_media_type(text, "x")
    except BadNotification:
        return
    assert read_media_type(str(media_type), "x") == media_type
