"""An open-loop producer: inserts rows one by one at fixed instants, and notes the time before each insert.

`python -m tests.bench.producer URL FIRST COUNT RATE`; prints `number time` for each row, in the monotonic clock. It
never waits for anybody: when an insert was late, the next one comes at once. When it is half of its time late, it gives
up.
"""

import sys
import threading
import time

import psycopg

from tests.bench.rows import BODY

_INSERT = "INSERT INTO noti.notifications_log (channel, recipient, subject, body) VALUES ('email', %s, 'Subject', %s)"


def main() -> None:
    """Insert, then print."""
    url, first, count, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    stamps: list[float] = []
    tick = threading.Event()
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        connection.execute("SELECT 1")
        begin = time.monotonic() + 0.1
        for number in range(count):
            wait = begin + number / rate - time.monotonic()
            if wait > 0:
                tick.wait(wait)
            elif -wait > count / rate / 2:
                break
            stamps.append(time.monotonic())
            connection.execute(_INSERT, [f"{first + number}@example.com", BODY])
    sys.stdout.writelines(f"{first + number} {stamp}\n" for number, stamp in enumerate(stamps))


if __name__ == "__main__":
    main()
