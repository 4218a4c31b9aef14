"""The loop: claim, hand to the sender threads, record, keep the leases, stop cleanly."""
