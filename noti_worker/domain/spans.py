"""A duration in few characters, for people."""

_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))


def span(seconds: float | None) -> str:
    """Give a duration in its two largest units: 1m36s, 2h5m, 7d; None is empty."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    for unit, size, smaller, part in _UNITS:
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f"{rest}{smaller}" if rest else "")
    return f"{whole}s"
