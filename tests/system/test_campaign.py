"""A campaign, what came of it, and the next one: it leaves out exactly those who bounced, complained or left."""

from pathlib import Path

import pytest

from tests.system.campaign import campaign
from tests.system.recipients import Fate, recipients
from tests.verdict import Verdict


@pytest.mark.fault("F78")
@pytest.mark.parametrize(
    "mails",
    [
        pytest.param(300, marks=pytest.mark.timeout(600)),
        pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_the_next_campaign_leaves_out_exactly_those_who_bounced_complained_or_left(
    mails: int, database_url: str, open_directory: Path, verdict: Verdict
) -> None:
    story = campaign(mails, 14, database_url, open_directory)
    assert story.good, story.table()
    assert story.books is not None
    should = story.books.should_hold()
    assert {reason for _, reason, _ in should} == {"dead", "complaint", "optout"}
    # It was all of it: before, twice, by mail, and with a worker killed.
    ends = {Fate.BOUNCES, Fate.COMPLAINS, Fate.LEAVES}
    assert {person for person, _, _ in should} == {one.person for one in recipients(mails, 14) if one.fate in ends}
    assert min(story.counts[word] for word in ("told before the answer", "told twice", "links looked at")) > 10
    assert {one.account for one in story.books.told} == {"mail", "back"}
    told = len(set(story.books.told))
    verdict.say(
        f"{mails} mails and {mails} again, {told} things told of them, {story.counts['told twice']} twice:"
        f" the second left out the {len(should)} that it should, nothing counted twice",
        repeats=story.judgement.repeats.total(),
    )
