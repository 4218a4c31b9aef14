"""What keeps the database tidy: retention, erasure, and the duties that one worker does for all."""
