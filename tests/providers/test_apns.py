"""Apple's push service: its login, its pushes, its answers."""

import base64
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import apns
from noti_worker.transport import Kit
from tests.certificates import Authority
from tests.keys import pem
from tests.providers.contract import LIMIT, NOW, Judged, ProviderContract, Situation, a_message, opened
from tests.providers.http2_server import Http2Server, answering, cutting, echoing, hanging, leaving, refusing

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = pem(KEY)
DEVICE = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad"
OWN_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"

# https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
ANSWERS = (
    (400, "BadCollapseId", Kind.PERMANENT, "apns.invalid", Scope.MESSAGE),
    (400, "BadDeviceToken", Kind.DEAD, "apns.bad_token", Scope.RECIPIENT),
    (400, "BadExpirationDate", Kind.PERMANENT, "apns.invalid", Scope.MESSAGE),
    (400, "BadTopic", Kind.CONFIG, "apns.topic", Scope.ACCOUNT),
    (400, "TopicDisallowed", Kind.CONFIG, "apns.topic", Scope.ACCOUNT),
    (400, "DeviceTokenNotForTopic", Kind.CONFIG, "apns.other_topic", Scope.RECIPIENT),
    (400, "IdleTimeout", Kind.TRANSIENT, "apns.idle", Scope.MESSAGE),
    (400, "PayloadEmpty", Kind.PERMANENT, "apns.invalid", Scope.MESSAGE),
    (403, "BadCertificateEnvironment", Kind.CONFIG, "apns.login_refused", Scope.ACCOUNT),
    (403, "ExpiredProviderToken", Kind.TRANSIENT, "apns.expired_login", Scope.ACCOUNT),
    (403, "Forbidden", Kind.CONFIG, "apns.login_refused", Scope.ACCOUNT),
    (403, "InvalidProviderToken", Kind.CONFIG, "apns.login_refused", Scope.ACCOUNT),
    (403, "MissingProviderToken", Kind.CONFIG, "apns.login_refused", Scope.ACCOUNT),
    (404, "BadPath", Kind.CONFIG, "api.wrong_url", Scope.ACCOUNT),
    (405, "MethodNotAllowed", Kind.CONFIG, "api.wrong_url", Scope.ACCOUNT),
    (410, "ExpiredToken", Kind.DEAD, "apns.unregistered", Scope.RECIPIENT),
    (410, "Unregistered", Kind.DEAD, "apns.unregistered", Scope.RECIPIENT),
    (413, "PayloadTooLarge", Kind.PERMANENT, "apns.too_large", Scope.MESSAGE),
    (429, "TooManyProviderTokenUpdates", Kind.CONFIG, "apns.too_many_logins", Scope.ACCOUNT),
    (429, "TooManyRequests", Kind.THROTTLED, "apns.too_fast", Scope.RECIPIENT),
    (500, "InternalServerError", Kind.TRANSIENT, "apns.trouble", Scope.PROVIDER),
    (503, "ServiceUnavailable", Kind.TRANSIENT, "apns.trouble", Scope.PROVIDER),
    (503, "Shutdown", Kind.TRANSIENT, "apns.trouble", Scope.PROVIDER),
    (410, "SomethingNew", Kind.DEAD, "apns.gone", Scope.RECIPIENT),
    (400, "SomethingNew", Kind.PERMANENT, "apns.invalid", Scope.MESSAGE),
    (429, "SomethingNew", Kind.THROTTLED, "api.too_fast", Scope.ACCOUNT),
    (502, "SomethingNew", Kind.TRANSIENT, "api.trouble", Scope.PROVIDER),
)


@pytest.fixture
def server(authority: Authority) -> Iterator[Http2Server]:
    with Http2Server(authority) as server:
        yield server


def account(server: Http2Server, **changes: Any) -> apns.Settings:
    settings = apns.Settings(Secret(PEM), "ABC123DEFG", "DEF123GHIJ", "com.example.shop", api_url=server.url)
    return replace(settings, ca_file=server.ca_file, **changes)


@pytest.fixture
def sender(server: Http2Server) -> Iterator[Judged]:
    sender = opened(apns, account(server))
    yield sender
    sender.close()


class Clock:
    """The database's, which a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def passes(self, minutes: float) -> None:
        self.time += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(server: Http2Server, clock: Clock) -> Iterator[Judged]:
    sender = opened(apns, account(server), Kit(now=clock.now))
    yield sender
    sender.close()


def push(**options: Any) -> Message:
    return a_message(Channel.PUSH, DEVICE, options=options)


def login(server: Http2Server) -> str:
    return server.last.headers["authorization"]


class TestApns(ProviderContract):
    provider = apns
    secrets = (PEM, PEM.splitlines()[1], DEVICE, DEVICE.upper(), "eyJhbGciOiJFUzI1NiIs")
    refused = (
        ({"key": Secret("no key")}, "key"),
        ({"key": Secret(pem(rsa.generate_private_key(65537, 2048)))}, "key"),
        ({"key": Secret(pem(ec.generate_private_key(ec.SECP384R1())))}, "key"),
        ({"key_id": "ABC"}, "key_id"),
        ({"team_id": "com.example"}, "team_id"),
        ({"topic": "com.example shop"}, "topic"),
        ({"api_url": "http://127.0.0.1"}, "api_url"),
        ({"api_url": "https://127.0.0.1:port"}, "api_url"),
        ({"api_url": "https://127.0.0.1/?a=b"}, "api_url"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
    )

    @pytest.fixture
    def settings(self, server: Http2Server) -> apns.Settings:
        return account(server)

    @pytest.fixture
    def situations(self, server: Http2Server) -> Sequence[Situation]:
        def behave(way: Any) -> Callable[[], None]:
            return lambda: setattr(server, "way", way)

        refused = [
            Situation(reason, push(), kind, behave(answering(status, {"reason": reason})))
            for status, reason, kind, _, _ in ANSWERS
        ]
        return [
            Situation("accepted", push(), Kind.OK, behave(answering(200))),
            Situation("an answer that repeats all", push(), Kind.PERMANENT, behave(echoing)),
            Situation("not taken", push(), Kind.TRANSIENT, behave(refusing)),
            Situation("goodbye", push(), Kind.TRANSIENT, behave(leaving)),
            Situation("cut", push(), Kind.DEAD, behave(cutting)),
            Situation("too large", push(data={"a": "b" * 4096}), Kind.PERMANENT),
            *refused,
        ]

    @pytest.fixture
    def hanging(self, server: Http2Server) -> Situation:
        return Situation("hangs", push(), Kind.UNCERTAIN, lambda: setattr(server, "way", hanging))


@pytest.mark.parametrize(("status", "reason", "kind", "rule", "scope"), ANSWERS, ids=str)
def test_each_reason_is_judged_by_its_rule(
    server: Http2Server, sender: Judged, status: int, reason: str, kind: Kind, rule: str, scope: Scope
) -> None:
    server.way = answering(status, {"reason": reason, "timestamp": 1772366400000})
    outcome = sender.send(push(), LIMIT)
    assert (outcome.kind, outcome.rule, outcome.scope) == (kind, rule, scope)
    assert outcome.code == f"{status} {reason}"
    assert reason in (outcome.error or "")


def test_a_push_is_posted_for_its_device(server: Http2Server, sender: Judged) -> None:
    server.way = answering(200, apns_id=OWN_ID)
    outcome = sender.send(push(), LIMIT)
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, OWN_ID)
    asked = server.last
    assert (asked.headers[":method"], asked.path) == ("POST", f"/3/device/{DEVICE}")
    assert asked.headers[":authority"] == f"127.0.0.1:{server.port}"
    named = {name: value for name, value in asked.headers.items() if name.startswith("apns-")}
    assert named == {
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-id": OWN_ID,
        "apns-collapse-id": OWN_ID,
    }
    assert asked.json() == {
        "aps": {"alert": {"title": "Your order", "body": "It is on its way."}},
        "message_id": OWN_ID,
    }


def test_the_login_is_a_token_signed_by_the_key(server: Http2Server, sender: Judged) -> None:
    sender.send(push(), LIMIT)
    scheme, _, token = login(server).partition(" ")
    head, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
    assert scheme == "bearer"
    assert json.loads(head) == {"alg": "ES256", "kid": "ABC123DEFG"}
    assert json.loads(claims) == {"iss": "DEF123GHIJ", "iat": int(NOW.timestamp())}
    assert len(signature) == 64
    pair = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    KEY.public_key().verify(encode_dss_signature(*pair), token.rpartition(".")[0].encode(), ec.ECDSA(SHA256()))


def test_the_login_is_renewed_after_fifty_minutes(server: Http2Server, timed: Judged, clock: Clock) -> None:
    used = []
    for minutes in (0, 49, 2):
        clock.passes(minutes)
        timed.send(push(), LIMIT)
        used.append(login(server))
    assert used[0] == used[1] != used[2]


def test_a_login_that_expired_is_made_anew(server: Http2Server, timed: Judged, clock: Clock) -> None:
    timed.send(push(), LIMIT)
    first = login(server)
    clock.passes(21)
    server.way = answering(403, {"reason": "ExpiredProviderToken"})
    timed.send(push(), LIMIT)
    assert login(server) == first
    timed.send(push(), LIMIT)
    assert login(server) != first


def test_a_new_login_that_expired_is_kept_and_the_clock_is_blamed(
    server: Http2Server, timed: Judged, clock: Clock
) -> None:
    server.way = answering(403, {"reason": "ExpiredProviderToken"})
    outcome = timed.send(push(), LIMIT)
    first = login(server)
    clock.passes(10)
    timed.send(push(), LIMIT)
    assert login(server) == first
    assert "clock" in (outcome.error or "")


def test_too_many_logins_wait_for_twenty_minutes(server: Http2Server, sender: Judged) -> None:
    server.way = answering(429, {"reason": "TooManyProviderTokenUpdates"})
    assert sender.send(push(), LIMIT).retry_after == 1200


def test_options_become_headers_and_keys_of_the_payload(server: Http2Server, sender: Judged) -> None:
    options = {
        "severity": "critical",
        "data": {"order": "4711"},
        "ttl": 3600,
        "collapse_key": "order-4711",
        "image": "https://example.com/a.png",
        "click_url": "shop://orders/4711",
    }
    sender.send(push(**options), LIMIT)
    headers, payload = server.last.headers, server.last.json()
    assert headers["apns-priority"] == "10"
    assert headers["apns-expiration"] == str(int(NOW.timestamp()) + 3600)
    assert headers["apns-collapse-id"] == "order-4711"
    assert payload["aps"]["mutable-content"] == 1
    del payload["aps"]
    assert payload == {
        "message_id": OWN_ID,
        "order": "4711",
        "image": "https://example.com/a.png",
        "click_url": "shop://orders/4711",
    }


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"severity": "info"}, "apns-priority", "5"),
        ({"severity": "error"}, "apns-priority", "10"),
        ({"ttl": 0}, "apns-expiration", "0"),
        ({}, "apns-expiration", None),
        ({}, "apns-priority", None),
    ],
)
def test_what_is_not_asked_for_is_left_to_apple(
    server: Http2Server, sender: Judged, options: Any, name: str, value: str | None
) -> None:
    sender.send(push(**options), LIMIT)
    assert server.last.headers.get(name) == value


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (a_message(Channel.PUSH, "no token"), "recipient"),
        (a_message(Channel.PUSH, f"{DEVICE}/../x"), "recipient"),
        (replace(push(), subject=None, text=""), "subject"),
        (push(data={"aps": "x"}), "aps"),
        (push(data={"image": "x"}, image="https://example.com/a.png"), "image"),
        (push(data={"click_url": "x"}, click_url="https://example.com"), "click_url"),
        (push(collapse_key="Bestellung für 4711"), "collapse_key"),
        (push(collapse_key="x" * 65), "collapse_key"),
        (replace(push(), text="ä" * 2048), "4096"),
        (replace(push(), text="\ud800"), "UTF-8"),
    ],
)
def test_what_apple_cannot_take_is_refused_in_words(
    server: Http2Server, sender: Judged, message: Message, word: str
) -> None:
    outcome = sender.send(message, LIMIT)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert word in (outcome.error or "")
    assert not server.asked


def test_a_payload_of_exactly_the_limit_goes_out(server: Http2Server, sender: Judged) -> None:
    sender.send(push(), LIMIT)
    fill = 4096 - len(server.last.body)
    assert sender.send(replace(push(), text="It is on its way." + "x" * fill), LIMIT).kind is Kind.OK
    assert len(server.last.body) == 4096
    assert sender.send(replace(push(), text="It is on its way." + "x" * (fill + 1)), LIMIT).kind is Kind.PERMANENT


@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_the_environment_says_the_host(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, hosts = Kit(now=lambda: NOW), []
    monkeypatch.setattr(kit, "http2", lambda _, host, port, **__: hosts.append((host, port)))
    apns.build(apns.Settings(Secret(PEM), "ABC123DEFG", "DEF123GHIJ", "com.example.shop", environment), kit)
    assert hosts == [({"production": "api.push.apple.com", "sandbox": "api.sandbox.push.apple.com"}[environment], 443)]


def test_without_the_extra_it_says_how_to_install_it(server: Http2Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'noti-worker\[apns\]'"):
        opened(apns, account(server))


def test_a_proxy_is_refused(server: Http2Server) -> None:
    kit = Kit(now=lambda: NOW).of(1, Secret("http://127.0.0.1:3128"))
    with pytest.raises(ConfigurationError, match="proxy"):
        opened(apns, account(server), kit)
