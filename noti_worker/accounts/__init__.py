"""Who sends: which accounts serve a tenant's channel in which order, and the sender of each.

`configured` reads them from the settings, `routes` completes the routes, `shelf` keeps the senders that were built,
`gate` lets one message go ahead through an account that has not accepted any yet. `inlets` are the other way: what
providers post.
"""

from noti_worker.accounts.accounts import Accounts
from noti_worker.accounts.configured import open_accounts, provider_of, read_accounts, receipts_url, rules_of
from noti_worker.accounts.inlets import open_inlets

__all__ = [
    "Accounts",
    "open_accounts",
    "open_inlets",
    "provider_of",
    "read_accounts",
    "receipts_url",
    "rules_of",
]
