"""Programs and files that some tests need: without them a test is skipped by name, or fails where all must run."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def needs(program: str, found_in: str) -> str:
    """The path of `program` (or the file of that absolute path); `found_in` says what brings it."""
    path = program if Path(program).is_absolute() and Path(program).exists() else shutil.which(program)
    if path is None:
        lacking(f"{program} is not installed ({found_in})")
    return path


def lacking(what: str) -> NoReturn:
    """Skip with the reason; with NOTI_TEST_STRICT=1 fail."""
    if os.environ.get("NOTI_TEST_STRICT") == "1":
        pytest.fail(what)
    pytest.skip(what)
