"""Secrets in files, as systemd and Docker hand them out: `file:PATH`."""

from pathlib import Path

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret

LARGEST = 64 * 1024
"""Bytes; a longer file is not a secret but a wrong path (or /dev/zero)."""


class FileSecrets:
    """Reads `file:PATH`; one newline at the end is not part of the secret."""

    def resolve(self, reference: str) -> Secret:
        """The file's text; raises ConfigurationError when it is missing, unreadable, empty, too long or no text."""
        path = Path(reference.removeprefix("file:"))
        if not path.is_absolute() or "\0" in reference:
            raise ConfigurationError(f"{reference}: write the absolute path of the file")
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise ConfigurationError(f"{reference}: cannot be read ({error.strerror})") from None
        if len(content) > LARGEST:
            raise ConfigurationError(f"{reference}: longer than {LARGEST // 1024} KiB; is it the right file?")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise ConfigurationError(f"{reference}: is not UTF-8 text") from None
        secret = text.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise ConfigurationError(f"{reference}: the file is empty")
        return Secret(secret)
