"""From a row to a message that can go out: permit, render, check, route, make safe. Previews and dry runs stop here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from noti_worker.delivery.attachments import attachments, shown_inside
from noti_worker.delivery.free_text import check_window
from noti_worker.delivery.plain_text import plain_text
from noti_worker.delivery.recipients import check_recipient
from noti_worker.delivery.render import Rendered, RendererAway, TemplateRests
from noti_worker.delivery.routes import Routing, witness
from noti_worker.delivery.safety import Safety
from noti_worker.delivery.unsubscribe import link, preferences, with_headers
from noti_worker.domain.bounds import Bounds, NotAllowed
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.language import in_words, spoken
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.notification import (
    Attachment,
    Briefing,
    Channel,
    Drop,
    Hold,
    Message,
    Notification,
    Status,
    Stop,
    Template,
    Wait,
    addressed,
)
from noti_worker.domain.options import INSTEAD_OF_BODY, read_options
from noti_worker.domain.outcome import Kind
from noti_worker.domain.permits import permit
from noti_worker.domain.ports import Accounts, Numbers
from noti_worker.domain.strict_json import read_json
from noti_worker.domain.subscription import Links
from noti_worker.domain.trace import valid

_YOUNG, _SOON = timedelta(seconds=10), timedelta(seconds=1)
_WITH_HTML = frozenset({Channel.EMAIL, Channel.IN_APP})
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Overrides can make "gpj.exe" read "exe.jpg"; Arabic and Hebrew text does not need them.
_OVERRIDES = str.maketrans("", "", "\u202d\u202e")


class Renders(Protocol):
    """Fills in templates; the real one is `render.Renderer`."""

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any], tenant_id: str) -> Rendered:
        """Render the parts that the template has; raises BadNotification, RendererAway or TemplateRests."""
        ...


@dataclass(frozen=True, slots=True)
class Preparation:
    """Makes messages of rows; pure but for the renderer. `dice` gives numbers in [0, 1).

    `links` makes those by which recipients leave a category; None: nobody would answer them.
    """

    accounts: Accounts
    routing: Routing
    renderer: Renders
    safety: Safety
    numbers: Numbers
    dice: Callable[[], float]
    links: Links | None = None

    def prepare(self, row: Notification, briefing: Briefing, policy: Policy, now: datetime) -> Message | Stop:
        """Permit, render, check, route, make safe; a row that cannot be sent as it stands is dropped as failed."""
        if (stop := permit(row, briefing, policy, now)) is not None:
            return stop
        row = addressed(row, briefing.contact)
        route = self.accounts.route(row.tenant_id, row.channel, row.message_id)
        if not route:
            return _unserved(row, now)
        if briefing.unreadable is not None:
            return Drop(Status.FAILED, briefing.unreadable, kind=Kind.PERMANENT)
        bounds = self.routing.allowance.bounds.get(row.tenant_id)
        try:
            if bounds is not None:
                route = self.routing.within(row, briefing, bounds, route)
            chosen = self.routing.choose(row, briefing, route)
            if chosen is None:
                return self._closed(briefing, policy, bounds)
            account, choice = chosen
            options = read_options(self.accounts.account(account).options, row.channel, briefing.options)
            if bounds is not None and (sender := bounds.sender(row.channel, options)) is not None:
                options["from"] = sender
            check_window(row, briefing, options, account, now)
            number = self.numbers.international(row.channel, row.recipient)
            row = row if number == row.recipient else replace(row, recipient=number)
            mode = self.accounts.account(account).mode
            url = link(row, briefing, self.links, mode)
            links = {"unsubscribe_url": url, "preferences_url": preferences(row, briefing, self.links, mode)}
            content = _content(row, briefing, options, self.renderer, links)
            _check(row, content, options)
            wanted = options.pop("attachments", ())
            options = with_headers(row.channel, options, url)
            html, files = shown_inside(content.html, wanted, attachments(wanted, briefing))
        except NotAllowed as refused:
            return Hold(str(refused))
        except BadNotification as bad:
            return Drop(Status.FAILED, str(bad), kind=Kind.PERMANENT)
        except RendererAway as away:
            return self.later(policy, str(away))
        except TemplateRests as rests:
            return Wait(timedelta(seconds=rests.wait), str(rests))
        if html is not content.html:
            content = replace(content, html=html)
        message = _message(row, briefing, content, options, files, account, choice)
        return self.safety.apply(message, self.accounts.account(account).mode)

    def _closed(self, briefing: Briefing, policy: Policy, bounds: Bounds | None) -> Wait:
        if bounds is not None and bounds.providers is not None:  # others are open: the claim would take it again
            return self.later(policy, f"every account that the tenant {bounds.tenant_id} may use is in trouble")
        if witness(briefing) is None:
            return Wait(timedelta(0), "every account of its route is in trouble")
        last = f"the account {briefing.last_account} is paused"
        return self.later(policy, f"{last}, and only it can tell whether it took the message already")

    def later(self, policy: Policy, reason: str) -> Wait:
        """Neither the row's fault nor a try: it waits as after a first failure."""
        return Wait(policy.backoff.wait(0, self.dice()), reason)


def _unserved(row: Notification, now: datetime) -> Stop:
    """Nobody sends it; an account of its tenant may be as new as the row, and not known here yet."""
    if now - row.created_at < _YOUNG:
        return Wait(_SOON, f"no account serves the channel {row.channel} yet")
    return Hold(f"no account serves the channel {row.channel}: configure one, then release it")


def _message(
    row: Notification,
    briefing: Briefing,
    content: Rendered,
    options: Mapping[str, Any],
    files: tuple[Attachment, ...],
    account: str,
    choice: str | None,
) -> Message:
    return Message(
        notification_id=row.notification_id,
        message_id=row.message_id,
        channel=row.channel,
        tenant_id=row.tenant_id,
        recipient=row.recipient,
        account=account,
        dated_at=max(row.created_at, row.first_due_at),
        subject=_readable(content.subject),
        text=_text(row.channel, content),
        html=content.html,
        options=options,
        attachments=files,
        traceparent=valid(row.traceparent),
        choice=choice,
        left_out=briefing.left_out,
        keeps=briefing.keeps,
        template=None if briefing.template is None else briefing.template.version,
        contact=None if briefing.contact is None else replace(briefing.contact, address=row.recipient),
    )


def _readable(subject: str | None) -> str | None:
    return subject if subject is None or subject.isascii() else subject.translate(_OVERRIDES)


def _content(
    notification: Notification,
    briefing: Briefing,
    options: dict[str, Any],
    renderer: Renders,
    links: Mapping[str, str | None],
) -> Rendered:
    """What the row carries goes out as it stands; the template fills in what the row leaves open."""
    body = briefing.body if notification.long_body else notification.body
    own = Rendered(notification.subject, body, options.pop("html", None))
    if not notification.template_id:
        return own
    template = briefing.template
    if template is None:
        raise BadNotification(
            f"template {notification.template_id!r} does not exist for tenant {notification.tenant_id!r}"
            f"{_asked(notification)}: publish it or put it into noti.templates, then requeue the notification"
        )
    with_html = notification.channel in _WITH_HTML
    left_open = Template(
        template.template_id,
        subject=template.subject if own.subject is None else None,
        body=template.body if own.text is None else None,
        html=template.html if own.html is None and with_html else None,
        parts=template.parts,
        locale=template.locale,
    )
    language = spoken(notification.locale, template.locale)
    zone = briefing.zone if briefing.contact is None else briefing.contact.zone or briefing.zone
    about = _about(notification, options) | in_words(language, zone)
    about |= {name: url for name, url in links.items() if url is not None}
    filled = renderer.render(left_open, briefing.template_data, about, notification.tenant_id)
    return Rendered(
        own.subject if own.subject is not None else filled.subject,
        own.text if own.text is not None else filled.text,
        own.html if own.html is not None else filled.html,
    )


def _asked(notification: Notification) -> str:
    """What else the row says of its template, which may be there in other languages or since a later version."""
    pin = notification.template_version
    locale = f" in {notification.locale!r} or a language that stands in for it" if notification.locale else ""
    return locale + (f", as of version {pin}" if pin is not None else "")


def _text(channel: Channel, content: Rendered) -> str | None:
    """The plain body; an e-mail that has only html gets one made from it."""
    if channel is Channel.EMAIL and content.html is not None and not content.text:
        return plain_text(content.html)
    return content.text


def _about(notification: Notification, options: Mapping[str, Any]) -> dict[str, Any]:
    """The variable `notification` of every template; a copy says what the message that it is a copy of said."""
    return {
        "notification_id": notification.notification_id if notification.copy_of is None else notification.copy_of,
        "message_id": str(notification.message_id),
        "channel": str(notification.channel),
        "tenant_id": notification.tenant_id,
        "locale": notification.locale,
        "recipient": options.get("copy_of") or notification.recipient,
    }


def _check(notification: Notification, content: Rendered, options: Mapping[str, Any]) -> None:
    """What was rendered is data again: nothing in it is believed."""
    check_recipient(notification.channel, notification.recipient)
    without = notification.channel is Channel.WHATSAPP and not INSTEAD_OF_BODY.isdisjoint(options)
    if content.text is None and not without and (content.html is None or notification.channel not in _WITH_HTML):
        raise BadNotification(f"there is no text for {notification.channel}: give a body, or a template that has one")
    if content.subject is not None and _CONTROLS.search(content.subject):
        raise BadNotification("the subject holds a line break or another control character: it must be a single line")
    for part, text in (("subject", content.subject), ("body", content.text), ("html", content.html)):
        _check_text(part, text)
    if "json" in options.get("content_type", "").lower() and content.text is not None:
        _check_json(content.text)


def _check_text(part: str, text: str | None) -> None:
    if text is None:
        return
    if "\x00" in text:
        raise BadNotification(f"the {part} holds a NUL character: remove it")
    if text.isascii():  # known without looking, and true of most
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadNotification(
            f"the {part} holds half a surrogate pair, which is no Unicode: write the whole character"
        ) from None


def _check_json(text: str) -> None:
    try:
        read_json(text)
    except (ValueError, RecursionError):
        # Without the parser's sentence: some of them quote the text.
        raise BadNotification(
            "options.content_type says JSON, but the body is not valid JSON (in a template, use `| tojson`)"
        ) from None
