"""A worker takes as much at the end of a long run as at its beginning."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.soak import Sample, faults, soak
from tests.verdict import Verdict

SAMPLE = Sample(1000, 1.0, memory=80.0, child_memory=20.0, descriptors=16, threads=50, database=30.0)


def test_what_grows_is_told() -> None:
    flat = [SAMPLE, replace(SAMPLE, memory=84.0, descriptors=18, threads=48, database=3000.0)]
    assert faults(flat) == []
    assert faults([SAMPLE, replace(SAMPLE, memory=89.0)]) == ["memory grew from 80.0 to 89.0 MB"]
    assert faults([SAMPLE, replace(SAMPLE, child_memory=23.0)]) == ["child_memory grew from 20.0 to 23.0 MB"]
    assert faults([SAMPLE, replace(SAMPLE, descriptors=20)]) == ["descriptors went from 16 to 20"]
    assert faults([SAMPLE, replace(SAMPLE, threads=54)]) == ["threads went from 50 to 54"]


@pytest.mark.slow
@pytest.mark.fault("F46")
@pytest.mark.timeout(900)
def test_memory_descriptors_and_threads_stay_flat(
    open_directory: Path, verdict: Verdict, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = soak(200_000, open_directory, print)
    table = capsys.readouterr().out
    assert faults(samples) == [], table
    first, last = samples[0], samples[-1]
    verdict.say(
        f"{last.rows:,} rows in {last.seconds:.0f} s: memory {first.memory:.0f} to {last.memory:.0f} MB,"
        f" {first.descriptors} to {last.descriptors} descriptors, {first.threads} to {last.threads} threads"
    )
