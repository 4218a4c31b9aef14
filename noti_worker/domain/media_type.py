"""Media types (RFC 9110 section 8.3.1, RFC 2045 section 5.1): `type/subtype; name=value; name="value"`."""

import re
from dataclasses import dataclass, field

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.line import one_line

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}"
_TYPE = re.compile(rf"\s*(?P<type>{_WORD})/(?P<subtype>{_WORD})\s*")
_PARAMETER = re.compile(rf'\s*;\s*(?:(?P<name>{_WORD})=(?:(?P<token>{_WORD})|"(?P<quoted>(?:[^"\\]|\\.)*)")\s*)?')
_ONE_WORD = re.compile(_WORD)


@dataclass(frozen=True, slots=True)
class MediaType:
    """`name` is type/subtype in lower case; the names of `parameters` are in lower case, too."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join([self.name, *(f"{name}={_quoted(value)}" for name, value in self.parameters.items())])


def read_media_type(text: object, where: str) -> MediaType:
    """Read a media type with its parameters; `where` names the field. Raises BadNotification."""
    line = one_line(text, where)
    head = _TYPE.match(line)
    if head is None:
        raise _no_type(where)
    parameters: dict[str, str] = {}
    at = head.end()
    while at < len(line):
        found = _PARAMETER.match(line, at)
        if found is None:
            raise _no_type(where)
        at = found.end()
        if found["name"] is None:
            continue  # a semicolon too many
        name = found["name"].lower()
        if name in parameters:
            raise BadNotification(f"{where} gives the parameter {name} twice: leave one out")
        quoted = found["quoted"]
        parameters[name] = found["token"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return MediaType(f"{head['type']}/{head['subtype']}".lower(), parameters)


def _no_type(where: str) -> BadNotification:
    return BadNotification(
        f"{where} is no media type: write for example application/json, or text/plain; charset=utf-8"
    )


def _quoted(value: str) -> str:
    if _ONE_WORD.fullmatch(value):
        return value
    escaped = re.sub(r'(["\\])', r"\\\1", value)
    return f'"{escaped}"'
