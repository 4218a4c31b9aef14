"""Apprise: the library at real local servers of services that it knows."""

import ast
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.rules import Rule, judge
from noti_worker.domain.secret import Secret
from noti_worker.providers import apprise
from noti_worker.transport import Kit
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, NOW, Situation, a_message, opened, prompt
from tests.providers.misbehaving_http import MisbehavingServer, misbehaving

PASSWORD, PATH, HEADER = "canary-Pa55word", "canary-path-4711", "canary-header-0815"
MESSAGE = a_message(Channel.CHAT, "#orders")
DISCORD = "discord://223704706495545344/" + "3d89bb7572e0fb30" * 4


def json_url(port: int, rest: str = "") -> str:
    return f"json://ada:{PASSWORD}@127.0.0.1:{port}/{PATH}{rest}"


class TestApprise(ApiContract):
    provider = apprise
    secrets = (PASSWORD, PATH, HEADER)
    accepted = (200, {"ok": True})
    golden = (
        (204, b"", {}, Kind.OK, "apprise.taken"),
        (401, {"error": f"no {HEADER}"}, {}, Kind.TRANSIENT, "apprise.failed"),
        (429, {}, {"Retry_After": "60"}, Kind.TRANSIENT, "apprise.failed"),
        (503, f"{PASSWORD} at {PATH}".encode(), {}, Kind.TRANSIENT, "apprise.failed"),
    )
    by_status = dict.fromkeys(range(400, 600), Kind.TRANSIENT)
    refused = (
        ({"url": Secret("no url")}, "url"),
        ({"url": Secret(f"nosuch://{PASSWORD}@example.com/{PATH}")}, "url"),
        ({"url": Secret(f"nosuch://{PASSWORD}@example.com/{{recipient}}")}, "url"),
        ({"url": Secret(f"{{recipient}}://{PASSWORD}@example.com/")}, "url"),
        ({"url": Secret(f"https://example.com/{PATH}")}, "url"),
        ({"url": Secret(json_url(80) + ", " + json_url(81))}, "url"),
        ({"url": Secret(json_url(80, "?retry=3"))}, "retry"),
        ({"url": Secret(json_url(80, "?Redirect=yes"))}, "redirect"),
        ({"url": Secret(json_url(80, "?optional=yes"))}, "optional"),
        ({"url": Secret(json_url(80, "?overflow=split"))}, "overflow"),
        ({"url": Secret(f"ntfy://ada:{PASSWORD}@127.0.0.1/{PATH}/another")}, "targets"),
        ({"url": Secret(f"{DISCORD}?template=/etc/hostname")}, "file"),
        ({"url": Secret(f"fcm://{PASSWORD}/device?keyfile=/etc/hostname")}, "file"),
        ({"url": Secret("syslog://")}, "syslog"),
        ({"url": Secret("syslog://{recipient}")}, "syslog"),
        ({"url": Secret("vapid://ada@example.com")}, "vapid"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> apprise.Settings:
        return apprise.Settings(Secret(json_url(server.port, f"?+X-Token={HEADER}")))

    @pytest.fixture
    def message(self) -> Message:
        return MESSAGE

    @pytest.fixture
    def situations(self, server: ApiServer, message: Message) -> Sequence[Situation]:
        return [
            Situation("accepted", message, Kind.OK, server.answers(*self.accepted)),
            Situation("refused", message, Kind.TRANSIENT, server.answers(401, f"{PASSWORD} {HEADER}".encode())),
            # The house would call it uncertain: that the line was cut stays inside Apprise.
            Situation("cut", message, Kind.TRANSIENT, server.breaks("cut")),
            Situation("too long", replace(message, text="x" * 32769), Kind.PERMANENT),
        ]

    def test_nothing_was_sent_to_a_service_that_is_away(
        self, settings: apprise.Settings, server: ApiServer, message: Message
    ) -> None:
        """Its result is the same as of a refusal."""
        sender = opened(apprise, settings)
        server.__exit__()
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.code) == (Kind.TRANSIENT, "failed")
        assert outcome.error == "JSON refused it, or the line broke: Apprise says no more"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.answers(200, {})()
        yield server


def send(url: str, message: Message = MESSAGE, **settings: Any) -> Outcome:
    sender = opened(apprise, apprise.Settings(Secret(url), **settings))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def test_subject_and_body_are_its_title_and_body(server: ApiServer) -> None:
    outcome = send(json_url(server.port))
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, None)
    assert outcome.response == {"service": "JSON"}
    assert (server.last.method, server.last.path) == ("POST", f"/{PATH}")
    sent = server.last.json()
    assert (sent["title"], sent["message"], sent["type"]) == ("Your order", "It is on its way.", "info")
    send(json_url(server.port), replace(MESSAGE, text=None))
    assert (server.last.json()["title"], server.last.json()["message"]) == ("", "Your order")


@pytest.mark.parametrize(
    ("severity", "kind"),
    [("info", "info"), ("success", "success"), ("warning", "warning"), ("error", "failure"), ("critical", "failure")],
)
def test_a_severity_is_a_type(server: ApiServer, severity: str, kind: str) -> None:
    send(json_url(server.port), replace(MESSAGE, options={"severity": severity}))
    assert server.last.json()["type"] == kind


def test_a_push_to_gotify_and_to_a_topic_of_ntfy(server: ApiServer) -> None:
    """Services of the kind that it is for; ours for both of them know codes and ids besides."""
    push = a_message(Channel.PUSH, "on-call", options={"severity": "warning"})
    assert send(f"gotify://127.0.0.1:{server.port}/AWWfWyqd8xR0p1g", push).kind is Kind.OK
    assert server.last.path == "/message"
    assert server.last.headers["x-gotify-key"] == "AWWfWyqd8xR0p1g"
    assert send(f"ntfy://127.0.0.1:{server.port}/{{recipient}}", push).kind is Kind.OK
    assert (server.last.json()["topic"], server.last.json()["message"]) == ("on-call", "It is on its way.")


@pytest.mark.parametrize(
    "recipient",
    ["ada", "#orders", "@ada", "+491701234567", "ada@example.com", "!room:example.com", "a-b_c.d~e"],
)
def test_the_recipient_stands_where_the_url_says_so(server: ApiServer, recipient: str) -> None:
    message = replace(MESSAGE, recipient=recipient)
    assert send(f"json://127.0.0.1:{server.port}/to/{{recipient}}?:at={{recipient}}", message).kind is Kind.OK
    assert server.last.json()["at"] == recipient
    assert send(f"json://{{recipient}}:pw@127.0.0.1:{server.port}/", message).kind is Kind.OK


@pytest.mark.parametrize("recipient", ["a,b", "a b", "a/b", "a?optional=yes", "a&b", "a%2Cb", "a;b", "ä", "a" * 201])
def test_a_recipient_that_could_be_more_than_one_part_of_the_url_is_refused(server: ApiServer, recipient: str) -> None:
    outcome = send(f"ntfy://127.0.0.1:{server.port}/{{recipient}}", replace(MESSAGE, recipient=recipient))
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert "does not fit into the account's url" in (outcome.error or "")
    assert not server.asked


def test_a_recipient_that_the_service_cannot_have_holds_its_row_alone() -> None:
    outcome = send("voipms://password:ada@example.com/15551234567/{recipient}", replace(MESSAGE, recipient="nobody"))
    assert (outcome.kind, outcome.scope, outcome.rule) == (Kind.CONFIG, Scope.RECIPIENT, "apprise.no_target")


def test_without_a_place_in_the_url_a_recipient_is_a_label(server: ApiServer) -> None:
    assert send(json_url(server.port), replace(MESSAGE, recipient="whoever, or / not")).kind is Kind.OK


def test_a_status_is_known_from_its_log_and_an_account_may_judge_by_it(server: ApiServer) -> None:
    server.answers(401, {})()
    outcome = send(json_url(server.port))
    assert (outcome.code, outcome.error) == ("401 failed", "JSON answered 401")
    sender = apprise.build(apprise.Settings(Secret(json_url(server.port))), Kit(now=lambda: NOW))
    own = (Rule("mine.key", Kind.CONFIG, Scope.ACCOUNT, status="401"), *apprise.RULES)
    assert judge(sender.send(MESSAGE, LIMIT), own, MESSAGE).rule == "mine.key"
    server.answers(302, {}, Location="/elsewhere")()
    assert judge(sender.send(MESSAGE, LIMIT), own, MESSAGE).code == "302 failed"
    assert [asked.path for asked in server.asked] == [f"/{PATH}"] * 3


@pytest.mark.parametrize(
    ("message", "format_", "said"),
    [
        (MESSAGE, "plain", "Ada @\u2060everyone <b>*x*</b>"),
        (MESSAGE, "html", "Ada @everyone <b>*x*</b>"),
        (MESSAGE, "markdown", "Ada @everyone <b>*x*</b>"),
        (a_message(Channel.PUSH, "on-call"), "plain", "Ada @everyone <b>*x*</b>"),
    ],
)
def test_a_name_pings_nobody_in_a_plain_chat(server: ApiServer, message: Message, format_: str, said: str) -> None:
    text = "Ada @everyone <b>*x*</b>"
    send(
        f"json://127.0.0.1:{server.port}/?format={'text' if format_ == 'plain' else format_}",
        replace(message, text=text),
        format=format_,
    )
    assert server.last.json()["message"] == said


def test_a_plain_text_is_escaped_for_a_service_that_takes_html(server: ApiServer) -> None:
    send(f"json://127.0.0.1:{server.port}/?format=html", replace(MESSAGE, text="1 < 2 & 3"))
    assert server.last.json()["message"] == "1&nbsp;&lt;&nbsp;2&nbsp;&amp;&nbsp;3"


@pytest.mark.parametrize(
    ("url", "changes", "words"),
    [
        (f"{DISCORD}", {"text": "a" * 2001}, "the body has 2001 characters, and the service takes 2000"),
        ("json://127.0.0.1:1", {"subject": "a" * 251}, "the subject has 251 characters, and the service takes 250"),
        ("d7sms://token@15551231234", {"text": "a" * 160}, "with its subject, has 170 characters, and .* takes 160"),
        ("json://127.0.0.1:1", {"text": None, "html": "<p>Hi</p>"}, "only HTML"),
        ("json://127.0.0.1:1", {"text": " ", "subject": None}, "empty"),
    ],
)
def test_what_does_not_fit_is_refused_before(url: str, changes: dict[str, Any], words: str) -> None:
    outcome = send(url, replace(MESSAGE, **changes))
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert re.search(words, outcome.error or ""), outcome.error


@pytest.fixture
def misbehaving_server() -> Iterator[MisbehavingServer]:
    with misbehaving() as server:
        yield server


@pytest.mark.parametrize("way", ["trickled-header", "trickled-body", "endless-continue", "hang"])
def test_an_answer_without_an_end_is_uncertain_in_time(misbehaving_server: MisbehavingServer, way: str) -> None:
    sender = opened(apprise, apprise.Settings(Secret(f"json://127.0.0.1:{misbehaving_server.port}/{way}")))
    outcome = prompt(lambda: sender.send(MESSAGE, 0.5), 0.5)
    assert (outcome.kind, outcome.rule) == (Kind.UNCERTAIN, "apprise.no_answer")
    assert outcome.error == "JSON did not answer within 0.5 s"


@pytest.mark.parametrize("way", ["closes-after", "resets-after", "not-http", "huge-header"])
def test_a_line_that_breaks_is_a_failure_without_a_reason(misbehaving_server: MisbehavingServer, way: str) -> None:
    outcome = send(f"json://127.0.0.1:{misbehaving_server.port}/{way}")
    assert (outcome.kind, outcome.code) == (Kind.TRANSIENT, "failed")
    assert len(misbehaving_server.received) == 1


def test_what_was_left_behind_keeps_its_threads_and_no_more(
    misbehaving_server: MisbehavingServer, wait_for: Callable[..., Any]
) -> None:
    """With both threads at a server that trickles the third message is not begun; they come back when it ends."""
    port = misbehaving_server.port
    settings = apprise.Settings(Secret(f"json://127.0.0.1:{port}/{{recipient}}"))
    sender = opened(apprise, settings, Kit(now=lambda: NOW, concurrency=2))
    trickled, fine = replace(MESSAGE, recipient="trickled-body"), replace(MESSAGE, recipient="ok")
    for _ in range(2):
        assert sender.send(trickled, 0.3).kind is Kind.UNCERTAIN
    wait_for(lambda: len(misbehaving_server.received) == 2, timeout=60, what="both are under way")
    outcome = sender.send(fine, 0.3)
    assert (outcome.kind, outcome.offered, outcome.code) == (Kind.TRANSIENT, False, "busy")
    assert len(misbehaving_server.received) == 2
    misbehaving_server.stopping.set()  # ends both answers
    assert sender.send(fine, 60).code != "busy"


def test_the_threads_end_with_the_process(misbehaving_server: MisbehavingServer) -> None:
    sender = opened(apprise, apprise.Settings(Secret(f"json://127.0.0.1:{misbehaving_server.port}/trickled-body")))
    before = set(_threads())
    sender.send(MESSAGE, 0.3)
    assert [thread.daemon for thread in set(_threads()) - before] == [True]


def _threads() -> list[Thread]:
    import threading

    return [thread for thread in threading.enumerate() if thread.name == "apprise"]


def test_its_log_goes_nowhere(capfd: pytest.CaptureFixture[str], server: ApiServer) -> None:
    """With a handler as the worker has it, and without any, when Python prints warnings by itself."""
    server.answers(500, {})()
    root = logging.getLogger()
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    root.addHandler(handler)
    try:
        send(json_url(server.port))
        with pytest.raises(ConfigurationError):
            send(f"nosuch://{PASSWORD}@example.com/{PATH}")
    finally:
        root.removeHandler(handler)
    assert not seen
    assert capfd.readouterr() == ("", "")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noti_worker.providers.apprise.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'noti-worker\[apprise\]'"):
        send("json://127.0.0.1:1")


REACH = {"ctypes", "dbus", "gi", "hid", "subprocess", "syslog", "win32api"}


def _plugins() -> dict[str, ast.Module]:
    spec = importlib.util.find_spec("apprise.plugins")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    return {str(path.relative_to(folder)): ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))}


def _imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_plugin_that_reaches_into_this_machine_is_refused() -> None:
    """Read from the installed version: a new plugin of that kind turns this red."""
    from apprise import NotificationManager

    plugins: Any = NotificationManager()  # type: ignore[no-untyped-call]
    reaching = {name.removesuffix(".py") for name, tree in _plugins().items() if _imports(tree) & REACH}
    assert {"dbus", "glib", "gnome", "macosx", "syslog", "windows", "blink1"} <= reaching
    schemas = {
        schema
        for schema in plugins.schemas()
        if plugins[schema].__module__.removeprefix("apprise.plugins.") in reaching
    }
    assert schemas <= apprise._LOCAL, "name them in _LOCAL, or say why not"
