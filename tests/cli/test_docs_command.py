"""`docs`: whole pages, what stands below one heading, and the way to a terminal."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke


def test_every_page_is_listed_and_printed(bare: Invoke) -> None:
    parts = [part.splitlines() for part in bare("docs").stdout.split("\n\n")]
    assert [part[0] for part in parts] == ["Pages:", "Pages of providers:"]
    pages, providers = ([line.split(maxsplit=1) for line in part[1:]] for part in parts)
    assert "operations" in dict(pages)
    assert "ses" in dict(providers)
    for page, title in pages + providers:
        assert bare("docs", page).stdout.startswith(f"# {title}\n")
    unknown = bare("docs", "quickstrat")
    assert unknown.exit_code == 1
    assert "did you mean quickstart" in unknown.stderr


@pytest.mark.parametrize("words", ["NotiOldestDueTooOld", "notioldestduetooold", "DueTooOld"])
def test_a_heading_leads_to_what_stands_below_it(bare: Invoke, words: str) -> None:
    shown = bare("docs", "operations", words).stdout
    assert shown.startswith("### NotiOldestDueTooOld\n")
    assert re.findall("^#+ .*", shown, re.MULTILINE) == ["### NotiOldestDueTooOld"]
    assert shown in bare("docs", "operations").stdout


def test_a_heading_brings_the_deeper_ones_along_and_no_comment_of_an_example(bare: Invoke) -> None:
    shown = bare("docs", "retention", "retention").stdout
    assert shown == bare("docs", "retention").stdout
    assert bare("docs", "ses", "limits").stdout.startswith("## Limits\n")
    assert "\n## " not in bare("docs", "ses", "limits").stdout
    whole, own = bare("docs", "providers").stdout, bare("docs", "providers", "A provider of your own").stdout
    assert "\n# " in own  # a comment
    assert whole.endswith(own)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("NotiOldestDueToOld", "did you mean NotiOldestDueTooOld?"),
        ("Noti", "did you mean NotiOldestDueTooOld or NotiNoProgress or "),
        ("zzz", "its headings: "),
    ],
)
def test_a_heading_that_does_not_exist_is_told_with_those_that_do(bare: Invoke, words: str, hint: str) -> None:
    result = bare("docs", "operations", words)
    assert result.exit_code == 1
    assert f"the page operations has no heading '{words}'" in result.stderr
    assert hint in result.stderr


def test_what_is_longer_than_the_terminal_goes_through_the_pager(
    in_terminal: Callable[..., str], tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\ncat\n")
    pager.chmod(0o755)
    long, short = (
        in_terminal("docs", "operations", PAGER=str(pager)),
        in_terminal("docs", "operations", "NotiOldestDueTooOld", PAGER=str(pager)),
    )
    assert long.startswith("PAGED")
    assert "NotiOldestDueTooOld" in long
    assert "PAGED" not in short
    assert "NotiOldestDueTooOld" in short
    assert "###" not in short
