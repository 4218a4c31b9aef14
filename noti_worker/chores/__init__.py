"""Duties that one worker does for all; each file one duty, all of one shape: `run_once() -> int`."""
