"""Safe mode: how far a message may go."""

from enum import StrEnum


class Mode(StrEnum):
    """The later one is the stricter one."""

    LIVE = "live"  # to its recipient
    REDIRECT = "redirect"  # to one address per channel instead
    DRY = "dry"  # rendered and checked, not sent


def stricter(one: Mode, other: Mode) -> Mode:
    """The stricter of two modes: an account may go less far than the installation, never further."""
    return max(one, other, key=list(Mode).index)
