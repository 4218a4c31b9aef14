"""How long things are kept once they are over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Ages:
    """How long things are kept; what is missing or None is kept for ever.

    `finished` by status, from the moment it was reached; `logs` are tries and audit lines, by whole months; `inbox`
    in-app messages, read or not; `attachments` those that no notification names any more, from when they were stored;
    `suppressions` entries of the suppression list that are no longer in force, from their end; `receipts` what
    providers told afterwards.
    """

    finished: Mapping[str, timedelta] = field(default_factory=dict)
    logs: timedelta | None = None
    inbox: timedelta | None = None
    attachments: timedelta | None = None
    suppressions: timedelta | None = None
    receipts: timedelta | None = None
