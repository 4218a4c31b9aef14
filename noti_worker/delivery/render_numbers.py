"""Numbers of templates: decimals as people write them, from the data to the page, and JSON that keeps their digits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from jinja2.exceptions import SecurityError

LONGEST_NUMBER = 4300
"""Digits, as Python has it for integers: a longer one takes a time that grows by its square."""

MOST_PLACES = 100
ARITHMETIC = Context(prec=34, Emax=2 * LONGEST_NUMBER, Emin=-2 * LONGEST_NUMBER)
"""For sums and products: 34 digits, and an error where a number would grow without end."""

EXACT = Context(prec=8 * LONGEST_NUMBER)
_DEEPEST_INDENT = 16
_ROUNDING = {"common": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}


class Number(Decimal):
    """A decimal that is written without an exponent, in a list too."""

    __slots__ = ()

    def __str__(self) -> str:
        return format(self, "f")

    __repr__ = __str__


def read_number(text: str) -> Number:
    """A number with a fraction or an exponent, as JSON has it; raises ValueError when it is too long."""
    number = Number(text)
    if len(text) > LONGEST_NUMBER or abs(number.adjusted()) > LONGEST_NUMBER:
        raise ValueError
    return number


def no_constant(name: str) -> Number:
    """For NaN and Infinity, which JSON does not know."""
    raise ValueError(name)


def divided(left: Any, right: Any) -> Any:
    """`left / right`, exact where it can be: no binary fractions."""
    if right == 0:
        raise ZeroDivisionError
    return Number(left) / right


def as_decimal(value: Any, default: Any = 0) -> Any:
    """The filter `float`: the number that a text spells, `default` when it spells none."""
    if isinstance(value, Decimal):
        return value
    try:
        number = Number(value)
    except (InvalidOperation, TypeError, ValueError):
        return default
    return number if number.is_finite() and abs(number.adjusted()) <= LONGEST_NUMBER else default


def rounded(value: Any, precision: int = 0, method: str = "common") -> Any:
    """The filter `round`: half away from zero, `ceil` or `floor`; a number with fewer places stays as it is."""
    if method not in _ROUNDING:
        raise SecurityError("round() knows common, ceil and floor")
    places = places_of(precision, "round()")
    if isinstance(value, int) and places >= 0:
        return value
    number = Number(value)
    exponent = Decimal(1).scaleb(-places)
    if number.is_zero() or number == number.quantize(exponent, ROUND_FLOOR, EXACT):
        return number
    return Number(number.quantize(exponent, _ROUNDING[method], EXACT))


def with_places(value: Any, places: int | None = None) -> str:
    """The filter `number`: `1234.5|number(2)` is 1234.50, rounded half away from zero; null is empty."""
    if value is None:
        return ""
    number = as_decimal(value, None)
    if number is None:
        raise SecurityError("number() is for numbers only")
    if places is None:
        return str(Number(number))
    exponent = Decimal(1).scaleb(-places_of(places, "number()"))
    return str(Number(number.quantize(exponent, ROUND_HALF_UP, EXACT)))


def places_of(given: Any, what: str) -> int:
    """The places that `what` was given, if it was; raises SecurityError."""
    if not isinstance(given, int) or abs(given) > MOST_PLACES:
        raise SecurityError(f"{what} takes a number of places up to {MOST_PLACES}")
    return given


def json_text(value: Any, *, sort_keys: bool = True, indent: int | None = None) -> str:
    """JSON with every digit of the numbers; raises TypeError for what JSON does not know."""
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= _DEEPEST_INDENT):
        raise SecurityError(f"tojson() indents by at most {_DEEPEST_INDENT}")
    try:
        return json.dumps(value, sort_keys=sort_keys, indent=indent, allow_nan=False)
    except TypeError:  # a decimal, most likely, which it does not know
        return "".join(_json(value, indent, 0))


def _json(value: Any, indent: int | None, level: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        items: Sequence[tuple[str, Any]] = sorted((_key(name), one) for name, one in value.items())
        members = [(f"{json.dumps(name)}: ", one) for name, one in items]
        brackets = "{}"
    elif isinstance(value, list | tuple):
        members = [("", one) for one in value]
        brackets = "[]"
    else:
        yield str(Number(value)) if isinstance(value, Decimal) else json.dumps(value, allow_nan=False)
        return
    inner = "" if indent is None else "\n" + " " * (indent * (level + 1))
    yield brackets[0]
    for position, (lead, one) in enumerate(members):
        if position:
            yield ", " if indent is None else ","
        yield inner + lead
        yield from _json(one, indent, level + 1)
    if members and indent is not None:
        yield "\n" + " " * (indent * level)
    yield brackets[1]


def _key(name: Any) -> str:
    return name if isinstance(name, str) else "".join(_json(name, None, 0))
