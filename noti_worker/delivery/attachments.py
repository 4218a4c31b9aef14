"""The files of an e-mail: found, of a type that can go out, and tied to the html that shows them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from urllib.parse import unquote
from uuid import UUID

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.media_type import read_media_type
from noti_worker.domain.notification import Attachment, Briefing

_SHOWN = re.compile(r"""(?P<lead>["'(=]\s*cid:)(?P<name>[^\s"'<>)]{1,1000})""", re.IGNORECASE)


def attachments(wanted: Sequence[str], briefing: Briefing) -> tuple[Attachment, ...]:
    """The files that the ids in `wanted` (options.attachments) name; raises BadNotification."""
    if not wanted:
        return ()
    if briefing.missing:
        missing = ", ".join(briefing.missing)
        raise BadNotification(f"options.attachments names {missing}, which noti.attachments of the tenant lacks")
    if len(briefing.attachments) != len(wanted):
        raise BadNotification("options.attachments could not be looked up: it must be a list of attachment_id")
    for index, attachment in enumerate(briefing.attachments):
        read_media_type(attachment.content_type, f"options.attachments[{index}]: its content type")
    return briefing.attachments


def shown_inside(
    html: str | None, wanted: Sequence[str], files: Sequence[Attachment]
) -> tuple[str | None, tuple[Attachment, ...]]:
    """The html and the files, those with a `content_id` that the html shows by `cid:`.

    It may name a file by its attachment_id or its file name, percent-encoded as in any URL; both become the
    content id that goes out (RFC 2392), because a file name may hold what a Content-ID may not.
    """
    if html is None or not files or "cid:" not in html.lower():
        return html, tuple(files)
    ids = [str(UUID(one)) for one in wanted]
    by_name = {file.filename: index for index, file in reversed([*enumerate(files)])}
    by_name |= {one: index for index, one in reversed([*enumerate(ids)])}
    shown: set[int] = set()

    def with_content_id(found: re.Match[str]) -> str:
        name = unquote(unescape(found["name"]))
        index = by_name.get(name, by_name.get(name.lower()))
        if index is None:
            return found[0]
        shown.add(index)
        return f"{found['lead']}{_content_id(ids[index])}"

    html = _SHOWN.sub(with_content_id, html)
    return html, tuple(
        replace(file, content_id=_content_id(ids[index])) if index in shown else file
        for index, file in enumerate(files)
    )


def _content_id(attachment_id: str) -> str:
    return f"{attachment_id}@noti-worker"
