"""Arrays as PostgreSQL writes them, for parameters that are cast to the array's type.

psycopg takes six times as long for a list, and sends it as of another type when it is empty or its numbers are small:
each time as another statement, which is to be prepared anew.
"""

from collections.abc import Iterable
from datetime import datetime


def array(numbers: Iterable[int]) -> str:
    """Write whole numbers."""
    return f"{{{','.join(map(str, numbers))}}}"


def texts(values: Iterable[str]) -> str:
    """Write texts, whatever they hold."""
    return f"{{{','.join(map(_quoted, values))}}}"


def instants(values: Iterable[datetime]) -> str:
    """Write aware instants."""
    return f"{{{','.join(map(datetime.isoformat, values))}}}"


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
