"""Bad input harms only itself: every file of `tests/corpus` ends as it says there, beside good rows and one worker."""

import re
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from noti_worker.embedded import Server
from tests.certificates import Authority
from tests.corpus import Case, cases
from tests.system.corpus_run import CANARY, LIMIT, Corpus, Ending, Run, told

pytestmark = pytest.mark.timeout(300)  # all cases go through one worker, in the first test that asks

CASES = {case.id: case for case in cases()}


@pytest.fixture(scope="module")
def play(
    cluster: Server,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    wait_for: Callable[..., Any],
) -> Callable[[int], Run]:
    """Run all cases in a database of their own, with so many good rows for each."""

    def play(good_per_bad: int) -> Run:
        name = sql.Identifier(f"corpus_{uuid4().hex}")
        url = cluster.url_of(name.as_string(None).strip('"'))
        directory = tmp_path_factory.mktemp("corpus")
        with psycopg.connect(cluster.url_of("postgres"), autocommit=True) as administrator:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template_database))
            administrator.execute(create)
            run = Corpus(url, directory, authority, wait_for, good_per_bad).run([*CASES.values()])
            administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        return run

    return play


@pytest.fixture(scope="module")
def run(play: Callable[[int], Run]) -> Run:
    return play(1)


@pytest.mark.parametrize("file", sorted({name.partition(":")[0] for name in CASES}))
def test_every_variant_ends_as_its_file_says(run: Run, file: str) -> None:
    complaints = [
        f"{name}: {said}"
        for name, case in CASES.items()
        if name.partition(":")[0] == file
        for said in _complaints(run, case, run.endings[name])
    ]
    assert not complaints, "\n".join(complaints)


def _complaints(run: Run, case: Case, ending: Ending) -> Iterator[str]:
    if case.ends == "rejected":
        if ending.refusal is None:
            yield f"it was taken, and became {ending.row['status']}"
            return
        if ending.refusal.sqlstate not in _REFUSALS:
            yield f"SQLSTATE {ending.refusal.sqlstate}"
    elif ending.refusal is not None:
        yield f"it was rejected: {ending.refusal}"
        return
    else:
        yield from _ending(run, case, ending)
    for wanted in (case.wrong, case.remedy):
        if not re.search(wanted, ending.reason):
            yield f"the reason lacks {wanted!r}: {ending.reason[:500]}"
    if CANARY in (told(ending) if ending.refusal is None else ending.reason) and "$canary" in case.sql + case.value:
        yield f"it shows what the row carried: {told(ending) if ending.refusal is None else ending.reason}"


# check_violation, unique_violation, and what PostgreSQL itself says of texts and documents
_REFUSALS = frozenset({"23514", "23505", "22P02", "22P05", "22021", "54000"})


def _ending(run: Run, case: Case, ending: Ending) -> Iterator[str]:
    # On a busy machine a mail that is fine may need another try (that it arrived once is looked at below), and time
    # decides how many tries fit in before a row expires.
    enough = len(ending.tries) == case.tries or (case.ends in {"sent", "expired"} and len(ending.tries) > case.tries)
    if ending.row["status"] != case.ends or not enough:
        yield f"it became {ending.row['status']} after {len(ending.tries)} tries: {ending.reason[:500]}"
        return
    last = ending.tries[-1] if ending.tries else {}
    kind = last["kind"] if last else re.sub(r'.*"kind": "(\w+)".*', r"\1", ending.audit.replace("\n", " "))
    if case.kind is not None and kind != case.kind:
        yield f"its kind is {kind}"
    if case.code is not None and last["code"] != case.code:
        yield f"its code is {last['code']}"
    copies = run.copies[str(ending.row["message_id"])]
    if case.ends == "sent":
        yield from _delivery(run, case, ending)
    elif copies and not ending.tries:
        yield "it arrived somewhere"


def _delivery(run: Run, case: Case, ending: Ending) -> Iterator[str]:
    """What does not arrive once, or not as it should."""
    message_id = str(ending.row["message_id"])
    wanted = dict(case.delivered)
    match ending.row["channel"]:
        case "in_app":
            parts = {"body": run.inbox.get(ending.row["notification_id"], "it is not in the inbox")}
        case "webhook":
            parts = {"body": run.posts.get(message_id, b"it was not posted").decode()}
        case _:
            parts = _parts(run.mails[message_id])
            if run.envelopes[message_id] != (parts["to"],):
                yield f"the envelope names {run.envelopes[message_id]}"
    if ending.row["channel"] != "in_app" and run.copies[message_id] != 1:
        yield f"it arrived {run.copies[message_id]} times"
    for part, pattern in wanted.items():
        where, lacks = part.removesuffix("_lacks"), part.endswith("_lacks")
        if bool(re.search(pattern, parts[where])) == lacks:
            yield f"{part} {pattern!r}: {parts[where][:200]}"


def _parts(mail: Message) -> dict[str, str]:
    """A mail as a person and a mail program see it."""
    headers = "\n".join(f"{name}: {make_header(decode_header(str(value)))}" for name, value in mail.items())
    pages: list[Any] = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/html"]
    return {
        "to": parseaddr(str(mail["To"]))[1],
        "subject": str(make_header(decode_header(str(mail["Subject"])))),
        "headers": headers,
        "html": pages[0].decode().removeprefix('<p title="') if pages else "",
        "file": "".join(str(part.get_filename()) for part in mail.walk() if part.get_filename()),
    }


def test_every_good_row_is_sent_exactly_once(run: Run) -> None:
    assert {recipient: run.delivered[recipient] for recipient in run.good} == dict.fromkeys(run.good, 1)


def test_neither_log_nor_metrics_show_what_it_carried(run: Run) -> None:
    assert CANARY not in run.log_text
    assert CANARY not in run.metrics


def test_the_worker_was_started_once_and_complains_of_nothing(run: Run) -> None:
    assert run.exit_code == 0
    assert len([line for line in run.log if line.get("event") == "worker_started"]) == 1
    assert [line for line in run.log if line.get("level") == "error" or line.get("event") in {"trouble", "raw"}] == []
    assert run.invariants == []


def test_nobody_knocked_where_nobody_may(run: Run) -> None:
    assert run.trapped == 0


def test_beside_a_template_that_never_ends_the_others_go_on(run: Run) -> None:
    """Rows without a template do not wait at all, those with one for the rest of its second."""
    assert run.neighbours
    for one in run.neighbours:
        ended = run.finished[one.bad]
        *plain, templated = [run.finished[good] for good in one.good]
        assert all(finished < ended for finished in plain), one.case.id
        assert (templated - ended).total_seconds() < 2, one.case.id


def test_beside_a_server_without_end_the_others_go_on(run: Run) -> None:
    """Each such server has a slot to itself; whoever comes later is sent before the first of them is given up."""
    waited = [
        run.finished[ending.row["notification_id"]]
        for name, ending in run.endings.items()
        if CASES[name].blocks == "slot" and ending.tries and ending.tries[-1]["duration_ms"] >= 900 * LIMIT
    ]
    assert len(waited) > 5
    assert max(run.finished[number] for number in run.beside_slots) < min(waited)


def test_no_answer_takes_longer_than_the_limit(run: Run) -> None:
    took = {
        name: one["duration_ms"] / 1000
        for name, ending in run.endings.items()
        for one in ending.tries
        if CASES[name].blocks == "slot"
    }
    # Two stages, to the last byte and after the final dot, have a limit each.
    assert {name: seconds for name, seconds in took.items() if seconds > 2 * LIMIT + 0.5} == {}


def test_bad_input_costs_no_memory(run: Run) -> None:
    assert run.peak["worker"] < 250_000_000
    assert 20_000_000 < run.peak["renderer"] < 270_000_000  # its limit is 256 MB


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_among_ten_thousand_good_rows_too(play: Callable[[int], Run]) -> None:
    run = play(17)
    assert len(run.good) > 10_000
    assert {recipient: run.delivered[recipient] for recipient in run.good} == dict.fromkeys(run.good, 1)
    complaints = [said for name, case in CASES.items() for said in _complaints(run, case, run.endings[name])]
    assert not complaints, "\n".join(complaints)
    assert run.invariants == []
    assert run.peak["worker"] < 250_000_000
