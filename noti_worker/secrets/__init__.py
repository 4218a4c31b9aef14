"""Secrets are named where they are used and read where they lie: `env:`, `file:`, `exec:` or `vault:`."""

import os
from collections.abc import Mapping

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.ports import Secrets
from noti_worker.domain.secret import Secret
from noti_worker.secrets.command import CommandSecrets
from noti_worker.secrets.env import EnvSecrets
from noti_worker.secrets.file import FileSecrets
from noti_worker.secrets.vault import VaultSecrets

__all__ = ["KINDS", "WRITTEN", "References"]

KINDS = ("env:", "file:", "exec:", "vault:", "sealed:")
"""`sealed:` is written by nobody: it stands for what an account of the database has sealed beside it."""

WRITTEN = "env:NAME, file:PATH, exec:PROGRAM or vault:MOUNT/PATH#FIELD"
"""How a reference is written."""


class References:
    """The port Secrets over all kinds of references; errors name the reference, never a value."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, commands: bool = True) -> None:
        """`environ` is where `env:` looks; without `commands` no program is run."""
        self._kinds: dict[str, Secrets] = {
            "env": EnvSecrets(environ),
            "file": FileSecrets(),
            "exec": CommandSecrets(),
            "vault": VaultSecrets(environ),
        }
        self._commands = commands

    def resolve(self, reference: str) -> Secret:
        """Read what `reference` names, now and whenever the secret is asked to be fresh.

        Raises ConfigurationError when it is missing, unreadable or empty.
        """
        kind, colon, _ = reference.partition(":")
        if not colon or kind not in self._kinds:
            # Not quoted: whoever writes the secret itself here must not find it in a log.
            raise ConfigurationError(f"this is no reference to a secret; write it as {WRITTEN}")
        if kind == "exec" and not self._commands:
            raise ConfigurationError(
                f"{reference}: programs are run only for a configuration that is named: --config or NOTI_CONFIG"
            )
        return Secret(self._kinds[kind].resolve(reference).reveal(), lambda: self.resolve(reference))
