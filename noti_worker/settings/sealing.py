"""The section `secrets`: how what must not be seen is sealed in the database."""

from dataclasses import dataclass, field

from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.secrets.sealed import read_keys


@dataclass(frozen=True, slots=True)
class SecretsSettings:
    """How secrets in the database are sealed."""

    keys: Secret | None = field(
        default=None,
        metadata=about(
            "a reference to the keys that seal the secrets of accounts in the database: a line each, the newest first,"
            " an id and 64 hexadecimal digits"
        ),
    )

    def __post_init__(self) -> None:
        if self.keys is not None and self.keys.reveal() != "***":
            read_keys(self.keys.reveal())
