"""From a row to a message that can go out: permit, render, check, route. Previews and dry runs stop here."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, Protocol

from noti_worker.delivery.attachments import attachments, shown_inside
from noti_worker.delivery.plain_text import plain_text
from noti_worker.delivery.recipients import check_recipient
from noti_worker.delivery.render import Rendered
from noti_worker.delivery.routes import accounts_for, next_account, open_accounts
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import (
    Briefing,
    Channel,
    Drop,
    Hold,
    Message,
    Notification,
    OnUncertain,
    Status,
    Template,
)
from noti_worker.domain.options import ALL_OPTIONS, read_options
from noti_worker.domain.outcome import Kind
from noti_worker.domain.permits import permit
from noti_worker.domain.trace import valid

_WITH_HTML = frozenset({Channel.EMAIL, Channel.IN_APP})
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Overrides can make "gpj.exe" read "exe.jpg"; Arabic and Hebrew text does not need them.
_OVERRIDES = str.maketrans("", "", "\u202d\u202e")


class Renders(Protocol):
    """Fills in templates; the real one is `render.Renderer`."""

    def render(self, template: Template, data: str | None, notification: Mapping[str, Any]) -> Rendered:
        """Render the parts that the template has; raises BadNotification or RendererAway."""
        ...


def prepare(
    notification: Notification,
    briefing: Briefing,
    now: datetime,
    *,
    on_uncertain: OnUncertain,
    route: Sequence[str],
    providers: Mapping[str, str],
    renderer: Renders,
    paused: Collection[str] = (),
) -> Message | Hold | Drop:
    """Pure but for the renderer; a row that cannot be sent as it stands is dropped as failed, with the reason.

    `paused` accounts leave the route. Raises AccountPaused when only one of them may send this row.
    """
    stop = permit(notification, now, on_uncertain)
    if stop is not None:
        return stop
    if not route:
        return Hold(f"no account serves the channel {notification.channel}: configure one, then release it")
    if briefing.unreadable is not None:
        return Drop(Status.FAILED, briefing.unreadable, kind=Kind.PERMANENT)
    try:
        options = read_options(ALL_OPTIONS, notification.channel, briefing.options)
        content = _content(notification, briefing, options.pop("html", None), renderer)
        _check(notification, content, options)
        wanted = options.pop("attachments", ())
        html, files = shown_inside(content.html, wanted, attachments(wanted, briefing))
        accounts = open_accounts(accounts_for(notification, route, providers), paused, briefing)
        account = next_account(accounts, briefing)
    except BadNotification as bad:
        return Drop(Status.FAILED, str(bad), kind=Kind.PERMANENT)
    return Message(
        notification_id=notification.notification_id,
        message_id=notification.message_id,
        channel=notification.channel,
        tenant_id=notification.tenant_id,
        recipient=notification.recipient,
        account=account,
        dated_at=max(notification.created_at, notification.first_due_at),
        subject=_readable(content.subject),
        text=_text(notification.channel, content),
        html=html,
        options=options,
        attachments=files,
        traceparent=valid(notification.traceparent),
    )


def _readable(subject: str | None) -> str | None:
    return subject if subject is None or subject.isascii() else subject.translate(_OVERRIDES)


def _content(notification: Notification, briefing: Briefing, html: str | None, renderer: Renders) -> Rendered:
    """What the row carries goes out as it stands; the template fills in what the row leaves open."""
    body = briefing.body if notification.long_body else notification.body
    own = Rendered(notification.subject, body, html)
    if not notification.template_id:
        return own
    template = briefing.template
    if template is None:
        raise BadNotification(
            f"template {notification.template_id!r} does not exist for tenant {notification.tenant_id!r}:"
            " put it into noti.templates, then requeue the notification"
        )
    with_html = notification.channel in _WITH_HTML
    left_open = Template(
        template.template_id,
        subject=template.subject if own.subject is None else None,
        body=template.body if own.text is None else None,
        html=template.html if own.html is None and with_html else None,
    )
    filled = renderer.render(left_open, briefing.template_data, _about(notification))
    return Rendered(
        own.subject if own.subject is not None else filled.subject,
        own.text if own.text is not None else filled.text,
        own.html if own.html is not None else filled.html,
    )


def _text(channel: Channel, content: Rendered) -> str | None:
    """The plain body; an e-mail that has only html gets one made from it."""
    if channel is Channel.EMAIL and content.html is not None and not content.text:
        return plain_text(content.html)
    return content.text


def _about(notification: Notification) -> dict[str, Any]:
    """The variable `notification` of every template."""
    return {
        "notification_id": notification.notification_id,
        "message_id": str(notification.message_id),
        "channel": str(notification.channel),
        "tenant_id": notification.tenant_id,
        "locale": notification.locale,
        "recipient": notification.recipient,
    }


def _check(notification: Notification, content: Rendered, options: Mapping[str, Any]) -> None:
    """What was rendered is data again: nothing in it is believed."""
    check_recipient(notification.channel, notification.recipient)
    if content.text is None and (content.html is None or notification.channel not in _WITH_HTML):
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
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadNotification(
            f"the {part} holds half a surrogate pair, which is no Unicode: write the whole character"
        ) from None


def _check_json(text: str) -> None:
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # Without the parser's sentence: some of them quote the text.
        raise BadNotification(
            "options.content_type says JSON, but the body is not valid JSON (in a template, use `| tojson`)"
        ) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON
