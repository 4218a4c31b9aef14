"""Insert a row, and the message is delivered: a notification delivery worker for PostgreSQL."""

__version__ = "0.1.0"
