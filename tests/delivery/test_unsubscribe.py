"""The link by which a recipient leaves: where it is made, for whom, and what is said where it is not."""

import json
from typing import Any

import pytest

from noti_worker.delivery.prepare import Preparation
from noti_worker.delivery.render import Renderer
from noti_worker.delivery.routes import Routing
from noti_worker.delivery.safety import Safety
from noti_worker.domain.choice import Choice
from noti_worker.domain.lifecycle import Policy
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Briefing, Channel, Drop, Message, Template
from noti_worker.domain.personal import Person
from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import Links, Subscription
from noti_worker.settings.regions import Regions
from tests.delivery.fakes import Courier, Marker, Paused, Purse, Witness, some_accounts
from tests.domain.rows import NOW, claimed

LINKS = Links("https://noti.example.com", [Secret("k" * 32)])
HASH = bytes(range(32))
NEWS = {"category": "news", "locale": "de_AT"}


def prepared(
    options: dict[str, Any] | None = None,
    links: Links | None = LINKS,
    leaves: bytes | None = HASH,
    renderer: Any = None,
    template: Template | None = None,
    data: str | None = None,
    mode: Mode = Mode.LIVE,
    choice: Choice | None = None,
    **fields: Any,
) -> Message | Any:
    accounts = some_accounts({"relay": Courier()}, modes={"relay": mode})
    safety = Safety({Channel.EMAIL: "test@example.com"})
    routing = Routing(accounts, Paused(lambda: ()), Purse())
    preparation = Preparation(accounts, routing, renderer or Marker(), safety, Regions({}), lambda: 0.5, links)
    row = claimed(**(NEWS | {"has_options": options is not None, "has_data": data is not None} | fields))
    briefing = Briefing(
        options=json.dumps(options) if options else None,
        leaves=leaves,
        template=template,
        template_data=data,
        choice=choice,
    )
    return preparation.prepare(row, briefing, Policy(), NOW)


def headers(message: Any) -> dict[str, str]:
    assert isinstance(message, Message), message
    found: dict[str, str] = message.options.get("headers", {})
    return found


def read(url: str) -> Subscription | None:
    return LINKS.read(url.rpartition("/")[2])


def test_a_mail_of_a_category_that_can_be_left_says_how() -> None:
    found = headers(prepared())
    assert list(found) == ["List-Unsubscribe", "List-Unsubscribe-Post"]
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = found["List-Unsubscribe"]
    assert (link[:1], link[-1:]) == ("<", ">")
    assert read(link[1:-1]) == Subscription("default", Channel.EMAIL, HASH, "news", 1, "de_AT")


@pytest.mark.parametrize(
    "otherwise",
    [{"leaves": None}, {"links": None}, {"category": None}, {"channel": Channel.SMS, "recipient": "+4915112345"}],
)
def test_where_nothing_can_be_left_no_header_says_so(otherwise: dict[str, Any]) -> None:
    assert headers(prepared(**otherwise)) == {}


def test_the_headers_of_the_row_win() -> None:
    own = {"list-unsubscribe": "<mailto:leave@example.com>", "X-Order": "17"}
    assert headers(prepared({"headers": own})) == own
    half = headers(prepared({"headers": {"LIST-UNSUBSCRIBE-POST": "own"}}))
    assert set(half) == {"LIST-UNSUBSCRIBE-POST", "List-Unsubscribe"}
    more = headers(prepared({"headers": {"X-Order": "17"}}))
    assert list(more) == ["X-Order", "List-Unsubscribe", "List-Unsubscribe-Post"]


def test_headers_without_room_are_refused_in_words() -> None:
    full = {f"X-{number}": "x" for number in range(49)}
    stopped = prepared({"headers": full})
    assert isinstance(stopped, Drop)
    assert stopped.reason == (
        "options.headers has 49 entries, and with List-Unsubscribe and List-Unsubscribe-Post a mail may have 50:"
        " leave some out"
    )
    assert len(headers(prepared({"headers": dict(list(full.items())[:48])}))) == 50


def test_a_redirected_message_leaves_nothing_in_the_name_of_its_recipient() -> None:
    marker = Marker()
    message = prepared(
        mode=Mode.REDIRECT,
        renderer=marker,
        body=None,
        template_id="t",
        template=Template("t", body="{{ unsubscribe_url }}"),
    )
    assert "List-Unsubscribe" not in headers(message)
    assert marker.about["unsubscribe_url"] == LINKS.nowhere
    assert read(LINKS.nowhere) is None


@pytest.fixture(scope="module")
def renderer() -> Any:
    opened = Renderer(Witness(), 5.0)
    yield opened
    opened.close()


def rendered(renderer: Any, body: str, **more: Any) -> Any:
    return prepared(renderer=renderer, body=None, template_id="t", template=Template("t", body=body, html=body), **more)


def test_a_template_has_the_link_in_text_and_html(renderer: Renderer) -> None:
    message = rendered(renderer, "{{ unsubscribe_url }}")
    assert message.text == message.html == headers(message)["List-Unsubscribe"][1:-1]


def test_a_template_of_any_channel_has_it(renderer: Renderer) -> None:
    message = rendered(renderer, "{{ unsubscribe_url }}", channel=Channel.SMS, recipient="+4915112345", subject=None)
    found = read(message.text)
    assert found is not None
    assert found.channel is Channel.SMS


def test_what_the_row_calls_by_the_same_name_stays(renderer: Renderer) -> None:
    message = rendered(renderer, "{{ unsubscribe_url }}", data='{"unsubscribe_url": "https://own.example"}')
    assert message.text == "https://own.example"
    other = rendered(renderer, "{{ notification.unsubscribe_url }}", data='{"unsubscribe_url": "https://own.example"}')
    assert read(other.text) is not None


@pytest.mark.parametrize("otherwise", [{"leaves": None}, {"links": None}])
def test_a_template_that_needs_a_link_fails_in_words_where_there_is_none(
    renderer: Renderer, otherwise: dict[str, Any]
) -> None:
    stopped = rendered(renderer, "Hello\n{{ unsubscribe_url }}", **otherwise)
    assert isinstance(stopped, Drop)
    assert stopped.reason == (
        "template 't': body, line 2: there is no unsubscribe_url: the row has no category that noti.categories lets"
        " recipients leave, or [web] has no unsubscribe_keys. Mend that, or ask first:"
        " {% if unsubscribe_url is defined %}"
    )


def test_a_template_can_ask_whether_there_is_one(renderer: Renderer) -> None:
    body = "Hello{% if unsubscribe_url is defined %} {{ unsubscribe_url }}{% endif %}"
    assert rendered(renderer, body, leaves=None).text == "Hello"
    assert rendered(renderer, body).text.startswith("Hello https://")


def chosen(renderer: Any, body: str, person: str | None = "42", **more: Any) -> Any:
    return rendered(renderer, body, choice=Choice(person=person), **more)


def test_a_template_has_the_link_of_the_person(renderer: Renderer) -> None:
    message = chosen(renderer, "{{ preferences_url }} {{ notification.preferences_url }}", leaves=None)
    url, again = message.text.split()
    assert url == again
    assert LINKS.people.read(url.rpartition("/")[2]) == Person("default", "42", 1, "de_AT")
    redirected = chosen(renderer, "{{ preferences_url }}", mode=Mode.REDIRECT)
    assert LINKS.people.nowhere in redirected.text


@pytest.mark.parametrize("otherwise", [{"person": None}, {"links": None}])
def test_a_template_that_needs_the_link_of_a_person_fails_in_words(
    renderer: Renderer, otherwise: dict[str, Any]
) -> None:
    stopped = chosen(renderer, "{{ preferences_url }}", **otherwise)
    assert isinstance(stopped, Drop)
    assert "there is no preferences_url: nobody is known whose address this is (noti.contacts)" in stopped.reason
    asking = "Hello{% if preferences_url is defined %} {{ preferences_url }}{% endif %}"
    assert chosen(renderer, asking, **otherwise).text == "Hello"
