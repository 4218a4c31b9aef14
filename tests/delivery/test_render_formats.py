"""Numbers, money, dates and plurals of templates in eight languages, in the real child, which can open no file."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noti_worker.delivery import render_locales, render_process
from noti_worker.delivery.render import Renderer
from noti_worker.delivery.render_locales import locale_of, plural_categories, zones
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.language import in_words
from noti_worker.domain.notification import Template
from tests.delivery.fakes import Witness

NB, NNB = "\xa0", "\u202f"  # no-break space, narrow no-break space
RLM = "\u200f"
MILLION = f"1{NNB}234{NNB}567"
DATA: dict[str, Any] = {
    "total": 1234567.50,
    "small": 0.125,
    "share": 0.256,
    "minus": -1234.5,
    "nil": None,
    "text": "99.90",
    "no": True,
    "code": "EUR",
    "winter": "2026-11-30T10:05:00Z",
    "summer": "2026-07-01T10:05:00+00:00",
    "night": "2026-12-31T23:30:00Z",
    "wall": "2026-11-30 10:05:00",
    "day": "2026-11-30",
    "early": "0001-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    renderer = Renderer(Witness())
    yield renderer
    renderer.close()


def filled(
    renderer: Renderer,
    body: str,
    language: str | None = "en",
    zone: str | None = "Europe/Berlin",
    channel: str = "email",
    data: Any = DATA,
) -> str | None:
    about = {"channel": channel} | in_words(language, zone)
    return renderer.render(Template("t", body=body), json.dumps(data), about, "default").text


BERLIN, NEW_YORK, TOKYO, KOLKATA, RIO = (
    *("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "America/Sao_Paulo"),
)


@pytest.mark.parametrize(
    ("language", "zone", "expression", "expected"),
    [
        ("en", BERLIN, "total | number", "1,234,567.5"),
        ("en", BERLIN, "total | number(2)", "1,234,567.50"),
        ("en", BERLIN, "small | number(2)", "0.13"),  # half away from zero, as everywhere here
        ("en", BERLIN, "total | money('USD')", "$1,234,567.50"),
        ("en", BERLIN, "-0.004 | money('EUR')", "€0.00"),  # no "-€0.00"
        ("en", BERLIN, "total | money('CHF')", f"CHF{NB}1,234,567.50"),  # letters do not touch digits
        ("en", BERLIN, "minus | money(code)", "-€1,234.50"),
        ("en", BERLIN, "text | money('USD')", "$99.90"),
        ("en", BERLIN, "share | percent", "26%"),
        ("en", BERLIN, "share | percent(1)", "25.6%"),
        ("en", NEW_YORK, "winter | date", "Nov 30, 2026"),
        ("en", NEW_YORK, "winter | datetime", f"Nov 30, 2026, 5:05{NNB}AM"),
        ("en", NEW_YORK, "summer | time", f"6:05{NNB}AM"),
        ("en-GB", "Europe/London", "summer | datetime('long')", "1 July 2026, 11:05"),
        ("de", BERLIN, "total | number", "1.234.567,5"),
        ("de", BERLIN, "total | money('EUR')", f"1.234.567,50{NB}€"),
        ("de", BERLIN, "total | money('EUR', 0)", f"1.234.568{NB}€"),
        ("de", BERLIN, "share | percent", f"26{NB}%"),
        ("de", BERLIN, "day | date('full')", "Montag, 30. November 2026"),
        ("de", BERLIN, "winter | datetime('long')", "30. November 2026, 11:05"),  # CET
        ("de", BERLIN, "summer | datetime('long')", "1. Juli 2026, 12:05"),  # CEST
        ("de", BERLIN, "night | date", "01.01.2027"),
        ("de", "UTC", "night | date", "31.12.2026"),
        ("de", "europe/berlin", "night | time('long')", "00:30:00 MEZ"),  # as PostgreSQL takes it
        ("de", BERLIN, "night | date(zone='America/New_York')", "31.12.2026"),
        ("de", BERLIN, "'2026-10-25T00:30:00Z' | time('long')", "02:30:00 MESZ"),  # the hour that comes twice
        ("de", BERLIN, "'2026-10-25T01:30:00Z' | time('long')", "02:30:00 MEZ"),
        ("de", BERLIN, "'2026-03-29T00:59:59Z' | time('medium')", "01:59:59"),  # the hour that there is not
        ("de", BERLIN, "'2026-03-29T01:00:00Z' | time('medium')", "03:00:00"),
        ("de", BERLIN, "wall | datetime('short', time='long')", "30.11.26, 10:05:00 MEZ"),
        ("de-CH", "Europe/Zurich", "total | number(2)", "1’234’567.50"),
        ("de-AT", "Europe/Vienna", "day | date('long')", "30. November 2026"),
        ("de-XX", BERLIN, "total | number", "1.234.567,5"),  # no such country: German
        ("fr", "Europe/Paris", "total | number(2)", f"1{NNB}234{NNB}567,50"),
        ("fr", "Europe/Paris", "total | money('EUR')", f"1{NNB}234{NNB}567,50{NB}€"),
        ("fr", "Europe/Paris", "share | percent(1)", f"25,6{NB}%"),
        ("fr", "Europe/Paris", "winter | datetime('full')", "lundi 30 novembre 2026, 11:05"),
        ("es", "Europe/Madrid", "total | money('EUR')", f"1.234.567,50{NB}€"),
        ("es", "Europe/Madrid", "day | date('long')", "30 de noviembre de 2026"),
        ("es-MX", "America/Mexico_City", "total | money('MXN')", "$1,234,567.50"),
        ("pt-BR", RIO, "total | money('BRL')", "R$\xa01.234.567,50"),
        ("pt-BR", RIO, "minus | money('BRL')", "-R$\xa01.234,50"),
        ("pt-BR", RIO, "winter | datetime('full')", "segunda-feira, 30 de novembro de 2026 07:05"),
        ("pt_br", RIO, "day | date", "30 de nov. de 2026"),
        ("ar", "Asia/Riyadh", "total | number", "1,234,567.5"),
        ("ar-EG", "Africa/Cairo", "total | number(2)", "١٬٢٣٤٬٥٦٧٫٥٠"),
        ("ar-EG", "Africa/Cairo", "total | money('EGP')", f"{RLM}١٬٢٣٤٬٥٦٧٫٥٠{NB}ج.م.{RLM}"),
        ("ar-EG", "Africa/Cairo", "share | percent", "٢٦٪\u061c"),
        ("ar-EG", "Africa/Cairo", "winter | datetime('long')", "٣٠ نوفمبر ٢٠٢٦، ١٢:٠٥ م"),
        ("ar", "Asia/Riyadh", "day | date('full')", "الاثنين، 30 نوفمبر 2026"),
        ("hi", KOLKATA, "total | number", "12,34,567.5"),
        ("hi", KOLKATA, "total | money('INR')", "₹12,34,567.50"),
        ("hi", KOLKATA, "winter | datetime('full')", "सोमवार, 30 नवंबर 2026, 3:35 pm"),
        ("ja", TOKYO, "total | money('JPY')", "￥1,234,568"),
        ("ja", TOKYO, "winter | date('full')", "2026年11月30日月曜日"),
        ("ja", TOKYO, "night | datetime('long')", "2027年1月1日 8:30"),
        ("fa", "Asia/Tehran", "total | number", "۱٬۲۳۴٬۵۶۷٫۵"),
        ("zh-TW", "Asia/Taipei", "day | date('long')", "2026年11月30日"),
        (None, None, "total | money('EUR')", "€1,234,567.50"),  # nobody said a language: English, in UTC
        (None, None, "winter | time", f"10:05{NNB}AM"),
        (None, None, "total | number", "1234567.5"),  # and nobody reads a number that way
        ("de", BERLIN, "[total, small] | map('money', 'EUR') | join(' + ')", f"1.234.567,50{NB}€ + 0,13{NB}€"),
        ("de", BERLIN, "(nil | money('EUR')) ~ (nil | date) ~ (nil | percent) ~ (nil | plural(other='x'))", ""),
    ],
)  # fmt: skip
def test_the_language_and_the_zone_say_how_it_is_written(
    renderer: Renderer, language: str | None, zone: str | None, expression: str, expected: str
) -> None:
    assert filled(renderer, f"{{{{ {expression} }}}}", language, zone) == expected


ITEMS = {
    "en": {"one": "{} item", "other": "{} items"},
    "de": {"one": "{} Artikel", "other": "{} Artikel", "zero": "kein Artikel"},
    "fr": {"one": "{} article", "other": "{} articles"},
    "es": {"one": "{} taza", "other": "{} tazas"},
    "pt-BR": {"one": "{} item", "other": "{} itens"},
    "ar": {"zero": "لا عناصر", "one": "عنصر واحد", "two": "عنصران", "few": "{} عناصر", "many": "{} عنصرًا",
           "other": "{} عنصر"},
    "hi": {"one": "{} वस्तु", "other": "{} वस्तुएँ"},
    "ja": {"other": "{}点"},
    "ru": {"one": "{} товар", "few": "{} товара", "many": "{} товаров", "other": "{} товара"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "0 items/1 item/2 items/3 items/11 items/100 items/1,234,567 items/1.5 items"),
        ("de", "kein Artikel/1 Artikel/2 Artikel/3 Artikel/11 Artikel/100 Artikel/1.234.567 Artikel/1,5 Artikel"),
        ("fr", f"0 article/1 article/2 articles/3 articles/11 articles/100 articles/{MILLION} articles/1,5 article"),
        ("es", "0 tazas/1 taza/2 tazas/3 tazas/11 tazas/100 tazas/1.234.567 tazas/1,5 tazas"),
        ("pt-BR", "0 item/1 item/2 itens/3 itens/11 itens/100 itens/1.234.567 itens/1,5 item"),
        ("ar", "لا عناصر/عنصر واحد/عنصران/3 عناصر/11 عنصرًا/100 عنصر/1,234,567 عنصرًا/1.5 عنصر"),
        ("hi", "0 वस्तु/1 वस्तु/2 वस्तुएँ/3 वस्तुएँ/11 वस्तुएँ/100 वस्तुएँ/12,34,567 वस्तुएँ/1.5 वस्तुएँ"),
        ("ja", "0点/1点/2点/3点/11点/100点/1,234,567点/1.5点"),
        ("ru", f"0 товаров/1 товар/2 товара/3 товара/11 товаров/100 товаров/1{NB}234{NB}567 товаров/1,5 товара"),
    ],
)  # fmt: skip
def test_each_number_has_the_form_that_its_language_gives_it(renderer: Renderer, language: str, expected: str) -> None:
    data = {"numbers": [0, 1, 2, 3, 11, 100, 1234567, 1.5]}
    forms = ", ".join(f"{name}={text!r}" for name, text in ITEMS[language].items())
    body = f"{{% for n in numbers %}}{{{{ '/' if not loop.first }}}}{{{{ n | plural({forms}) }}}}{{% endfor %}}"
    assert filled(renderer, body, language, data=data) == expected


def test_the_forms_of_these_tests_are_complete() -> None:
    for language, forms in ITEMS.items():
        assert plural_categories(language) - forms.keys() == set(), language


def test_direction_is_a_name_of_its_own_that_data_may_take(renderer: Renderer) -> None:
    body = "{{ direction }} {{ notification.direction }} {{ notification.language }} {{ notification.zone }}"
    assert filled(renderer, body, "ar") == "rtl rtl ar Europe/Berlin"
    assert filled(renderer, body, None, None) == "ltr ltr  UTC"
    assert filled(renderer, body, "he", data={"direction": "north"}) == "north rtl he Europe/Berlin"


def test_channels_for_machines_and_by_the_character_get_what_they_can_use(renderer: Renderer) -> None:
    body = "{{ total | number(2) }}|{{ total | money('EUR') }}"
    assert filled(renderer, body, "fr", channel="webhook") == f"1234567.50|1{NNB}234{NNB}567,50{NB}€"
    assert filled(renderer, body, "fr", channel="sms") == "1 234 567,50|1 234 567,50 €"


def test_what_is_written_is_escaped_in_html(renderer: Renderer) -> None:
    html = "{{ 2 | plural(other='<{}>') }}{{ 2 | plural(other='<b>{}</b>' | safe) }}"
    about = in_words("de", None)
    assert renderer.render(Template("t", html=html), None, about, "default").html == "&lt;2&gt;<b>2</b>"


def test_the_documentation_shows_what_comes_out(renderer: Renderer) -> None:
    page = (Path(render_process.__file__).parents[1] / "docs" / "templates.md").read_text(encoding="utf-8")
    data = {"total": 1234567.5, "share": 0.256, "days": 3, "day": "2026-11-30", "at": "2026-11-30T14:05:00Z"}
    assert f"`{json.dumps(data)}`" in page
    lines = re.findall(r"^(\{\{ .+ \}\})  +(.+?)  +(.+?)  +(.+)$", page, re.MULTILINE)
    assert len(lines) == 10
    for body, *shown in lines:
        texts = [filled(renderer, body, language, "UTC", data=data) or "" for language in ("en", "de", "hi")]
        assert [text.replace(NB, " ").replace(NNB, " ") for text in texts] == shown, body


@pytest.mark.parametrize(
    ("body", "language", "said"),
    [
        ("{{ total | money }}", "de", r"money\(\) does not take these arguments: write money\('EUR'\)"),
        ("\n{{ total | money('Euro') }}", "de", r"body, line 2: money\(\) is for a currency of ISO 4217: write three"),
        ("{{ total | money(5) }}", "de", "is for a currency"),
        ("{{ total | money('EUR', 101) }}", "de", r"money\(\) takes a number of places up to 100"),
        ("{{ 'much' | money('EUR') }}", "de", r"money\(\) is for numbers only"),
        ("{{ no | percent }}", "de", r"percent\(\) is for numbers only"),
        ("{{ nope | money('EUR') }}", "de", "'nope' is undefined"),
        ("{{ total | money(nope) }}", "de", "'nope' is undefined"),
        ("{{ 'Monday' | date }}", "de", r"date\(\) is for dates: write 2026-11-30 or 2026-11-30T10:00:00Z"),
        ("{{ '2026-02-30' | date }}", "de", r"date\(\) is for dates"),
        ("{{ 5 | date }}", "de", r"date\(\) is for dates"),
        ("{{ early | date(zone='America/New_York') }}", "de", r"date\(\) is for dates"),
        ("{{ day | time }}", "de", r"time\(\) needs a time of day, and the date has none"),
        ("{{ day | datetime }}", "de", r"datetime\(\) needs a time of day"),
        ("{{ day | date('tiny') }}", "de", r"date\(\) knows the styles short, medium, long and full"),
        ("{{ day | date(['long']) }}", "de", r"date\(\) knows the styles"),
        ("{{ day | date(zone='Mars/Olympus') }}", "de", r"date\(\) knows no such time zone: write one like Europe/Ber"),
        ("{{ day | date(zone='../../etc/passwd') }}", "de", "no such time zone"),
        ("{{ 1 | plural(one='{}') }}", "de", r"plural\(\) does not take these arguments: write plural\(one="),
        ("{{ 1 | plural(other='{}', some='{}') }}", "de", "does not take these arguments"),
        ("{{ 1 | plural(other='{}' ~ '{}' ~ '{} {} {} {} {} {} {}') }}", "de", "at most 8 times"),
        ("{{ total | number }}", "xx", r"number\(\) knows no language 'xx': say one like de-AT"),
        ("{{ day | date }}", "german", r"date\(\) knows no language 'german'"),
    ],
)  # fmt: skip
def test_what_is_wrong_fails_its_own_row_in_the_templates_terms(
    renderer: Renderer, body: str, language: str, said: str
) -> None:
    with pytest.raises(BadNotification, match=said) as bad:
        filled(renderer, body, language)
    assert "passwd" not in str(bad.value)
    assert filled(renderer, "{{ total | number }}", "de") == "1.234.567,5"


def test_an_unknown_zone_or_language_of_the_row_harms_only_who_writes_by_it(renderer: Renderer) -> None:
    assert filled(renderer, "{{ day }} {{ total }} date", "xx", "Mars/Olympus") == "2026-11-30 1234567.5 date"
    with pytest.raises(BadNotification, match="no such time zone"):
        filled(renderer, "{{ winter | date }}", "de", "Mars/Olympus")


def test_a_process_keeps_some_languages_and_learns_others_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_process, "MOST_KNOWN", 2)
    renderer = Renderer(Witness())
    languages = ("de", "fr", "hi", "xx", "de", "hi", "ja", "de")
    found = []
    for language in languages:
        try:
            found.append(filled(renderer, "{{ total | number }}", language))
        except BadNotification:
            found.append(None)
    assert renderer._quick._child is not None
    assert renderer._quick._child._process.poll() is None
    renderer.close()
    german, hindi = "1.234.567,5", "12,34,567.5"
    french = f"1{NNB}234{NNB}567,5"
    assert found == [german, french, hindi, None, german, hindi, "1,234,567.5", german]


def test_twenty_languages_fit_into_one_process(renderer: Renderer) -> None:
    filled(renderer, "x")
    assert renderer._quick._child is not None
    pid = renderer._quick._child._process.pid
    for language in [
        "ar",
        "bn",
        "cs",
        "da",
        "el",
        "fa",
        "fi",
        "he",
        "hu",
        "id",
        "it",
        "ko",
        "nl",
        "no",
        "pl",
        "ru",
        "sv",
        "th",
        "tr",
        "uk",
        "vi",
        "zh",
    ]:
        assert filled(renderer, "{{ winter | datetime('full', time='full') }}", language)
    assert renderer._quick._child._process.pid == pid


def test_without_babel_the_filters_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "import sys; sys.modules['babel'] = None; "
    monkeypatch.setattr(render_process, "_BOOT", hidden + render_process._BOOT)
    for name in ("babel", "babel.core"):
        monkeypatch.setitem(sys.modules, name, None)
    locale_of.cache_clear()
    renderer = Renderer(Witness())
    try:
        for filter_ in ("money('EUR')", "percent", "plural(other='{}')"):
            with pytest.raises(
                BadNotification, match=r"needs Babel: pip install 'noti-worker\[formats\]' where workers"
            ):
                filled(renderer, f"{{{{ total | {filter_} }}}}", "de")
        assert filled(renderer, "{{ total | number(2) }} {{ direction }}", "ar") == "1234567.50 rtl"
    finally:
        renderer.close()
        locale_of.cache_clear()


def test_every_zone_can_be_read_with_or_without_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for name, _ in zones().values()}
    assert {BERLIN, "UTC", "Asia/Kathmandu", "Australia/Lord_Howe"} <= names
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    content = render_locales._zone(BERLIN)
    assert content is not None
    assert content.startswith(b"TZif")
