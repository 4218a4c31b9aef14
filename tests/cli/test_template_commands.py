"""`template` from the command line: a folder is checked, looked at, published and taken back, and faults are told."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from noti_worker.cli.template_files import key_of
from tests.cli.conftest import Invoke, read
from tests.system.daemon import member_of

Connection = psycopg.Connection[Any]

FILES = {
    "order-shipped.html": "---\nsubject: Order {{ order }} is on its way\n---\n"
    '{% extends "_layout" %}{% block content %}<p>Dear {{ name }}, <a href="{{ url }}">see</a>.</p>{% endblock %}\n',
    "order-shipped.txt": "Dear {{ name }}, order {{ order }} is on its way: {{ url }}\n",
    "order-shipped.de.html": "---\nsubject: Bestellung {{ order }} ist unterwegs\n---\n"
    '{% extends "_layout" %}{% block content %}<p>Hallo {{ name }}, <a href="{{ url }}">hier</a>.</p>{% endblock %}\n',
    "order-shipped.de.txt": "Hallo {{ name }}, Bestellung {{ order }} ist unterwegs: {{ url }}\n",
    "order-shipped.sms.txt": "Order {{ order }} is on its way: {{ url }}",
    "_layout.html": "<html><body><h1>Shop</h1>{% block content %}{% endblock %}</body></html>\n",
    "order-shipped.json": json.dumps({"order": 17, "name": "Ada", "url": "https://example.com/17"}),
}


@pytest.fixture
def operator(bare: Invoke, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("NOTI_DATABASE_URL", member_of("noti_operator", database_url))
    monkeypatch.setenv("SUDO_USER", "grace")
    return bare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "templates", FILES)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def lint(noti: Invoke, folder: Path, *more: str) -> list[tuple[str, str, str]]:
    found = json.loads(noti("template", "lint", str(folder), "--json", *more).stdout)
    return [(fault["text"], fault["level"], fault["what"]) for fault in found]


def test_a_stranger_finds_the_way_with_the_help_alone(operator: Invoke, folder: Path, connection: Connection) -> None:
    """Every command that is called stands as an example in the help of `template` or of itself."""
    shown = operator("template", "--help").stdout
    for word in ("lint templates/", "preview order-shipped --from templates/", "publish templates/", "rollback"):
        assert word in shown
    assert "order-shipped.de.html" in shown
    there = str(folder)

    (folder / "order-shipped.de.txt").write_text("Hallo {{ nmae }}, deine Bestellung {{ order }}: {{ url }}\n")
    wrong = operator("template", "lint", there)
    assert wrong.exit_code == 1
    assert "order-shipped.de.html: error: body, line 1: 'nmae' is undefined" in wrong.stdout
    refused = operator("template", "publish", there)
    assert (refused.exit_code, "nothing is published" in refused.stderr) == (1, True)
    (folder / "order-shipped.de.txt").write_text("Hallo {{ name }}, deine Bestellung {{ order }}: {{ url }}\n")
    fine = operator("template", "lint", there, "--strict")
    assert (fine.exit_code, fine.stdout) == (0, "")

    english = operator("template", "preview", "order-shipped", "--from", there).stdout
    german = operator("template", "preview", "order-shipped", "--from", there, "--locale", "de-AT").stdout
    assert "subject: Order 17 is on its way\n-- text\nDear Ada, order 17" in english
    assert "subject: Bestellung 17 ist unterwegs\n-- text\nHallo Ada, deine Bestellung 17" in german
    sms = operator("template", "preview", "order-shipped", "--from", there, "--channel", "sms").stdout
    assert "-- part 1 of 1 (gsm7, 46 characters)\nOrder 17 is on its way" in sms
    html = operator("template", "preview", "order-shipped", "--from", there, "--html").stdout
    assert html.startswith("<html><body><h1>Shop</h1><p>Dear Ada,")

    would = operator("template", "publish", there, "--dry-run").stdout
    assert would == "_layout: would publish all\norder-shipped: would publish all, de, sms\n"
    published = operator("template", "publish", there).stdout
    assert published == "_layout version 1: all\norder-shipped version 1: all, de, sms\n"
    assert operator("template", "publish", there).stdout == "_layout: nothing differs\norder-shipped: nothing differs\n"
    assert re.search(r"order-shipped +1 +all, de, sms +\S+ \S+ +grace", operator("template", "list").stdout)

    (folder / "order-shipped.de.txt").write_text("Hi {{ name }}: {{ order }}, {{ url }}\n")
    (folder / "order-shipped.fr.txt").write_text("---\nsubject: Commande\n---\nBonjour {{ name }}\n")
    ahead = operator("template", "diff", "order-shipped", "--from", there)
    assert ahead.exit_code == 1
    assert (
        "-Hallo {{ name }}, deine Bestellung {{ order }}: {{ url }}\n+Hi {{ name }}: {{ order }}, {{ url }}\n"
        in ahead.stdout
    )
    one = operator("template", "publish", str(folder / "order-shipped.de.txt")).stdout
    assert one == "order-shipped version 2: de\n"
    assert operator("template", "publish", there).stdout.endswith("order-shipped version 3: fr\n")
    assert "+Bonjour {{ name }}" in operator("template", "diff", "order-shipped", "1", "3").stdout

    back = operator("template", "rollback", "order-shipped", "--to", "1").stdout
    assert back == "order-shipped version 4: de, fr (withdrawn)\n"
    shown = operator("template", "show", "order-shipped").stdout
    assert "Hallo {{ name }}, deine Bestellung" in shown
    assert "   4  fr" in shown
    data = json.dumps({"order": 17, "name": "Bea", "url": "https://example.com"})
    now = read(operator("template", "preview", "order-shipped", "--data", data, "--locale", "de", "--json"))
    assert now["text"] == "Hallo Bea, deine Bestellung 17: https://example.com"
    id_ = operator_sends(connection, operator, data)
    assert connection.execute(
        "SELECT recipient, template_version, locale FROM noti.notifications_log WHERE notification_id = %s", [id_]
    ).fetchone() == ("me@example.com", 2, "de")


def operator_sends(connection: Connection, operator: Invoke, data: str) -> int:
    """By a role that may send: an operator may not."""
    connection.execute("GRANT noti_app TO noti_operator_member")
    try:
        sent = operator(
            *("template", "test", "order-shipped", "--to", "me@example.com", "--data", data),
            *("--locale", "de", "--version", "2"),
        )
    finally:  # roles are of the whole server, and other tests ask as this one
        connection.execute("REVOKE noti_app FROM noti_operator_member")
    assert sent.exit_code == 0, sent.stderr
    return int(sent.stdout)


def test_what_is_wrong_is_told(bare: Invoke, tmp_path: Path) -> None:
    long = "x" * 500
    folder = write(
        tmp_path,
        {
            "a.html": "<a href='/orders'>a</a><a href='javascript:go()'>b</a><img src='http://example.com/i.png'>",
            "a.txt": "---\nsubject: Hi {{ who }}\n---\n{{ name }}{% if more is defined %}{{ more }}{% endif %}",
            "a.json": '{"name": "x", "who": "y", "spare": 1}',
            "news.html": "---\nsubject: News\ncategory: newsletter\n---\n"
            "{% for i in range(1000) %}<p>" + "y" * 150 + "</p>{% endfor %}",
            "sms.sms.txt": long,
            "unknown.txt": "{{ what }} {{ order.id }}",
            "gone.txt": "---\nsubject: x\n---\n{% include 'foot' %}",
            "circle.txt": "{% include 'circle' %}",
            "poison.txt": "{{ 9 ** 9 }}",
            "mail/offer.txt": "---\nsubject: two\n---\n{% include 'mail/_foot' %}",
            "mail/_foot.txt": "bye",
        },
    )
    found = lint(bare, folder)
    expected = {
        ("a", "error", "href='/orders': a mail is nowhere that a link could begin from: write https://…"),
        ("a", "error", "href='javascript:go()': mail programs run no script"),
        ("a", "warning", "src='http://example.com/i.png': it is not https"),
        ("a", "warning", "more is not in the data"),
        ("a", "warning", "spare is in the data and not used"),
        ("news", "error", "people may leave newsletter, and it has no {{ unsubscribe_url }}"),
        ("news", "warning", "it has no .txt: mails get a text made from the HTML, other channels nothing"),
        ("news", "warning", "its HTML has 153 kB: Gmail clips mails of more than 102 kB"),
        ("sms sms", "warning", "an SMS of 4 parts (gsm7), each is paid for"),
        ("unknown", "warning", "there is no unknown.json with data to try it with: it asks for order, what"),
        ("gone", "error", "body, line 1: there is no template 'foot', or it stands behind too many others"),
        ("circle", "error", "body, templates name each other in a circle: circle, circle"),
        ("poison", "error", "body, line 1: ** is not available"),
    }
    assert set(found) == expected
    assert bare("template", "lint", str(folder)).exit_code == 1
    one = bare("template", "lint", str(folder / "unknown.txt"))
    assert (one.exit_code, one.stderr) == (0, "1 texts checked, 1 faults found\n")
    assert bare("template", "lint", str(folder / "unknown.txt"), "--strict").exit_code == 1
    assert lint(bare, folder / "unknown.txt", "--data", '{"what": 1, "order": {}}') == [
        ("unknown", "error", "body, line 1: 'dict object' has no attribute 'id'")
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("order-shipped.html", ("order-shipped", "", "")),
        ("order-shipped.pt-BR.txt", ("order-shipped", "", "pt-BR")),
        ("order-shipped.sms.pt_br.txt", ("order-shipped", "sms", "pt-BR")),
        ("order-shipped.de.push.txt", ("order-shipped", "push", "de")),
        ("mail/layout.mjml", ("mail/layout", "", "")),
        ("v1.2.html", ("v1.2", "", "")),
    ],
)
def test_the_name_of_a_file_says_what_it_is(name: str, key: tuple[str, str, str], tmp_path: Path) -> None:
    assert key_of(tmp_path / name, tmp_path) == key


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": "---\nsubjcet: x\n---\n"}, "'subjcet: x' is no heading"),
        ({"a.txt": "---\nsubject: x\n---\n", "a.html": "---\nsubject: y\n---\n"}, "its subject is not that of"),
        ({"a.mjml": "<mjml></mjml>", "a.html": "x"}, "has this part already"),
        ({"a.json": "{", "a.txt": "x"}, "this is not JSON"),
        ({"a.html": "---\ncss: outside\n---\nx"}, "css is inline"),
        ({"a.html": "---\ncss: inline\n---\n<p {% if a %}id=x{% endif %}>"}, "{% if a %} stands between attributes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(bare: Invoke, tmp_path: Path, files: dict[str, str], said: str) -> None:
    result = bare("template", "lint", str(write(tmp_path, files)))
    assert result.exit_code == 1
    assert said in result.stderr


def test_mjml_and_styles_become_what_mail_programs_read(bare: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("mjml")
    pytest.importorskip("css_inline")
    folder = write(
        tmp_path,
        {
            "m.mjml": "---\nsubject: Hi\n---\n"
            "<mjml><mj-head><mj-title>{% if a > 1 %}{{ b }}{% endif %}</mj-title></mj-head><mj-body><mj-section>"
            "<mj-column>{% for c in items %}<mj-text>{{ c | upper }} & {{ a > 1 }}</mj-text>{% endfor %}"
            '<mj-button href="{{ url }}">Go</mj-button></mj-column></mj-section></mj-body></mjml>',
            "i.html": "---\nsubject: Hi\ncss: inline\n---\n<style>td { color: red } .b { color: blue }</style>"
            '<table>{% for c in items %}'
            '<tr class="{% if a > 1 %}b{% endif %}"><td class="{{ b }}">{{ c if a > 1 }}</td>'
            '</tr>{% endfor %}</table><a href="{{ url }}?a=1&amp;b={{ a }}">x</a>',
            "m.json": '{"a": 2, "b": "B", "items": ["x", "y"], "url": "https://example.com/"}',
            "i.json": '{"a": 2, "b": "B", "items": ["x", "y"], "url": "https://example.com/"}',
        },
    )  # fmt: skip
    made = bare("template", "preview", "m", "--from", str(folder), "--html").stdout
    assert "<title>B</title>" in made
    assert re.findall(r">([XY]) (?:&amp;|&) True<", made) == ["X", "Y"]
    assert 'href="https://example.com/"' in made
    assert "<mj-" not in made
    html = bare("template", "preview", "i", "--from", str(folder), "--html").stdout
    assert len(re.findall(r'<tr class="b"[^>]*><td class="B" style="color: ?red;?">[xy]</td></tr>', html)) == 2
    assert 'href="https://example.com/?a=1&amp;b=2"' in html
    assert "<style" not in html


def test_lint_and_preview_write_numbers_and_dates_as_delivery_does(bare: Invoke, tmp_path: Path) -> None:
    body = "{{ n | plural(one='{} cup', other='{} cups') }}, {{ total | money('EUR') }}, {{ at | datetime('long') }}"
    files = {
        "cups.txt": f"---\nsubject: Cups\n---\n{body}",
        "cups.ar.html": f'---\nsubject: Cups\n---\n<p dir="{{{{ direction }}}}">{body}</p>',
        "cups.json": '{"n": 3, "total": 1234.5, "at": "2026-07-01T22:30:00Z"}',
        "wrong.txt": "---\nsubject: x\n---\n{{ at | date }} {{ n | money(code) }}{{ n | money('Euro') }}",
        "wrong.json": '{"n": 3, "at": "Monday", "code": "EUR"}',
        "unknown.txt": "---\nsubject: x\n---\n{{ at | date }} {{ n | money(code) }}",
    }
    folder = write(tmp_path, files)
    assert lint(bare, folder) == [
        ("cups ar", "warning", "a plural lacks few and many and two and zero, which ar has: other stands in for it"),
        ("cups ar", "warning", "it has no .txt: mails get a text made from the HTML, other channels nothing"),
        ("unknown", "warning", "there is no unknown.json with data to try it with: it asks for at, code, n"),
        (
            "wrong",
            "error",
            "body, line 1: date() is for dates: write 2026-11-30 or 2026-11-30T10:00:00Z, as JSON has them",
        ),
    ]
    preview = ("template", "preview", "cups", "--from", str(folder))
    assert bare(*preview, "--locale", "de", "--zone", "Europe/Berlin").stdout.splitlines()[-1] == (
        "3 cups, 1.234,50\xa0€, 2. Juli 2026, 00:30"
    )
    assert bare(*preview, "--locale", "en-US").stdout.splitlines()[-1] == (
        "3 cups, €1,234.50, July 1, 2026, 10:30\u202fPM"
    )
    assert bare(*preview, "--locale", "ar-EG", "--html").stdout == (
        '<p dir="rtl">٣ cups, \u200f١٬٢٣٤٫٥٠\xa0€, ١ يوليو ٢٠٢٦، ١٠:٣٠ م</p>\n'
    )
    lost = bare(*preview, "--zone", "Europe/Berlni")
    assert lost.exit_code != 0
    assert "datetime() knows no such time zone" in lost.stderr


def test_a_preview_for_a_browser_runs_nothing(bare: Invoke, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    data = json.dumps({"order": 17, "name": '"><script>alert(1)</script>', "url": "https://example.com"})
    arguments = ("preview", "order-shipped", "--from", str(folder), "--data", data, "--out", str(out))
    assert bare("template", *arguments).stdout == f"{out}\n"
    page = out.read_text(encoding="utf-8")
    assert "<script>" not in page
    assert page.count("<iframe sandbox") == 2
    assert "Order 17 is on its way" in page


def test_what_is_not_there_is_said(noti: Invoke) -> None:
    for command in ("show", "preview", "rollback", "diff"):
        result = noti("template", command, "nothing")
        assert result.exit_code == 1, command
        assert "there is no template 'nothing' of tenant 'default'" in result.stderr
    assert noti("template", "list").stderr == "no template is published\n"
