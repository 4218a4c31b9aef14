"""The one way out: bounded in time and size, honest about what was sent. Providers see its plain values and its `Kit`.

`kit` makes senders of translations. Over HTTP: `http` drives a translation, `client` sends requests, `guard` says
where they may go, `proxy` is the way through one, `connections` keeps connections, `answer` reads what comes back,
`deadline` is the time of it all; `http2` keeps connections to a service that speaks HTTP/2 alone, `streams` is one of
them. Over lines of text: `talk` is what a conversation may ask for, `lines` drives it on kept lines, `line` is the
socket. For all: `lookup` resolves names within a limit, `dial` connects, `tls` says whom to trust.
"""

from noti_worker.transport.kit import Kit
from noti_worker.transport.messages import Reply, Request, Steps

__all__ = ["Kit", "Reply", "Request", "Steps"]
