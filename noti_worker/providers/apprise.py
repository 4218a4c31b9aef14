"""The long tail of services, through the library Apprise: it sends, and says hardly more than whether it could.

A call ends as a success or as a failure (github.com/caronc/apprise, apprise/result.py): there is no code, no id and no
wish to wait. It goes out on sockets of its own.
"""

import logging
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import CHAT_OPTIONS
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.setting import about
from noti_worker.providers._chat import at_most, pinging_nobody, written
from noti_worker.transport import Kit

if TYPE_CHECKING:
    from apprise import AppriseResult, NotifyBase

CHANNELS = frozenset({Channel.CHAT, Channel.PUSH})
OPTIONS = CHAT_OPTIONS
EXTRA = "apprise"

RULES = (
    Rule("apprise.taken", Kind.OK, code="taken"),
    Rule("apprise.no_target", Kind.CONFIG, Scope.RECIPIENT, code="no_target"),
    # Nothing tells a refusal for good from one for now. The status is what its log says: an account may judge by it.
    Rule("apprise.failed", Kind.TRANSIENT, code="failed"),
    Rule("apprise.no_answer", Kind.UNCERTAIN, Scope.PROVIDER, code="timeout"),
)

_PLACE = "{recipient}"
_RECIPIENT = re.compile(r"[A-Za-z0-9_.:@#!+~-]{1,200}")
"""What stays one part of a URL however often Apprise decodes it; commas, slashes and spaces would make several."""

_LOCAL = frozenset(("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "vapid", "windows"))
"""Schemas that leave this machine alone: they run programs, speak to its desktop or log, or write files."""

_TYPES = {"success": "success", "warning": "warning", "error": "failure", "critical": "failure"}
"""Apprise's types by severity; every other one is `info`."""

_STATUS = re.compile(r"\berror=([3-5][0-9]{2})\b")
"""How nearly every service of Apprise ends the line of its log about a refusal."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One service, as its Apprise URL names it."""

    url: Secret = field(
        metadata=about(
            "a reference to the Apprise URL of one target, its keys included; where it says `{recipient}` stands that"
            " of the row"
        )
    )
    format: Literal["plain", "markdown", "html"] = field(
        default="plain", metadata=about("what bodies are written in; Apprise turns them into what the service takes")
    )


def build(settings: Settings, kit: Kit) -> Sender:
    """Make the sender; raises ConfigurationError that names the key, or the package that is missing."""
    if find_spec("apprise") is None:
        raise ConfigurationError(f"apprise needs its library: pip install 'noti-worker[{EXTRA}]'")
    # They write URLs, tokens and content into their logs.
    log = logging.getLogger("apprise")
    log.addFilter(_without_words)
    log.propagate = False
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    sender = _Apprise(settings, kit.concurrency)
    sender.check()
    return kit.blocking(sender.send)


def _without_words(record: logging.LogRecord) -> bool:
    """Leave of a line of Apprise's log the status that it names, if any: whoever listens gets no more."""
    record.msg, record.args, record.exc_info = " ".join(_STATUS.findall(record.getMessage())), (), None
    return True


class _Apprise:
    """Sends in threads of its own, at most `most` at once: once begun, Apprise cannot be told to stop."""

    def __init__(self, settings: Settings, most: int) -> None:
        from apprise import AppriseAsset

        self._url = settings.url
        self._format = settings.format
        self._free = BoundedSemaphore(most)
        self._asset = AppriseAsset(async_mode=False, service_timeout=0, default_service_retry=0, http_redirects=False)

    def check(self) -> None:
        """Raise ConfigurationError when the URL cannot work, as far as that is known without a recipient."""
        from apprise import NotificationManager

        url = self._url.reveal()
        if len(url.split()) != 1:
            raise ConfigurationError("url holds a space, or is empty: it is one URL, with %20 for a space in it")
        if _PLACE not in url:
            if self._plugin("") is None:
                raise ConfigurationError(
                    "url is none that Apprise takes, or its service needs a further package: `apprise --dry-run -vv -b"
                    " test URL` says more"
                )
            return
        schema = url.partition("://")[0].lower()
        if schema not in NotificationManager():  # type: ignore[no-untyped-call]
            raise ConfigurationError("url begins with no schema that Apprise knows: write SCHEMA://…, as its page says")
        _check_schema(schema)

    def send(self, message: Message, limit: float) -> Said:
        """Hand the message over, and wait for what comes of it as long as `limit` allows."""
        ends_at = monotonic() + limit
        plugin = self._plugin(message.recipient)
        if plugin is None:
            return Said(
                "answer", code="no_target", error="with this recipient Apprise takes the account's url for none"
            )
        title, body = self._content(message, plugin)
        # What is left behind by earlier messages may keep all threads; it leaves half of the time to this one.
        if not self._free.acquire(timeout=limit / 2):
            return Said("machine", code="busy", error="earlier messages still wait for answers: this one was not begun")
        # A silence that long ends the thread. One that is broken by single bytes does not, hence the wait below.
        plugin.socket_read_timeout = limit
        kind = _TYPES.get(message.options.get("severity", ""), "info")
        answers: SimpleQueue[AppriseResult | BaseException] = SimpleQueue()
        # A daemon: a server that never comes to an end must not keep the worker from it.
        thread = Thread(target=self._notify, args=(plugin, title, body, kind, answers), name="apprise", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._free.release()
            return Said("machine", code="no_thread", error="this machine allows no further thread")
        try:
            answer = answers.get(timeout=max(ends_at - monotonic(), 0.0))
        except Empty:
            return Said("answer", code="timeout", error=f"{plugin.service_name} did not answer within {limit:g} s")
        if isinstance(answer, BaseException):
            raise answer
        return _said(str(plugin.service_name), answer)

    def _plugin(self, recipient: str) -> "NotifyBase | None":
        """A service of its own for each message: Apprise makes one that is used again sleep between two requests.

        None when Apprise makes nothing of the URL. Raises BadNotification, or ConfigurationError.
        """
        from apprise import Apprise

        url = self._url.reveal()
        if _PLACE in url:
            if not _RECIPIENT.fullmatch(recipient):
                raise BadNotification(
                    "the recipient does not fit into the account's url: it takes letters, digits and _ . : @ # ! + ~ -"
                )
            url = url.replace(_PLACE, quote(recipient, safe=""))
        plugin = Apprise.instantiate(url, asset=self._asset)
        if plugin is not None:
            _check(plugin)
        return plugin

    def _content(self, message: Message, plugin: "NotifyBase") -> tuple[str, str]:
        """Title and body; raises BadNotification when they are longer than the service takes."""
        title, body = written(message).title_and_text
        if message.channel is Channel.CHAT and self._format == "plain":
            title, body = pinging_nobody(title), pinging_nobody(body)
        if plugin.title_maxlen > 0:
            at_most(plugin.title_maxlen, len(title), "the subject")
            at_most(plugin.body_maxlen, len(body), "the body")
        else:
            at_most(plugin.body_maxlen, len(title) + len(body), "the message, with its subject,")
        return title, body

    def _notify(
        self,
        plugin: "NotifyBase",
        title: str,
        body: str,
        kind: str,
        answers: "SimpleQueue[AppriseResult | BaseException]",
    ) -> None:
        from apprise import Apprise

        body_format = "text" if self._format == "plain" else self._format
        answer: AppriseResult | BaseException
        try:
            answer = Apprise(plugin, asset=self._asset).notify(body, title, kind, body_format=body_format)
        except BaseException as broken:  # noqa: BLE001 - it is raised where the answer is waited for
            answer = broken
        self._free.release()
        answers.put(answer)


def _check(plugin: "NotifyBase") -> None:
    """Raise ConfigurationError for a service that would do more than send one message to one target."""
    from apprise import AppriseAttachment, OverflowMode

    _check_schema(plugin.schema)
    if plugin.retry or plugin.optional or plugin.redirects or plugin.overflow_mode is not OverflowMode.UPSTREAM:
        raise ConfigurationError(
            "url has retry, redirect, overflow or optional: remove them, the worker tries again by itself, sends"
            " nowhere else and nothing in pieces, and calls no failure a success"
        )
    if any(isinstance(held, AppriseAttachment) and len(held) for held in vars(plugin).values()):
        raise ConfigurationError("url names a file for Apprise to read: remove it, that is not allowed here")
    if len(plugin) > 1:
        raise ConfigurationError(
            f"url has {len(plugin)} targets, and who of them got the message could not be told: make an account for"
            " each, or write {recipient} in their place"
        )


def _check_schema(schema: str) -> None:
    if schema in _LOCAL:
        raise ConfigurationError(
            f"url has the schema {schema}, which stays on this machine or reads its files: not allowed"
        )


def _said(service: str, result: "AppriseResult") -> Said:
    """What its result tells, and of its log the status."""
    response = {"service": service}
    if result:
        return Said("answer", code="taken", response=response)
    status = " ".join(entry.message for entry in result.logs())[-3:]
    error = (
        f"{service} answered {status}" if status else f"{service} refused it, or the line broke: Apprise says no more"
    )
    return Said("answer", status, "failed", error=error, response=response)
