"""What the database says when it says no."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest


def refusal(
    connection: psycopg.Connection[Any], statement: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> tuple[str, str]:
    """SQLSTATE and message of a statement that must fail, and must not show the row."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode(), values)
    assert caught.value.diag.message_detail is None
    return caught.value.sqlstate or "", caught.value.diag.message_primary or ""
