"""Magic recipients."""

import re
import threading
from collections.abc import Sequence
from time import monotonic
from uuid import uuid4

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.providers import sandbox
from tests.providers.contract import Judged, ProviderContract, Situation, a_message

ANSWERS = {
    "delivered": Kind.OK,
    "refused": Kind.DEAD,
    "rejected": Kind.PERMANENT,
    "optout": Kind.OPTOUT,
    "transient": Kind.TRANSIENT,
    "throttled": Kind.THROTTLED,
    "misconfigured": Kind.CONFIG,
    "broken": Kind.UNCERTAIN,
}


def documented() -> list[tuple[str, str]]:
    """Word and digits of each line of the module's table."""
    return re.findall(r"^\| `(\w+)` \| …?([\w ]+) \|", sandbox.__doc__ or "", re.MULTILINE)


def to(recipient: str, channel: Channel = Channel.EMAIL) -> Message:
    return a_message(channel, recipient, message_id=uuid4())


class TestSandbox(ProviderContract):
    provider = sandbox
    tried_against = "nothing: its answers are its own"
    described_by = "its own page"
    line = False

    @pytest.fixture
    def settings(self) -> sandbox.Settings:
        return sandbox.Settings()

    @pytest.fixture
    def situations(self) -> Sequence[Situation]:
        return [Situation(word, to(f"{word}@example.com"), kind) for word, kind in ANSWERS.items()]

    @pytest.fixture
    def hanging(self) -> Situation:
        return Situation("hanging", to("hanging@example.com"), Kind.UNCERTAIN)

    def test_it_serves_every_channel(self) -> None:
        assert frozenset(Channel) == sandbox.CHANNELS

    def test_everybody_else_is_delivered(self, sender: Judged) -> None:
        message = to("ada@example.com")
        outcome = sender.send(message, 1.0)
        assert (outcome.kind, outcome.code) == (Kind.OK, "delivered")
        assert outcome.provider_message_id == f"sandbox-{message.message_id}"

    @pytest.mark.parametrize(
        "message",
        [
            to("Refused@example.com"),
            to("ada@refused.example.com"),
            to("https://example.com/hooks/refused", Channel.WEBHOOK),
            to("token-refused-17", Channel.PUSH),
            to("+491700000001", Channel.SMS),
        ],
        ids=lambda message: message.recipient,
    )
    def test_the_word_may_stand_anywhere_in_any_kind_of_address(self, sender: Judged, message: Message) -> None:
        assert sender.send(message, 1.0).kind is Kind.DEAD

    def test_words_and_digits_of_the_documented_table_are_the_ones_that_work(self, sender: Judged) -> None:
        table = documented()
        assert len(table) == 11
        assert {word for word, _ in table} == {*sandbox._ERRORS, "slow", "delivered"}
        for word, digits in table:
            by_word = sender.send(to(f"{word}@example.com"), 0.01)
            by_phone = sender.send(to("+49170000" + (digits if digits.isdigit() else "9999"), Channel.SMS), 0.01)
            assert (by_word.kind, by_word.code) == (by_phone.kind, by_phone.code), word

    def test_a_greylisted_message_is_accepted_the_second_time(self, sender: Judged) -> None:
        first, second = to("greylisted@example.com"), to("greylisted@example.com")
        kinds = [sender.send(message, 1.0).kind for message in (first, second, first, second)]
        assert kinds == [Kind.TRANSIENT, Kind.TRANSIENT, Kind.OK, Kind.OK]

    def test_the_memory_for_greylisted_messages_is_bounded(
        self, sender: Judged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sandbox, "_REMEMBERED", 2)
        messages = [to("greylisted@example.com") for _ in range(3)]
        for message in messages:
            sender.send(message, 1.0)
        assert [sender.send(message, 1.0).kind for message in reversed(messages)] == [
            Kind.OK,
            Kind.OK,
            Kind.TRANSIENT,
        ]

    def test_throttled_names_a_wait(self, sender: Judged) -> None:
        assert sender.send(to("throttled@example.com"), 1.0).retry_after == 30.0

    def test_slow_is_accepted_after_a_while(self, sender: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandbox, "SLOW", 0.1)
        began = monotonic()
        assert sender.send(to("slow@example.com"), 5.0).kind is Kind.OK
        assert monotonic() - began >= 0.1

    def test_slower_than_the_limit_is_uncertain(self, sender: Judged) -> None:
        began = monotonic()
        assert sender.send(to("slow@example.com"), 0.05).kind is Kind.UNCERTAIN
        assert monotonic() - began < 1.0

    def test_closing_ends_the_waiting(self, sender: Judged) -> None:
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(sender.send(to("hanging@example.com"), 60.0)))
        thread.start()
        sender.close()
        thread.join(5)
        assert [outcome.kind for outcome in outcomes] == [Kind.UNCERTAIN]
