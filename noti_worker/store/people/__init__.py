"""What persons ask and do: questions, lists, moves, pauses, and the doctor."""
