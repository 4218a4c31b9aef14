"""What Prometheus itself says to a page of metrics."""

import subprocess

from tests.needs import needs


def complaints(text: bytes) -> bytes:
    """The words of `promtool check metrics`, empty when all is well; skips where it is not installed."""
    promtool = needs("promtool", "Debian package prometheus")
    check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert check.returncode == 0 or check.stderr
    return check.stdout + check.stderr
