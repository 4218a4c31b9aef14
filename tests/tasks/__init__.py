"""What is due and needs no provider."""
