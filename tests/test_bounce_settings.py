"""The section `bounces.NAME`: what it may hold, and how errors help."""

from datetime import timedelta
from pathlib import Path

import pytest

from noti_worker import settings as module
from noti_worker.domain.errors import ConfigurationError
from noti_worker.settings import Settings, load

SECRETS = {"KEY": "0123456789abcdef", "PASSWORD": "correct horse", "SHORT": "0123456789"}
SOUND = {
    "return_path": '"Bounce@example.com"',
    "key": '"env:KEY"',
    "host": '"mail.example.com"',
    "username": '"bounces"',
    "password": '"env:PASSWORD"',
}


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "noti.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, SECRETS)


def section(changes: dict[str, str | None] | None = None, name: str = "back") -> str:
    given = SOUND | (changes or {})
    return "\n".join(
        [f"[bounces.{name}]", *(f"{key} = {value}" for key, value in given.items() if value is not None), ""]
    )


def test_a_mailbox_needs_little(tmp_path: Path) -> None:
    mailbox = read(tmp_path, section()).bounces["back"]
    assert (mailbox.protocol, mailbox.served_at, mailbox.tls) == ("imap", 993, "implicit")
    assert (mailbox.folder, mailbox.after, mailbox.move_to) == ("INBOX", "delete", None)
    assert mailbox.every == timedelta(minutes=1)
    assert mailbox.signed.address == "bounce@example.com"


@pytest.mark.parametrize(
    ("protocol", "tls", "port"), [("imap", "starttls", 143), ("pop3", "implicit", 995), ("pop3", "starttls", 110)]
)
def test_each_way_has_its_port(tmp_path: Path, protocol: str, tls: str, port: int) -> None:
    mailbox = read(tmp_path, section({"protocol": f'"{protocol}"', "tls": f'"{tls}"'})).bounces["back"]
    assert mailbox.served_at == port


def test_mails_may_be_moved(tmp_path: Path) -> None:
    assert read(tmp_path, section({"after": '"move:Read these"'})).bounces["back"].move_to == "Read these"


WRONG: list[tuple[dict[str, str | None], str]] = [
    ({"return_path": None}, "bounces.back.return_path: missing"),
    ({"return_path": '"nobody"'}, "bounces.back: return_path is not one e-mail address"),
    ({"return_path": '"bounce+x@example.com"'}, "return_path has at most"),
    ({"return_path": f'"{"b" * 40}@example.com"'}, "return_path has at most"),
    ({"key": None}, "bounces.back.key: missing"),
    ({"key": '"0123456789abcdef"'}, "bounces.back.key: a secret does not stand here itself"),
    ({"key": '"env:SHORT"'}, "key is shorter than 16 characters"),
    ({"host": '"a b"'}, "host is not the name or address"),
    ({"username": '""'}, "username is empty"),
    ({"password": None}, "one of password and token is needed"),
    ({"token": '"env:PASSWORD"'}, "one of password and token is needed"),
    ({"protocol": '"smtp"'}, "bounces.back.protocol is 'smtp': allowed: imap, pop3"),
    ({"port": "70000"}, "bounces.back.port is 70000"),
    ({"tls": '"none"'}, "tls = none shows mails and password to the network"),
    ({"tls": '"none"', "host": '"localhost"', "ca_file": '"/x.pem"'}, "ca_file has no meaning"),
    ({"folder": '"Empfänger"'}, "bounces.back.folder is 'Empfänger': write the name of a folder in ASCII"),
    ({"protocol": '"pop3"', "folder": '"Bounces"'}, "folder: POP3 knows no folders"),
    ({"protocol": '"pop3"', "after": '"move:Read"'}, "after: POP3 knows no folders"),
    ({"after": '"burn"'}, "bounces.back.after is 'burn': allowed: delete, keep, or move:"),
    ({"after": '"move:"'}, "bounces.back.after is 'move:': allowed"),
    ({"every": '"1ms"'}, "bounces.back.every is '1ms': allowed: from 1s to 1d"),
    ({"folders": '"x"'}, 'bounces.back.folders: no such setting; did you mean "folder"?'),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_cannot_work_is_refused_by_name(tmp_path: Path, changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        read(tmp_path, section(changes))
    assert words in str(told.value)
    assert "correct horse" not in str(told.value)


def test_two_mailboxes_do_not_read_one_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"bounces.other.return_path is that of bounces.back"):
        read(tmp_path, section() + section(name="other"))


def test_a_mailbox_has_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"write \[bounces.NAME\]"):
        read(tmp_path, '[bounces]\nhost = "mail.example.com"\n')
    with pytest.raises(ConfigurationError, match="small letters"):
        read(tmp_path, section(name="Back"))


def test_variables_override_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "noti.toml"
    file.write_text(section(), encoding="utf-8")
    assert load(file, SECRETS | {"NOTI_BOUNCES__BACK__EVERY": "5m"}).bounces["back"].every == timedelta(minutes=5)
    monkeypatch.setattr(module, "DEFAULT_PATH", tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match="did you mean NOTI_BOUNCES__BACK__EVERY"):
        load(file, SECRETS | {"NOTI_BOUNCES_BACK_EVERY": "5m"})
