"""What the rows of a batch refer to: gathered from the rows, asked for in one trip, dealt out again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from noti_worker.domain.notification import Attachment, Briefing, Notification, Template
from noti_worker.store.connect import Row


@dataclass(frozen=True, slots=True)
class Needs:
    """The notifications that refer to something. `attachments` are UUIDs, or the words that are none, by id."""

    notifications: Sequence[Notification]
    attachments: Mapping[int, Sequence[UUID | str]]

    @classmethod
    def of(cls, notifications: Sequence[Notification]) -> "Needs":
        """Read the needs from the rows; options that cannot be read need nothing here: delivery refuses them."""
        attachments = {n.notification_id: _attachments(n.options) for n in notifications if n.options is not None}
        referring = [
            n
            for n in notifications
            if n.template_id is not None or n.attempt_count > 0 or attachments.get(n.notification_id)
        ]
        return cls(referring, attachments)

    def __bool__(self) -> bool:
        return bool(self.notifications)

    def parameters(self) -> dict[str, object]:
        """For the statement `brief`; each template and attachment once."""
        templates = {(n.tenant_id, n.template_id) for n in self.notifications if n.template_id is not None}
        attachments = {
            (n.tenant_id, wanted)
            for n in self.notifications
            for wanted in self.attachments.get(n.notification_id, ())
            if isinstance(wanted, UUID)
        }
        return {
            "template_tenants": [tenant_id for tenant_id, _ in templates],
            "template_ids": [template_id for _, template_id in templates],
            "attachment_tenants": [tenant_id for tenant_id, _ in attachments],
            "attachment_ids": [wanted for _, wanted in attachments],
            "retried": [n.notification_id for n in self.notifications if n.attempt_count > 0],
        }

    def met_by(self, rows: Sequence[Row]) -> dict[int, Briefing]:
        """A briefing for each of them from the rows that the statement gave."""
        templates: dict[tuple[str, str], Template] = {}
        attachments: dict[tuple[str, UUID], Attachment] = {}
        tries: dict[int, Row] = {}
        for row in rows:
            match row["what"]:
                case "template":
                    template = Template(row["name"], row["subject"], row["body"], row["html"])
                    templates[row["tenant_id"], row["name"]] = template
                case "attachment":
                    attachment = Attachment(row["filename"], row["content_type"], row["content"])
                    attachments[row["tenant_id"], UUID(row["name"])] = attachment
                case _:
                    tries[row["notification_id"]] = row
        briefings = {}
        for n in self.notifications:
            wanted = self.attachments.get(n.notification_id, ())
            found = [attachments.get((n.tenant_id, one)) if isinstance(one, UUID) else None for one in wanted]
            last = tries.get(n.notification_id, {})
            briefings[n.notification_id] = Briefing(
                template=templates.get((n.tenant_id, n.template_id)) if n.template_id is not None else None,
                attachments=tuple(attachment for attachment in found if attachment is not None),
                missing=tuple(str(one) for one, there in zip(wanted, found, strict=True) if there is None),
                last_account=last.get("account"),
                last_kind=last.get("kind"),
            )
        return briefings


def _attachments(options: str) -> list[UUID | str]:
    """The ids named in options.attachments; the document comes from outside and may be anything."""
    # jsonb writes its keys in one way only, and few rows have this one: most documents need no parsing here.
    if '"attachments"' not in options:
        return []
    try:
        document = json.loads(options)
    except (ValueError, RecursionError):
        return []
    wanted = document.get("attachments") if isinstance(document, dict) else None
    return [_uuid(one) for one in wanted] if isinstance(wanted, list) else []


def _uuid(word: object) -> UUID | str:
    if not isinstance(word, str):
        return f"<{type(word).__name__}>"
    try:
        return UUID(word)
    except ValueError:
        return word[:100]
