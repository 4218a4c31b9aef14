"""What a claim, or a look at what it would take, asks the database for."""

from collections.abc import Sequence
from datetime import timedelta

from noti_worker.domain.closures import Skip
from noti_worker.domain.lanes import Share
from noti_worker.store.arrays import array, instants, texts


def asked_of(
    worker_id: int,
    shares: Sequence[Share],
    limit: int,
    lease: timedelta,
    dead: Sequence[int] | None,
    in_hand: Sequence[int] | None,
    solo: bool,
    skip: Skip,
    living: Sequence[int],
) -> dict[str, object]:
    """The parameters of claim and peek."""
    lanes = [share.lane for share in shares]
    some: dict[str, object] = {}
    if skip.destinations:
        named = (f"{lane.channel}\x1f{lane.priority}\x1f{lane.tenant_id}\x1f{to}" for lane, to in skip.destinations)
        some = {"destinations": texts(sorted(named)), "only": skip.only}
    return some | {
        "worker_id": worker_id,
        "lease": lease,
        "dead": None if dead is None else array(dead),
        "living": array(living),
        "in_hand": None if in_hand is None else array(in_hand),
        "solo": solo,
        "limit": limit,
        "closed_providers": texts(f"{tenant}\x1f{name}" for tenant, name in skip.providers),
        "closed_templates": texts(f"{tenant}\x1f{name}" for tenant, name in skip.templates),
        "aside": array(sorted(skip.rows)),
        "channels": texts(lane.channel.value for lane in lanes),
        "priorities": texts(lane.priority.value for lane in lanes),
        "tenants": texts(lane.tenant_id for lane in lanes),
        "floors_at": instants(share.floor.due_at for share in shares),
        "floors_id": array([share.floor.notification_id for share in shares]),
        "untils_at": instants(share.until.due_at for share in shares),
        "untils_id": array([share.until.notification_id for share in shares]),
        "quotas": array([share.quota for share in shares]),
    }


def turns(shares: Sequence[Share]) -> dict[tuple[str, str, str], int]:
    """The place of each lane in the order of the shares."""
    lanes = (share.lane for share in shares)
    return {(lane.channel, lane.priority, lane.tenant_id): number for number, lane in enumerate(lanes)}
