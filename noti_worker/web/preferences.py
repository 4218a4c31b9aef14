"""The page of a person's choices, behind a link that says whose: a GET shows them, a POST keeps what was chosen.

The link is the authority: whoever has it could open the page as well, so a form of somebody else's gains nothing.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Protocol
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from noti_worker.domain.choice import ChoiceLine, Wish, name_of, nothing_more, wishes
from noti_worker.domain.errors import DatabaseError
from noti_worker.domain.facts import LinkUsed, Trouble
from noti_worker.domain.personal import Person, PersonalLinks
from noti_worker.domain.ports import Observer
from noti_worker.web.choice_words import ChoiceWords, choice_words
from noti_worker.web.page import page
from noti_worker.web.receipts import COME_AGAIN, body_of
from noti_worker.web.strangers import Strangers
from noti_worker.web.words import LANGUAGES, language_of

MOST_LINES = 500
"""Categories times channels; what is more is not shown."""

LARGEST_FORM = 512 * 1024
"""Bytes; 500 lines with names as long as they may be."""

AT_ONCE = 4
"""Requests that ask the database at the same time; the others wait."""

NOTHING = ("noti", "nothing")
"""What the button says that refuses everything that can be refused."""


class Choices(Protocol):
    """Who wants what. Used by several threads at once; every call raises DatabaseError, and then nothing is changed."""

    def lines(self, person: Person, language: str, most: int) -> Sequence[ChoiceLine]:
        """What there is to choose, at most so many lines."""
        ...

    def choose(self, person: Person, wishes: Sequence[Wish]) -> None:
        """Keep them, all or none."""
        ...


class PreferencePages:
    """The pages of the links."""

    def __init__(
        self,
        links: PersonalLinks,
        choices: Choices,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer what `links` can read."""
        self._links = links
        self._choices = choices
        self._observer = observer
        self._strangers = Strangers(monotonic)
        self._threads: CapacityLimiter | None = None

    def routes(self) -> list[Route]:
        """The one URL that there is, for one event loop."""
        return [Route("/preferences/{token}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        person = self._links.read(request.path_params["token"])
        language = language_of(
            person.language if person is not None else "", request.headers.get("accept-language", "")
        )
        if person is None:
            return self._unknown(request, language)
        act: Callable[[], HTMLResponse] = partial(self._show, person, language)
        if request.method == "POST":
            body = await body_of(request, LARGEST_FORM)
            if body is None:
                return Response(status_code=413)
            posted = _fields(request.headers.get("content-type", ""), body)
            act = partial(self._show, person, language, status=400)
            if posted is not None:
                act = partial(self._keep, person, language, posted)
        self._threads = self._threads or CapacityLimiter(AT_ONCE)
        try:
            return await to_thread.run_sync(act, limiter=self._threads)
        except DatabaseError as error:
            self._observer.on(Trouble("preferences", str(error)))
            words = LANGUAGES[language]
            answer = page(language, words.later, words.later_text, 503)
            answer.headers["retry-after"] = COME_AGAIN
            return answer

    def _unknown(self, request: Request, language: str) -> Response:
        """Not one of ours. Whoever tries many is not worth a page."""
        client = request.client.host if request.client else ""
        self._observer.on(LinkUsed("unknown"))
        if self._strangers.tiresome(client):
            return Response(status_code=429, headers={"retry-after": "60"})
        self._strangers.refused(client)
        words = LANGUAGES[language]
        return page(language, words.unknown, words.unknown_text, 404)

    def _show(self, person: Person, language: str, status: int = 200, saved: bool = False) -> HTMLResponse:
        words = choice_words(language)
        lines = self._choices.lines(person, person.language or language, MOST_LINES)
        if not lines:
            return page(language, words.heading, words.empty, status)
        said = f'<p class="saved" role="status">{escape(words.saved)}</p>' if saved else ""
        return page(language, words.heading, words.text, status, form=said + _form(words, lines))

    def _keep(self, person: Person, language: str, posted: dict[str, str]) -> HTMLResponse:
        lines = self._choices.lines(person, person.language or language, MOST_LINES)
        name, value = NOTHING
        wanted = nothing_more(lines) if posted.get(name) == value else wishes(lines, posted)
        if wanted:
            self._choices.choose(person, wanted)
        self._observer.on(LinkUsed("chose"))
        return self._show(person, language, saved=True)


def _form(words: ChoiceWords, lines: Sequence[ChoiceLine]) -> str:
    """A group for each category, a list for each of its channels."""
    numbered = enumerate(lines)
    groups = [_group(words, list(group)) for _, group in groupby(numbered, lambda one: one[1].category)]
    name, value = NOTHING
    buttons = [f'<p><button type="submit">{escape(words.save)}</button></p>']
    if not all(line.fixed for line in lines):
        quiet = f'<button type="submit" class="quiet" name="{name}" value="{value}">{escape(words.nothing)}</button>'
        buttons.append(f"<p>{quiet}</p>")
    else:
        buttons.clear()
    return f'<form method="post">{"".join(groups)}{"".join(buttons)}</form>'


def _group(words: ChoiceWords, lines: Sequence[tuple[int, ChoiceLine]]) -> str:
    legend = f"<legend><bdi>{escape(lines[0][1].title)}</bdi></legend>"
    choices = "".join(_choice(words, number, line) for number, line in lines)
    return f"<fieldset>{legend}{choices}</fieldset>"


def _choice(words: ChoiceWords, number: int, line: ChoiceLine) -> str:
    channel = escape(words.channels.get(line.channel, line.channel))
    if line.mandatory:
        return f'<div class="choice"><span>{channel}</span><span>{escape(words.always)}</span></div>'
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == line.shown else ""}>{escape(label)}</option>'
        for value, label in words.often.items()
    )
    locked = " disabled" if line.fixed else ""
    return (
        f'<div class="choice"><label for="c{number}">{channel}</label>'
        f'<select id="c{number}" name="{escape(name_of(line))}"{locked}>{options}</select></div>'
    )


def _fields(content_type: str, body: bytes) -> dict[str, str] | None:
    """The fields of a form as a browser posts it; None for another body."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_LINES + 10)
    except ValueError:
        return None
    return {name: values[-1] for name, values in found.items()}
