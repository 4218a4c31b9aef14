"""What every provider promises, as tests that each provider's own test class inherits.

A provider's test file says how it is built and which answers it can get::

    class TestDiscord(ProviderContract):
        provider = discord
        tried_against = "an HTTP server of ours"
        described_by = "discord.com/developers/docs"
        secrets = (URL,)                              # must show up nowhere
        refused = (({"url": Secret("ftp://x")}, "url"),)

        @pytest.fixture
        def settings(self, server) -> discord.Settings: ...

        @pytest.fixture
        def situations(self, server) -> Sequence[Situation]: ...

        @pytest.fixture
        def of_status(self, server) -> Callable[[int], Situation]: ...

        @pytest.fixture
        def heard(self, server) -> Callable[[], int]: ...

        @pytest.fixture
        def cuts(self, server) -> Sequence[Cut]: ...

        @pytest.fixture
        def hanging(self, server) -> Situation: ...

`kit` may be overridden too; what sends nothing over a line says `line = False` and gives the first two alone. What each
check counted goes into the table that `python -m tests.providers.matrix` prints.
"""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from time import monotonic
from types import ModuleType
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Attachment, Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.ports import Checks, Sender
from noti_worker.domain.rules import Rule, judge
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.traits import Limit, Traits
from noti_worker.providers import traits
from noti_worker.transport import Kit
from noti_worker.transport.lookup import Addresses, Resolver
from tests.providers.spellings import Masked, sees, shown, spellings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIMIT = 5.0
BUSY = 15.0
"""Seconds by which a send may pass its limit on a busy machine; what disregards a limit does so for longer."""

Record = Callable[[str, object], None]
"""What was counted, for the matrix: numbers of one name are added, of texts each counts once."""

_T = TypeVar("_T")


def prompt(call: Callable[[], _T], limit: float) -> _T:
    """What it gives; it ends in time at least once in three times, since the machine may stall in the others."""
    for _ in range(3):
        began = monotonic()
        answer = call()
        if (took := monotonic() - began) < limit + BUSY:
            return answer
    raise AssertionError(f"it took {took:.2f} s, and its limit is {limit} s")


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Situation:
    """One foreseeable answer: what is sent, and the kind that must come of it.

    `before` makes the other side ready, just before the send. `rule` is the one that an answer as the service gives
    it must hit.
    """

    name: str
    message: Message
    kind: Kind
    before: Callable[[], None] = field(default=_nothing)
    rule: str | None = None


NOT_SENT = (Kind.TRANSIENT, False)
UNKNOWN = (Kind.UNCERTAIN, True)
ANSWERED = (Kind.TRANSIENT, True)
TAKEN = (Kind.OK, True)


@dataclass(frozen=True)
class Cut:
    """The line cut at a stage of a send: `ends` are the kinds that may come of it, each with `Outcome.offered`.

    `settings` and `kit` are those of an account for which it is so, where it is not the fixtures' one.
    """

    stage: str
    message: Message
    ends: Sequence[tuple[Kind, bool]]
    before: Callable[[], None] = field(default=_nothing)
    settings: Any = None
    kit: Kit | None = None


def _no_such_name(host: str, port: int) -> Addresses:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def without_names() -> Kit:
    """A kit for which no name resolves."""
    return Kit(now=lambda: NOW, resolver=Resolver(_no_such_name))


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port of this machine that refuses connections, and that nobody else takes meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def a_message(channel: Channel, recipient: str, **changes: Any) -> Message:
    """A message with sound values, changed as the test needs it."""
    message = Message(
        notification_id=17,
        message_id=UUID("0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"),
        channel=channel,
        tenant_id="default",
        recipient=recipient,
        account="test",
        dated_at=NOW,
        subject="Your order",
        text="It is on its way.",
    )
    return replace(message, **changes)


class Judged:
    """A sender whose answers are judged at once, as the delivery does it."""

    def __init__(self, sender: Sender, rules: Sequence[Rule]) -> None:
        self.sender, self.rules = sender, rules

    def send(self, message: Message, limit: float) -> Outcome:
        said = self.sender.send(message, limit)
        assert isinstance(said, Said)
        return judge(said, self.rules, message)

    def check(self, limit: float) -> Outcome:
        said = self.checked(limit)
        assert said is not None, "there is no such call"
        return judge(said, self.rules, None)

    def checked(self, limit: float) -> Said | None:
        return self.sender.check(limit) if isinstance(self.sender, Checks) else None

    def close(self) -> None:
        self.sender.close()


def opened(provider: Any, settings: Any, kit: Kit | None = None) -> Judged:
    """The sender of an account, judging by the provider's rules."""
    return Judged(provider.build(settings, kit or Kit(now=lambda: NOW)), provider.RULES)


class ProviderContract:
    """Inherit this, name the provider and give the fixtures."""

    provider: ModuleType
    tried_against: ClassVar[str]
    """What stands at the other end."""
    described_by: ClassVar[str]
    """Where it is written down what a request may hold."""
    line: ClassVar[bool] = True
    """Whether it sends over a line, which can be cut."""
    asked_again: ClassVar[Sequence[str]] = ()
    """Rules of definite refusals that were heard twice: what was wrong is made anew, and it is asked once more."""
    secrets: ClassVar[Sequence[str]] = ()
    """Texts in the settings and messages of the fixtures that must never be shown."""
    refused: ClassVar[Sequence[tuple[Mapping[str, Any], str]]] = ()
    """Changes of the settings that `Settings` or `build` refuses, each with the key that it must name."""

    @pytest.fixture
    def settings(self) -> Any:
        raise NotImplementedError("give sound settings of this provider")

    @pytest.fixture
    def situations(self) -> Sequence[Situation]:
        raise NotImplementedError("give the answers that this provider can get, at least one of them ok")

    @pytest.fixture
    def of_status(self) -> Callable[[int], Situation] | None:
        """What a status from 400 to 599 means without any words; None for what knows no statuses."""
        self._of_a_line("say what a status means")
        return None

    @pytest.fixture
    def heard(self) -> Callable[[], int] | None:
        """How many messages the other side was offered so far."""
        self._of_a_line("count what the other side is asked")
        return None

    @pytest.fixture
    def cuts(self) -> Sequence[Cut]:
        """The line cut at each stage."""
        self._of_a_line("cut the line at each stage")
        return ()

    @pytest.fixture
    def hanging(self) -> Situation | None:
        """A send that would last longer than its limit; None for what cannot hang."""
        self._of_a_line("keep silent when asked")
        return None

    @pytest.fixture
    def outgoing(self) -> Callable[[str], str] | None:
        """What stands at a place (`domain.traits.Carries`) of what went out last; at "", all of it."""
        return None

    @pytest.fixture
    def refusing(self) -> Callable[[str], None] | None:
        """What makes the other side refuse a message in these words; None where it has none of its own."""
        return None

    @pytest.fixture
    def kit(self) -> Kit:
        return Kit(now=lambda: NOW)

    @pytest.fixture
    def sender(self, settings: Any, kit: Kit) -> Iterator[Judged]:
        sender = opened(self.provider, settings, kit)
        yield sender
        sender.close()

    def test_it_names_the_channels_that_it_serves(self) -> None:
        channels = self.provider.CHANNELS
        assert isinstance(channels, frozenset)
        assert channels
        assert all(isinstance(channel, Channel) for channel in channels)

    def test_its_rules_are_data_that_compile(self) -> None:
        names = [rule.name for rule in self.provider.RULES]
        assert len(set(names)) == len(names), "they are recorded with each try: one name, one meaning"
        for rule in self.provider.RULES:
            assert isinstance(rule, Rule)
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z0-9_]+)+", rule.name)
            for pattern in (rule.status, rule.code, rule.text, rule.stage):
                re.compile(pattern or "")

    def test_its_settings_are_a_frozen_dataclass_that_shows_no_secret(self, settings: Any) -> None:
        assert isinstance(settings, self.provider.Settings)
        assert settings.__dataclass_params__.frozen
        for one in fields(settings):
            secret = re.search("password|secret|token|(^|_)key$", one.name) is not None
            value = getattr(settings, one.name)
            assert not secret or value is None or isinstance(value, Secret), f"{one.name} must be a Secret"
        self.assert_no_secret_in(repr(settings), str(settings))

    def test_it_refuses_bad_settings_and_names_the_key(self, settings: Any, kit: Kit) -> None:
        for changes, key in self.refused:
            with pytest.raises(ConfigurationError) as refusal:
                self.provider.build(replace(settings, **changes), kit).close()
            assert re.search(rf"\b{key}\b", str(refusal.value)), f"{key} is not named in: {refusal.value}"
            shown = [str(value.reveal()) for value in changes.values() if isinstance(value, Secret)]
            assert not any(value and value in str(refusal.value) for value in shown)
            self.assert_no_secret_in(repr(refusal.value))

    def test_every_foreseeable_answer_is_an_outcome(
        self, sender: Judged, situations: Sequence[Situation], record_property: Record
    ) -> None:
        assert Kind.OK in {situation.kind for situation in situations}
        for situation in situations:
            outcome = self.send(sender, situation)
            assert outcome.kind is situation.kind, f"{situation.name}: {outcome}"
            assert situation.rule in {None, outcome.rule}, f"{situation.name}: {outcome}"
            if outcome.kind is not Kind.OK:
                assert outcome.error, f"{situation.name}: no word of what is wrong"
                assert "\n" not in outcome.error
                assert len(outcome.error) <= 500
            assert outcome.retry_after is None or outcome.retry_after > 0
        record_property("answers", sum(situation.rule is not None for situation in situations))

    def test_every_status_has_a_meaning(
        self, sender: Judged, of_status: Callable[[int], Situation] | None, record_property: Record
    ) -> None:
        for status in range(400, 600) if of_status else ():
            assert of_status is not None
            situation = of_status(status)
            outcome = self.send(sender, situation)
            assert outcome.kind is situation.kind, f"{status}: {outcome}"
            record_property("statuses", 1)

    def test_one_try_is_one_request(
        self,
        sender: Judged,
        situations: Sequence[Situation],
        heard: Callable[[], int] | None,
        record_property: Record,
    ) -> None:
        for situation in situations if heard else ():
            assert heard is not None
            before = heard()
            outcome = self.send(sender, situation)
            requests = heard() - before
            assert requests <= 1 + (outcome.rule in self.asked_again), f"{situation.name}: {requests} requests"
            assert requests or outcome.kind is not Kind.OK, f"{situation.name}: taken without a request"
            record_property("tries", 1)

    def test_a_line_that_is_cut_is_told_by_its_stage(
        self,
        settings: Any,
        kit: Kit,
        cuts: Sequence[Cut],
        heard: Callable[[], int] | None,
        record_property: Record,
    ) -> None:
        for cut in cuts:
            assert heard is not None
            sender = opened(self.provider, cut.settings or settings, cut.kit or kit)
            cut.before()
            before = heard()
            outcome = sender.send(cut.message, LIMIT)
            sender.close()
            assert (outcome.kind, outcome.offered) in cut.ends, f"{cut.stage}: {outcome}"
            assert heard() - before <= 1, f"{cut.stage}: it was tried twice"
            record_property("stage", cut.stage)

    def test_no_secret_leaks(
        self,
        sender: Judged,
        situations: Sequence[Situation],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self.assert_no_secret_in(repr(sender.sender), str(sender.sender))
        with caplog.at_level(logging.DEBUG):
            for situation in situations:
                outcome = self.send(sender, situation)
                self.assert_no_secret_in(repr(outcome), outcome.error or "", outcome.code or "")
                self.assert_no_secret_in(json.dumps(outcome.response), json.dumps(outcome.response, ensure_ascii=False))
        self.assert_no_secret_in(caplog.text)

    def test_what_it_keeps_of_the_conversation_is_small_json(
        self, sender: Judged, situations: Sequence[Situation]
    ) -> None:
        for situation in situations:
            outcome = self.send(sender, situation)
            kept = json.dumps(outcome.response, ensure_ascii=False, allow_nan=False)
            assert len(kept.encode()) <= 20_000, situation.name

    def test_our_id_goes_out_where_the_provider_says(
        self, sender: Judged, situations: Sequence[Situation], outgoing: Callable[[str], str] | None
    ) -> None:
        carries = self.traits().idempotency
        if outgoing is None:
            assert carries is None
            return
        fine = next(situation for situation in situations if situation.kind is Kind.OK)
        self.send(sender, fine)
        spellings = {str(fine.message.message_id), fine.message.message_id.hex}
        found = outgoing("" if carries is None else carries.place)
        assert any(spelling in found for spelling in spellings) is (carries is not None), found[:2000]

    def test_more_than_its_limits_is_refused_before_anything_is_sent(
        self, sender: Judged, situations: Sequence[Situation]
    ) -> None:
        fine = next(situation for situation in situations if situation.kind is Kind.OK)
        for limit in self.traits().limits:
            outcome = sender.send(self.beyond(limit, fine.message), LIMIT)
            assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose"), limit
            assert str(limit.most) in (outcome.error or ""), outcome.error

    def test_a_recipient_is_seen_nowhere_however_it_is_spelled(
        self,
        sender: Judged,
        situations: Sequence[Situation],
        refusing: Callable[[str], None] | None,
        masked: Masked,
    ) -> None:
        if refusing is None:
            return
        message = next(situation.message for situation in situations if situation.kind is Kind.OK)
        for spelling, private in spellings(message.recipient).items():
            refusing(f"cannot reach {spelling} today")
            outcome = sender.send(message, LIMIT)
            assert outcome.error
            for where, text in shown(message, outcome, masked).items():
                assert "cannot reach" in text, (where, text)
                assert not sees(text, private), f"{where} shows {spelling}: {text}"
            if message.recipient in self.secrets:
                assert not sees(f"{outcome.error} {outcome.response}", private), spelling

    def traits(self) -> Traits:
        """What it says of itself; a class that tests one way of several says what holds for that."""
        return traits(self.provider)

    def beyond(self, limit: Limit, message: Message) -> Message:
        """The message with one more than the limit allows."""
        many = limit.most * (1024**2 if limit.unit == "MB" else 1) + 1
        options = dict(message.options)
        if limit.of.endswith("with a severity"):
            options["severity"] = "error"
        match limit.of.split(" ")[0]:
            case "mail":
                return replace(message, attachments=(Attachment("a.bin", "application/octet-stream", bytes(many)),))
            case "recipients":
                return replace(message, options={"cc": [f"u{number}@example.net" for number in range(limit.most)]})
            case "recipient":
                return replace(message, recipient="x" * many)
            case "subject":
                return replace(message, subject="x" * many, options=options)
            case "html":
                return replace(message, html="x" * many)
            case "SMS":
                return replace(message, text="x" * (153 * limit.most + 1))
            case "body" | "message":
                return replace(message, text="x" * many, options=options)
            case of if of.startswith("options."):
                return replace(message, options={of.removeprefix("options."): "x" * many})
        raise NotImplementedError(f"say how a message has too much of {limit.of}")

    def test_a_send_obeys_its_limit(self, sender: Judged, hanging: Situation | None, record_property: Record) -> None:
        if hanging is None:
            return

        def send() -> Outcome:
            hanging.before()
            return sender.send(hanging.message, 1.0)

        assert prompt(send, 1.0).kind is hanging.kind
        record_property("stage", "no answer")

    def test_several_threads_send_at_once(
        self, sender: Judged, situations: Sequence[Situation], record_property: Record
    ) -> None:
        fine = next(situation for situation in situations if situation.kind is Kind.OK)
        fine.before()
        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(lambda _: sender.send(fine.message, LIMIT), range(20)))
        assert {outcome.kind for outcome in outcomes} == {Kind.OK}, [outcome.error for outcome in outcomes]
        record_property("sent", len(outcomes))

    def test_closing_twice_does_no_harm(self, settings: Any, kit: Kit, situations: Sequence[Situation]) -> None:
        unused = opened(self.provider, settings, kit)
        unused.close()
        unused.close()
        used = opened(self.provider, settings, kit)
        self.send(used, situations[0])
        used.close()
        used.close()

    def _of_a_line(self, what: str) -> None:
        if self.line:
            raise NotImplementedError(f"{what}, or say that there is no line")

    def send(self, sender: Judged, situation: Situation) -> Outcome:
        situation.before()
        return sender.send(situation.message, LIMIT)

    def assert_no_secret_in(self, *texts: str) -> None:
        for text in texts:
            for secret in self.secrets:
                assert secret not in text, f"a secret is shown in {text[:300]!r}"
