import subprocess
import sys

STORM = """
import signal
from noti_worker.cli.rest import rest

class Told(Exception):
    pass

def tell(number, frame):
    raise Told

signal.signal(signal.SIGALRM, tell)
for number in range(2000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 400))
        while True:
            rest(0.0001)
    except Told:
        pass
"""


def test_a_signal_ends_it_cleanly_whenever_it_comes() -> None:
    """With Event.wait in its place this ends in a RuntimeError or never."""
    done = subprocess.run([sys.executable, "-c", STORM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
