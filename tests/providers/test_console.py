"""Messages on standard output."""

import io
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from noti_worker.domain.notification import Attachment, Channel
from noti_worker.domain.outcome import Kind
from noti_worker.providers import console
from tests.providers.contract import Judged, ProviderContract, Situation, a_message

MAIL = a_message(Channel.EMAIL, "ada@example.com")


class TestConsole(ProviderContract):
    provider = console
    tried_against = "standard output"
    described_by = "its own page"
    line = False

    @pytest.fixture
    def settings(self) -> console.Settings:
        return console.Settings()

    @pytest.fixture
    def situations(self) -> Sequence[Situation]:
        return (Situation("always", MAIL, Kind.OK),)

    def test_it_serves_every_channel(self) -> None:
        assert frozenset(Channel) == console.CHANNELS

    def test_a_message_is_printed_as_a_block(self, sender: Judged, capsys: pytest.CaptureFixture[str]) -> None:
        file = Attachment("a.pdf", "application/pdf", b"12345")
        sender.send(
            a_message(
                Channel.EMAIL,
                "ada@example.com",
                html="<p>It is on its way.</p>",
                options={"cc": ["bob@example.com"]},
                attachments=(file,),
            ),
            1.0,
        )
        assert capsys.readouterr().out.splitlines() == [
            "─" * 72,
            "email to ada@example.com  (notification 17, 0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50)",
            "Subject: Your order",
            "cc: ['bob@example.com']",
            "Attachment: a.pdf (application/pdf, 5 bytes)",
            "",
            "It is on its way.",
            "",
            "<p>It is on its way.</p>",
            "─" * 72,
        ]

    def test_escapes_do_not_reach_the_terminal(self, sender: Judged, capsys: pytest.CaptureFixture[str]) -> None:
        sender.send(a_message(Channel.EMAIL, "a@example.com", text="a\x1b[2J\x9b2J\rb\u202ec"), 1.0)
        assert not set("\x1b\x9b\r\u202e") & set(capsys.readouterr().out)

    def test_a_narrow_terminal_gets_question_marks(self, sender: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", terminal)
        assert sender.send(a_message(Channel.EMAIL, "a@example.com", text="Grüße"), 1.0).kind is Kind.OK
        monkeypatch.undo()
        terminal.seek(0)
        assert "Gr??e" in terminal.read()

    def test_blocks_of_several_threads_do_not_mix(self, sender: Judged, capsys: pytest.CaptureFixture[str]) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: sender.send(MAIL, 1.0), range(50)))
        blocks = capsys.readouterr().out.splitlines()
        size = len(blocks) // 50
        assert {tuple(blocks[at : at + size]) for at in range(0, len(blocks), size)} == {tuple(blocks[:size])}

    def test_a_closed_pipe_is_our_side(self, sender: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
        class Closed(io.StringIO):
            def write(self, _: Any) -> int:
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", Closed())
        outcome = sender.send(MAIL, 1.0)
        monkeypatch.undo()
        assert (outcome.kind, outcome.error) == (Kind.CONFIG, "standard output takes nothing: BrokenPipeError")
