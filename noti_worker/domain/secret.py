"""A value that must not be seen: passwords, keys, URLs that are secrets themselves."""

from collections.abc import Callable


class Secret:
    """Holds a secret; `repr`, `str` and formatting show `***`. Only `reveal()` gives it out."""

    __slots__ = ("_again", "_value")

    def __init__(self, value: str, again: Callable[[], "Secret"] | None = None) -> None:
        """Keep `value` out of sight; `again` reads it anew where it lies."""
        self._value = value
        self._again = again

    def reveal(self) -> str:
        """Give the secret itself; call it as late as possible."""
        return self._value

    def fresh(self) -> "Secret":
        """The secret as it is now, for one that ends by itself; raises ConfigurationError when it cannot be read."""
        return self if self._again is None else self._again()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
