"""The pages of links, over real sockets: a GET changes nothing, a POST does what it says, strangers learn nothing."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from noti_worker.domain.errors import DatabaseAway
from noti_worker.domain.facts import LinkUsed, Trouble
from noti_worker.domain.notification import Channel
from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import Links, Subscription
from noti_worker.observe.listener import address_of, listen_on
from noti_worker.web.receipts import Receipts
from noti_worker.web.server import WebServer
from noti_worker.web.strangers import MOST, WINDOW
from noti_worker.web.unsubscribe import LARGEST_FORM, Unsubscribe
from noti_worker.web.words import ENGLISH, LANGUAGES, Words, language_of
from tests.web.posting import Kept, post
from tests.worker.fakes import Witness

LINKS = Links("https://noti.example.com", [Secret("k" * 32)])
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ONE_CLICK = b"List-Unsubscribe=One-Click"
STAY = b"noti=stay"


def subscription(language: str = "", category: str = "news") -> Subscription:
    return Subscription("default", Channel.EMAIL, bytes(32), category, 17, language)


def path_of(wanted: Subscription) -> str:
    return LINKS.to(wanted).removeprefix("https://noti.example.com")


@dataclass
class Book:
    """Keeps who left, in memory; `broken` is raised instead."""

    done: list[tuple[str, Subscription]] = field(default_factory=list)
    broken: Exception | None = None
    stays: bool = True

    def leave(self, subscription: Subscription) -> None:
        self._note("left", subscription)

    def stay(self, subscription: Subscription) -> bool:
        self._note("stayed", subscription)
        return self.stays

    def _note(self, what: str, subscription: Subscription) -> None:
        if self.broken is not None:
            raise self.broken
        self.done.append((what, subscription))


class Page(HTMLParser):
    """What a person and a browser find in a page."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags and self.tags[-1][0] != "style":
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def posts(self) -> dict[str, str | None]:
        """What its form posts."""
        [form] = self.all("form")
        assert form == {"method": "post"}, "to its own URL"
        return {str(one["name"]): one["value"] for one in self.all("input")}


@dataclass
class Web:
    """A server of ours that answers links."""

    address: str
    book: Book
    heard: Witness
    clock: list[float]

    def ask(
        self, path: str, body: bytes = b"", method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], Page]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answered, html = post(self.address, path, body, named, method)
        return status, answered, Page(html)

    def post(self, path: str, body: bytes = ONE_CLICK, **headers: str) -> tuple[int, dict[str, str], Page]:
        return self.ask(path, body, "POST", **(FORM | headers))


@pytest.fixture
def web() -> Iterator[Web]:
    book, heard, clock = Book(), Witness(), [1000.0]
    pages = Unsubscribe(LINKS, book, heard, lambda: clock[0])
    receipts = Receipts({}, Kept(), lambda: pytest.fail("nothing is received"), heard)
    listener = listen_on("web.listen", "127.0.0.1:0")
    server = WebServer(receipts.app(pages.routes()), listener, ())
    server.start()
    yield Web(address_of(listener), book, heard, clock)
    server.close()


# ------------------------------------------------------------------------------ asking


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_only_looks_changes_nothing(web: Web, method: str) -> None:
    web.book.broken = AssertionError("the database is asked")
    for _ in range(3 * MOST):
        status, headers, page = web.ask(path_of(subscription()), method=method)
        assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert web.heard.facts == []
    if method == "GET":
        assert page.texts[1:] == [
            "Unsubscribe?",
            "You will then get no more messages about",
            "news",
            ".",
            "Unsubscribe",
        ]
        assert page.posts == {"List-Unsubscribe": "One-Click"}
        assert [button["type"] for button in page.all("button")] == ["submit"]


def test_the_page_takes_nothing_from_elsewhere_and_tells_nobody(web: Web) -> None:
    _, headers, page = web.ask(path_of(subscription()))
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert {
        name: headers[name] for name in ("referrer-policy", "x-robots-tag", "cache-control", "x-frame-options")
    } == {
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
        "cache-control": "no-store",
        "x-frame-options": "DENY",
    }
    assert "set-cookie" not in headers
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "a", "base"})
    assert all({"src", "href", "style", "action"}.isdisjoint(attributes) for _, attributes in page.tags)


def test_a_page_can_be_used_by_everybody(web: Web) -> None:
    _, headers, page = web.ask(path_of(subscription("ar-EG")))
    assert page.all("html") == [{"lang": "ar", "dir": "rtl"}]
    assert headers["content-language"] == "ar"
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("title")) == 1
    assert page.texts[0] == page.texts[1], "the title is the heading"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert len(page.all("bdi")) == 1, "the category is written in its own direction"


def test_what_a_category_is_called_is_no_html(web: Web) -> None:
    _, _, page = web.ask(path_of(subscription(category="<script>alert('&')</script>{category}")))
    assert "<script>alert('&')</script>{category}" in page.texts
    assert page.all("script") == []


# ------------------------------------------------------------------------------ doing


def test_one_click_of_a_mail_program_is_enough(web: Web) -> None:
    status, headers, page = web.post(path_of(subscription()))
    assert status == 200
    assert "location" not in headers
    assert web.book.done == [("left", subscription())]
    assert web.heard.facts == [LinkUsed("left")]
    assert page.texts[1] == "You are unsubscribed"
    assert page.posts == {"noti": "stay"}


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_one_click_may_come_as_multipart(web: Web, end: str) -> None:
    body = end.join(["--x", 'Content-Disposition: form-data; name="List-Unsubscribe"', "", "One-Click", "--x--", ""])
    status, _, _ = web.post(path_of(subscription()), body.encode(), Content_Type="multipart/form-data; boundary=x")
    assert status == 200
    assert web.book.done == [("left", subscription())]


def test_the_button_of_the_page_does_it_and_the_next_one_takes_it_back(web: Web) -> None:
    path = path_of(subscription("de"))
    _, _, asks = web.ask(path)
    status, _, left = web.post(path, urlencode(asks.posts).encode())
    assert (status, left.texts[1]) == (200, "Sie sind abgemeldet")
    status, _, stayed = web.post(path, urlencode(left.posts).encode())
    assert (status, stayed.texts[1]) == (200, "Sie sind wieder angemeldet")
    assert [what for what, _ in web.book.done] == ["left", "stayed"]
    assert web.heard.facts == [LinkUsed("left"), LinkUsed("stayed")]
    assert stayed.all("form") == []


def test_what_cannot_be_taken_back_is_said(web: Web) -> None:
    web.book.stays = False
    status, _, page = web.post(path_of(subscription()), STAY)
    assert (status, page.texts[1]) == (409, "This cannot be undone here")
    assert web.heard.facts == [LinkUsed("kept")]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=No", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=\xff", "application/x-www-form-urlencoded"),
        (b"&".join([b"a=b"] * 100 + [ONE_CLICK]), "application/x-www-form-urlencoded"),
        (ONE_CLICK, "text/plain"),
        (ONE_CLICK, "multipart/form-data"),
        (ONE_CLICK, "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nOne-Click\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x\r\n" * 1000, "multipart/form-data; boundary=x"),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (ONE_CLICK, ""),
    ],
)
def test_a_post_that_says_something_else_is_asked(web: Web, body: bytes, kind: str) -> None:
    status, _, page = web.post(path_of(subscription()), body, Content_Type=kind)
    assert (status, page.posts) == (400, {"List-Unsubscribe": "One-Click"})
    assert web.book.done == []


def test_without_the_database_it_is_not_done_and_said_so(web: Web) -> None:
    web.book.broken = DatabaseAway("gone")
    status, headers, page = web.post(path_of(subscription()))
    assert (status, headers["retry-after"], page.texts[1]) == (503, "30", "Please try again in a minute")
    assert web.heard.facts == [Trouble("unsubscribe", "gone")]
    web.book.broken = None
    assert web.post(path_of(subscription()))[0] == 200


def test_a_body_that_is_too_large_is_not_read(web: Web) -> None:
    with suppress(OSError):  # it does not read on, and the client may notice before it hears why
        assert web.post(path_of(subscription()), ONE_CLICK + b"&" + b"x" * LARGEST_FORM)[0] == 413
    assert web.book.done == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_else_is_understood(web: Web, method: str) -> None:
    assert web.ask(path_of(subscription()), method=method)[0] == 405


# ------------------------------------------------------------------------------ strangers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_changed_link_is_answered_with_words(web: Web, method: str) -> None:
    path = path_of(subscription())
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    status, headers, page = web.ask(changed, ONE_CLICK, method, Accept_Language="fr-CH, en;q=0.5", **FORM)
    assert (status, headers["content-language"], page.texts[1]) == (404, "fr", "Ce lien ne fonctionne pas")
    assert page.all("form") == []
    assert web.book.done == []
    assert web.heard.facts == [LinkUsed("unknown")]


def test_who_guesses_is_not_answered_any_more_and_who_has_a_link_is(web: Web) -> None:
    for _ in range(MOST):
        assert web.ask("/unsubscribe/guess")[0] == 404
    status, headers, page = web.ask("/unsubscribe/guess")
    assert (status, headers["retry-after"], page.tags) == (429, "60", [])
    assert web.post(path_of(subscription()))[0] == 200
    web.clock[0] += WINDOW
    assert web.ask("/unsubscribe/guess")[0] == 404


def test_links_are_never_used_too_often(web: Web) -> None:
    assert {web.post(path_of(subscription()))[0] for _ in range(3 * MOST)} == {200}


@pytest.mark.parametrize("path", ["/unsubscribe", "/unsubscribe/", "/unsubscribe/a/b", "/receipts/mail/x"])
def test_there_is_nothing_beside(web: Web, path: str) -> None:
    assert web.ask(path)[0] == 404


# ------------------------------------------------------------------------------ languages


@pytest.mark.parametrize(
    ("locale", "accepted", "language"),
    [
        ("de", "fr", "de"),
        ("de_AT.UTF-8", "fr", "de"),
        ("PT-br", "", "pt-BR"),
        ("pt_PT", "", "pt"),
        ("", "pt-br;q=0.8, de-CH;q=0.5", "pt-BR"),
        ("zh-Hant", "hi-IN", "hi"),
        ("sv", "nl", "nl"),
        ("", "", "en"),
        ("", "sv, da;q=0.9", "en"),
        ("", "it;q=0.3, pl;q=0.8, en;q=0.1", "pl"),
        ("", "es;q=0, ar", "ar"),
        ("", "*, fr;q=0.5", "fr"),
        ("", "de;q=9, x;y, ;;, fr", "fr"),
        ("", ",".join(["sv"] * 5000 + ["de"]), "en"),
    ],
)
def test_the_row_says_the_language_else_the_browser(locale: str, accepted: str, language: str) -> None:
    assert language_of(locale, accepted) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_in_its_own_words(language: str) -> None:
    words, english = LANGUAGES[language], LANGUAGES[ENGLISH]
    for name in Words.__slots__:
        text = getattr(words, name)
        assert text.strip() == text != ""
        assert text.count("{category}") == getattr(english, name).count("{category}"), name
        assert language == ENGLISH or text != getattr(english, name), name
    assert LANGUAGES.keys() >= {"en", "de", "fr", "es", "pt-BR", "ar", "hi", "ja"}


def test_each_language_is_served(web: Web) -> None:
    assert {language: web.ask(path_of(subscription(language)))[2].texts[1] for language in LANGUAGES} == {
        language: words.ask for language, words in LANGUAGES.items()
    }
