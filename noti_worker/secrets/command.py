"""Secrets that a program prints, such as access tokens that end after an hour: `exec:PROGRAM ARGUMENT …`."""

import shlex
import subprocess
import threading
import time

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.secrets.file import LARGEST

LIMIT = 10.0
"""Seconds that a program may take."""

KEPT = 30.0
"""Seconds for which its answer holds: many connections ask at once."""


class CommandSecrets:
    """Runs `exec:/usr/local/bin/token relay` without a shell; one newline at the end is not part of the secret."""

    def __init__(self) -> None:
        """Nothing was run yet."""
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Secret]] = {}

    def resolve(self, reference: str) -> Secret:
        """What the program prints; raises ConfigurationError when it cannot be run, fails, or prints no secret."""
        with self._lock:
            at, secret = self._kept.get(reference, (float("-inf"), Secret("")))
            if time.monotonic() - at > KEPT:
                secret = _run(reference)
                self._kept[reference] = time.monotonic(), secret
            return secret


def _run(reference: str) -> Secret:
    try:
        words = shlex.split(reference.removeprefix("exec:"))
    except ValueError as error:
        raise ConfigurationError(f"{reference}: cannot be read as a command ({error})") from None
    if not words or not words[0].startswith("/") or "\0" in reference:
        raise ConfigurationError(f"{reference}: write the absolute path of the program, then its arguments")
    try:
        # What it says besides is not ours to keep: it may hold the secret.
        done = subprocess.run(  # noqa: S603 - what the configuration says, which was named
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except OSError as error:
        raise ConfigurationError(f"{reference}: cannot be run ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{reference}: did not end within {LIMIT:.0f} s; run it by hand") from None
    if done.returncode != 0:
        raise ConfigurationError(f"{reference}: ended with {done.returncode}; run it by hand")
    try:
        text = done.stdout.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{reference}: did not print UTF-8 text") from None
    if not text or len(done.stdout) > LARGEST:
        raise ConfigurationError(f"{reference}: printed {'nothing' if not text else 'too much'} instead of a secret")
    return Secret(text)
