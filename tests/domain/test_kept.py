"""What is kept of a try: of which ones, and what not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from noti_worker.domain.kept import LONGEST, LONGEST_SUBJECT, kept
from noti_worker.domain.notification import Attachment, Channel, Message, Status
from noti_worker.domain.outcome import Kind, Outcome

DAY = timedelta(days=1)


def message(**changes: Any) -> Message:
    fields: dict[str, Any] = {"text": "Hello", "keeps": DAY}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Message(1, UUID(int=1), Channel.EMAIL, "default", "ann@example.com", "relay", at, **(fields | changes))


@pytest.mark.parametrize(
    ("status", "kind", "wanted"),
    [
        (Status.SENT, Kind.OK, True),
        (Status.FAILED, Kind.PERMANENT, True),
        (Status.UNKNOWN, Kind.UNCERTAIN, True),
        (Status.RETRYING, Kind.UNCERTAIN, True),
        (Status.RETRYING, Kind.TRANSIENT, False),
        (Status.HELD, Kind.CONFIG, False),
    ],
)
def test_it_is_of_tries_that_may_have_arrived_or_are_the_last(status: Status, kind: Kind, wanted: bool) -> None:
    assert (kept(message(), status, Outcome(kind)) is not None) is wanted
    assert kept(message(keeps=None), status, Outcome(kind)) is None


def test_no_headers_no_files_and_no_more_than_fits() -> None:
    found = kept(
        message(
            subject="s" * 3000,
            html="x" * (LONGEST + 1),
            options={"headers": {"Authorization": "secret"}, "cc": ["bob@example.com"]},
            attachments=(Attachment("cv.pdf", "application/pdf", b"secret"),),
        ),
        Status.SENT,
        Outcome(Kind.OK),
    )
    assert found is not None
    assert (len(found.subject or ""), found.body, len(found.html or "")) == (LONGEST_SUBJECT, "Hello", LONGEST)
    assert found.truncated
    assert found.options == {
        "cc": ["bob@example.com"],
        "attachments": [{"filename": "cv.pdf", "content_type": "application/pdf", "bytes": 6}],
    }
    assert "secret" not in repr(found)
    assert not kept(message(), Status.SENT, Outcome(Kind.OK)).truncated  # type: ignore[union-attr]
