"""What the rows of a batch refer to."""
