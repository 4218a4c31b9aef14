"""The inbox of the application."""

from collections.abc import Sequence

import pytest

from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind
from noti_worker.providers import in_app
from tests.providers.contract import ProviderContract, Situation, a_message


class TestInApp(ProviderContract):
    provider = in_app
    tried_against = "nothing: the row itself becomes the message, in the record"
    described_by = "its own page"
    line = False

    @pytest.fixture
    def settings(self) -> in_app.Settings:
        return in_app.Settings()

    @pytest.fixture
    def situations(self) -> Sequence[Situation]:
        return (Situation("always", a_message(Channel.IN_APP, "user:17"), Kind.OK),)

    def test_it_serves_one_channel_only(self) -> None:
        assert {Channel.IN_APP} == in_app.CHANNELS
