"""How many, in words that agree with the number."""


def counted(count: int, one: str, many: str) -> str:
    """`1 row waits`, `2 rows wait`."""
    return f"{count} {one if count == 1 else many}"
