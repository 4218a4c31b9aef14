"""Safe mode: the last step before a send. What may not reach its recipient goes elsewhere, or nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from noti_worker.delivery.recipients import check_recipient
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Drop, Message, Status
from noti_worker.domain.outcome import Kind, Outcome

# Of the options only these survive a redirection. Copies and replies would reach real people, and so may any
# header: mail services take further recipients from some, mail programs unsubscribe and confirm by others.
_KEPT = {Channel.EMAIL: frozenset({"from"}), Channel.WEBHOOK: frozenset({"content_type"})}
_MOST_SHOWN = 1900  # characters of a header: one that is longer than 2000 is refused
_ADDRESSES = ("cc", "bcc", "reply_to")


class Safety:
    """Knows where each redirected channel goes; pure.

    A redirected channel without an address is not sent. Raises ConfigurationError for an address that cannot be one
    of its channel.
    """

    def __init__(self, redirect_to: Mapping[Channel, str]) -> None:
        for channel, address in redirect_to.items():
            try:
                check_recipient(channel, address)
            except BadNotification as bad:
                raise ConfigurationError(f"delivery.redirect_to.{channel}: {bad}") from None
        self._redirect_to = redirect_to

    def apply(self, message: Message, mode: Mode) -> Message | Drop:
        """Give the message that may go out through an account of that mode: itself, its redirection, or none."""
        match mode:
            case Mode.LIVE:
                return message
            case Mode.REDIRECT if message.channel in self._redirect_to:
                return _redirected(message, self._redirect_to[message.channel])
            case Mode.REDIRECT:
                return _suppressed(message, f"redirect mode, but delivery.redirect_to.{message.channel} is not set")
            case Mode.DRY:
                return _suppressed(message, "dry mode")

    def judge(self, message: Message, mode: Mode, outcome: Outcome) -> Outcome:
        """Say in the outcome of a redirected message that it speaks for another address.

        That address refused is a fault of the configuration: nobody asked the recipient.
        """
        if mode is not Mode.REDIRECT:
            return outcome
        kind = Kind.CONFIG if outcome.kind in {Kind.DEAD, Kind.OPTOUT} else outcome.kind
        told = f"redirected to delivery.redirect_to.{message.channel}"
        return replace(outcome, kind=kind, error=told if outcome.error is None else f"{outcome.error} ({told})")

    def decided(self, message: Message, mode: Mode, verdict: Verdict) -> Verdict:
        """Say in the verdict of a redirected message that it did not reach its recipient."""
        if mode is not Mode.REDIRECT or verdict.status is not Status.SENT:
            return verdict
        where = f"delivery.redirect_to.{message.channel}"
        return replace(verdict, reason=f"safe mode: it was sent to {where} instead of its recipient")


def _suppressed(message: Message, why: str) -> Drop:
    return Drop(Status.SUPPRESSED, f"{why}: rendered and checked for the account {message.account}, not sent")


def _redirected(message: Message, address: str) -> Message:
    """The message to `address`, telling whom it was for: in the subject, in a header, or in its first line."""
    options: dict[str, Any] = {
        name: value for name, value in message.options.items() if name in _KEPT.get(message.channel, ())
    }
    mark = f"[to {message.recipient}]"
    subject, text = message.subject, message.text
    match message.channel:
        case Channel.EMAIL:
            subject = f"{mark} {subject or ''}".strip()
            options["headers"] = {"X-Noti-Original-Recipient": message.recipient, **_addresses(message.options)}
        case Channel.IN_APP:
            subject = f"{mark} {subject or ''}".strip()
        case Channel.WEBHOOK:
            # A header is ASCII; the body stays as it stands, because it is signed and has a form of its own.
            shown = quote(message.recipient, safe="%/:?#[]@!$&'()*+,;=~")
            options["headers"] = {"noti-original-recipient": shown[:_MOST_SHOWN]}
        case _:
            text = f"{mark}\n{text or ''}"
    return replace(message, recipient=address, subject=subject, text=text, options=options, left_out={})


def _addresses(options: Mapping[str, Any]) -> dict[str, str]:
    """Who else was meant, as headers that no mail program acts upon."""
    given = {name: options[name] for name in _ADDRESSES if options.get(name)}
    return {
        f"X-Noti-Original-{name.replace('_', '-').title()}": _listed([value] if isinstance(value, str) else value)
        for name, value in given.items()
    }


def _listed(addresses: Sequence[str]) -> str:
    """As many of them as a header holds."""
    listed = ", ".join(addresses)
    return listed if len(listed) <= _MOST_SHOWN else listed[:_MOST_SHOWN].rpartition(", ")[0] + ", and others"
