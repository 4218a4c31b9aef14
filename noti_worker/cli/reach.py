"""Whether what providers post to is reached under its public address."""

from noti_worker.domain.finding import Finding, ok, warning
from noti_worker.domain.receipts import GREETING

LIMIT = 10.0
"""Seconds."""


def reach(url: str) -> Finding:
    """Ask the public address for the greeting. From here, which may be on the wrong side of a firewall."""
    from noti_worker.cli.place import now
    from noti_worker.domain.said import Said
    from noti_worker.transport import Request
    from noti_worker.transport.client import open_client
    from noti_worker.transport.lookup import Resolver

    client = open_client(Resolver(), now, 1, allow_networks=("0.0.0.0/0", "::/0"), allow_http=True)
    try:
        said = client.send(Request("GET", f"{url.rstrip('/')}/", {}, b"", sends=False), LIMIT)
    finally:
        client.close()
    if not isinstance(said, Said) and said.status == 200 and said.body == GREETING.encode():
        return ok("receipts", f"{url} leads to noti-worker web")
    why = said.error or said.code or "no answer" if isinstance(said, Said) else f"it answered {said.status}"
    return warning(
        "receipts",
        f"{url} does not lead to noti-worker web as seen from here: {why}",
        "start noti-worker web, and let the proxy in front pass on all below web.url (noti-worker docs receipts)",
    )
