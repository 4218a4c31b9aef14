"""Sockets to listen on, by their settings."""

import errno
import socket

from noti_worker.domain.errors import ConfigurationError


def listen_on(setting: str, listen: str, *, configured: bool = True) -> socket.socket:
    """Bind host:port. When it is in use and nobody `configured` it, any free port is taken.

    Raises ConfigurationError that names the `setting`.
    """
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        try:
            return _bound(host, int(port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or configured:
                raise
            return _bound(host, 0)
    except OSError as error:
        hint = "set it to a free port, or to port 0 for any" if error.errno == errno.EADDRINUSE else "set another one"
        raise ConfigurationError(f"{setting}: {listen} cannot be used ({error.strerror}); {hint}") from None


def address_of(listener: socket.socket) -> str:
    """host:port that really listens."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart need not wait for the last connections of the one before to fade away.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
