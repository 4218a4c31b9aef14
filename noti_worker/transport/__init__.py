"""The one way out over HTTP: guarded, bounded in time and size, honest about what was sent.

`client` sends requests, `guard` says where they may go, `lookup` resolves names within a limit,
`lines` are the guarded connections and their pools, `answer` reads what comes back, `deadline` is the time of it all.
"""

from noti_worker.transport.client import Client, Http
from noti_worker.transport.messages import Reply, Request, retry_after

__all__ = ["Client", "Http", "Reply", "Request", "retry_after"]
