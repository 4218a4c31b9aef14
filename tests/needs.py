"""Programs and files that some tests need: without them a test is skipped by name (and fails where all must run)."""

import os
import shutil
from pathlib import Path

import pytest


def needs(program: str, found_in: str) -> str:
    """The path of `program` (or the file of that absolute path); `found_in` says what brings it."""
    found = Path(program).exists() if program.startswith("/") else None
    path = program if found else shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed ({found_in})")
    return path
