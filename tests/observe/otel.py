"""The extra `otel` and the receiver `oteltap`, or a word why a test cannot run."""

import importlib.util

import pytest


def needed(*modules: str) -> None:
    """Skip the test where a module is missing."""
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:  # its parent is missing
            found = False
        if not found:
            pytest.skip(f"{module} is not installed (extra otel, and oteltap)")
