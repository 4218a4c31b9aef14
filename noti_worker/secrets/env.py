"""Secrets in environment variables: `env:NAME`."""

from collections.abc import Mapping

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret


class EnvSecrets:
    """Reads `env:NAME` from the given environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Look in `environ`."""
        self._environ = environ

    def resolve(self, reference: str) -> Secret:
        """The variable's value as it stands; raises ConfigurationError when it is not set or empty."""
        name = reference.removeprefix("env:")
        if not name:
            raise ConfigurationError("env: names no variable; write env:NAME")
        if name not in self._environ:
            raise ConfigurationError(f"{reference}: the environment variable {name} is not set")
        if not self._environ[name]:
            raise ConfigurationError(f"{reference}: the environment variable {name} is empty")
        return Secret(self._environ[name])
