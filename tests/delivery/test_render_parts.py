"""Templates that are made of others: layouts, includes and macros, in the real child process and under its limits."""

import json
from collections.abc import Iterator, Mapping

import pytest

from noti_worker.delivery.render import Rendered, Renderer
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Template
from tests.delivery.fakes import Witness

LAYOUT = "<h1>{% block title %}Shop{% endblock %}</h1>{% block content required %}{% endblock %}{% include 'foot' %}"
MACROS = (
    "{% macro button(url, text='Open') %}<a href='{{ url }}'>{{ text }}</a>{% endmacro %}"
    "{% macro box() %}[{{ caller() }}]{% endmacro %}"
)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    renderer = Renderer(Witness())
    yield renderer
    renderer.close()


def filled(renderer: Renderer, template: Template, **data: object) -> Rendered:
    return renderer.render(template, json.dumps(data), {"recipient": "ada@example.com"}, "default")


def made_of(body: str, **parts: str) -> Template:
    return Template("t", body=body, parts=tuple(Template(name, body=text) for name, text in parts.items()))


def test_a_layout_an_include_and_macros(renderer: Renderer) -> None:
    parts = (
        Template("layout", "{% block title %}{% endblock %} (shop)", "= {% block content %}{% endblock %} =", LAYOUT),
        Template("foot", html="<p>{{ name }}, {{ notification.recipient }}</p>", body="-- {{ name }}"),
        Template("macros", body=MACROS),
    )  # fmt: skip
    template = Template(
        "t",
        subject="{% extends 'layout' %}{% block title %}{{ name }}{% endblock %}",
        body="{% extends 'layout' %}{% block content %}{% include 'foot' %}{% endblock %}",
        html="{% extends 'layout' %}{% import 'macros' as m %}{% from 'macros' import box %}"
        "{% block title %}{{ super() }}: {{ name }}{% endblock %}"
        "{% block content %}{{ m.button('/?a=1&b=2') }}{% call box() %}{{ self.title() }}{% endcall %}{% endblock %}",
        parts=parts,
    )
    assert filled(renderer, template, name="<Ada>") == Rendered(
        "<Ada> (shop)",
        "= -- <Ada> =",
        "<h1>Shop: &lt;Ada&gt;</h1><a href='/?a=1&amp;b=2'>Open</a>[Shop: &lt;Ada&gt;]"
        "<p>&lt;Ada&gt;, ada@example.com</p>",
    )


def test_what_is_missing_can_be_left_out_when_that_is_said(renderer: Renderer) -> None:
    assert filled(renderer, made_of("a{% include 'foot' ignore missing %}b", other="x")).text == "ab"


@pytest.mark.parametrize(
    ("body", "parts", "said"),
    [
        ("\n{% include 'foot' %}", {}, "body, line 2: there is no template 'foot'"),
        ("{% include 'a' %}", {"a": "{% include 'b' %}", "b": "{% extends 'a' %}"}, "in a circle: a, b, a"),
        ("{% include 'a' %}", {"a": "{% include 'a' %}"}, "in a circle: a, a"),
        ("{% include 'a' %}", {"a": "\n{{ missing }}"}, "body, a, line 2: 'missing' is undefined"),
        ("{% include 'a' %}", {"a": "\n{% if %}"}, "body, a, line 2: "),
        ("{% include 'a' %}", {"a": "{{ 2 ** 9 }}"}, "body, a, line 1: ** is not available"),
        ("{% include name %}", {"a": "x"}, "the name of another template is written out"),
        ("{% include ['a', 'b'] %}", {"a": "x"}, "the name of another template is written out"),
        ("{% extends 'a' %}", {"a": "{% block b required %}{% endblock %}"}, "Required block 'b' not found"),
        ("{% import 'a' as a %}{{ a }}", {"a": "x"}, "it prints something that is no value"),
        ("{% import 'a' as a %}{{ a.nothing() }}", {"a": "x"}, "has no attribute 'nothing'"),
        ("{% from 'a' import nothing %}{{ nothing() }}", {"a": "x"}, "does not export"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {}, "it is nested too deeply"),
        ("{% macro m() %}{% endmacro %}{{ m.__class__ }}", {}, "leading underscore"),
        ("{% macro m() %}{% endmacro %}{{ m.environment() }}", {}, "the method environment is not available"),
        ("{% include 'a' %}", {"a": "x" * 70_000}, "a, the source is longer than 64 KiB"),
        (
            "{% for i in range(1000) %}{% include 'a' %}{% endfor %}",
            {"a": "x" * 1000},
            "the output is longer than 256 KiB",
        ),
    ],
)
def test_a_mistake_is_said_with_its_place(renderer: Renderer, body: str, parts: Mapping[str, str], said: str) -> None:
    with pytest.raises(BadNotification) as caught:
        filled(renderer, made_of(body, **parts), name="a")
    assert said in str(caught.value)
    assert filled(renderer, made_of("{% include 'a' %}", a="fine")).text == "fine"


def test_nothing_of_one_message_is_there_in_the_next(renderer: Renderer) -> None:
    macros = (
        "{% set kept = namespace(name='nobody') %}"
        "{% macro keep(name) %}{{ kept.name }}{% set kept.name = name %}{% endmacro %}"
    )
    template = made_of("{% import 'macros' as m %}{{ m.keep(name) }}", macros=macros)
    assert [filled(renderer, template, name=name).text for name in ("Ada", "Bea")] == ["nobody", "nobody"]


def test_another_text_of_a_part_is_another_template(renderer: Renderer) -> None:
    assert [filled(renderer, made_of("{% include 'a' %}", a=text)).text for text in "xyx"] == ["x", "y", "x"]
