"""The addresses of a database's host, found within a time limit: the C library's look-up has none."""

import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any

_lock = threading.Lock()
_pending: dict[tuple[str, str], Future[list[str]]] = {}
"""Look-ups under way; who asks for the same name shares one, so a resolver that hangs costs one thread a name."""


def with_addresses(named: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Put the addresses beside the names in libpq's parameters, each in its turn; raises OSError when none is found.

    All names together take `seconds` at most. What is an address, a directory or nothing at all stays as it is.
    """
    hosts = str(named.get("host") or "").split(",")
    if named.get("hostaddr") or not any(_is_name(host) for host in hosts):
        return dict(named)
    given = str(named.get("port") or "").split(",")
    ports = given if len(given) == len(hosts) else given[:1] * len(hosts)
    ends = time.monotonic() + seconds
    asked = [_ask(host, port) if _is_name(host) else None for host, port in zip(hosts, ports, strict=True)]
    found: list[tuple[str, str, str]] = []
    failed: OSError | None = None
    for host, port, answer in zip(hosts, ports, asked, strict=True):
        if answer is None:
            found.append((host, "", port))
            continue
        try:
            found += [(host, address, port) for address in answer.result(max(ends - time.monotonic(), 0.0))]
        except TimeoutError:
            failed = failed or OSError(f"no address of {host} was found in time")
        except OSError as error:
            failed = failed or OSError(f"no address of {host} was found: {error.strerror}")
    if failed is not None and not found:
        raise failed
    columns = zip(*found, strict=True)
    return dict(named) | dict(zip(("host", "hostaddr", "port"), map(",".join, columns), strict=True))


def _is_name(host: str) -> bool:
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def _ask(host: str, port: str) -> Future[list[str]]:
    key = (host, port)
    with _lock:
        if (future := _pending.get(key)) is None:
            future = _pending[key] = Future()
            threading.Thread(target=_find, args=(key, future), name="noti-lookup", daemon=True).start()
    return future


def _find(key: tuple[str, str], future: Future[list[str]]) -> None:
    host, port = key
    try:
        lines = socket.getaddrinfo(host, port or None, proto=socket.IPPROTO_TCP, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        future.set_exception(error if isinstance(error, OSError) else OSError(0, "it is not a proper name"))
    else:
        future.set_result([str(line[4][0]) for line in lines])
    finally:
        with _lock:
            del _pending[key]
