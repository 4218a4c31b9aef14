"""What every provider that posts receipts promises, as tests that its own test class inherits.

A provider's test file says how it signs, and what its documents mean::

    class TestReceipts(ReceiptContract):
        provider = discord
        settings = discord.Settings(…)                # with all that receipts need
        needs = ("signing_key",)                      # each of which is missed by its name
        other = ("signing_key", Secret("…"))          # by which nothing is genuine
        said = ((DOCUMENT, [Receipt(…)]), …)          # what the service's pages show, and what it means

        def sign(self, document, at): return Posted(…)
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.receipts import NotGenuine, Posted, Receipt, ReceiptKind, Receiver, Written
from noti_worker.domain.secret import Secret
from noti_worker.providers import Reporting, reporting
from noti_worker.transport import Kit
from tests.providers.contract import NOW

URL = "https://hooks.example.com/receipts/mail/0123456789abcdef"
NOTIFICATION_ID = 17
MESSAGE_ID = UUID("0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50")
ECHO = {"notification_id": "17", "message_id": str(MESSAGE_ID)}
"""What went out with a message, as a provider gives it back."""
IDS: dict[str, Any] = {"notification_id": NOTIFICATION_ID, "message_id": MESSAGE_ID}
"""The same as a Receipt has it."""

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def a_kit(url: str | None = URL) -> Kit:
    return Kit(lambda: NOW, receipts_url=None if url is None else Secret(url))


def of(
    kind: ReceiptKind, recipient: str | None = None, code: str | None = None, words: str | None = None
) -> tuple[Any, ...]:
    """What is compared of a receipt."""
    return kind, recipient, code, words


def wrote(sender: str, text: str) -> tuple[Any, ...]:
    """What is compared of a reply."""
    return "replied", sender, text


def summary(told: Sequence[Receipt | Written]) -> list[tuple[Any, ...]]:
    """What is compared of receipts and replies, as `of` and `wrote` give it."""
    return [
        of(one.kind, one.recipient, one.code, one.words) if isinstance(one, Receipt) else wrote(one.sender, one.text)
        for one in told
    ]


class ReceiptContract:
    """Inherit this, name the provider and give what the class has no value for."""

    provider: ModuleType
    settings: ClassVar[Any]
    needs: ClassVar[tuple[str, ...]] = ()
    other: ClassVar[tuple[str, Any] | None] = None
    said: ClassVar[Sequence[tuple[Any, Sequence[tuple[Any, ...]]]]]
    covers: ClassVar[bool] = True
    """Whether the signature covers what is said."""
    keeps_for: ClassVar[timedelta | None] = None
    """How long after it was signed a request is taken; None: the signature holds no time."""

    @pytest.fixture
    def receiver(self) -> Receiver:
        return self.made(self.settings)

    def made(self, settings: Any, kit: Kit | None = None) -> Receiver:
        found: Receiver = self.provider.receiver(settings, kit or a_kit())
        return found

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        raise NotImplementedError("sign as the provider does")

    def refused(self, receiver: Receiver, posted: Posted, now: datetime = NOW) -> str:
        """Why a request is refused."""
        with pytest.raises(NotGenuine) as refusal:
            receiver.take(posted, now)
        return refusal.value.why

    def test_it_is_one_that_posts_receipts(self) -> None:
        name = self.provider.__name__.rpartition(".")[2]
        assert reporting(name) is self.provider
        assert isinstance(self.provider, Reporting)

    def test_what_is_missing_is_named(self) -> None:
        for name in self.needs:
            with pytest.raises(ConfigurationError, match=rf"\b{name}\b"):
                self.made(replace(self.settings, **{name: None}))

    def test_what_the_provider_signed_is_taken(self, receiver: Receiver) -> None:
        for document, _ in self.said:
            assert receiver.take(self.sign(document), NOW).keep

    def test_what_is_said_is_understood(self) -> None:
        for document, meant in self.said:
            assert summary(self.provider.receipts(self.sign(document))) == list(meant), document

    def test_the_same_again_is_the_same_event_and_no_other_is(self) -> None:
        events: list[str] = []
        for document, _ in self.said:
            once, again = (self.provider.receipts(self.sign(document, at)) for at in (NOW, NOW + timedelta(minutes=1)))
            assert [one.event for one in once] == [one.event for one in again], document
            events += [one.event for one in once]
        assert len(set(events)) == len(events)

    def test_our_ids_come_back(self) -> None:
        told = [one for document, _ in self.said for one in self.provider.receipts(self.sign(document))]
        known = [one for one in told if isinstance(one, Receipt) and one.notification_id == NOTIFICATION_ID]
        assert known
        assert {one.message_id for one in known} == {MESSAGE_ID}

    def test_no_byte_of_it_may_change(self, receiver: Receiver) -> None:
        if self.other is None or not self.covers:
            return
        posted = self.sign(self.said[0][0])
        for place in {0, 1, len(posted.body) // 2, len(posted.body) - 1}:
            changed = bytearray(posted.body)
            changed[place] ^= 1
            assert self.refused(receiver, replace(posted, body=bytes(changed))) in {"signature", "unsigned", "topic"}
        assert self.refused(receiver, replace(posted, body=posted.body + b" ")) == "signature"

    def test_another_key_signs_nothing(self, receiver: Receiver) -> None:
        if self.other is None:
            return
        stranger = self.made(replace(self.settings, **dict([self.other])))
        assert self.refused(stranger, self.sign(self.said[0][0])) in {"signature", "topic"}

    def test_what_is_unsigned_is_refused(self, receiver: Receiver) -> None:
        if self.other is None:
            return
        body = json.dumps(self.said[0][0]).encode()
        as_json = {"content-type": "application/json"}
        for posted in (Posted(), Posted(body, as_json), Posted(b"a=1&b=2"), Posted(b"\xff"), Posted(b"[" * 100_000)):
            assert self.refused(receiver, posted) in {"unsigned", "signature"}

    def test_what_is_old_is_refused(self, receiver: Receiver) -> None:
        if self.keeps_for is None:
            return
        posted = self.sign(self.said[0][0])
        assert receiver.take(posted, NOW + self.keeps_for).keep
        assert receiver.take(posted, NOW - timedelta(minutes=5)).keep
        assert self.refused(receiver, posted, NOW + self.keeps_for + timedelta(seconds=1)) == "old"
        assert self.refused(receiver, posted, NOW - timedelta(minutes=6)) == "old"

    def test_whatever_is_posted_is_refused_or_understood(self) -> None:
        receiver = self.made(self.settings)

        @settings(max_examples=100, deadline=None)
        @given(junk=JUNK)
        def understood(junk: Any) -> None:
            posted = self.sign(junk)
            with suppress(NotGenuine):
                receiver.take(posted, NOW)
            with suppress(ValueError):  # what is no document at all
                assert all(isinstance(one, Receipt | Written) for one in self.provider.receipts(posted))

        understood()
