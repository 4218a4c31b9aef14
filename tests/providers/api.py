"""A service with an HTTP API: a real server that answers as told, and what each of its providers promises.

A provider's test file names the module, its settings at the server, a message, and the service's answers as its pages
show them; the checks below are inherited beside those of `contract`.
"""

import json
import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import pytest

from noti_worker.delivery.safety import Safety
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit
from tests.providers.contract import (
    ANSWERED,
    LIMIT,
    NOT_SENT,
    TAKEN,
    UNKNOWN,
    Cut,
    Judged,
    ProviderContract,
    Situation,
    nobody_listens,
    opened,
    prompt,
    without_names,
)
from tests.providers.description import Describes, Description
from tests.providers.spellings import sees, spellings


@dataclass(frozen=True)
class Asked:
    """A request as the service got it; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """The fields of a form; of those that stand twice the last."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def as_text(self) -> str:
        """All of it, as a page would show it that repeats what it was asked."""
        heads = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        return f"{self.method} {self.path}\n{heads}\n{self.body.decode(errors='replace')}"


@dataclass(frozen=True)
class Answer:
    """What the service says: a document as JSON, or bytes as they are.

    `then` is what it does instead: `shut` the line before it is asked (a new one: it says goodbye to those that are
    kept), `cut` or `reset` it when it was asked, `hang`, talk `foreign`, end within the `head` of its answer, within
    the `body`, or `echo` what it was asked.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    then: str = ""


class ApiServer:
    """Listens on a free port of this machine while it is entered; answers `always`, or by `by_path`.

    Every request is held against what `described` says of it; when it is left, one that did not conform is an
    AssertionError.
    """

    def __init__(self, described: Describes | None = None) -> None:
        self.asked: list[Asked] = []
        self._described = described
        self._faults: dict[str, None] = {}
        self.always = Answer()
        self.by_path: dict[str, Answer] = {}
        """What is answered instead where the path begins so."""
        self._lock = Lock()
        self._over = Event()

    def __enter__(self) -> Self:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to acknowledge its head
            wbufsize = -1

            def handle(self) -> None:
                if service.always.then != "shut":
                    with suppress(ConnectionError):  # who asked may be killed
                        super().handle()

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body)
                answer = service._heard(asked)
                if answer.then == "hang":
                    service._over.wait(60)
                if answer.then == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer.then in {"foreign", "head"}:
                    self.wfile.write({"foreign": b"SSH-2.0-OpenSSH_9.2p1\r\n", "head": b"HTTP/1.1 2"}[answer.then])
                self.close_connection = answer.then not in {"", "echo"}
                if answer.then in {"", "echo", "body"}:
                    self.say(answer, {"message": asked.as_text()} if answer.then == "echo" else answer.body)

            def say(self, answer: Answer, body: Any) -> None:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content) + 7 * (answer.then == "body")))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) // 2] if answer.then == "body" else content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, failed: object = None, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        if self._faults and failed is None:
            told = "\n".join(self._faults)
            raise AssertionError(f"requests that are not as {getattr(self._described, 'source', '')} has them:\n{told}")

    def answers(self, status: int, body: Any = b"", /, **headers: str) -> Callable[[], None]:
        """What makes the server answer so from then on; an underscore in a header's name stands for a dash."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}

        def ready() -> None:
            self.always = Answer(status, body, told)

        return ready

    def breaks(self, then: str, status: int = 200, body: Any = b"") -> Callable[[], None]:
        """What makes it do that instead of an answer, or in the midst of this one."""

        def ready() -> None:
            self.always = Answer(status, body, then=then)

        return ready

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def _heard(self, asked: Asked) -> Answer:
        faults = self._described.faults(asked) if self._described is not None else ()
        with self._lock:
            self.asked.append(asked)
            self._faults |= dict.fromkeys(faults)
        return next((answer for start, answer in self.by_path.items() if asked.path.startswith(start)), self.always)


@dataclass(frozen=True)
class Look:
    """How an account is looked at, as the service's pages have it."""

    asks: str
    """Method and path."""
    known: Any
    """What the service says to an account that it knows."""
    unknown: Any
    """And to one that it does not."""
    status: int = 200
    refuses: int = 401
    kept: str = ""
    """What the service tells of the account, and nobody here may keep."""


OTHERS: Mapping[Channel, str] = {
    Channel.EMAIL: "staging@example.org",
    **dict.fromkeys((Channel.SMS, Channel.WHATSAPP, Channel.VOICE), "+491590000017"),
    Channel.PUSH: "staging-topic-17",
    Channel.CHAT: "C0STAGING17",
}


def standing(asked: Asked, place: str) -> str:
    """What stands at a place of a request (`domain.traits.Carries`); for any other word, all of it."""
    kind, _, name = place.partition(" ")
    match kind:
        case "header":
            return asked.headers[name]
        case "query":
            return dict(parse_qsl(urlsplit(asked.path).query))[name]
        case "form":
            return asked.form()[name]
        case "json":
            found = asked.json()
            for step in name.split("."):
                found = found[int(step) if isinstance(found, list) else step]
            return str(found)
    return f"{asked.path} {asked.headers} {asked.body!r}"


class ApiContract(ProviderContract):
    """Inherit this for a provider over HTTP. Give `settings` (at `server.url`), `message`, and the answers."""

    accepted: ClassVar[tuple[int, Any]]
    """Status and document of a success, as the service's pages show it."""
    golden: ClassVar[Sequence[tuple[int, Any, Mapping[str, str], Kind, str]]]
    """Real answers: status, document, headers, the kind, and the name of the rule that they must hit."""
    by_status: ClassVar[Mapping[int, Kind]] = {}
    """What a status means without any words, where it is not as `expected` has it."""
    described: ClassVar[Describes | None]
    """What requests may look like; None where the operator says it."""
    tried_against: ClassVar[str] = "an HTTP server of ours"
    looks: ClassVar[Look | None] = None
    """None: the service has no call that sends nothing."""

    def __init_subclass__(cls) -> None:
        described: Describes | None = getattr(cls, "described", None)
        if described is not None:
            cls.described_by = described.source

    @pytest.fixture
    def server(self) -> Iterator[ApiServer]:
        with ApiServer(self.described) as server:
            yield server

    @pytest.fixture
    def message(self) -> Message:
        raise NotImplementedError("give a message that this provider sends")

    @pytest.fixture
    def situations(self, server: ApiServer, message: Message) -> Sequence[Situation]:
        return [
            Situation("accepted", message, Kind.OK, server.answers(*self.accepted)),
            *(
                Situation(f"{status} {body}", message, kind, server.answers(status, body, **headers), rule)
                for status, body, headers, kind, rule in self.golden
            ),
            Situation("an error page", message, Kind.TRANSIENT, server.answers(502, b"<html>Bad Gateway</html>")),
            Situation("too fast", message, Kind.THROTTLED, server.answers(429, {})),
            Situation("cut", message, Kind.UNCERTAIN, server.breaks("cut")),
        ]

    @pytest.fixture
    def outgoing(self, server: ApiServer) -> Callable[[str], str]:
        return lambda place: standing(server.last, place)

    @pytest.fixture
    def refusing(self, server: ApiServer) -> Callable[[str], None]:
        return lambda words: server.answers(400, words.encode())()

    @pytest.fixture
    def of_status(self, server: ApiServer, message: Message) -> Callable[[int], Situation]:
        def alone(status: int) -> Situation:
            kind = self.by_status.get(status, expected(status))
            return Situation(str(status), message, kind, server.answers(status, {}))

        return alone

    @pytest.fixture
    def heard(self, server: ApiServer) -> Callable[[], int]:
        """What only prepares a send (a token) is asked by paths of its own, and not counted."""
        return lambda: sum(not asked.path.startswith(tuple(server.by_path)) for asked in server.asked)

    @pytest.fixture
    def hanging(self, server: ApiServer, message: Message) -> Situation:
        return Situation("hangs", message, Kind.UNCERTAIN, server.breaks("hang"))

    @pytest.fixture
    def cuts(self, server: ApiServer, settings: Any, message: Message) -> Iterator[Sequence[Cut]]:
        def at(stage: str, ends: Sequence[tuple[Kind, bool]], *how: Any) -> Cut:
            return Cut(stage, message, ends, server.breaks(*how))

        def elsewhere(stage: str, url: str, **changes: Any) -> Cut:
            there = replace(message, recipient=message.recipient.replace(server.url, url))
            return Cut(stage, there, [NOT_SENT], settings=moved(settings, server.url, url), **changes)

        taken = self.accepted[0], self.accepted[1] or b"{}"
        with nobody_listens() as port:
            yield [
                elsewhere("its name is not found", "https://service.test", kit=without_names()),
                elsewhere("nobody listens", f"http://127.0.0.1:{port}"),
                elsewhere("it speaks no TLS", server.url.replace("http:", "https:")),
                # Nothing was sent when the end of the line was there before our first byte.
                *([] if server.by_path else [at("closed before the request", [UNKNOWN, NOT_SENT], "shut")]),
                at("closed after the request", [UNKNOWN], "cut"),
                at("reset after the request", [UNKNOWN], "reset"),
                at("an answer that is no HTTP", [UNKNOWN], "foreign"),
                at("closed in the head of the answer", [UNKNOWN], "head"),
                at("closed in the body of a yes", [TAKEN, UNKNOWN], "body", *taken),
                at("closed in the body of a no", [ANSWERED], "body", 503, {"error": "busy"}),
            ]

    @pytest.mark.parametrize(
        "url",
        ["https://[", "https://example.com:port", "https://:word@example.com", "https://", "ftp://example.com", "x"],
    )
    def test_what_is_no_url_is_refused_with_its_key(self, settings: Any, kit: Kit, url: str) -> None:
        urls = [one for one in fields(settings) if re.fullmatch("(api_|webhook_)?url", one.name)]
        for key in [one.name for one in urls if getattr(settings, one.name) != one.default]:
            given = Secret(url) if isinstance(getattr(settings, key), Secret) else url
            with pytest.raises(ConfigurationError, match=rf"\b{key}\b"):
                self.provider.build(replace(settings, **{key: given}), kit)

    def test_what_it_takes_for_a_success_is_described(
        self, sender: Judged, server: ApiServer, message: Message
    ) -> None:
        server.answers(*self.accepted)()
        assert sender.send(message, LIMIT).kind is Kind.OK
        if isinstance(self.described, Description):
            assert not list(self.described.unexpected(server.last, *self.accepted))

    def test_an_answer_that_repeats_the_request_shows_no_secret(
        self, sender: Judged, server: ApiServer, message: Message
    ) -> None:
        carried = False
        for status in (200, 400, 401, 500):
            server.breaks("echo", status)()
            outcome = sender.send(message, LIMIT)
            carried = carried or any(secret in server.last.as_text() for secret in self.secrets)
            self.assert_no_secret_in(repr(outcome), outcome.error or "", outcome.code or "")
            self.assert_no_secret_in(json.dumps(outcome.response), json.dumps(outcome.response, ensure_ascii=False))
        assert carried, "none of the secrets goes out: they are none, or not those of the fixtures"

    def test_a_redirected_message_reaches_another_or_nobody(
        self, settings: Any, sender: Judged, server: ApiServer, message: Message
    ) -> None:
        """Where the recipient decides nothing, the account sends nothing (tests/accounts/test_accounts.py)."""
        if not getattr(settings, "addressed", True):
            return
        other = self.another(message, server)
        safe = Safety({message.channel: other}).apply(message, Mode.REDIRECT)
        assert isinstance(safe, Message)
        plain = replace(safe, subject="Hello", text="Hello")  # it tells whom it was for
        options = {name: value for name, value in safe.options.items() if name != "headers"}
        server.answers(*self.accepted)()
        assert sender.send(replace(plain, options=options), LIMIT).kind is Kind.OK
        went_out = f"{server.last.path} {server.last.headers} {unquote_plus(server.last.body.decode(errors='replace'))}"
        for where, sought in (("there", other), ("gone", message.recipient)):
            private = next(iter(spellings(sought).values()))
            assert sees(went_out, private) is (where == "there"), (where, private, went_out[:2000])

    def another(self, message: Message, server: ApiServer) -> str:
        """A recipient that is not the message's."""
        return OTHERS[message.channel]

    def look(self, sender: Judged, server: ApiServer, *answer: Any, **headers: str) -> Outcome:
        """The outcome of a look that is answered so."""
        server.answers(*answer, **headers)()
        outcome = sender.check(LIMIT)
        assert outcome.stage == "check"
        assert outcome.kind is Kind.OK or not outcome.offered
        return outcome

    def test_a_look_is_one_request_that_sends_nothing(
        self, sender: Judged, server: ApiServer, heard: Callable[[], int]
    ) -> None:
        if self.looks is None:
            assert sender.checked(LIMIT) is None
            assert not server.asked
            return
        outcome = self.look(sender, server, self.looks.status, self.looks.known)
        assert outcome.kind is Kind.OK, outcome
        assert self.provider.CHECK
        assert heard() == 1
        assert f"{server.last.method} {server.last.path}" == self.looks.asks
        assert self.looks.kept not in repr(outcome) or not self.looks.kept
        if isinstance(self.described, Description):
            assert not list(self.described.unexpected(server.last, self.looks.status, self.looks.known))

    def test_who_is_unknown_to_the_service_is_told_so(self, sender: Judged, server: ApiServer) -> None:
        if self.looks is None:
            return
        outcome = self.look(sender, server, self.looks.refuses, self.looks.unknown)
        assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT), outcome
        assert outcome.error
        for status in (401, 403):
            assert self.look(sender, server, status, {}).kind is Kind.CONFIG

    def test_a_look_shows_no_secret(self, sender: Judged, server: ApiServer) -> None:
        if self.looks is None:
            return
        self.look(sender, server, 500, b"")
        for asked in tuple(server.asked):
            said = f"{asked.path} {dict(asked.headers)} {asked.body!r}"
            for status in (200, 400, 401, 503):
                outcome = self.look(sender, server, status, said.encode())
                self.assert_no_secret_in(repr(outcome), json.dumps(outcome.response), outcome.error or "")

    def test_whoever_does_not_answer_a_look_is_away_for_now(
        self, sender: Judged, settings: Any, server: ApiServer
    ) -> None:
        if self.looks is None:
            return
        for status, body in ((500, {}), (503, b""), (200, b"<html>Sign in to the hotel</html>")):
            assert self.look(sender, server, status, body).kind is Kind.TRANSIENT, status
        server.breaks("cut")()
        cut = sender.check(LIMIT)
        assert (cut.kind, cut.offered, cut.error) == (Kind.TRANSIENT, False, "the connection broke")
        server.breaks("hang")()
        slow = prompt(lambda: sender.check(1.0), 1.0)
        assert (slow.kind, slow.error) == (Kind.TRANSIENT, "no answer in time")
        server.__exit__()
        with closing(opened(self.provider, settings)) as fresh:
            away = fresh.check(LIMIT)
        assert (away.kind, away.offered) == (Kind.TRANSIENT, False)


def expected(status: int) -> Kind:
    """What a status means of itself, in any service."""
    named = {
        408: Kind.TRANSIENT,
        425: Kind.TRANSIENT,
        429: Kind.THROTTLED,
        501: Kind.CONFIG,
        **dict.fromkeys((401, 402, 403, 404, 405), Kind.CONFIG),
    }
    return named.get(status, Kind.PERMANENT if status < 500 else Kind.TRANSIENT)


def moved(settings: Any, url: str, to: str) -> Any:
    """The settings of an account whose service is at another URL."""
    changes: dict[str, Any] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if isinstance(value, Secret) and url in value.reveal():
            changes[one.name] = Secret(value.reveal().replace(url, to))
        elif isinstance(value, str) and url in value:
            changes[one.name] = value.replace(url, to)
    return replace(settings, **changes)
