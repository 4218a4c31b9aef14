"""What the rows of a batch refer to and hold, one file for each need."""

from noti_worker.store.briefing.brief import HERE, International, brief, complete

__all__ = ["HERE", "International", "brief", "complete"]
