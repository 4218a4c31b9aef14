"""How the main thread of a command waits."""

import time


def rest(seconds: float) -> None:
    """Sleep; a signal that ends the command ends this too.

    Not Event.wait: an exception that a signal raises in the midst of it may leave its lock half released, and then
    the command shows a traceback, or hangs.
    """
    time.sleep(seconds)  # noqa: TID251
