"""Numbers, money, dates and plurals of templates as people write them, by the message's language and zone.

Babel knows how, where it is installed. No file can be opened when these filters run: the parent has sent the language
and the zones with the request (`render_locales.py`), and `learn` has put them here.
"""

import pickle
import re
from collections.abc import Callable, Mapping
from copy import copy
from datetime import date as Date  # noqa: N812 - the filters have the short names
from datetime import datetime as Moment  # noqa: N812
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import wraps
from io import BytesIO
from typing import Any
from unicodedata import category
from zoneinfo import ZoneInfo

from jinja2 import Undefined
from jinja2.exceptions import SecurityError

from noti_worker.delivery.render_numbers import EXACT, as_decimal, places_of, with_places

try:
    from babel import core, dates, localedata, numbers

    KNOWN = True
except Exception:  # noqa: BLE001 - no Babel, or one that this machine cannot load: templates may need none
    KNOWN = False

EXTRA = "pip install 'noti-worker[formats]'"
STYLES = ("short", "medium", "long", "full")
CATEGORIES = ("zero", "one", "two", "few", "many", "other")
MOST_COUNTS = 8
"""How often `{}` may stand in one form of a plural."""

_MACHINE = "webhook"
_PLAIN_SPACES = str.maketrans("\xa0\u202f", "  ")
_BY_PARTS = frozenset({"sms", "voice"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LONGEST_MOMENT = 40
_MOST_PATTERNS = 1000
_DIGITS = "0123456789"
_ZEROS = {
    "adlm": 0x1E950, "arab": 0x660, "arabext": 0x6F0, "beng": 0x9E6, "cakm": 0x11136, "deva": 0x966, "gujr": 0xAE6,
    "guru": 0xA66, "khmr": 0x17E0, "laoo": 0xED0, "mtei": 0xABF0, "mymr": 0x1040, "nkoo": 0x7C0, "olck": 0x1C50,
    "tibt": 0xF20,
}  # fmt: skip

Piece = tuple[int, tuple[Any, ...] | None, bytes, Mapping[str, tuple[str, bytes]] | None]
"""A language by its number; where they are new, the parts of its name (() for one that there is not) and its data;
the zones, once."""


class _Told:
    """What the parent said, and which message is being filled in."""

    def __init__(self) -> None:
        self.locales: dict[int, Any] = {}
        self.data: dict[str, Any] = {}
        self.zones: Mapping[str, tuple[str, bytes]] = {}
        self.opened: dict[str, ZoneInfo] = {}
        self.patterns: dict[tuple[int, int, str | None], Any] = {}  # of numbers; the languages keep the ids alive
        self.locale: Any = None
        self.about: Mapping[str, Any] = {}


_TOLD = _Told()


def prepare() -> None:
    """Load what Babel would load late, and let it ask for files no more; before files can be opened no more."""
    if KNOWN:
        core.get_global("all_currencies")
        # Babel's own look for files.
        localedata.load = lambda name, merge_inherited=True: _TOLD.data[str(name)]
        localedata.exists = _TOLD.data.__contains__  # type: ignore[assignment]


def learn(piece: Piece | None) -> None:
    """Keep what the parent sent; number 0 once more means that everything before is forgotten."""
    if piece is None:
        return
    number, parts, data, zones = piece
    if zones is not None:
        _TOLD.zones = zones
    if parts is None or not KNOWN:
        return
    if number == 0:
        _TOLD.locales.clear()
        _TOLD.data.clear()
        _TOLD.patterns.clear()
        localedata.clear_caches()
    if parts:
        content = pickle.loads(data)  # noqa: S301 - from our own parent
        for symbols in content["number_symbols"].values():
            if (
                isinstance(symbols, dict) and symbols.get("group") == "'"
            ):  # the Swiss one, which Babel takes for a quote
                symbols["group"] = "\u2019"
        name = core.get_locale_identifier(parts)
        _TOLD.data[name] = content
        _TOLD.locales[number] = core.Locale(*parts)
    else:
        _TOLD.locales[number] = None


def begin(piece: Piece | None, about: Mapping[str, Any]) -> None:
    """Write the next message for `about`, the variable `notification`."""
    _TOLD.locale = _TOLD.locales.get(piece[0]) if piece is not None else None
    _TOLD.about = about


def _filter(usage: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Make a filter of a function: null is nothing, and what is missing or wrong is told in the template's terms."""

    def filter_of(function: Callable[..., str]) -> Callable[..., str]:
        @wraps(function)
        def filtered(value: Any, *args: Any, **named: Any) -> str:
            for one in (value, *args, *named.values()):
                if isinstance(one, Undefined):
                    str(one)  # raises its own sentence
            if value is None:
                return ""
            try:
                text = function(value, *args, **named)
            except TypeError:
                raise SecurityError(f"{function.__name__}() does not take these arguments: write {usage}") from None
            return text.translate(_PLAIN_SPACES) if _TOLD.about.get("channel") in _BY_PARTS else text

        return filtered

    return filter_of


def _locale(name: str) -> Any:
    if not KNOWN:
        raise SecurityError(f"{name}() needs Babel: {EXTRA} where workers and previews run")
    if _TOLD.locale is None:
        raise SecurityError(f"{name}() knows no language {str(_TOLD.about.get('language'))[:40]!r}: say one like de-AT")
    return _TOLD.locale


# ------------------------------------------------------------------------------ numbers


@_filter("number(), or number(2) for two places")
def number(value: Any, places: int | None = None) -> str:
    """A number with the digits it has, or with so many places."""
    machine = _TOLD.about.get("language") is None or _TOLD.about.get("channel") == _MACHINE
    if machine or not KNOWN:
        return with_places(value, places)
    return _number(value, places)


def _number(value: Any, places: int | None = None) -> str:
    locale = _locale("number")
    given = _amount("number", value)
    if places is None:
        places = max(0, -int(given.as_tuple().exponent))
    else:
        given = _rounded("number", given, places)
    return _written(locale, locale.decimal_formats[None], given, places)


@_filter("money('EUR'), or money('EUR', 0) for whole ones")
def money(value: Any, currency: str, places: int | None = None) -> str:
    """An amount, with the places that its currency has."""
    locale = _locale("money")
    given = _amount("money", value)
    if not isinstance(currency, str) or currency not in core.get_global("all_currencies"):
        raise SecurityError("money() is for a currency of ISO 4217: write three capital letters, like EUR")
    if places is None:
        places = numbers.get_currency_precision(currency)
    pattern = locale.currency_formats["standard"]
    return _written(locale, pattern, _rounded("money", given, places), places, currency)


@_filter("percent(), or percent(1) for one place")
def percent(value: Any, places: int = 0) -> str:
    """A share: 0.25 is 25 %."""
    locale = _locale("percent")
    given = _amount("percent", value).scaleb(2, EXACT)
    given = _rounded("percent", given, places).scaleb(-2, EXACT)
    return _written(locale, locale.percent_formats[None], given, places)


def _amount(name: str, value: Any) -> Decimal:
    given = None if isinstance(value, bool) else as_decimal(value, None)
    if given is None:
        raise SecurityError(f"{name}() is for numbers only")
    return Decimal(given)


def _rounded(name: str, value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places_of(places, f"{name}()")), ROUND_HALF_UP, EXACT)


def _written(locale: Any, pattern: Any, value: Decimal, places: int, currency: str | None = None) -> str:
    value = value.copy_abs() if value.is_zero() else value
    system = locale.default_numbering_system
    with localcontext() as context:
        context.prec = abs(value.adjusted()) + abs(places) + 10  # enough for all its digits: more takes its time
        text = _pattern(locale, pattern, places, currency).apply(value, locale, numbering_system=system)
    if system == "latn":
        return str(text)
    return _native(locale, text).replace("%", locale.number_symbols[system].get("percentSign", "%"))


def _pattern(locale: Any, pattern: Any, places: int, currency: str | None) -> Any:
    """The pattern with these places and the symbol of this currency, which Babel would look up each time."""
    key = (id(pattern), places, currency)
    if key in _TOLD.patterns:
        return _TOLD.patterns[key]
    ours = copy(pattern)
    ours.frac_prec = (max(0, places),) * 2
    if currency is not None:
        symbol = numbers.get_currency_symbol(currency, locale)
        # A currency in letters does not touch the digits (CLDR, currencySpacing): CHF 5, but $5.
        ours.prefix = tuple(_apart(one, symbol) for one in pattern.prefix)
        ours.suffix = tuple(_apart(one[::-1], symbol[::-1])[::-1] for one in pattern.suffix)
    if len(_TOLD.patterns) > _MOST_PATTERNS:
        _TOLD.patterns.clear()
    _TOLD.patterns[key] = ours
    return ours


def _apart(prefix: str, symbol: str) -> str:
    space = "\xa0" if prefix.endswith("¤") and category(symbol[-1])[0] not in "SZ" else ""
    return prefix.replace("¤", symbol) + space


def _native(locale: Any, text: str) -> str:
    """With the digits of the language; Babel writes ASCII's."""
    zero = _ZEROS.get(locale.default_numbering_system)
    if zero is None:
        return str(text)
    return str(text).translate(str.maketrans(_DIGITS, "".join(chr(zero + digit) for digit in range(10))))


# ------------------------------------------------------------------------------ dates


@_filter("date(), date('long'), or date('long', 'Europe/Berlin')")
def date(value: Any, style: str = "medium", zone: str | None = None) -> str:
    """The day of a date."""
    locale = _locale("date")
    given = _moment("date", value, zone)
    return _native(locale, dates.format_date(given, _style("date", style), locale))


@_filter("time(), time('long'), or time('short', 'Europe/Berlin')")
def time(value: Any, style: str = "short", zone: str | None = None) -> str:
    """The time of day of a date."""
    locale = _locale("time")
    return _native(locale, _time(locale, "time", _of_day("time", _moment("time", value, zone)), style))


@_filter("datetime(), datetime('long'), or datetime('long', time='long', zone='Europe/Berlin')")
def datetime(value: Any, style: str = "medium", time: str = "short", zone: str | None = None) -> str:
    """Day and time; `style` is the day's."""
    locale = _locale("datetime")
    given = _of_day("datetime", _moment("datetime", value, zone))
    day = dates.format_date(given, _style("datetime", style), locale)
    together = str(dates.get_datetime_format(_style("datetime", style), locale=locale)).replace("'", "")
    return _native(locale, together.replace("{0}", _time(locale, "datetime", given, time)).replace("{1}", day))


def _time(locale: Any, name: str, given: Moment, style: str) -> str:
    return str(dates.format_time(given, _style(name, style), given.tzinfo, locale))


def _style(name: str, style: Any) -> Any:
    if style not in STYLES:
        raise SecurityError(f"{name}() knows the styles {', '.join(STYLES[:-1])} and {STYLES[-1]}")
    return style


def _moment(name: str, value: Any, zone: str | None) -> Date | Moment:
    """What a text of ISO 8601 says: a day, or a moment by the clock of the zone.

    Without an offset it is that clock's already.
    """
    wrong = f"{name}() is for dates: write 2026-11-30 or 2026-11-30T10:00:00Z, as JSON has them"
    if not isinstance(value, str) or len(value) > _LONGEST_MOMENT:
        raise SecurityError(wrong)
    clock = _zone(name, zone)
    try:
        if _DAY.fullmatch(value):
            return Date.fromisoformat(value)
        given = Moment.fromisoformat(value)
        return given.replace(tzinfo=clock) if given.tzinfo is None else given.astimezone(clock)
    except (ValueError, OverflowError):
        raise SecurityError(wrong) from None


def _of_day(name: str, given: Date | Moment) -> Moment:
    if not isinstance(given, Moment):
        raise SecurityError(f"{name}() needs a time of day, and the date has none: use date, or send the time")
    return given


def _zone(name: str, zone: str | None) -> ZoneInfo:
    asked = zone if zone is not None else _TOLD.about.get("zone") or "UTC"
    found = _TOLD.zones.get(asked.lower()) if isinstance(asked, str) else None
    if found is None:
        raise SecurityError(f"{name}() knows no such time zone: write one like Europe/Berlin")
    key, content = found
    if key not in _TOLD.opened:
        _TOLD.opened[key] = ZoneInfo.from_file(BytesIO(content), key=key)
    return _TOLD.opened[key]


# ------------------------------------------------------------------------------ plurals


@_filter("plural(one='{} item', other='{} items'), with zero, two, few and many where a language has them")
def plural(value: Any, **forms: Any) -> str:
    """The form of `forms` that the language has for a number, which takes the place of `{}`."""
    locale = _locale("plural")
    given = _amount("plural", value)
    if "other" not in forms or not all(name in CATEGORIES and isinstance(text, str) for name, text in forms.items()):
        raise TypeError
    kind = "zero" if given == 0 and "zero" in forms else locale.plural_form(given.copy_abs())
    form = forms.get(kind, forms["other"])
    if form.count("{}") > MOST_COUNTS:
        raise SecurityError(f"plural() writes the number at most {MOST_COUNTS} times")
    text: str = form.replace("{}", _number(value))  # what was safe for HTML stays so
    return text


FORMATS: Mapping[str, Callable[..., str]] = {
    "date": date, "datetime": datetime, "money": money, "number": number, "percent": percent, "plural": plural,
    "time": time,
}  # fmt: skip
