"""`demo` where something that it needs is missing."""

import subprocess
import sys


def test_a_demo_without_the_extra_says_what_to_install() -> None:
    program = "import sys; sys.modules['aiosmtpd'] = None\nfrom noti_worker.cli.main import main\nmain(['demo'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "noti-worker[embedded]" in done.stderr
    assert "Traceback" not in done.stderr
