"""A real PgBouncer in front of the tests' server."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.needs import needs


@contextmanager
def pgbouncer(
    directory: Path, url: str, mode: Literal["transaction", "session"], wait_for: Callable[..., Any]
) -> Iterator[str]:
    """Run PgBouncer for the database of `url`; gives the URL that leads through it. `directory` is open to others."""
    program = needs("pgbouncer", "Debian package pgbouncer")
    given = conninfo_to_dict(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={given['host']} port={given['port']} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {2 if mode == 'transaction' else 4}\n"
        "ignore_startup_parameters = extra_float_digits\n"
    )
    root = os.geteuid() == 0  # which it refuses, as the server does
    with (directory / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(config)],
            user="nobody" if root else None,
            extra_groups=[] if root else None,
            stdout=log,
            stderr=log,
        )
    through = f"postgresql://postgres@127.0.0.1:{port}/{given['dbname']}"

    def answers() -> bool:
        assert process.poll() is None, (directory / "pgbouncer.log").read_text()
        try:
            psycopg.connect(through).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_for(answers, what="PgBouncer answers")
        yield through
    finally:
        process.terminate()
        process.wait(10)
