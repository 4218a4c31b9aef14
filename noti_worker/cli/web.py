"""`web`: the process that strangers reach, which takes what providers post and lets recipients leave."""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from noti_worker.cli.place import Place, database_url
from noti_worker.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette

    from noti_worker.domain.ports import Observer
    from noti_worker.domain.receipts import Inlet
    from noti_worker.domain.subscription import Links
    from noti_worker.settings import Settings
    from noti_worker.store.connect import Database

LOOK_EVERY = 1.0
"""Seconds between two looks whether it still serves."""


@click.command()
@click.pass_obj
def web(place: Place) -> None:
    """Take what providers post afterwards (receipts), and let people unsubscribe or choose, until SIGTERM or Ctrl-C."""
    with place.settings() as settings:
        sys.exit(serve(settings))


def serve(settings: "Settings") -> int:
    """Serve until a signal; gives the exit code. Raises ConfigurationError before anything is taken."""
    if settings.web.listen is None:
        raise ConfigurationError("web.listen is missing: say where to listen, and in web.url how providers reach that")
    try:
        from noti_worker.web.server import WebServer
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"web needs {missing.name}, which the extra brings: pip install 'noti-worker[web]'"
        ) from None
    from noti_worker.accounts import open_inlets
    from noti_worker.observe import Observers
    from noti_worker.observe.health import WebHealth
    from noti_worker.observe.http import Server as HttpServer
    from noti_worker.observe.listener import address_of, listen_on
    from noti_worker.observe.log import LogObserver, configure
    from noti_worker.observe.receipts import ReceiptLog, ReceiptMetrics, own_registry
    from noti_worker.store.connect import Database
    from noti_worker.transport import Kit
    from noti_worker.worker.systemd import Notifier

    configure(settings.log)
    inlets = open_inlets(settings, Kit(_now))
    links = settings.web.links
    if not inlets and links is None:
        raise ConfigurationError(
            "there is nothing to answer: give accounts whose providers post receipts a receipt_token, or set"
            " web.unsubscribe_keys"
        )
    with ExitStack() as stack:
        log, metrics, health = ReceiptLog(), ReceiptMetrics(own_registry()), WebHealth(lambda: server.alive)
        metrics.expect({inlet.account: inlet.provider for inlet in inlets.values()})
        observers = Observers(LogObserver(), log, metrics, health)
        database = Database(database_url(settings), settings.database.pgbouncer)
        listener = listen_on("web.listen", settings.web.listen)
        app = _app(stack, inlets, links, database, observers)
        server = stack.enter_context(closing(WebServer(app, listener, settings.web.proxies)))
        http = HttpServer(settings.http.listen, health, metrics.text, configured=settings.http.configured)
        stack.callback(http.close)
        notifier = stack.enter_context(closing(Notifier()))
        asked = _Asked()
        server.start()
        http.start()
        log.listening(address_of(listener), sorted(inlets))
        LogObserver().http_listening(http.address, settings.http.listen)
        leaving = " and lets recipients leave" if links is not None else ""
        notifier.tell(READY=1, STATUS=f"takes what providers post for {len(inlets)} accounts{leaving}")
        asked.wait_while(lambda: server.alive)
        notifier.tell(STOPPING=1)
        log.stopping(asked.why)
    return 0


def _app(
    stack: ExitStack, inlets: "Mapping[str, Inlet]", links: "Links | None", database: "Database", observer: "Observer"
) -> "Starlette":
    """The pages that there are; what they need is closed with `stack`."""
    from noti_worker.store.people.preferences import Preferences
    from noti_worker.store.people.subscriptions import Subscriptions
    from noti_worker.store.receipts import Letterbox
    from noti_worker.web.preferences import PreferencePages
    from noti_worker.web.receipts import Receipts
    from noti_worker.web.unsubscribe import Unsubscribe

    receipts = Receipts(inlets, stack.enter_context(closing(Letterbox(database))), _now, observer)
    if links is None:
        return receipts.app()
    subscriptions = stack.enter_context(closing(Subscriptions(database)))
    preferences = stack.enter_context(closing(Preferences(database)))
    pages = PreferencePages(links.people, preferences, observer)
    return receipts.app([*Unsubscribe(links, subscriptions, observer).routes(), *pages.routes()])


class _Asked(threading.Event):
    """Set by the signals that ask to stop; `why` is the name of the last."""

    def __init__(self) -> None:
        super().__init__()
        self.why = ""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heard)

    def wait_while(self, alive: Callable[[], bool]) -> None:
        """Return when it is set; raises RuntimeError when that which is asked is `alive` no more."""
        while not self.wait(LOOK_EVERY):
            if not alive():
                raise RuntimeError("the server has died; its last words are in the log")

    def _heard(self, number: int, _: object) -> None:
        self.why = signal.Signals(number).name
        self.set()


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - what was signed tells the time of the provider's clock, not the database's
