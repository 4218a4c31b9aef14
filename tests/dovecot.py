"""A real Dovecot on 127.0.0.1: IMAP and POP3 over TLS, one mailbox in a Maildir that tests put mails into."""

import getpass
import grp
import imaplib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.certificates import Authority
from tests.needs import needs

USERNAME, PASSWORD = "bounces", "correct horse battery staple"


@dataclass
class Dovecot:
    """`ports` by protocol and kind of TLS: imaps, imap, pop3s, pop3."""

    ports: dict[str, int]
    home: Path
    uid: int
    gid: int
    _names = count(1)

    def put(self, mail: bytes, folder: str = "") -> None:
        """Deliver a mail, as a mail server does into a Maildir."""
        directory = self.home / "Maildir" / folder
        for part in ("cur", "new", "tmp"):
            (directory / part).mkdir(parents=True, exist_ok=True)
            os.chown(directory / part, self.uid, self.gid)
        os.chown(directory, self.uid, self.gid)
        name = f"{1_700_000_000 + next(self._names)}.test.host"
        (directory / "tmp" / name).write_bytes(mail.replace(b"\r\n", b"\n"))
        os.chown(directory / "tmp" / name, self.uid, self.gid)
        (directory / "tmp" / name).rename(directory / "new" / name)

    def mails(self, folder: str = "") -> list[bytes]:
        """What is there."""
        directory = self.home / "Maildir" / folder
        found = [file for part in ("cur", "new") for file in (directory / part).glob("*")]
        return [file.read_bytes() for file in sorted(found, key=lambda file: file.name)]


@contextmanager
def dovecot(directory: Path, authority: Authority, wait_for: Callable[..., Any]) -> Iterator[Dovecot]:
    """Run one; `directory` has a short path and is open to others."""
    program = needs("dovecot", "Debian packages dovecot-imapd and dovecot-pop3d")
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    account = pwd.getpwnam(user)
    home = directory / "home"
    home.mkdir()
    os.chown(home, account.pw_uid, account.pw_gid)
    key, certificate = authority.server_files("127.0.0.1", "localhost")
    ports = _free_ports("imaps", "imap", "pop3s", "pop3")
    files = {name: shutil.copy(path, directory) for name, path in (("key", key), ("cert", certificate))}
    config = directory / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            directory=directory, user=user, group=grp.getgrgid(account.pw_gid).gr_name, files=files, ports=ports
        )
    )
    (directory / "users").write_text(f"{USERNAME}:{{PLAIN}}{PASSWORD}:{account.pw_uid}:{account.pw_gid}::{home}::\n")
    log = directory / "dovecot.log"
    log.touch()
    log.chmod(0o666)
    with (directory / "dovecot.out").open("wb") as output:
        process = subprocess.Popen([program, "-F", "-c", str(config)], stdout=output, stderr=output)

    def answers() -> bool:
        assert process.poll() is None, (directory / "dovecot.out").read_text() + log.read_text()
        with suppress(OSError, imaplib.IMAP4.error):
            context = ssl.create_default_context(cafile=authority.ca_file)
            imaplib.IMAP4_SSL("127.0.0.1", ports["imaps"], ssl_context=context, timeout=10).logout()
            return True
        return False

    try:
        wait_for(answers, timeout=60, what="Dovecot answers")
        yield Dovecot(ports, home, account.pw_uid, account.pw_gid)
    finally:
        process.terminate()
        process.wait(30)


def _free_ports(*names: str) -> dict[str, int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    try:
        return {name: sock.getsockname()[1] for name, sock in zip(names, taken, strict=True)}
    finally:
        for sock in taken:
            sock.close()


_CONFIG = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
ssl = required
ssl_key = <{files[key]}
ssl_cert = <{files[cert]}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = plain
disable_plaintext_auth = yes
mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = passwd-file
  args = {directory}/users
}}
userdb {{
  driver = passwd-file
  args = {directory}/users
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {ports[imap]}
  }}
  inet_listener imaps {{
    port = {ports[imaps]}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {ports[pop3]}
  }}
  inet_listener pop3s {{
    port = {ports[pop3s]}
    ssl = yes
  }}
}}
"""
