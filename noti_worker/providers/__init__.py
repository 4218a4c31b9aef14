"""One file per provider, found by its name: nothing is registered by hand.

A provider is a module (or an object) with `CHANNELS`, `Settings`, `OPTIONS`, `RULES` and `build`; a file of this
package, or an entry point of the group `noti_worker.providers` in any installed distribution. Its page of the
documentation is made from it. One that tells afterwards what became of messages has `receiver` and `receipts` besides.

Of an SDK it uses what that does best, and loads it only there: of Amazon's the search for credentials, the regions'
addresses and the signatures, of Twilio's the XML of calls. The request itself goes over our own transport: the client
of Amazon tries several times by itself, that of Twilio waits without limit, and neither tells "never sent" from "answer
lost".
"""

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast, runtime_checkable

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel
from noti_worker.domain.options import Option
from noti_worker.domain.ports import Sender
from noti_worker.domain.receipts import Posted, Receipt, Receiver, Written
from noti_worker.domain.rules import Rule
from noti_worker.transport import Kit

GROUP = "noti_worker.providers"


class Provider(Protocol):
    """What a provider's module holds."""

    CHANNELS: frozenset[Channel]
    Settings: type[Any]

    @property
    def OPTIONS(self) -> Sequence[Option]:  # noqa: N802 - a constant of the module
        """What `options` of a row may hold: names, types, limits. Empty: nothing."""
        ...

    @property
    def RULES(self) -> Sequence[Rule]:  # noqa: N802 - a constant of the module
        """Judge what it is told, in order: the first that matches."""
        ...

    def build(self, settings: Any, kit: Kit) -> Sender:
        """Make the sender of one account; raises ConfigurationError that names the setting."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """What the module of a provider holds besides that posts receipts."""

    REFERENCES: bool
    """Whether some receipts know a message by nothing but the id that the provider gave it."""

    def receiver(self, settings: Any, kit: Kit) -> Receiver:
        """Make the receiver of one account; raises ConfigurationError that names the setting."""
        ...

    def receipts(self, posted: Posted) -> Sequence[Receipt | Written]:
        """What a request says, which is known to be the provider's; what is of no interest is left out."""
        ...


def find(name: str) -> Provider:
    """The provider of that name; a file of this package wins over an entry point.

    Raises ConfigurationError when there is none, or when it is not of a provider's shape.
    """
    if name in _own():
        return _checked(name, importlib.import_module(f"{__name__}.{name}"))
    for point in entry_points(group=GROUP, name=name):
        return _checked(name, _load(point))
    raise ConfigurationError(f"provider {name!r} does not exist: known are {', '.join(known())}")


def reporting(name: str) -> Reporting | None:
    """The provider of that name, if it posts receipts; raises ConfigurationError as `find`."""
    found = find(name)
    return found if isinstance(found, Reporting) else None


def known() -> tuple[str, ...]:
    """The names of all providers, our own and those of other distributions, sorted."""
    return tuple(sorted(_own() | entry_points(group=GROUP).names))


def _own() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}


def _load(point: EntryPoint) -> object:
    try:
        return cast("object", point.load())
    except (ImportError, AttributeError) as broken:
        raise ConfigurationError(
            f"provider {point.name!r} cannot be loaded from {point.value!r}: {type(broken).__name__}: {broken}"
        ) from broken


def _checked(name: str, found: object) -> Provider:
    missing = [part for part in ("CHANNELS", "Settings", "OPTIONS", "RULES", "build") if not hasattr(found, part)]
    if missing:
        raise ConfigurationError(f"provider {name!r} is not of a provider's shape: it lacks {', '.join(missing)}")
    return cast("Provider", found)
