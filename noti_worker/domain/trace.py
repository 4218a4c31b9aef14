"""W3C trace context: which trace a notification belongs to (www.w3.org/TR/trace-context, section 3.2)."""

import re

_VERSION_00 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def valid(traceparent: str | None) -> str | None:
    """The `traceparent` if it is one of version 00; anything else is as good as none, and goes nowhere."""
    match = _VERSION_00.fullmatch(traceparent) if traceparent else None
    return traceparent if match and set(match[1]) != {"0"} and set(match[2]) != {"0"} else None


def trace_id(traceparent: str | None) -> str | None:
    """The id of the trace, 32 hexadecimal digits, of a valid `traceparent`."""
    return traceparent.split("-")[1] if valid(traceparent) and traceparent else None
