"""Servers that take everything: `smtp-sink` of Debian's postfix, nginx, and one of our own that answers late."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.ours import wait_for
from tests.bench.server import Bench

_NGINX = """
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory};
    proxy_temp_path {directory};
    fastcgi_temp_path {directory};
    uwsgi_temp_path {directory};
    scgi_temp_path {directory};
    server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "ok"; }} }}
}}
"""


@contextmanager
def smtp_sink(bench: Bench) -> Iterator[int]:
    """The port of an SMTP server that accepts and forgets."""
    port = _free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with _listening(bench, "smtp-sink", "postfix", [*user, f"127.0.0.1:{port}", "1000"], port):
        yield port


@contextmanager
def nginx(bench: Bench) -> Iterator[int]:
    """The port of an HTTP server that answers 200."""
    port = _free_port()
    directory = bench.directory / f"nginx-{port}"
    directory.mkdir()
    file = directory / "nginx.conf"
    user = "user nobody nogroup;" if os.geteuid() == 0 else ""
    file.write_text(_NGINX.format(directory=directory, port=port, user=user))
    with _listening(bench, "nginx", "nginx-light", ["-p", str(directory), "-c", str(file)], port):
        yield port


@contextmanager
def slow_http(bench: Bench, seconds: float) -> Iterator[int]:
    """The port of an HTTP server that answers 200, each request after so many seconds."""
    command = [sys.executable, "-m", "tests.bench.slow_server", str(seconds)]
    child = bench.children.start(command, "slow-server", piped=True)
    try:
        assert child.stdout is not None
        port = child.stdout.readline()
        if not port:
            raise RuntimeError(f"the slow server ended: {bench.children.said(child)[-1000:]}")
        yield int(port)
    finally:
        bench.children.end(child)


@contextmanager
def _listening(bench: Bench, program: str, package: str, arguments: list[str], port: int) -> Iterator[None]:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise RuntimeError(f"{program} is not installed (Debian: {package})")
    child = bench.children.start([path, *arguments], program)
    try:
        wait_for(lambda: child.poll() is not None or _answers(port), 10.0, f"{program} listens")
        if child.poll() is not None:
            raise RuntimeError(f"{program} ended: {bench.children.said(child)[-1000:]}")
        yield
    finally:
        bench.children.end(child)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    """A port that is free now, below those that the kernel gives to clients."""
    for port in range(21_000, 32_000):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
