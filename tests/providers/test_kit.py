"""The kit: what a translation is, what the house does for it, and the one resolver of all accounts."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import pytest

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import judge
from noti_worker.domain.said import Said
from noti_worker.providers import smtp, webhook
from noti_worker.providers._api import read_json
from noti_worker.transport import Kit, Reply, Request, Steps
from noti_worker.transport.lookup import IDLE_AT_MOST, Addresses, Resolver
from tests.providers.contract import BUSY, LIMIT, NOW, a_message, opened
from tests.providers.misbehaving_http import MisbehavingServer, misbehaving

LOCAL = ("127.0.0.0/8",)
MESSAGE = a_message(Channel.CHAT, "room")


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving() as server:
        yield server


class TwoSteps:
    """Fetches something first, then sends what it was given."""

    def __init__(
        self, server: MisbehavingServer, first: str = "ok", second: str = "ok", *, sends: bool = False
    ) -> None:
        self.server, self.first, self.second, self.sends = server, first, second, sends
        self.own: Said | None = None
        self.closed = False

    def request(self, message: Message) -> Steps:
        return self._steps(message)

    def read(self, reply: Reply) -> Said:
        return read_json(reply)

    def _steps(self, message: Message) -> Steps:
        try:
            if message.text is None:
                raise BadNotification("there is nothing to say")
            fetched = yield Request("POST", self.server.url(f"/{self.first}"), {}, b"", sends=self.sends)
            yield Request("POST", self.server.url(f"/{self.second}"), {"x-fetched": fetched.body.decode()}, b"{}")
            return self.own
        finally:
            self.closed = True


def sent(translation: TwoSteps, message: Message = MESSAGE, limit: float = LIMIT) -> Said:
    sender = Kit(now=lambda: NOW).http(translation, allow_networks=LOCAL, allow_http=True)
    said = sender.send(message, limit)
    sender.close()
    return said


class TestSeveralRequests:
    def test_a_generator_is_sent_the_replies_and_the_last_one_is_read(self, server: MisbehavingServer) -> None:
        translation = TwoSteps(server, second="unwilling")
        said = sent(translation)
        assert (said.stage, said.status, said.words) == ("answer", "422", "no such order")
        assert [received.headers.get("x-fetched") for received in server.received] == [None, "fine"]
        assert translation.closed

    def test_it_may_say_itself_what_was_said(self, server: MisbehavingServer) -> None:
        translation = TwoSteps(server)
        translation.own = Said("answer", "200", id="m1")
        assert sent(translation) is translation.own

    def test_a_message_that_cannot_be_sent_is_told_before_anything_goes_out(self, server: MisbehavingServer) -> None:
        said = sent(TwoSteps(server), a_message(Channel.CHAT, "room", text=None))
        assert (said.stage, said.error) == ("compose", "there is nothing to say")
        assert not server.connections

    def test_an_answer_lost_while_preparing_means_that_nothing_was_sent(self, server: MisbehavingServer) -> None:
        for sends, kind in ((False, Kind.TRANSIENT), (True, Kind.UNCERTAIN)):
            translation = TwoSteps(server, first="closes-after", sends=sends)
            outcome = judge(sent(translation), (), MESSAGE)
            assert (outcome.kind, outcome.offered) == (kind, sends)
            assert translation.closed, "the generator is not left behind"

    def test_an_answer_lost_at_the_end_is_uncertain(self, server: MisbehavingServer) -> None:
        assert judge(sent(TwoSteps(server, second="closes-after")), (), MESSAGE).kind is Kind.UNCERTAIN

    def test_all_of_them_share_one_limit(self, server: MisbehavingServer) -> None:
        began = monotonic()
        said = sent(TwoSteps(server, second="hang"), limit=0.5)
        assert 0.4 < monotonic() - began < 0.5 + BUSY
        assert (said.stage, said.code) == ("answer", "timeout")


class TestBlocking:
    def test_a_call_is_a_sender(self) -> None:
        given: list[object] = []

        def call(message: Message, limit: float) -> Said:
            given.extend((message, limit))
            return Said("answer", "200", id="m1")

        sender = Kit(now=lambda: NOW).blocking(call, lambda: given.append("closed"))
        assert sender.send(MESSAGE, 3.0).id == "m1"
        sender.close()
        assert given == [MESSAGE, 3.0, "closed"]

    def test_a_message_that_cannot_be_sent_is_told(self) -> None:
        def call(message: Message, limit: float) -> Said:
            raise BadNotification("too heavy")

        sender = Kit(now=lambda: NOW).blocking(call)
        assert sender.send(MESSAGE, 3.0) == Said("compose", error="too heavy")
        sender.close()


def test_as_many_connections_are_kept_as_sends_go_out_at_once(server: MisbehavingServer) -> None:
    settings = webhook.Settings(unsigned=True, allow_networks=LOCAL, allow_http=True)
    sender = opened(webhook, settings, Kit(now=lambda: NOW).of(30))
    message = a_message(Channel.WEBHOOK, server.url("/ok"))
    for _ in range(2):
        with ThreadPoolExecutor(30) as threads:
            outcomes = list(threads.map(lambda _: sender.send(message, LIMIT), range(30)))
        assert {outcome.kind for outcome in outcomes} == {Kind.OK}
    sender.close()
    assert server.connections <= 30


def test_a_bad_ca_file_is_named_alike_for_all_transports() -> None:
    mails = smtp.Settings(host="mail.example.com", from_=("a@example.com",), ca_file=__file__)
    hooks = webhook.Settings(unsigned=True, ca_file=__file__)
    for provider, settings in ((smtp, mails), (webhook, hooks)):
        with pytest.raises(ConfigurationError, match=r"^ca_file: .* cannot be read as PEM certificates"):
            opened(provider, settings)


class Names:
    """A resolver of names that says nothing until it is told to."""

    def __init__(self) -> None:
        self.answer = Event()
        self.asked: Counter[str] = Counter()

    def lookup(self, host: str, port: int) -> Addresses:
        self.asked[host] += 1
        if not host.startswith("quick"):
            self.answer.wait(30)
        return []


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.answer.set()


class TestLookingUp:
    def test_forty_mails_to_a_name_that_is_never_resolved_leave_one_thread(self, names: Names) -> None:
        resolver = Resolver(names.lookup)
        kit = Kit(lambda: NOW, resolver)
        sender = opened(smtp, smtp.Settings(host="slow.test", from_=("a@example.com",)), kit)
        message = a_message(Channel.EMAIL, "ann@example.net")
        with ThreadPoolExecutor(20) as threads:
            outcomes = list(threads.map(lambda _: sender.send(message, 0.2), range(40)))
        assert {(outcome.kind, outcome.offered) for outcome in outcomes} == {(Kind.TRANSIENT, False)}
        assert "where slow.test is" in (outcomes[0].error or "")
        assert resolver._threads == 1
        assert names.asked == {"slow.test": 1}
        sender.close()

    def test_one_account_whose_names_hang_leaves_threads_to_the_others(self, names: Names) -> None:
        resolver = Resolver(names.lookup, threads=6, share=4)
        greedy, other = object(), object()

        def ask(number: int) -> bool:
            try:
                resolver.resolve(f"slow{number}.test", 443, 0.3, greedy)
            except TimeoutError:
                return True
            return False

        with ThreadPoolExecutor(40) as threads:
            assert all(threads.map(ask, range(40)))
        assert len(names.asked) == 4, "its share, and no more"
        assert resolver._threads <= 6
        assert resolver.resolve("quick.test", 443, LIMIT, other) == []
        assert not resolver._waiting, "what nobody waits for any more is not looked up"

    def test_threads_without_work_end(self, names: Names) -> None:
        resolver = Resolver(names.lookup)
        for number in range(3):
            assert resolver.resolve(f"quick{number}.test", 443, LIMIT) == []
        ends = monotonic() + IDLE_AT_MOST + 20
        while resolver._threads:
            assert monotonic() < ends
            Event().wait(0.05)

    def test_many_ask_at_once_and_each_gets_its_answer(self) -> None:
        def lookup(host: str, port: int) -> Addresses:
            if host.startswith("bad"):
                raise OSError
            return [(2, (host, port))]

        resolver = Resolver(lookup, threads=4, share=3)

        def ask(number: int) -> object:
            name = f"{'bad' if number % 7 == 0 else 'good'}{number % 30}"
            try:
                return resolver.resolve(name, number % 3, LIMIT, number % 5) == [(2, (name, number % 3))]
            except OSError:
                return name.startswith("bad")

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(ask, range(2000)))
        assert not resolver._pending
        assert not resolver._busy


def test_what_is_said_is_json_able(server: MisbehavingServer) -> None:
    said = sent(TwoSteps(server, second="says/1000"))
    assert json.dumps(said.response)
