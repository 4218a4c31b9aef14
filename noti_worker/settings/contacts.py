"""The section `contacts`: where the addresses stand of persons whom rows name, and which of them count."""

import re
from dataclasses import dataclass, field

from noti_worker.domain.contact import People
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.setting import about

_VIEW = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}")


@dataclass(frozen=True, slots=True)
class ContactsSettings:
    """How `user:42` becomes an address."""

    view: str | None = field(
        default=None,
        metadata=about("a view of the application with the columns of noti.contacts, read instead: SCHEMA.NAME"),
    )
    verified_only: bool = field(default=False, metadata=about("only addresses with a verified_at are written to"))
    every_address: tuple[str, ...] = field(
        default=("push",),
        metadata=about(
            "channels on which all addresses of a person get a message, a copy each; elsewhere the first does",
            shown="push",
        ),
    )

    def __post_init__(self) -> None:
        if self.view is not None and _VIEW.fullmatch(self.view) is None:
            raise ConfigurationError(f'view is "{self.view}": give schema and name, like app.noti_contacts')
        for name in self.every_address:
            if name not in set(Channel) - {Channel.IN_APP}:
                known = ", ".join(channel for channel in Channel if channel is not Channel.IN_APP)
                raise ConfigurationError(f'every_address names "{name}": give channels that have addresses: {known}')

    @property
    def people(self) -> People:
        """As the store wants to hear it."""
        return People(self.view, self.verified_only, frozenset(self.every_address))
