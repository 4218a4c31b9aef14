"""A service with an HTTP API: a real server that answers as told, and what each of its providers promises.

A provider's test file names the module, its settings at the server, a message, and the service's answers as its pages
show them; the checks below are inherited beside those of `contract`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit
from tests.providers.contract import LIMIT, Judged, ProviderContract, Situation, opened


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


@dataclass(frozen=True)
class Answer:
    """What the service says: a document as JSON, or bytes as they are. `then` is `hang` or `cut` instead of it."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    then: str = ""


class ApiServer:
    """Listens on a free port of this machine while it is entered; answers `always`, or by `by_path`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
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

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = service._heard(Asked(self.command, self.path, headers, body))
                if answer.then == "hang":
                    service._over.wait(60)
                if answer.then:
                    self.close_connection = True
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

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

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def answers(self, status: int, body: Any = b"", /, **headers: str) -> Callable[[], None]:
        """What makes the server answer so from then on; an underscore in a header's name stands for a dash."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}

        def ready() -> None:
            self.always = Answer(status, body, told)

        return ready

    def breaks(self, then: str) -> Callable[[], None]:
        """What makes it take the request and say nothing: `hang`, or `cut` the line."""

        def ready() -> None:
            self.always = Answer(then=then)

        return ready

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def _heard(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
        return next((answer for start, answer in self.by_path.items() if asked.path.startswith(start)), self.always)


class ApiContract(ProviderContract):
    """Inherit this for a provider over HTTP. Give `settings` (at `server.url`), `message`, and the answers."""

    accepted: ClassVar[tuple[int, Any]]
    """Status and document of a success, as the service's pages show it."""
    golden: ClassVar[Sequence[tuple[int, Any, Mapping[str, str], Kind, str]]]
    """Real answers: status, document, headers, the kind, and the name of the rule that they must hit."""
    by_status: ClassVar[Mapping[int, Kind]] = {}
    """What a status means without any words, where it is not as `expected` has it."""
    prepares: ClassVar[int] = 0
    """Requests that only prepare the first send (a token); they are not counted."""

    @pytest.fixture
    def server(self) -> Iterator[ApiServer]:
        with ApiServer() as server:
            yield server

    @pytest.fixture
    def message(self) -> Message:
        raise NotImplementedError("give a message that this provider sends")

    @pytest.fixture
    def situations(self, server: ApiServer, message: Message) -> Sequence[Situation]:
        return [
            Situation("accepted", message, Kind.OK, server.answers(*self.accepted)),
            *(
                Situation(f"{status} {rule}", message, kind, server.answers(status, body, **headers))
                for status, body, headers, kind, rule in self.golden
            ),
            Situation("an error page", message, Kind.TRANSIENT, server.answers(502, b"<html>Bad Gateway</html>")),
            Situation("cut", message, Kind.UNCERTAIN, server.breaks("cut")),
        ]

    @pytest.fixture
    def hanging(self, server: ApiServer, message: Message) -> Situation:
        return Situation("hangs", message, Kind.UNCERTAIN, server.breaks("hang"))

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

    def test_real_answers_hit_the_rules_that_were_made_for_them(
        self, sender: Judged, server: ApiServer, message: Message
    ) -> None:
        for status, body, headers, kind, rule in self.golden:
            server.answers(status, body, **headers)()
            outcome = sender.send(message, LIMIT)
            assert (outcome.kind, outcome.rule) == (kind, rule), f"{status} {body}: {outcome}"

    def test_every_status_has_a_meaning(self, sender: Judged, server: ApiServer, message: Message) -> None:
        for status in range(400, 600):
            server.answers(status, {})()
            kind = sender.send(message, LIMIT).kind
            assert kind is self.by_status.get(status, expected(status)), f"{status}: {kind}"

    def test_one_try_is_one_request(self, sender: Judged, server: ApiServer, message: Message) -> None:
        for number, answer in enumerate(
            [server.answers(*self.accepted), server.answers(500, {}), server.answers(429, {}), server.breaks("cut")], 1
        ):
            answer()
            sender.send(message, LIMIT)
            assert len(server.asked) == number + self.prepares

    def test_nothing_was_sent_to_a_service_that_is_away(
        self, settings: Any, server: ApiServer, message: Message
    ) -> None:
        sender = opened(self.provider, settings)
        server.__exit__()
        outcome = sender.send(message, LIMIT)
        sender.close()
        assert (outcome.kind, outcome.offered) == (Kind.TRANSIENT, False)


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
