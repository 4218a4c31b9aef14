"""A private PostgreSQL for trying out and for tests: a child process on a unix socket that ends with its parent."""

from noti_worker.embedded.places import binaries, default_directory
from noti_worker.embedded.server import Server

__all__ = ["Server", "binaries", "default_directory"]
