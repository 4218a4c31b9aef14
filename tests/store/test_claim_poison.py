"""A poison row harms itself and not the batch."""

import pytest

from noti_worker.domain.notification import OnUncertain, Status
from noti_worker.store.queue import PostgresQueue
from tests.store.rows import AT_ONCE, Connection, claim, ids, insert

DEEP = "[" * 3000 + "]" * 3000
HUGE = "9" * 5000


@pytest.mark.parametrize(
    "document", [DEEP, f'{{"n": {HUGE}}}', f'{{"attachments": {DEEP}}}', '{"attachments": 7}', "[]", "1"]
)
def test_documents_that_python_cannot_read_come_back_as_text(
    queue: PostgresQueue, connection: Connection, document: str
) -> None:
    before = insert(connection)
    poison = insert(connection, template_data=document, options=document)
    after = insert(connection)
    got = claim(queue)
    assert ids(got) == before + poison + after
    briefing = queue.complete(got[1], queue.brief(got)[poison[0]])
    assert briefing.template_data == briefing.options == document


def test_words_of_a_newer_version_harm_only_their_row_and_err_on_the_careful_side(
    queue: PostgresQueue, connection: Connection
) -> None:
    for constraint in connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'noti.notifications_log'::regclass AND contype = 'c'"
    ).fetchall():
        connection.execute(f"ALTER TABLE noti.notifications_log DROP CONSTRAINT {constraint[0]}".encode())
    connection.execute("ALTER TABLE noti.notifications_log DISABLE TRIGGER USER")
    plain = insert(connection, max_retries=3)
    newer = insert(connection, max_retries=3, on_uncertain="ask", requested="snoozed")
    insert(connection, max_retries=3, priority="bulk")
    got = claim(queue)
    assert ids(got) == plain + newer
    assert (got[1].on_uncertain, got[1].requested) == (OnUncertain.HOLD, Status.HELD)
    assert [head.lane.priority.value for head in queue.heads([got[0].channel], None, 200)] == ["normal"]


def test_counts_at_their_end_do_not_stop_the_claim(queue: PostgresQueue, connection: Connection) -> None:
    [id_] = insert(connection, max_retries=1000)
    mates = insert(connection, 2)
    claim(queue, lease=AT_ONCE)
    assert ids(claim(queue)) == [id_, *mates]
