"""Where requests of providers are kept until somebody reads them."""

import json
from collections import deque
from contextlib import suppress
from datetime import timedelta
from itertools import count

from noti_worker.domain.receipts import Posted
from noti_worker.store.connect import Database, Session
from noti_worker.store.statements import statement
from noti_worker.store.storable import storable

_KEEP = statement("keep_raw")

WITHIN = timedelta(seconds=3)
"""The provider waits for the answer, and posts again when there is none."""

_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})
_LONGEST_HEADER = 1_000


class Letterbox:
    """Keeps requests, each in a transaction of its own. Used by several threads at once."""

    def __init__(self, database: Database) -> None:
        """Connect when the first request comes."""
        self._database = database
        self._sessions = deque[Session]()  # those that nobody uses
        self._numbers = count(1)

    def keep(self, account: str, provider: str, posted: Posted) -> None:
        """Commit a request; raises DatabaseAway and DatabaseRefused, and then it is not kept."""
        headers = {
            name: storable(value, _LONGEST_HEADER) for name, value in posted.headers.items() if name not in _SECRET
        }
        session = self._take()
        try:
            session.run(
                _KEEP,
                {
                    "account": account,
                    "provider": provider,
                    "query": storable(posted.query, None),
                    "headers": json.dumps(headers),
                    "body": posted.body,
                },
            )
        finally:
            self._sessions.append(session)

    def close(self) -> None:
        """Close the connections."""
        with suppress(IndexError):
            while True:
                self._sessions.pop().close()

    def _take(self) -> Session:
        try:
            return self._sessions.pop()
        except IndexError:
            return self._database.session(f"receipts {next(self._numbers)}", WITHIN)
