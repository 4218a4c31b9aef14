"""A template filled in as delivery does it, for people who look at it before it is sent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from noti_worker.cli.template_files import Key, Text
from noti_worker.cli.template_shelf import compose
from noti_worker.domain.language import in_words, spoken
from noti_worker.domain.notification import Channel

if TYPE_CHECKING:
    from noti_worker.delivery.render import Renderer

LINK = "https://example.com/unsubscribe"
_WITH_HTML = frozenset({Channel.EMAIL.value, Channel.IN_APP.value})


@dataclass(frozen=True, slots=True)
class Shown:
    """What would be sent, as far as the template says it; `made` tells that the text was made from the HTML."""

    channel: str
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    made: bool = False
    parts: tuple[str, ...] = field(default=())  # of an SMS

    @property
    def encoding(self) -> str:
        """Of an SMS."""
        from noti_worker.providers._sms import split

        return split(self.text or "")[0]


@contextmanager
def renderer() -> "Iterator[Renderer]":
    """A renderer with the limits of a worker."""
    from noti_worker.delivery.render import Renderer
    from noti_worker.observe import Observers

    with closing(Renderer(Observers())) as opened:
        yield opened


def fill(
    renderer: "Renderer",
    texts: Mapping[Key, Text],
    text: Text,
    channel: str,
    locale: str | None,
    data: Mapping[str, Any],
    tenant_id: str = "default",
    zone: str | None = None,
) -> Shown:
    """Fill in a text for a channel; raises BadNotification in the words that a message would fail with."""
    from noti_worker.delivery.plain_text import plain_text
    from noti_worker.providers._sms import split

    about = {
        "notification_id": 17,
        "message_id": "00000000-0000-4000-8000-000000000017",
        "channel": channel,
        "tenant_id": tenant_id,
        "locale": locale,
        "recipient": "ada@example.com",
        "unsubscribe_url": LINK,
        **in_words(spoken(locale, text.locale), zone),
        "preferences_url": "https://example.com/preferences",
    }
    template = compose(texts, text, channel, locale)
    found = renderer.render(template, json.dumps(data), about, tenant_id)
    html = found.html if channel in _WITH_HTML else None
    made = channel == Channel.EMAIL and html is not None and not found.text
    body = plain_text(html) if made and html is not None else found.text
    parts = tuple(split(body)[1]) if channel == Channel.SMS and body is not None else ()
    return Shown(channel, found.subject, body, html, made, parts)
