"""Which text of a template a message gets, and what that is made of: as the database would say, of texts in hand."""

from collections.abc import Mapping

from noti_worker.cli.template_files import Key, Text, names_in
from noti_worker.domain.language import languages
from noti_worker.domain.notification import Template


def find(texts: Mapping[Key, Text], template_id: str, channel: str, locale: str | None) -> Text | None:
    """The text for a channel and a language: one of the channel's own, if one fits, else one for all channels."""
    for of_channel in (channel, ""):
        for tag in (*languages(locale), ""):
            if (text := texts.get((template_id, of_channel, tag))) is not None:
                return text
    return None


def compose(texts: Mapping[Key, Text], text: Text, channel: str, locale: str | None) -> Template:
    """The template of a text, with what it is made of."""
    parts: dict[str, Text] = {}
    waiting = [name for part in text.parts.values() for name in names_in(part)]
    while waiting:
        name = waiting.pop()
        if name not in parts and (part := find(texts, name, channel, locale)) is not None:
            parts[name] = part
            waiting.extend(other for source in part.parts.values() for other in names_in(source))
    return Template(
        text.template_id,
        text.subject,
        text.body,
        text.html,
        parts=tuple(Template(name, part.subject, part.body, part.html) for name, part in sorted(parts.items())),
    )
