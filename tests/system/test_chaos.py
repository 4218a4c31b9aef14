"""Half a minute of chaos: all monkeys at once, and the judge at the end. Ten minutes: python -m tests.system.chaos."""

from pathlib import Path

import pytest

from tests.system.chaos import Plan, storm
from tests.verdict import Verdict


@pytest.mark.fault("F60")
@pytest.mark.timeout(300)
def test_all_monkeys_at_once_lose_nothing_and_every_repeat_is_explained(open_directory: Path, verdict: Verdict) -> None:
    story = storm(Plan(seed=60, seconds=30.0, rows=3000, restart_every=(6.0, 10.0)), open_directory)
    assert story.good, story.table()
    # It was a storm indeed.
    assert story.deeds["workers killed"] >= 3
    assert story.deeds["workers stopped past their lease"] >= 2
    assert story.deeds["restarts of PostgreSQL"] >= 2
    assert story.deeds["connections cut"] >= 3
    assert story.deeds["faults of the line"] >= 2
    assert story.judgement.repeats.keys() >= {"uncertain outcome", "lost claim"}
    assert story.judgement.statuses["sent"] > 2000  # on a busy machine some expire
    verdict.say(
        f"{story.judgement.statuses.total()} rows at rest {story.seconds_to_rest:.0f} s after"
        f" {story.deeds['workers killed']} kills, {story.deeds['workers stopped past their lease']} pauses,"
        f" {story.deeds['restarts of PostgreSQL']} restarts; none lost, every repeat explained (seed {story.seed})",
        repeats=story.judgement.repeats.total(),
    )
