"""Whether endpoints hear what they are to be told."""

from collections.abc import Iterator

from noti_worker.domain.finding import Finding, ok, problem, warning
from noti_worker.domain.notification import Channel
from noti_worker.store.connect import Connection
from noti_worker.store.people.endpoints import endpoints as listed
from noti_worker.store.people.gauges import routes


def endpoints(connection: Connection, *, sends: bool) -> Iterator[Finding]:
    """Each endpoint that is not well; `sends` tells whether the configuration has an account for webhooks."""
    lines = listed(connection)
    if not lines:
        return
    told = [line for line in lines if line.state == "enabled"]
    if told and not sends and Channel.WEBHOOK not in routes(connection):
        yield problem(
            "endpoints",
            f"{len(told)} wait to be told, and no account sends webhooks",
            "add an account of the provider webhook (noti-worker docs webhook)",
        )
    for line in lines:
        what = f"{line.name} of tenant {line.tenant_id}"
        if line.state == "failed":
            yield warning(
                "endpoints",
                f"{what} hears nothing any more: {line.state_reason}",
                f"when it works again: noti-worker endpoint enable {line.name} --tenant {line.tenant_id}",
            )
        elif line.failing_since is not None:
            yield warning(
                "endpoints",
                f"{what} takes nothing since {line.failing_since:%Y-%m-%d %H:%M}Z: {line.error}",
                f"noti-worker endpoint test {line.name} --tenant {line.tenant_id}; after five days it is disabled",
            )
    yield ok("endpoints", f"told what happens: {len(told)}; waiting events: {sum(line.waiting for line in told)}")
