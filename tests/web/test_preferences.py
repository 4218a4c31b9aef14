"""The page of a person's choices, over real sockets and a real database: a GET changes nothing, a POST keeps."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from noti_worker.domain.errors import DatabaseAway
from noti_worker.domain.facts import LinkUsed, Trouble
from noti_worker.domain.language import direction
from noti_worker.domain.personal import Person
from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import Links
from noti_worker.observe.listener import address_of, listen_on
from noti_worker.store.connect import Database
from noti_worker.store.people.preferences import Preferences
from noti_worker.web.choice_words import CHOICE_WORDS, ENGLISH
from noti_worker.web.preferences import LARGEST_FORM, PreferencePages
from noti_worker.web.receipts import Receipts
from noti_worker.web.server import WebServer
from noti_worker.web.strangers import MOST
from noti_worker.web.words import LANGUAGES
from tests.web.posting import Kept, post
from tests.worker.fakes import Witness

Connection = psycopg.Connection[Any]
LINKS = Links("https://noti.example.com", [Secret("k" * 32)]).people
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

PEOPLE = """\
INSERT INTO noti.categories (category, mandatory, opt_in, title, titles, channels) VALUES
  ('orders', true, false, 'Your orders', '{"de": "Ihre Bestellungen"}', '{email}'),
  ('news', false, false, 'News', NULL, NULL), ('offers', false, true, '<b>"Offers" & more</b>', NULL, '{push}');
INSERT INTO noti.contacts (user_ref, channel, address) VALUES
  ('42', 'email', 'ann@example.com'), ('42', 'sms', '+4915112345678'), ('43', 'email', 'bea@example.com');
"""


class Page(HTMLParser):
    """What a person and a browser find in a page."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.posts: dict[str, str] = {}
        self.locked: list[str] = []
        self._select = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        if tag == "select":
            self._select = str(named["name"])
            if "disabled" in named:
                self.locked.append(self._select)
        elif tag == "option" and "selected" in named and self._select not in self.locked:
            self.posts[self._select] = str(named["value"])

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags and self.tags[-1][0] not in {"style", "option"}:
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@dataclass
class Web:
    """A server of ours that answers links."""

    address: str
    preferences: Preferences
    heard: Witness

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, Page]:
        status, self.headers, html = post(self.address, path, body, headers, method)
        return status, Page(html)

    def choose(self, path: str, fields: dict[str, str]) -> tuple[int, Page]:
        return self.ask(path, "POST", urlencode(fields).encode(), **FORM)


@pytest.fixture
def web(database_url: str) -> Iterator[Web]:
    heard = Witness()
    with closing(Preferences(Database(Secret(database_url)))) as preferences:
        pages = PreferencePages(LINKS, preferences, heard, lambda: 1000.0)
        receipts = Receipts({}, Kept(), lambda: pytest.fail("nothing is received"), heard)
        listener = listen_on("web.listen", "127.0.0.1:0")
        with closing(WebServer(receipts.app(pages.routes()), listener, ())) as server:
            server.start()
            yield Web(address_of(listener), preferences, heard)


def path_of(who: str = "42", language: str = "", tenant: str = "default") -> str:
    return LINKS.to(Person(tenant, who, 17, language)).removeprefix("https://noti.example.com")


def kept(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT user_ref, category, channel, allowed, frequency FROM noti.preferences ORDER BY 1, 2, 3"
    ).fetchall()


def test_who_looks_sees_what_holds_and_changes_nothing(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    connection.execute("SELECT noti.choose('42', 'news', 'sms', false)")
    before = kept(connection)
    assert web.ask(path_of(), "HEAD")[0] == 200
    status, page = web.ask(path_of() + "?email:news=never&noti=nothing")
    assert status == 200
    assert page.texts[1:] == [
        "Your messages",
        "Choose what you want to get, and how often.",
        *('<b>"Offers" & more</b>', "On your devices"),
        *("News", "E-mail", "SMS"),
        *("Your orders", "E-mail", "is always sent"),
        "Save",
        "Stop everything that is not necessary",
    ]
    assert page.posts == {"push:offers": "never", "email:news": "instant", "sms:news": "never"}
    assert page.all("form") == [{"method": "post"}], "to its own URL"
    labels, selects = page.all("label"), page.all("select")
    assert [one["for"] for one in labels] == [one["id"] for one in selects]
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "a", "base", "b"})
    assert all({"src", "href", "style", "action"}.isdisjoint(attributes) for _, attributes in page.tags)
    assert "form-action 'self'" in web.headers["content-security-policy"]
    assert web.headers["cache-control"] == "no-store"
    assert kept(connection) == before
    assert web.heard.facts == []


def test_only_what_is_chosen_otherwise_is_kept(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    _, page = web.ask(path_of())
    status, page = web.choose(path_of(), page.posts)
    assert (status, kept(connection)) == (200, [])
    assert "Your choices are saved." in page.texts
    wanted = page.posts | {"push:offers": "daily", "sms:news": "never", "email:orders": "never", "email:x": "never"}
    _, page = web.choose(path_of(), wanted | {"email:news": "weekly"})
    assert page.posts == {"push:offers": "daily", "email:news": "instant", "sms:news": "never"}
    assert kept(connection) == [
        ("42", "news", "sms", False, "instant"),
        ("42", "offers", "push", True, "daily"),
    ]
    assert web.heard.facts == [LinkUsed("chose")] * 2
    by = connection.execute("SELECT DISTINCT updated_by FROM noti.preferences").fetchall()
    assert by == [("the person, on the page of the link",)]


def test_one_button_stops_all_that_can_be_stopped_now_and_later(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    connection.execute("SELECT noti.choose('42', 'offers', '', true)")
    _, page = web.choose(path_of(), {"noti": "nothing", "email:news": "daily"})
    assert set(page.posts.values()) == {"never"}
    connection.execute("INSERT INTO noti.categories (category) VALUES ('later')")
    asked = "SELECT DISTINCT category, allowed FROM noti.choices('42') ORDER BY 1"
    found = connection.execute(asked.encode()).fetchall()
    assert found == [("later", False), ("news", False), ("offers", False), ("orders", True)]
    _, page = web.choose(path_of(), page.posts | {"email:news": "instant"})
    assert page.posts["email:news"] == "instant"


def test_who_chooses_again_what_he_left_by_a_link_gets_it_again(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    connection.execute("SELECT noti.suppress('default', 'email', 'ann@example.com', 'optout', 'news')")
    connection.execute("SELECT noti.suppress('default', 'sms', '+4915112345678', 'dead')")
    _, page = web.ask(path_of())
    assert page.posts == {"push:offers": "never", "email:news": "never"}
    assert page.locked == ["sms:news"], "nothing goes there whatever is chosen"
    _, page = web.choose(path_of(), page.posts | {"email:news": "instant", "sms:news": "instant"})
    assert page.posts["email:news"] == "instant"
    found = connection.execute("SELECT reason, requested_by FROM noti.suppressions ORDER BY suppression_id").fetchall()
    assert found == [("optout", "the person, on the page of the link"), ("dead", None)]


def test_a_link_is_of_one_person_of_one_tenant(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    web.choose(path_of("43"), {"email:news": "never"})
    assert [line[0] for line in kept(connection)] == ["43"]
    assert web.ask(path_of())[1].posts["email:news"] == "instant"
    _, other = web.ask(path_of("43", tenant="acme"))
    assert "email:news" not in other.posts, "no address of this tenant's is known"
    connection.execute("DELETE FROM noti.categories")
    assert web.ask(path_of())[1].texts[1:] == ["Your messages", "There is nothing to choose at present."]


def test_what_is_no_form_of_ours_is_shown_the_page(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    for body, kind in (
        (b"{}", "application/json"),
        (b"a=\xff", FORM["Content-Type"]),
        (b"&a=b" * 600, FORM["Content-Type"]),
    ):
        status, page = web.ask(path_of(), "POST", body, **{"Content-Type": kind})
        assert (status, "email:news" in page.posts) == (400, True)
    with suppress(OSError):  # it does not read on, and the client may notice before it hears why
        assert web.ask(path_of(), "POST", b"x" * (LARGEST_FORM + 1), **FORM)[0] == 413
    assert kept(connection) == []
    assert web.ask(path_of(), "PUT")[0] == 405


def test_a_changed_link_is_answered_with_words_and_who_guesses_with_none(web: Web) -> None:
    path = path_of()
    changed = path[:-2] + ("A" if path[-2] != "A" else "B") + path[-1]
    status, page = web.ask(changed, "GET", b"", **{"Accept-Language": "fr-CH, en;q=0.5"})
    assert (status, page.texts[1]) == (404, "Ce lien ne fonctionne pas")
    for _ in range(MOST):
        status, page = web.choose("/preferences/guess", {"noti": "nothing"})
    assert (status, page.tags) == (429, [])
    assert set(web.heard.facts) == {LinkUsed("unknown")}
    assert web.ask(path)[0] == 200


def test_without_the_database_nothing_is_kept_and_it_is_said(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> Any:
        raise DatabaseAway("gone")

    monkeypatch.setattr(web.preferences, "lines", gone)
    for method in ("GET", "POST"):
        status, page = web.ask(path_of(), method, b"", **FORM)
        assert (status, page.texts[1], web.headers["retry-after"]) == (503, "Please try again in a minute", "30")
    assert web.heard.facts == [Trouble("preferences", "gone")] * 2


def test_each_language_is_served_in_its_own_words(web: Web, connection: Connection) -> None:
    connection.execute(PEOPLE.encode())
    assert set(LANGUAGES) <= set(CHOICE_WORDS)
    for language in LANGUAGES:
        _, page = web.ask(path_of(language=language))
        words = CHOICE_WORDS[language]
        assert page.all("html") == [{"lang": language, "dir": direction(language)}]
        assert page.texts[0] == page.texts[1] == words.heading, "the title is the heading"
        assert ("Ihre Bestellungen" if language == "de" else "Your orders") in page.texts
    english = CHOICE_WORDS[ENGLISH]
    for language, words in CHOICE_WORDS.items():
        assert words.often.keys() == english.often.keys()
        assert words.channels.keys() == english.channels.keys()
        own = (words.heading, words.text, words.saved, words.save, words.nothing, words.always, words.empty)
        texts = [*own, *words.often.values(), *words.channels.values()]
        assert all(text.strip() == text != "" for text in texts)
        assert language == ENGLISH or set(own).isdisjoint(
            (english.heading, english.text, english.saved, english.save, english.nothing, english.always, english.empty)
        )
