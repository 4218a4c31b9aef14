"""What is due and needs no provider: each file one task, all of one shape, `run_once(most) -> (done, next_at)`."""
