"""Templates in the real child process: what they may do, what they may not, and that the next one is fine."""

import json
import os
import re
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from noti_worker.delivery.render import Rendered, Renderer, RendererAway
from noti_worker.delivery.render_process import Process, Request
from noti_worker.delivery.render_sandbox import FILTERS
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.facts import RendererKilled
from noti_worker.domain.notification import Template
from tests.delivery.fakes import Witness

ABOUT = {"notification_id": 17, "recipient": "ada@example.com"}
DATA: dict[str, Any] = {
    "name": "<Ada>",
    "order": {"items": [{"title": "Tea", "price": 3.5}, {"title": "Cup", "price": 7}], "note": None},
    "long": "y" * 50_000,
}


@pytest.fixture(scope="module")
def witness() -> Witness:
    return Witness()


@pytest.fixture(scope="module")
def renderer(witness: Witness) -> Iterator[Renderer]:
    renderer = Renderer(witness)
    yield renderer
    renderer.close()


@pytest.fixture
def own(witness: Witness) -> Iterator[Renderer]:
    """A renderer for one test, which may harm it."""
    renderer = Renderer(witness)
    yield renderer
    renderer.close()


def filled(renderer: Renderer, body: str, data: Any = DATA) -> str | None:
    return renderer.render(Template("t", body=body), json.dumps(data), ABOUT, "default").text


def pid_of(renderer: Renderer) -> int:
    assert renderer._quick._child is not None
    return renderer._quick._child._process.pid


def wait_until(true: Callable[[], bool]) -> None:
    end = monotonic() + 10
    while not true():
        assert monotonic() < end, "it does not come true"
        Event().wait(0.01)


# What authors write


def test_each_part_is_rendered_and_html_alone_is_escaped(renderer: Renderer) -> None:
    template = Template("t", subject="For {{ name }}", body="Hi {{ name }}", html="<b>{{ name }}</b>")
    rendered = renderer.render(template, json.dumps(DATA), ABOUT, "default")
    assert rendered == Rendered("For <Ada>", "Hi <Ada>", "<b>&lt;Ada&gt;</b>")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("{{ a }}{{ b }}{{ 7 }}{{ c }}", "plain&lt;&amp;&gt;&#34;&#39;7[&#39;&lt;&#39;]"),
        ("{{ b | safe }}{{ b | escape }}{{ 'x' | e }}", "<&>\"'&lt;&amp;&gt;&#34;&#39;x"),
        ("{% set block %}{{ a }}{{ b }}<i>{% endset %}{{ block }}", "plain&lt;&amp;&gt;&#34;&#39;<i>"),
        ("{% filter upper %}{{ a }}{{ b }}<i>{% endfilter %}", "PLAIN&LT;&AMP;&GT;&#34;&#39;<I>"),
        ("{{ '<b>' | safe ~ b ~ a }}", "<b>&lt;&amp;&gt;&#34;&#39;plain"),
        ("{{ [a, b] | join('<') }}", "plain&lt;&lt;&amp;&gt;&#34;&#39;"),
    ],
)
def test_every_value_is_escaped_once_in_html(renderer: Renderer, html: str, expected: str) -> None:
    data = json.dumps({"a": "plain", "b": "<&>\"'", "c": ["<"]})
    assert renderer.render(Template("t", html=html), data, ABOUT, "default").html == expected


def test_a_part_that_the_template_lacks_stays_out(renderer: Renderer) -> None:
    assert renderer.render(Template("t", html="x"), None, ABOUT, "default") == Rendered(html="x")
    assert renderer.render(Template("t"), None, ABOUT, "default") == Rendered()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ notification.recipient }} {{ notification.notification_id }}", "ada@example.com 17"),
        ("{% for i in order.items %}{{ loop.index }} {{ i.title }};{% endfor %}", "1 Tea;2 Cup;"),
        ("{{ order.items | sum(attribute='price') | round(2) }}", "10.5"),
        ("{{ {'a': order.note} | tojson }}", '{"a": null}'),
        ("[{{ order.note }}]", "[]"),
        ("{{ nickname | default('friend') }}", "friend"),
        ("{% if nickname is defined %}a{% else %}b{% endif %}", "b"),
        ("{% set total = 3 * 4 + 9 % 5 %}{{ total }}", "16"),
        ("{{ name.strip('<>').upper() }}", "ADA"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% for i in range(3) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{% set n = namespace(x=0) %}{% for i in range(3) %}{% set n.x = n.x + i %}{% endfor %}{{ n.x }}", "3"),
        ("{% filter upper %}tea{% endfilter %}{% with a = 1 %}{{ a }}{% endwith %}", "TEA1"),
        ("{{ 'ä' ~ '😀' }}\n", "ä😀"),
    ],
)
def test_what_authors_write_works(renderer: Renderer, body: str, expected: str) -> None:
    assert filled(renderer, body) == expected


FILTERED = {
    "'a' | capitalize": "A",
    "[{'k': 'b', 'v': 1}, {'k': 'a', 'v': 2}] | groupby('k') | map('first') | join(',')": "a,b",
    "['a', 'b'] | map('upper') | join(',')": "A,B",
    "1234.5 | number(2)": "1234.50",
    "'2026-11-30' | date": "Nov 30, 2026",
    "'2026-11-30T10:05:00+01:00' | datetime": "Nov 30, 2026, 9:05\u202fAM",
    "12.5 | money('EUR')": "€12.50",
    "0.25 | percent": "25%",
    "1 | plural(one='{} cup', other='{} cups')": "1 cup",
    "'2026-11-30T10:05:00Z' | time": "10:05\u202fAM",
    "'one two three' | wordwrap(7)": "one two\nthree",
    "-1 | abs": "1",
    "'ab' | count": "2",
    "nope | d('x')": "x",
    "nope | default('x')": "x",
    "{'a': 1} | dictsort": "[('a', 1)]",
    "'<' | e": "&lt;",
    "'<' | escape": "&lt;",
    "1200 | filesizeformat": "1.2 kB",
    "'ab' | first": "a",
    "'1.50' | float": "1.50",
    "'<' | forceescape": "&lt;",
    "'1' | int": "1",
    "{'a': 1} | items | list": "[('a', 1)]",
    "['a', 'b'] | join(',')": "a,b",
    "'ab' | last": "b",
    "'ab' | length": "2",
    "'ab' | list": "['a', 'b']",
    "'AB' | lower": "ab",
    "[1, 2] | max": "2",
    "[1, 2] | min": "1",
    "'ab' | replace('a', 'c')": "cb",
    "'ab' | reverse": "ba",
    "1.25 | round(1)": "1.3",
    "'<' | safe": "<",
    "[2, 1] | sort": "[1, 2]",
    "1 | string": "1",
    "'<b>a&amp;b</b>' | striptags": "a&b",
    "[1, 2] | sum": "3",
    "'a b' | title": "A B",
    "'<' | tojson": '"\\u003c"',
    "' a ' | trim": "a",
    "'a b c d e f' | truncate(5, leeway=0)": "a...",
    "[1, 1] | unique | list": "[1]",
    "'ab' | upper": "AB",
    "'a b' | urlencode": "a%20b",
    "'a b' | wordcount": "2",
}


@pytest.mark.parametrize(("expression", "expected"), FILTERED.items())
def test_every_allowed_filter_works_where_no_file_can_be_opened(
    renderer: Renderer, expression: str, expected: str
) -> None:
    assert filled(renderer, f"{{{{ {expression} }}}}") == expected


def test_the_table_of_filters_is_complete() -> None:
    used = {re.split(r"[ (]", part)[0] for expression in FILTERED for part in expression.split(" | ")[1:]}
    assert used == FILTERS


# Numbers and null

AMOUNTS = """{
  "price": 10.50, "long": 12345678901234567.89, "tiny": 0.0000001, "whole": 10, "big": 12345678901234567890,
  "digits": 1234567890.12345678901234567890123456789, "nil": null, "zero": 0.00, "neg": -2.345,
  "items": [{"p": 3.50, "c": "b", "q": null}, {"p": 7, "c": "a", "q": 1}, {"p": 0.05, "c": "b", "q": null}]
}"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ price }} {{ long }} {{ tiny }} {{ whole }} {{ big }} {{ zero }}", None),
        ("{{ digits }}", "1234567890.12345678901234567890123456789"),
        ("{{ [price, tiny] }} {{ {'a': price} }} {{ [1.5] }}", "[10.50, 0.0000001] {'a': 10.50} [1.5]"),
        ("{{ price ~ '/' ~ tiny ~ '/' ~ (tiny + 0) }}", "10.50/0.0000001/0.0000001"),
        ("{{ [price, none, tiny + 0] | join('|') }}", "10.50||0.0000001"),
        ("{{ price | string | upper }}{{ (tiny * 1) | string }}", "10.500.0000001"),
        ("{{ price + 1 }} {{ price * 2 }} {{ price - 0.5 }} {{ -price }}", "11.50 21.00 10.00 -10.50"),
        ("{{ price * 1.19 }} {{ 0.1 + 0.2 }} {{ 3 * 0.1 }}", "12.4950 0.3 0.3"),
        ("{{ 10 / 4 }} {{ 10 / 5 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ price // 3 }} {{ price % 3 }}", "2.5 2 3 3 3 1.50"),
        ("{{ (1 / 3) | number(4) }} {{ whole / 3 | round(2) }}", "0.3333 3.333333333333333333333333333333333"),
        ("{{ price == 10.5 }} {{ price > 10 }} {{ price is number }} {{ price is float }} {{ whole is float }}",
         "True True True True False"),
        ("{{ items | sum(attribute='p') }} {{ items | map(attribute='p') | max }}", "10.55 7"),
        ("{% for c, of in items | groupby('c') %}{{ c }} {{ of | sum(attribute='p') }};{% endfor %}", "a 7;b 3.55;"),
        ("{{ price | int }} {{ '7.25' | float + 1 }} {{ 'x' | float }} {{ 'nan' | float }}", "10 8.25 0 0"),
        ("{{ price | number }} {{ price | number(0) }} {{ whole | number(2) }} {{ '2.5' | number(0) }}",
         "10.50 11 10.00 3"),
        ("{{ neg | number(2) }} {{ long | number(1) }} {{ none | number(2) }}", "-2.35 12345678901234567.9 "),
        ("{{ neg | round(2) }} {{ neg | round(1, 'floor') }} {{ neg | round(1, 'ceil') }} {{ 15 | round(-1) }}",
         "-2.35 -2.4 -2.3 20"),
        ("{{ price | round(3) }} {{ whole | round(2) }} {{ price | round | int }}", "10.50 10 11"),
        ("{{ [price, none, whole, 'a', true] | tojson }}", '[10.50, null, 10, "a", true]'),
        ("{{ {'b': [tiny], 'a': {'x': price}} | tojson }}", '{"a": {"x": 10.50}, "b": [0.0000001]}'),
        ("{{ {'a': [price]} | tojson(indent=2) }}", '{\n  "a": [\n    10.50\n  ]\n}'),
        ("[{{ none }}] [{{ 'a' ~ none ~ 'b' }}] [{{ none | upper }}] [{{ none | string }}]", "[] [ab] [] []"),
        ("[{{ none | trim }}] [{{ [none, none] | join('-') }}] [{{ 'a' | replace('a', none) }}]", "[] [-] []"),
        ("{{ none is none }} {{ none == none }} {{ none | default('x', true) }} {{ [none] | tojson }}",
         "True True x [null]"),
        ("{{ items | map(attribute='q') | join('-') }} {{ items | join('-', attribute='q') }}", "-1- -1-"),
        ("[{{ nil }}] [{{ 'a' ~ nil ~ 'b' }}] [{{ [nil, 1] | join('-') }}] {{ nil | tojson }}", "[] [ab] [-1] null"),
    ],
)  # fmt: skip
def test_numbers_stay_as_they_are_written_and_null_is_empty(
    renderer: Renderer, body: str, expected: str | None
) -> None:
    if expected is None:
        expected = "10.50 12345678901234567.89 0.0000001 10 12345678901234567890 0.00"
    rendered = renderer.render(Template("t", body=body, html=body), AMOUNTS, ABOUT, "default")
    assert rendered.text == expected
    if "tojson" not in body:
        assert rendered.html == expected.replace("'", "&#39;")


@pytest.mark.parametrize("data", ['{"a": 1e400}', '{"a": 1.5e-4000}', "null", '{"a": 1E3}'])
def test_numbers_with_an_exponent_are_written_out(renderer: Renderer, data: str) -> None:
    text = renderer.render(Template("t", body="{{ a | default(0) }}"), data, ABOUT, "default").text or ""
    assert "e" not in text.lower()


def test_what_a_template_writes_as_json_is_json(renderer: Renderer) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    for body in ("{{ [1.5, 'nan' | float, 'inf' | float] | tojson }}", "{{ [2 / 3, 1 / 3 * 3] | tojson }}"):
        json.loads(filled(renderer, body) or "", parse_constant=refuse)


@pytest.mark.parametrize("body", ["{{ 'x' | number(2) }}", "{{ price | number(101) }}", "{{ price | number('a') }}"])
def test_number_is_for_numbers(renderer: Renderer, body: str) -> None:
    with pytest.raises(BadNotification, match=r"number\(\) (is for numbers only|takes a number of places up to 100)"):
        renderer.render(Template("t", body=body), AMOUNTS, ABOUT, "default")


# Mistakes


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Hi\n{{ nmae }}", "'t': body, line 2: 'nmae' is undefined"),
        ("{{ order.tax }}", "no attribute 'tax'"),
        ("{{ name", "body, line 1: unexpected end of template"),
        ("{% foo %}", "unknown tag 'foo'"),
        ("{{ name | shout }}", "shout"),
        ("{{ 1 / 0 }}", "line 1: ZeroDivisionError"),
        ("{{ 1.5 // 0 }}", "line 1: ZeroDivisionError"),
        ("{{ order.tax / 2 }}", "no attribute 'tax'"),
        ("{{ 'a' / 2 }}", "/ is for numbers only"),
    ],
)
def test_a_mistake_is_said_with_its_place(renderer: Renderer, body: str, said: str) -> None:
    with pytest.raises(BadNotification, match=said):
        filled(renderer, body)


@pytest.mark.parametrize("body", ["{{ 1 + name }}{{ name | int }}", "{{ order[name].tax }}", "{{ order[name][name] }}"])
def test_an_error_does_not_show_the_data(renderer: Renderer, body: str) -> None:
    with pytest.raises(BadNotification) as bad:
        filled(renderer, body)
    assert "Ada" not in str(bad.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"a":' + "[" * 3000 + "]" * 3000 + "}", "nested deeper than 100"),
        ('{"a":' + "[" * 101 + "]" * 101 + "}", "nested deeper than 100"),
        ('{"a":' + "9" * 5000 + "}", "too long"),
        ('{"a": 0.' + "9" * 5000 + "}", "too long"),
        ('{"a": 1e999999999}', "too long"),
        ('{"a": NaN}', "too long"),
        ("[1]", "not a JSON object"),
        ('{"notification": 1}', "key notification"),
    ],
)
def test_poisonous_data_harms_only_itself(renderer: Renderer, data: str, said: str) -> None:
    with pytest.raises(BadNotification, match=f"template_data.*{said}"):
        renderer.render(Template("t", body="x"), data, ABOUT, "default")
    assert filled(renderer, "{{ a | length }}", {"a": [[]] * 200}) == "200"


# Malice

POISON = {
    "power": "{{ 9**9999999 }}",
    "text times number": "{{ 'a' * 10000000000 }}",
    "text in a variable times number": "{% set a = 'a' %}{{ a * 10000000000 }}",
    "list times number": "{{ [1] * 10000000000 }}",
    "center": "{{ 'a' | center(1000000000) }}",
    "ljust in a variable": "{% set f = 'x'.ljust %}{{ f(1000000000) }}",
    "slice": "{{ [1] | slice(50000000) | list }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent in a variable": "{% set f = '%1000000000d' %}{{ f % 1 }}",
    "indent": "{{ {'a': 1} | tojson(indent=2000000000) }}",
    "huge precision": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "growing decimal": "{% set n = namespace(a=9.5) %}{% for i in range(99) %}{% set n.a = n.a * n.a %}{% endfor %}",
    "huge places": "{{ 1.5 | number(1000000000) }}",
    "map of a method": "{{ [name.upper] | map('string') | list }}",
    "join of a method": "{{ [name.upper] | join }}",
    "text with a method": "{{ 'a' ~ name.upper }}",
    "map of a class": "{{ [name] | map(attribute='__class__') | list }}",
    "map by an unknown filter": "{{ [name] | map('attr', '__class__') | list }}",
    "group by a class": "{{ [name] | groupby('__class__') }}",
    "wrapped by a book": "{{ long | wordwrap(1, wrapstring=long) }}",
    "a result of map": "{{ [name] | map('upper') }}",
    "macro recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "loop recursion": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "minus signs": "{{ " + "-" * 60000 + "1 }}",
    "attributes": "{{ name" + ".a" * 30000 + " }}",
    "ifs": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "class": "{{ ''.__class__ }}",
    "class by item": "{{ ''['__class__'] }}",
    "class by attr": "{{ '' | attr('__class__') }}",
    "class by sort": "{{ [name, 'b'] | sort(attribute='__class__') }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "format in a variable": "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "indirect format": "{{ ['{0.__class__}'.format] | map('string') | list }}",
    "method": "{{ name.upper }}",
    "self": "{{ self }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import '/etc/passwd' as x %}",
    "extends": "{% extends '/etc/passwd' %}",
    "lipsum": "{{ lipsum(n=200000) }}",
    "cycler": "{{ cycler.__init__.__globals__ }}",
    "range": "{% for i in range(99999) %}{% endfor %}",
    "three loops": "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3,
    "four loops": "{% for a in 'a' %}" * 4 + "{% endfor %}" * 4,
    "growing text": "{% set n = namespace(a=long) %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "growing number": "{% set n = namespace(a=9) %}{% for i in range(99) %}{% set n.a = n.a * n.a %}{% endfor %}",
    "replace": "{{ long | replace('y', long) }}",
    "join": "{{ range(1000) | join(long) }}",
    "output": "{% for i in range(6) %}{{ long }}{% endfor %}",
    "source": "x" * (64 * 1024 + 1),
    "number": "{{ " + "9" * 5000 + " }}",
}


@pytest.mark.parametrize("name", POISON)
@pytest.mark.fault("F05")
def test_a_poisonous_template_ends_soon_with_a_reason_and_the_next_one_is_fine(renderer: Renderer, name: str) -> None:
    filled(renderer, "warm")  # a new child, after an earlier one was killed, is not this template's time
    began = monotonic()
    with pytest.raises(BadNotification) as bad:
        filled(renderer, POISON[name])
    assert monotonic() - began < 60  # one second of CPU time, on a very busy machine; without a limit hours
    assert str(bad.value).startswith("template 't'")
    assert len(str(bad.value)) < 400
    assert filled(renderer, "Hi {{ name }}") == "Hi <Ada>"


def test_a_method_is_not_called_by_another_name(renderer: Renderer) -> None:
    with pytest.raises(BadNotification, match="may not call"):
        filled(renderer, "{% set f = name.center %}{{ f(9) }}")
    assert filled(renderer, "{% set f = name.upper %}{{ f() }}") == "<ADA>"


def test_output_up_to_the_limit_passes(renderer: Renderer) -> None:
    assert len(filled(renderer, "{{ a }}", {"a": "x" * 256 * 1024}) or "") == 256 * 1024
    with pytest.raises(BadNotification, match="longer than 256 KiB"):
        filled(renderer, "{{ a }}x", {"a": "x" * 256 * 1024})


# The process


def test_the_child_has_nothing_to_give_away(own: Renderer) -> None:
    filled(own, "x")
    proc = Path(f"/proc/{pid_of(own)}")
    assert set((proc / "environ").read_bytes().split(b"\0")) - {b""} <= {
        f"LD_LIBRARY_PATH={os.environ.get('LD_LIBRARY_PATH')}".encode()
    }
    assert sorted(path.name for path in (proc / "fd").iterdir()) == ["0", "1", "2"]
    limits = {line[:26].strip(): line[26:].split()[0] for line in (proc / "limits").read_text().splitlines()}
    assert limits["Max address space"] == str(256 * 1024 * 1024)
    assert limits["Max open files"] == "3"
    assert limits["Max file size"] == "0"


@pytest.mark.fault("F05")
def test_a_template_that_does_not_end_is_told_and_its_child_replaced() -> None:
    witness = Witness()
    renderer = Renderer(witness, timeout=0.2)
    filled(renderer, "x")
    first = pid_of(renderer)
    with pytest.raises(BadNotification, match=r"'t' did not end within 0.2 s"):
        filled(renderer, POISON["three loops"])
    assert filled(renderer, "x") == "x"
    assert pid_of(renderer) != first
    renderer.close()
    assert witness.facts == [RendererKilled("t", "did not end within 0.2 s")]


@pytest.mark.fault("F05")
def test_a_child_that_was_killed_is_replaced_and_the_render_done_again(own: Renderer) -> None:
    filled(own, "x")
    os.kill(pid_of(own), signal.SIGKILL)
    assert filled(own, "Hi {{ name }}") == "Hi <Ada>"


def test_a_signal_of_the_terminal_or_the_supervisor_does_not_end_the_child(own: Renderer) -> None:
    filled(own, "x")
    pid = pid_of(own)
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, one)
    assert filled(own, "x") == "x"
    assert pid_of(own) == pid
    assert os.getsid(pid) != os.getsid(0)


def test_a_frozen_child_is_nobodys_fault() -> None:
    renderer = Renderer(Witness(), timeout=0.02)  # patience is ten times that
    filled(renderer, "x")
    os.kill(pid_of(renderer), signal.SIGSTOP)
    assert filled(renderer, "x") == "x"
    renderer.close()


def test_a_child_ends_with_its_parent(own: Renderer) -> None:
    filled(own, "x")
    assert own._quick._child is not None
    process = own._quick._child._process
    own._quick._child._line.close()  # what the kernel does when the parent is killed
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == 0


def test_a_closed_renderer_leaves_no_process(own: Renderer) -> None:
    filled(own, "x")
    pid = pid_of(own)
    own.close()
    own.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("interpreter", ["/does/not/exist", "/bin/false"])
def test_a_renderer_that_cannot_start_blames_no_row(
    own: Renderer, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    with pytest.raises(RendererAway, match="render process"):
        filled(own, "x")
    monkeypatch.undo()
    assert filled(own, "x") == "x"


@pytest.mark.parametrize(
    "said",
    [
        struct.pack("!5i", 0, -1, -1, 2, -1) + b"\xff\xff",
        struct.pack("!5i", 0, -1, -1, -2, -1),
        struct.pack("!5i", 0, 2**31 - 1, -1, -1, -1),
        struct.pack("!5i", -1, -1, 0, -1, -1),
        struct.pack("!5i", 0, -1, -1, -1, -1),
    ],
    ids=["no text", "no size", "too long", "no time", "nothing"],
)
def test_a_child_that_was_taken_over_is_not_believed(
    own: Renderer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    ready = struct.pack("!5i", 0, -1, -1, -1, -1)
    speaks = f"line.sendall({ready!r}); line.recv(9); line.sendall({said!r}); line.recv(9999)"
    boot = f"import socket; line = socket.socket(fileno=0); {speaks}"
    monkeypatch.setattr("noti_worker.delivery.render_process._BOOT", boot)
    with pytest.raises(BadNotification, match="'t' made the render process talk nonsense"):
        filled(own, "x")
    monkeypatch.undo()
    assert filled(own, "y") == "y"


def test_many_threads_share_one_child(renderer: Renderer) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: filled(renderer, "{{ n }}", {"n": n}), range(400)))
    assert answers == [str(n) for n in range(400)]


def test_a_large_row_goes_there_and_back(renderer: Renderer) -> None:
    assert filled(renderer, "{{ a | length }} {{ b }}", {"a": "ä" * 1_000_000, "b": "ä" * 100_000}) == (
        "1000000 " + "ä" * 100_000
    )


def test_the_sources_of_a_template_go_to_the_child_once(own: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noti_worker.delivery.render_process._MOST_KNOWN", 3)
    tell, sent = Process._told, []

    def noted(process: Process, request: Request) -> tuple[Any, ...]:
        told = tell(process, request)
        sent.append("body" in (told[1] or {}))
        return told

    monkeypatch.setattr(Process, "_told", noted)
    assert [filled(own, body) for body in "aabab"] == list("aabab")
    assert sent == [True, False, True, False, False]
    sent.clear()
    assert [filled(own, body) for body in "cdab" * 2] == list("cdab" * 2), "more than the child keeps"
    os.kill(pid_of(own), signal.SIGKILL)
    sent.clear()
    assert filled(own, "b") == "b"
    assert sent[-1], "the fresh child has none"
