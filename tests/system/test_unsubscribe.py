"""A mail goes out, its reader leaves by one click, and nothing more of that kind comes; with every part a real one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import Links
from tests.providers.smtp_server import Inbox
from tests.system.daemon import ROOT, Daemon, Daemons
from tests.system.test_reload import reload
from tests.web.posting import post

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class WebDaemon(Daemon):
    """One `noti-worker web` with the configuration of the workers."""

    def __init__(self, daemons: Daemons, log: Path) -> None:
        self.log_file = log
        config = daemons.directory / "noti-worker.toml"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "noti_worker", "--config", str(config), "web"],
                cwd=ROOT,
                env={**os.environ, "NOTI_DATABASE_URL": daemons.database_url},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.wait_for(lambda: self.said("web_listening"), 60)
        self.address = str(self.said("web_listening")[0]["listen"])


@pytest.fixture
def web(daemons: Daemons, relay: str, tmp_path: Path) -> Iterator[WebDaemon]:
    """Worker and web, both with the same key."""
    key = tmp_path / "key"
    key.write_text("a key that nobody knows, long enough")
    daemons.configure(
        f'{relay}[web]\nlisten = "127.0.0.1:0"\nurl = "https://noti.example.com/mail"\n'
        f'unsubscribe_keys = ["file:{key}"]\n'
    )
    worker = daemons.start_ready()
    daemon = WebDaemon(daemons, tmp_path / "web.log")
    yield daemon
    worker.stop()
    if daemon.process.poll() is None:
        daemon.signal(signal.SIGKILL)
    daemon.wait()


def insert(connection: psycopg.Connection[Any], category: str, recipient: str = "Ann@Example.com") -> int:
    found = connection.execute(
        "INSERT INTO noti.notifications_log (channel, recipient, subject, template_id, category, locale)"
        " VALUES ('email', %s, 'Hello', 'letter', %s, 'de_DE') RETURNING notification_id",
        [recipient, category],
    ).fetchone()
    assert found is not None
    return int(found[0])


def test_one_click_ends_a_category_and_a_second_one_brings_it_back(
    web: WebDaemon,
    inbox: Inbox,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
    invariants: Callable[[], list[Any]],
) -> None:
    connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES"
        " ('letter', 'News.{% if unsubscribe_url is defined %} Leave: {{ unsubscribe_url }}{% endif %}')"
    )
    connection.execute(
        "INSERT INTO noti.categories (category, can_be_left, mandatory) VALUES"
        " ('news', true, false), ('offers', true, false), ('security', false, true)"
    )

    def sent(*categories: str) -> list[str]:
        """How rows of these categories end."""
        numbers = [insert(connection, category) for category in categories]
        finished(60)
        found = connection.execute(
            "SELECT status FROM noti.notifications_log WHERE notification_id = ANY (%s) ORDER BY notification_id",
            [numbers],
        ).fetchall()
        return [status for (status,) in found]

    def last() -> Message:
        return message_from_bytes(inbox.mails[-1].content)

    assert sent("security") == ["sent"]
    assert last()["List-Unsubscribe"] is None
    assert last()["List-Unsubscribe-Post"] is None
    assert sent("news") == ["sent"]
    news = last()
    assert news["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = str(news["List-Unsubscribe"])
    assert link.startswith("<https://noti.example.com/mail/unsubscribe/")
    assert f"Leave: {link[1:-1]}" in str(news.get_payload())
    assert "example.com" not in link.removeprefix("<https://noti.example.com/")

    # The proxy in front takes off /mail.
    path = urlsplit(link[1:-1]).path.removeprefix("/mail")
    assert post(web.address, path, method="GET")[0] == 200
    assert sent("news") == ["sent"], "to look at the page changes nothing"

    status, headers, page = post(web.address, path, ONE_CLICK, FORM)
    assert (status, headers["content-language"]) == (200, "de")
    assert "Sie sind abgemeldet" in page.decode()
    mails = len(inbox.mails)
    assert sent("news", "offers", "security") == ["suppressed", "sent", "sent"]
    assert len(inbox.mails) == mails + 2
    stopped = connection.execute(
        "SELECT line FROM noti.notifications_log n CROSS JOIN noti.why(n.notification_id) AS line"
        " WHERE n.status = 'suppressed'"
    ).fetchall()
    told = "\n".join(str(line) for (line,) in stopped)
    [(entry, source)] = connection.execute("SELECT suppression_id, source FROM noti.suppressions").fetchall()
    assert source == "unsubscribe"
    assert f"entry {entry}, the recipient opted out of news" in told

    assert post(web.address, path, b"noti=stay", FORM)[0] == 200
    assert sent("news") == ["sent"]
    assert post(web.address, path, ONE_CLICK, FORM)[0] == 200
    assert sent("news") == ["suppressed"], "and out again"

    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert post(web.address, changed, ONE_CLICK, FORM)[0] == 404
    status, counted = web.get("/metrics")
    assert status == 200
    for answer, count in {"left": 2, "stayed": 1, "unknown": 1}.items():
        assert f'noti_unsubscribe_links_total{{answer="{answer}"}} {count}.0' in counted
    assert invariants() == []
    assert web.stop() == 0
    log = web.log_file.read_text()
    assert path.rpartition("/")[2] not in log, "the link is not logged"
    assert [line for line in web.log if line.get("level") in {"warning", "error"}] == []


def test_who_chooses_by_the_link_of_a_mail_gets_what_was_chosen(
    web: WebDaemon, inbox: Inbox, connection: psycopg.Connection[Any], finished: Callable[..., None]
) -> None:
    connection.execute(
        "INSERT INTO noti.templates (template_id, body) VALUES"
        " ('letter', 'News.{% if preferences_url is defined %} Choose: {{ preferences_url }}{% endif %}')"
    )
    connection.execute(
        "INSERT INTO noti.categories (category, mandatory, opt_in) VALUES"
        " ('news', false, false), ('orders', true, false), ('offers', false, true)"
    )
    connection.execute(
        "INSERT INTO noti.contacts (user_ref, channel, address) VALUES ('42', 'email', 'ann@example.com')"
    )

    def sent(*categories: str) -> list[str]:
        """How rows of these categories end."""
        numbers = [insert(connection, category) for category in categories]
        finished(60)
        found = connection.execute(
            "SELECT status FROM noti.notifications_log WHERE notification_id = ANY (%s) ORDER BY notification_id",
            [numbers],
        ).fetchall()
        return [status for (status,) in found]

    assert sent("news", "orders", "offers") == ["sent", "sent", "suppressed"]
    bodies = [str(message_from_bytes(mail.content).get_payload()) for mail in inbox.mails]
    [url, _] = [body.replace("=\n", "").partition("Choose: ")[2].strip() for body in bodies]
    assert url.startswith("https://noti.example.com/mail/preferences/")
    path = urlsplit(url).path.removeprefix("/mail")

    status, headers, page = post(web.address, path, method="GET")
    assert (status, headers["content-language"]) == (200, "de")
    assert "Ihre Nachrichten" in page.decode()
    assert sent("news") == ["sent"], "to look at the page changes nothing"
    chosen = b"email%3Anews=never&email%3Aoffers=daily&email%3Aorders=never"
    status, _, page = post(web.address, path, chosen, FORM)
    assert (status, "Ihre Auswahl ist gespeichert." in page.decode()) == (200, True)
    assert sent("news", "orders", "offers") == ["suppressed", "sent", "gathering"]
    told = connection.execute(
        "SELECT line FROM noti.notifications_log n CROSS JOIN noti.why(n.notification_id) AS line"
        " WHERE n.status = 'suppressed' ORDER BY n.notification_id"
    ).fetchall()
    words = "\n".join(str(line) for (line,) in told)
    assert "offers goes only to who said yes, and user 42 did not" in words
    assert "user 42 chose no news by email on 20" in words

    assert 'noti_unsubscribe_links_total{answer="chose"} 1.0' in web.get("/metrics")[1]
    assert web.stop() == 0
    assert path.rpartition("/")[2] not in web.log_file.read_text(), "the link is not logged"


def test_a_worker_signs_with_a_new_key_after_a_reload(
    daemons: Daemons,
    relay: str,
    inbox: Inbox,
    tmp_path: Path,
    connection: psycopg.Connection[Any],
    finished: Callable[..., None],
) -> None:
    connection.execute("INSERT INTO noti.templates (template_id, body) VALUES ('letter', '{{ unsubscribe_url }}')")
    connection.execute("INSERT INTO noti.categories (category, can_be_left) VALUES ('news', true)")
    url = "https://noti.example.com"

    def configure(*keys: str) -> None:
        for key in keys:
            (tmp_path / key).write_text(key * 32)
        files = ", ".join(f'"file:{tmp_path / key}"' for key in keys)
        daemons.configure(f'{relay}[web]\nurl = "{url}"\nunsubscribe_keys = [{files}]\n')

    def signed() -> list[str]:
        """Which keys can read the link of a mail that is sent now."""
        insert(connection, "news")
        finished(60)
        token = str(message_from_bytes(inbox.mails[-1].content)["List-Unsubscribe"])[1:-1].rpartition("/")[2]
        return [key for key in "ab" if Links(url, [Secret(key * 32)]).read(token) is not None]

    configure("a")
    worker = daemons.start_ready()
    assert signed() == ["a"]
    configure("b", "a")
    told = reload(worker)
    assert "web.unsubscribe_keys" not in str(told), "it needs no restart"
    assert signed() == ["b"]
    assert worker.stop() == 0
