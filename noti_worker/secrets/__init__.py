"""Secrets are named where they are used and read where they lie: `env:NAME`, `file:PATH`."""

import os
from collections.abc import Mapping

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.ports import Secrets
from noti_worker.domain.secret import Secret
from noti_worker.secrets.env import EnvSecrets
from noti_worker.secrets.file import FileSecrets

__all__ = ["EnvSecrets", "FileSecrets", "References"]


class References:
    """The port Secrets over all kinds of references; errors name the reference, never a value."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """`environ` is where `env:` looks."""
        self._kinds: dict[str, Secrets] = {"env": EnvSecrets(environ), "file": FileSecrets()}

    def resolve(self, reference: str) -> Secret:
        """Read what `reference` names; raises ConfigurationError when it is missing, unreadable or empty."""
        kind, colon, _ = reference.partition(":")
        if not colon or kind not in self._kinds:
            # Not quoted: whoever writes the secret itself here must not find it in a log.
            raise ConfigurationError("this is no reference to a secret; write it as env:NAME or file:PATH")
        return self._kinds[kind].resolve(reference)
