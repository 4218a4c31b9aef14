"""An open-loop producer: inserts rows at fixed instants, and notes the time before each insert.

`python -m tests.bench.producer URL FIRST COUNT RATE TOGETHER`: so many rows a second, TOGETHER of them per insert;
prints `number time` for each row, in the monotonic clock. It never waits for anybody: when an insert was late, the next
one comes at once. When it is half of its time late, it gives up.
"""

import sys
import threading
import time

import psycopg

from tests.bench.rows import BODY

_INSERT = "INSERT INTO noti.notifications_log (channel, recipient, subject, body) VALUES "
_ROW = "('email', %s, 'Subject', %s)"


def main() -> None:
    """Insert, then print."""
    url, first, count, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    together = int(sys.argv[5])
    insert = (_INSERT + ", ".join([_ROW] * together)).encode()
    stamps: list[float] = []
    tick = threading.Event()
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        connection.execute("SELECT 1")
        begin = time.monotonic() + 0.1
        for number in range(0, count, together):
            wait = begin + number / rate - time.monotonic()
            if wait > 0:
                tick.wait(wait)
            elif -wait > count / rate / 2:
                break
            stamps += [time.monotonic()] * together
            recipients = [f"{first + number + one}@example.com" for one in range(together)]
            connection.execute(insert, [value for recipient in recipients for value in (recipient, BODY)])
    sys.stdout.writelines(f"{first + number} {stamp}\n" for number, stamp in enumerate(stamps))


if __name__ == "__main__":
    main()
