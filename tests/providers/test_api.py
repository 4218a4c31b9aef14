"""The one reading of HTTP answers: ids, codes, words, wishes to wait, excerpts, and the veil over secrets."""

import json
from datetime import timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.notification import Channel
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import judge
from noti_worker.providers._api import BY_STATUS, asked_wait, read_json, read_text
from noti_worker.providers._veil import Veil
from noti_worker.transport import Reply, Request
from tests.providers.contract import NOW, a_message

MESSAGE = a_message(Channel.CHAT, "room 17")
PLAIN = Request("POST", "https://api.example.com/v1/messages", {"content-type": "application/json"}, b"{}")
SECRET = Request(
    "POST",
    "https://api.example.com/bot8141:T0K3N-in-the-path/send?key=k3y%2Fin+the%26query",
    {"Authorization": "Bearer s3cr3t-in-a-header-0123", "webhook-id": "17", "Content-Type": "text/plain"},
    b"",
)


def a_reply(
    status: int = 400,
    body: Any = b"",
    headers: dict[str, str] | None = None,
    request: Request = PLAIN,
    *,
    truncated: bool = False,
) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers or {}, content, request, NOW, truncated)


class TestReading:
    def test_paths_lead_to_id_code_words_and_hint(self) -> None:
        body = {"messages": [{"id": "m1"}], "error": {"code": 131056, "message": "too\nfast", "wait": 1.5}}
        said = read_json(
            a_reply(429, body), id="messages.0.id", code="error.code", words="error.message", hint="error.wait"
        )
        assert (said.stage, said.status, said.code, said.words) == ("answer", "429", "131056", "too fast")
        assert (said.id, said.hint) == ("m1", 1.5)
        assert said.response == {"status": 429, "headers": {}, "body": json.dumps(body)}

    def test_the_first_of_several_paths_that_leads_somewhere_counts(self) -> None:
        assert read_json(a_reply(body={"b": {"c": "E2"}}), code="a.c|b.c").code == "E2"
        assert read_json(a_reply(body={"a": {"c": ""}, "b": {"c": 0}}), code="a.c|b.c").code == "0"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>Bad gateway</html>",
            b"[]",
            b"17",
            b"null",
            b'"text"',
            b"[" * 60_000,
            b'{"error": {"code": NaN}}',
            b'{"error": {"code": true}}',
            b'{"error": {"code": {"a": 1}}}',
            b'{"error": [1]}',
            b'{"error": {"code": ' + b"9" * 5000 + b"}}",
            b"\xff\xfe",
        ],
    )
    def test_what_is_not_there_is_missing(self, body: bytes) -> None:
        said = read_json(a_reply(502, body), id="id", code="error.code", hint="wait")
        assert (said.id, said.code, said.hint) == (None, "", None)
        assert len(said.words) <= 2000

    def test_an_error_page_is_told_in_its_own_words(self) -> None:
        assert read_json(a_reply(502, b"<h1>Bad\r\ngateway</h1>"), words="error").words == "<h1>Bad gateway</h1>"
        assert read_text(a_reply(502, b"Oh\x00 no")).words == "Oh no"

    def test_long_values_are_cut(self) -> None:
        said = read_json(a_reply(body={"i": "i" * 999, "c": "c" * 999, "w": "w" * 9999}), id="i", code="c", words="w")
        assert (len(said.id or ""), len(said.code), len(said.words)) == (200, 100, 2000)

    @given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.text(max_size=20))
    def test_any_body_and_any_path_can_be_read(self, body: bytes, path: str) -> None:
        said = read_json(a_reply(200, body), id=path, code=path, words=path, hint=path)
        assert len(json.dumps(said.response, ensure_ascii=False).encode()) < 20_000

    def test_what_is_kept_is_small_and_says_that_it_was_cut(self) -> None:
        kept = read_text(a_reply(body="ü\x00".encode() * 30_000)).response
        assert kept is not None
        assert kept["truncated"] is True
        assert len(json.dumps(kept, ensure_ascii=False).encode()) < 20_000
        assert read_text(a_reply(truncated=True)).response == {
            "status": 400,
            "headers": {},
            "body": "",
            "truncated": True,
        }

    def test_only_headers_that_are_asked_for_are_kept(self) -> None:
        headers = {"x-request-id": "r" * 300, "location": "https://example.com", "x-own": "1"}
        assert read_text(a_reply(headers=headers)).response == {
            "status": 400, "headers": {"x-request-id": "r" * 200}, "body": "",
        }  # fmt: skip
        assert read_text(a_reply(headers=headers), keep=("x-own",)).response == {
            "status": 400, "headers": {"x-own": "1"}, "body": "",
        }  # fmt: skip


class TestVeil:
    SECRETS = ("T0K3N-in-the-path", "k3y/in the&query", "k3y%2Fin+the%26query", "s3cr3t-in-a-header-0123")

    def test_a_word_of_a_path_is_hidden_when_the_whole_url_is_a_secret(self) -> None:
        request = Request("POST", "https://hooks.example.com/services/abcdefgh", {}, b"")
        reply = a_reply(404, {"words": "no abcdefgh"}, request=request)
        assert read_json(reply, words="words").words == "no abcdefgh"
        said = read_json(reply, words="words", secret_path=True)
        assert said.words == "no ***"
        assert "abcdefgh" not in str(said.response)

    @pytest.mark.parametrize("secret", SECRETS)
    def test_what_the_request_carried_in_confidence_is_hidden_everywhere(self, secret: str) -> None:
        said = read_json(
            a_reply(401, {"id": secret, "code": secret, "words": secret}, {"server": secret}, SECRET),
            id="id", code="code", words="words",
        )  # fmt: skip
        assert said.words == said.id == said.code == "***"
        shown = f"{said!r} {json.dumps(said.response)}"
        assert not any(secret in shown for secret in self.SECRETS)

    @pytest.mark.parametrize("said", ["k3y/in a+body", "k3y%2Fin%20a%2Bbody", "k3y%2Fin+a%2Bbody", r"k3y\/in a+body"])
    def test_a_secret_of_the_body_is_hidden_in_all_its_spellings(self, said: str) -> None:
        reply = a_reply(400, f'{{"words": "no {said}!"}}'.encode(), {"server": said})
        found = read_json(reply, words="words", keep=("server",), hidden=("k3y/in a+body",))
        assert found.words == "no ***!"
        assert found.response == {"status": 400, "headers": {"server": "***"}, "body": '{"words": "no ***!"}'}

    def test_what_is_no_secret_stays(self) -> None:
        text = "text/plain for 17, sent to api.example.com, which has no messages"
        assert Veil(SECRET).over(text) == Veil(PLAIN).over(text) == text

    def test_of_a_secret_url_every_part_is_hidden(self) -> None:
        assert Veil(PLAIN, secret_path=True).over("no messages here") == "no *** here"


class TestRules:
    """What a status means where a provider has no opinion of its own."""

    def test_every_status_is_judged(self) -> None:
        config = dict.fromkeys((401, 402, 403, 404, 405, 501), (Kind.CONFIG, Scope.ACCOUNT))
        special = config | {
            408: (Kind.TRANSIENT, Scope.PROVIDER),
            425: (Kind.TRANSIENT, Scope.PROVIDER),
            429: (Kind.THROTTLED, Scope.ACCOUNT),
        }
        by_class = {
            2: (Kind.OK, Scope.MESSAGE),
            3: (Kind.CONFIG, Scope.ACCOUNT),
            4: (Kind.PERMANENT, Scope.MESSAGE),
            5: (Kind.TRANSIENT, Scope.PROVIDER),
        }
        for status in range(200, 600):
            outcome = judge(read_text(a_reply(status)), BY_STATUS, MESSAGE)
            assert (outcome.kind, outcome.scope) == special.get(status, by_class[status // 100]), status
            assert outcome.code == str(status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 90.0),
        ({"x-ratelimit-reset": str((int(NOW.timestamp()) + 90) * 1000)}, 90.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) - 90)}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset-after": "1.25"}, 1.25),
        ({"x-ratelimit-reset-after": "1.25", "retry-after": "2"}, 2.0),
    ],
)
def test_the_longest_wish_of_several_headers_counts(headers: dict[str, str], seconds: float | None) -> None:
    wish = asked_wait(
        a_reply(headers=headers), after=("retry-after", "x-ratelimit-reset-after"), reset=("x-ratelimit-reset",)
    )
    assert wish == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.65", 0.65),
        ("999999999", 999999999.0),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300.0),
        (format_datetime((NOW + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-5)))), 3600.0),
        ("Sun Mar  1 12:01:00 2026", 60.0),
        ("0", None),
        ("0.0", None),
        ("-5", None),
        ("+5", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("9" * 5000, None),
        ("soon", None),
        ("", None),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), None),
        ("Sun, 99 Mar 2026 12:00:00 GMT", None),
        ("Sun, 01 Mar 99999 12:00:00 GMT", None),
        ("Sun, 01 Mar 2026 12:00:00 +9999999999999999", None),
    ],
)
@pytest.mark.fault("F33")
def test_a_wish_to_wait_is_read_in_all_forms_and_nonsense_is_ignored(value: str, seconds: float | None) -> None:
    assert asked_wait(a_reply(headers={"retry-after": value})) == seconds


def test_a_wish_may_be_missing() -> None:
    assert asked_wait(a_reply()) is None
