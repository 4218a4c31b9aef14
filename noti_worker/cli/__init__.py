"""The command line: one file per family of commands; what is heavy is imported inside the commands."""
