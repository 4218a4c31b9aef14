"""Secrets of a HashiCorp Vault or OpenBao server: `vault:MOUNT/PATH#FIELD`, with the package hvac."""

import threading
import time
from collections.abc import Mapping

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret

LIMIT = 10.0
"""Seconds that the server may take."""

KEPT = 30.0
"""Seconds for which an answer holds: many connections ask at once."""


class VaultSecrets:
    """Reads a field of a key-value store of version 2.

    Server and login are in the variables that its own command uses: `VAULT_ADDR`, and `VAULT_TOKEN` or, for an AppRole,
    `VAULT_ROLE_ID` and `VAULT_SECRET_ID`; `VAULT_NAMESPACE`, `VAULT_CACERT`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Nobody was asked yet."""
        self._environ = environ
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Secret]] = {}

    def resolve(self, reference: str) -> Secret:
        """The field's text; raises ConfigurationError when it is not there, or the server does not give it."""
        with self._lock:
            at, secret = self._kept.get(reference, (float("-inf"), Secret("")))
            if time.monotonic() - at > KEPT:
                secret = self._read(reference)
                self._kept[reference] = time.monotonic(), secret
            return secret

    def _read(self, reference: str) -> Secret:
        place, _, field = reference.removeprefix("vault:").partition("#")
        mount, _, path = place.partition("/")
        if not mount or not path or not field:
            raise ConfigurationError(f"{reference}: write vault:MOUNT/PATH#FIELD, such as vault:secret/mail#password")
        try:
            import hvac
            from hvac.exceptions import VaultError
            from requests.exceptions import RequestException
        except ImportError:
            raise ConfigurationError(f"{reference}: the package hvac is missing: install noti-worker[vault]") from None
        if not (address := self._environ.get("VAULT_ADDR")):
            raise ConfigurationError(f"{reference}: VAULT_ADDR is not set: it names the server")
        client = hvac.Client(
            url=address,
            token=self._environ.get("VAULT_TOKEN"),
            namespace=self._environ.get("VAULT_NAMESPACE"),
            verify=self._environ.get("VAULT_CACERT") or True,
            timeout=LIMIT,
        )
        try:
            if role := self._environ.get("VAULT_ROLE_ID"):
                client.auth.approle.login(role_id=role, secret_id=self._environ.get("VAULT_SECRET_ID"))
            answer = client.secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
            found = answer["data"]["data"].get(field)
        except (VaultError, RequestException) as error:  # their words may hold a token
            raise ConfigurationError(
                f"{reference}: the server at {address} does not give it ({type(error).__name__})"
            ) from None
        finally:
            client.session.close()
        if not isinstance(found, str) or not found:
            raise ConfigurationError(f"{reference}: there is no text in the field {field}")
        return Secret(found)
