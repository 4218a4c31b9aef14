"""The text that is made from html: what a person reads, and a time that grows with the length only."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.delivery.plain_text import plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", "\n"),
        ("Hello", "Hello\n"),
        ("<p>Hello\n   Ada</p><p>Bye</p>", "Hello Ada\n\nBye\n"),
        ("a<br>b<br/>c", "a\nb\nc\n"),
        ("<div>a</div><div>b</div>", "a\nb\n"),
        ("<h1>Title</h1>text", "Title\n\ntext\n"),
        ("<b>a</b> <i>b</i><b>c</b>", "a bc\n"),
        ("a &amp; b &lt;c&gt;&nbsp;d", "a & b <c>\xa0d\n"),
        ('<a href="https://example.com/o/17">your order</a>', "your order (https://example.com/o/17)\n"),
        ('<a href="https://example.com/">example.com</a>', "example.com\n"),
        ('<a href="https://example.com/">https://example.com/</a>', "https://example.com/\n"),
        ('<a href="mailto:a@example.com">a@example.com</a>', "a@example.com\n"),
        ('<a href="https://example.com/"><img src="x"></a>', "https://example.com/\n"),
        ('<a href="https://example.com/"><img src="x" alt="Shop"></a>', "Shop (https://example.com/)\n"),
        ('<a href="#top">up</a> <a name="x">y</a>', "up y\n"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b\n"),
        ("<p>x</p><ol><li>a<li>b</ol><p>y</p>", "x\n\n1. a\n2. b\n\ny\n"),
        ("<ul><li>a<ol><li>b</li></ol></li><li>c</li></ul>", "- a\n  1. b\n- c\n"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a  b\n1  2\n"),
        ("<pre>a\n  b</pre>", "a\n  b\n"),
        ("<head><title>no</title><style>p{}</style></head><body>yes<script>1 < 2</script></body>", "yes\n"),
        ("<!doctype html><!-- no --><?xml x?>yes<!--[if mso]>no<![endif]-->", "yes\n"),
        ("<head><title>no</title><meta x><body>yes", "yes\n"),
        ("1 < 2 and 2 > 1", "1 < 2 and 2 > 1\n"),
        ("a <b", "a <b\n"),
        ("<p>a<p><p></p><div></div><p>b", "a\n\nb\n"),
    ],
)
def test_html_becomes_readable_text(html: str, text: str) -> None:
    assert plain_text(html) == text


MARKUP = [
    "<",
    ">",
    "</",
    "<!--",
    "-->",
    "<![CDATA[",
    "<a href='",
    '"',
    "<li>",
    "<ul>",
    "</ul>",
    "<script>",
    "&",
    "&#",
    "x ",
]


@given(st.lists(st.sampled_from(MARKUP) | st.text(max_size=5), max_size=40).map("".join))
def test_any_markup_becomes_text(html: str) -> None:
    assert plain_text(html).endswith("\n")


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<![CDATA[", "</", "<?", "&#", "<a x='>", "<a href=http:x>y", "<ul><li>"]
)
def test_markup_that_never_ends_takes_time_by_its_length_only(piece: str) -> None:
    def seconds(length: int) -> float:
        html = (piece * length)[:length]
        began = process_time()
        plain_text(html)
        return process_time() - began

    short = min(seconds(20_000) for _ in range(3))
    assert seconds(200_000) < 40 * short + 0.1, "ten times as long; by its square it would take a hundred times"


def test_a_giant_page_is_cut() -> None:
    text = plain_text("word " * 200_000)
    assert len(text) < 501_000
    assert text.endswith("\n[…]\n")
