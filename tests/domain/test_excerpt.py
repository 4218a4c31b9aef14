"""What an endpoint said, for people who must not see the message."""

import pytest

from noti_worker.domain.excerpt import excerpt

SENT = '{"event": "order.paid", "name": "Ada Lovelace", "sum": 471100}'


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("no such order", "no such order"),
        ("", ""),
        ("<html><head><style>p { x: y }</style><title>502</title></head><p class='a'>Try later</p>", "502 Try later"),
        ("<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey"),
        ("<script>x = 1;", ""),
        ("event < 5 or event > 6", "event < 5 or event > 6"),
        ('{"error": "event is unknown"}', '{"error": "event is unknown"}'),  # an ordinary word is no quotation
        ('{"got": {"name": "Ada Lovelace", "sum": 471100}}', '{"got": {"[…]": "[…] […]", "[…]": […]}}'),
        ("Bearer abcdef123456 is no key", "Bearer [secret] is no key"),
        ('{"token": "abc", "of": 5}', '{"token": [secret]", "of": 5}'),
        (f"see {'x1' * 20}, please", "see [token], please"),
        ("no " * 300, "no " * 66 + "n…"),
    ],
)
def test_an_excerpt_is_what_they_said_themselves(answer: str, told: str) -> None:
    assert excerpt(answer, SENT) == told
