"""The room that strangers reach."""
