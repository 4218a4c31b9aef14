"""Signed webhooks against real servers, checked by the official library."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import localtime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.rules import classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import webhook
from noti_worker.transport import Kit
from tests.certificates import make_authority
from tests.providers.contract import (
    LIMIT,
    NOT_SENT,
    NOW,
    TAKEN,
    UNKNOWN,
    Cut,
    Judged,
    ProviderContract,
    Situation,
    a_message,
    nobody_listens,
    opened,
    without_names,
)
from tests.providers.misbehaving_http import MisbehavingServer, Received, closes_at_once, misbehaving

KEY = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OLD_KEY = "whsec_" + base64.b64encode(b"an older key of twenty-four bytes").decode()
LOCAL = ("127.0.0.0/8",)
SOUND = webhook.Settings(secret=Secret(KEY), allow_networks=LOCAL, allow_http=True)
PATH_SECRET, QUERY_SECRET, HEADER_SECRET = "T0K3N-in-the-path", "k3y/in+the&query", "Bearer s3cr3t-in-a-header"


def now() -> datetime:
    """The official library insists on this machine's clock; the worker asks the database's."""
    return localtime()


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving() as server:
        yield server


@contextmanager
def sending(settings: webhook.Settings = SOUND) -> Iterator[Judged]:
    sender = opened(webhook, settings, Kit(now=now))
    yield sender
    sender.close()


def send(message: Message, settings: webhook.Settings = SOUND, limit: float = LIMIT) -> Outcome:
    with sending(settings) as sender:
        return sender.send(message, limit)


def a_webhook(url: str, **changes: Any) -> Message:
    return a_message(Channel.WEBHOOK, url, **changes)


def only(server: MisbehavingServer) -> Received:
    (received,) = server.received
    return received


STATUSES = {410: Kind.DEAD, 413: Kind.PERMANENT, **dict.fromkeys((429, 502, 503, 504), Kind.THROTTLED)}
"""What a status from 400 on means that is not transient: whoever receives webhooks mends them."""

GOLDEN = (
    *((status, "", Kind.TRANSIENT, "webhook.refused") for status in (400, 401, 403, 404, 405, 408, 422, 425, 500)),
    (410, "", Kind.DEAD, "webhook.gone"),
    (413, "", Kind.PERMANENT, "webhook.too_large"),
    *((status, "retry-after=120", Kind.THROTTLED, "webhook.busy") for status in (429, 502, 503, 504)),
    (503, "retry-after=Wed,+21+Oct+2099+07:28:00+GMT", Kind.THROTTLED, "webhook.busy"),
    (302, "location=/ok", Kind.TRANSIENT, "webhook.refused"),
)
"""Standard Webhooks, Deliverability: statuses, headers as a query, and what they mean."""


class TestWebhookContract(ProviderContract):
    provider = webhook
    tried_against = "an HTTP server of ours that misbehaves, checked by the library standardwebhooks"
    described_by = "Standard Webhooks"
    secrets = (KEY, OLD_KEY, PATH_SECRET, QUERY_SECRET, "k3y%2Fin%2Bthe%26query", HEADER_SECRET, "s3cr3t-in-a-header")
    refused = (
        ({"secret": None, "previous_secret": None}, "secret"),
        ({"secret": None, "previous_secret": None}, "unsigned"),
        ({"unsigned": True}, "unsigned"),
        ({"secret": None, "unsigned": True, "previous_secret": Secret(OLD_KEY)}, "previous_secret"),
        ({"secret": None, "previous_secret": None, "unsigned": True, "sign_with": "endpoint"}, "sign_with"),
        ({"secret": None, "previous_secret": None, "unsigned": True, "sign_with": "both"}, "sign_with"),
        ({"secret": Secret("plain text that is no key")}, "secret"),
        ({"secret": Secret(KEY.removeprefix("whsec_"))}, "secret"),
        ({"secret": Secret("whsec_" + base64.b64encode(bytes(23)).decode())}, "secret"),
        ({"secret": Secret("whsec_" + base64.b64encode(bytes(65)).decode())}, "secret"),
        ({"secret": Secret("whsec_ünïcode" * 5)}, "secret"),
        ({"previous_secret": Secret("whsec_!!!!")}, "previous_secret"),
        ({"allow_networks": ("10.0.0.1/8",)}, "allow_networks"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
    )

    @pytest.fixture
    def settings(self) -> webhook.Settings:
        return replace(SOUND, previous_secret=Secret(OLD_KEY))

    @pytest.fixture
    def outgoing(self, server: MisbehavingServer) -> Callable[[str], str]:
        return lambda place: server.received[-1].headers[place.removeprefix("header ")]

    @pytest.fixture
    def situations(self, server: MisbehavingServer) -> Sequence[Situation]:
        def at(way: str, kind: Kind, query: str = "", rule: str | None = None) -> Situation:
            url = server.url(f"/{way}/{PATH_SECRET}?key=k3y%2Fin%2Bthe%26query&{query}")
            message = a_webhook(url, options={"headers": {"Authorization": HEADER_SECRET}})
            return Situation(way, message, kind, rule=rule)

        def nowhere(url: str, kind: Kind) -> Situation:
            return Situation(url, a_webhook(url + f"/{PATH_SECRET}?key={QUERY_SECRET}"), kind)

        return [
            at("ok", Kind.OK),
            at("quotes", Kind.OK),
            at("echo", Kind.TRANSIENT),
            *(at(f"status/{status}", kind, query, rule) for status, query, kind, rule in GOLDEN),
            at("redirect", Kind.TRANSIENT),
            at("closes-after", Kind.UNCERTAIN),
            at("resets-after", Kind.UNCERTAIN),
            at("not-http", Kind.UNCERTAIN),
            at("huge-header", Kind.UNCERTAIN),
            at("broken-header", Kind.OK),
            at("gzip-bomb", Kind.OK),
            at("endless-body", Kind.OK),
            nowhere("http://127.0.0.1:1", Kind.TRANSIENT),
            nowhere("http://no-such-host.invalid", Kind.TRANSIENT),
            nowhere(f"https://127.0.0.1:{server.port}", Kind.TRANSIENT),
            nowhere("http://10.0.0.1", Kind.PERMANENT),
            nowhere("ftp://127.0.0.1", Kind.PERMANENT),
            nowhere("http://user:pass@127.0.0.1", Kind.PERMANENT),
        ]

    @pytest.fixture
    def of_status(self, server: MisbehavingServer) -> Callable[[int], Situation]:
        def alone(status: int) -> Situation:
            return Situation(
                str(status), a_webhook(server.url(f"/status/{status}")), STATUSES.get(status, Kind.TRANSIENT)
            )

        return alone

    @pytest.fixture
    def heard(self, server: MisbehavingServer) -> Callable[[], int]:
        return lambda: len(server.received)

    @pytest.fixture
    def cuts(self, server: MisbehavingServer) -> Iterator[Sequence[Cut]]:
        def greeting(how: Any) -> Callable[[], None]:
            return lambda: setattr(server, "greeting", how)

        def at(stage: str, way: str, *ends: tuple[Kind, bool], how: Any = None) -> Cut:
            return Cut(stage, a_webhook(server.url(way)), ends, greeting(how))

        def elsewhere(stage: str, url: str, kit: Kit | None = None) -> Cut:
            return Cut(stage, a_webhook(url), [NOT_SENT], kit=kit)

        with nobody_listens() as port:
            yield [
                elsewhere("its name is not found", "http://endpoint.test/", without_names()),
                elsewhere("nobody listens", f"http://127.0.0.1:{port}/"),
                elsewhere("it speaks no TLS", f"https://127.0.0.1:{server.port}/"),
                at("closed before the request", "/ok", UNKNOWN, NOT_SENT, how=closes_at_once),
                at("closed after the request", "/closes-after", UNKNOWN),
                at("reset after the request", "/resets-after", UNKNOWN),
                at("an answer that is no HTTP", "/not-http", UNKNOWN),
                at("an answer without end", "/endless-continue", UNKNOWN),
                at("a yes without end", "/endless-body", TAKEN),
                at("closed in the body of a no", "/cut-body", (Kind.THROTTLED, True)),
            ]

    @pytest.fixture
    def hanging(self, server: MisbehavingServer) -> Situation:
        return Situation("hang", a_webhook(server.url("/hang")), Kind.UNCERTAIN)


class TestSignature:
    def test_the_official_library_accepts_it(self, server: MisbehavingServer) -> None:
        body = '{"type":"order.paid","data":{"ü":"☃","n":1.50}}'
        message = a_webhook(server.url("/ok"), text=body)
        assert send(message).kind is Kind.OK
        received = only(server)
        assert received.method == "POST"
        assert received.body == body.encode()
        assert received.headers["webhook-id"] == str(message.message_id)
        assert Webhook(KEY).verify(received.body, received.headers) == json.loads(body)
        with pytest.raises(WebhookVerificationError):
            Webhook(KEY).verify(received.body + b" ", received.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD_KEY).verify(received.body, received.headers)

    def test_it_equals_the_official_library_s(self, server: MisbehavingServer) -> None:
        message = a_webhook(server.url("/ok"), text="plain")
        sender = opened(webhook, SOUND)
        sender.send(message, LIMIT)
        sender.close()
        received = only(server)
        assert received.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
        assert received.headers["webhook-signature"] == Webhook(KEY).sign(str(message.message_id), NOW, "plain")

    def test_while_keys_change_both_are_accepted(self, server: MisbehavingServer) -> None:
        send(a_webhook(server.url("/ok"), text="{}"), replace(SOUND, previous_secret=Secret(OLD_KEY)))
        for key in (KEY, OLD_KEY):
            Webhook(key).verify(only(server).body, only(server).headers)

    def test_another_try_has_the_same_id_and_a_new_timestamp(self, server: MisbehavingServer) -> None:
        sender = opened(webhook, SOUND, Kit(now=lambda: NOW.replace(minute=5 * len(server.received))))
        for _ in range(2):
            sender.send(a_webhook(server.url("/ok")), LIMIT)
        sender.close()
        first, second = (received.headers for received in server.received)
        assert first["webhook-id"] == second["webhook-id"]
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 300
        assert first["webhook-signature"] != second["webhook-signature"]

    def test_without_a_secret_nothing_is_signed(self, server: MisbehavingServer) -> None:
        send(a_webhook(server.url("/ok")), replace(SOUND, secret=None, unsigned=True))
        assert "webhook-signature" not in only(server).headers
        assert "webhook-id" in only(server).headers

    @pytest.mark.parametrize("size", [24, 25, 32, 64])
    def test_keys_of_24_to_64_bytes_sign(self, server: MisbehavingServer, size: int) -> None:
        for encoded in (base64.b64encode(bytes(size)).decode(), base64.b64encode(bytes(size)).decode().rstrip("=")):
            server.received.clear()
            send(a_webhook(server.url("/ok"), text="{}"), replace(SOUND, secret=Secret(f"whsec_{encoded}")))
            Webhook(f"whsec_{encoded}").verify(only(server).body, only(server).headers)


class TestBody:
    @pytest.mark.parametrize(
        ("text", "content_type"),
        [
            ('{"a": 1}', "application/json"),
            ("[]", "application/json"),
            (' "text"\n', "application/json"),
            ("Hello {name}", "text/plain; charset=utf-8"),
            ("", "text/plain; charset=utf-8"),
            ('{"a": NaN}', "text/plain; charset=utf-8"),
            ("[" * 100_000, "text/plain; charset=utf-8"),
            ("1" * 5000, "text/plain; charset=utf-8"),
            ("line\r\nline\nline\r\x00", "text/plain; charset=utf-8"),
        ],
    )
    def test_it_goes_out_verbatim_with_its_type(self, server: MisbehavingServer, text: str, content_type: str) -> None:
        assert send(a_webhook(server.url("/ok"), text=text)).kind is Kind.OK
        assert only(server).body == text.encode()
        assert only(server).headers["content-type"] == content_type
        Webhook(KEY).verify(only(server).body, only(server).headers, json_parse=False)

    def test_html_without_text_goes_out_as_html(self, server: MisbehavingServer) -> None:
        send(a_webhook(server.url("/ok"), text=None, html="<p>Hi</p>"))
        assert only(server).body == b"<p>Hi</p>"
        assert only(server).headers["content-type"] == "text/html; charset=utf-8"

    def test_a_text_that_utf_8_cannot_express_is_refused(self, server: MisbehavingServer) -> None:
        assert send(a_webhook(server.url("/ok"), text="\ud800")).kind is Kind.PERMANENT
        assert not server.received


class TestOptions:
    def test_headers_and_content_type_are_the_row_s_choice(self, server: MisbehavingServer) -> None:
        options = {
            "headers": {"Authorization": "Bearer x", "X-Event": "paid"},
            "content_type": "application/cloudevents+json; charset=utf-8",
        }
        send(a_webhook(server.url("/ok"), options=options, traceparent="00-ab-cd-01"))
        headers = only(server).headers
        assert headers["authorization"] == "Bearer x"
        assert headers["x-event"] == "paid"
        assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert headers["traceparent"] == "00-ab-cd-01"

    @pytest.mark.parametrize(
        "options",
        [
            {"headers": {"webhook-id": "x"}},
            {"headers": {"Webhook-Signature": "v1,x"}},
            {"headers": {"WEBHOOK-NEW": "x"}},
            {"headers": {"Host": "other"}},
            {"headers": {"Content-Length": "0"}},
            {"headers": {"content-type": "x/y"}},
            {"headers": {"Transfer-Encoding": "chunked"}},
            {"headers": {"Connection": "close"}},
            {"headers": {"Expect": "100-continue"}},
            {"headers": {"Accept-Encoding": "gzip"}},
            {"headers": {"X-Own": "a\r\nX-Other: b"}},
            {"headers": {"X-Own\r\nX-Other": "b"}},
            {"headers": {"webhook-id ": "x"}},
            {"headers": {"X-Own": "☃"}},
            {"headers": {"X-Own": 1}},
            {"headers": {"": "x"}},
            {"headers": ["x"]},
            {"headers": None},
            {"content_type": "text/plain\r\nX-Other: b"},
            {"content_type": "text"},
            {"content_type": ""},
            {"content_type": 1},
        ],
    )
    def test_bad_options_are_refused_before_anything_is_sent(
        self, server: MisbehavingServer, options: dict[str, Any]
    ) -> None:
        outcome = send(a_webhook(server.url("/ok"), options=options))
        assert outcome.kind is Kind.PERMANENT
        assert outcome.error
        assert server.connections == 0


class TestAnswers:
    def test_every_status_has_its_kind(self) -> None:
        for status in range(101, 1000):
            rule = classify(webhook.RULES, Said("answer", str(status)))
            assert rule is not None
            assert rule.kind is STATUSES.get(status, Kind.OK if 200 <= status < 300 else Kind.TRANSIENT), status

    @pytest.mark.parametrize(
        ("query", "seconds"),
        [("", 60.0), ("retry-after=5", 60.0), ("retry-after=120", 120.0), ("retry-after=soon", 60.0)],
    )
    @pytest.mark.fault("F33")
    def test_a_throttle_waits_a_minute_at_least(self, server: MisbehavingServer, query: str, seconds: float) -> None:
        for status in (429, 502, 503, 504):
            outcome = send(a_webhook(server.url(f"/status/{status}?{query}")))
            assert (outcome.kind, outcome.scope, outcome.retry_after) == (Kind.THROTTLED, Scope.RECIPIENT, seconds)

    def test_a_wish_to_wait_is_heard_with_other_answers_too(self, server: MisbehavingServer) -> None:
        assert send(a_webhook(server.url("/status/500?retry-after=90"))).retry_after == 90.0
        assert send(a_webhook(server.url("/status/500"))).retry_after is None

    def test_the_answer_is_kept_for_the_attempts_log(self, server: MisbehavingServer) -> None:
        outcome = send(a_webhook(server.url("/unwilling")))
        assert outcome.code == "422"
        assert outcome.error == "the endpoint answered 422: no such order"
        assert outcome.response == {"status": 422, "headers": {"x-request-id": "r17"}, "body": "no such order"}

    def test_the_error_leaves_out_what_the_answer_quotes_of_the_message(self, server: MisbehavingServer) -> None:
        outcome = send(a_webhook(server.url("/unwilling"), text="say: no such order, please"))
        assert outcome.error == "the endpoint answered 422: […] […] […]"
        assert send(a_webhook(server.url("/status/500"))).error == (
            "the endpoint answered 500: its answer says nothing else"
        )

    def test_a_redirect_is_not_followed_and_says_so(self, server: MisbehavingServer) -> None:
        outcome = send(a_webhook(server.url("/redirect/ok")))
        assert (outcome.kind, outcome.code) == (Kind.TRANSIENT, "302")
        assert "redirects are not followed" in (outcome.error or "")
        assert len(server.received) == 1

    def test_a_blocked_address_names_the_setting(self, server: MisbehavingServer) -> None:
        outcome = send(a_webhook(server.url("/ok")), replace(SOUND, allow_networks=()))
        assert (outcome.kind, outcome.scope, outcome.code) == (Kind.PERMANENT, Scope.RECIPIENT, "ssrf_blocked")
        assert "allow_networks" in (outcome.error or "")
        assert not server.connections

    def test_unencrypted_urls_name_the_setting(self, server: MisbehavingServer) -> None:
        outcome = send(a_webhook(server.url("/ok")), replace(SOUND, allow_http=False))
        assert outcome.kind is Kind.PERMANENT
        assert "allow_http" in (outcome.error or "")

    def test_a_broken_line_concerns_this_endpoint_only(self, server: MisbehavingServer) -> None:
        assert send(a_webhook(server.url("/closes-after"))).scope is Scope.RECIPIENT


def test_https_with_an_authority_of_one_s_own(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    settings = replace(SOUND, allow_http=False, ca_file=str(authority.ca_file))
    with misbehaving(authority.server_context("127.0.0.1")) as server:
        assert send(a_webhook(server.url("/ok"), text="{}"), settings).kind is Kind.OK
        Webhook(KEY).verify(only(server).body, only(server).headers)


def test_a_missing_secret_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="unsigned = true"):
        webhook.build(webhook.Settings(), Kit(now=lambda: NOW))
