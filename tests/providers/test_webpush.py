"""Web Push against a real server: what arrives is decrypted, and its signature verified, by other means than ours."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import webpush
from noti_worker.transport import Reply
from tests.keys import pem
from tests.providers.api import Answer, ApiContract, ApiServer, Asked
from tests.providers.contract import LIMIT, NOW, Judged, a_message, opened
from tests.providers.description import description


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


SERVER_KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = encoded(SERVER_KEY.private_numbers().private_value.to_bytes(32, "big"))
BROWSER_KEY = ec.generate_private_key(ec.SECP256R1())
AUTH = b"sixteen bytes it"
TOKEN = "gAAAAABfT0k3n-0f-the-endpoint_with:parts"
SUBJECT = "mailto:push@example.com"
ECHO = "errors.io/v1/" + TOKEN


def subscription(endpoint: str, **keys: Any) -> str:
    known = {"p256dh": encoded(point(BROWSER_KEY)), "auth": encoded(AUTH)}
    return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": known | keys})


def push(url: str, **options: Any) -> Message:
    return a_message(Channel.PUSH, subscription(f"{url}/wpush/v2/{TOKEN}"), options=options)


def settings_here(**changes: Any) -> webpush.Settings:
    settings = webpush.Settings(Secret(PRIVATE), SUBJECT, allow_networks=("127.0.0.0/8",), allow_http=True)
    return replace(settings, **changes)


def decrypted(body: bytes, key: ec.EllipticCurvePrivateKey = BROWSER_KEY, auth: bytes = AUTH) -> bytes:
    """What a browser makes of it (RFC 8291, 3 and 4; RFC 8188, 2)."""
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender, record = body[21 : 21 + length], body[21 + length :]
    assert (length, len(record) <= size) == (65, True)
    secret = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
    shared = HKDF(SHA256(), 32, auth, b"WebPush: info\x00" + point(key) + sender).derive(secret)
    content_key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(shared)
    nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(shared)
    padded = AESGCM(content_key).decrypt(nonce, record, None)
    content, end, padding = padded.rpartition(b"\x02")
    assert (end, padding.strip(b"\x00")) == (b"\x02", b"")
    return content


def claims_of(asked: Asked) -> Any:
    """What the token says, its signature verified with the key that stands beside it (RFC 8292, 3)."""
    found = re.fullmatch(r"vapid t=([^,]+), k=(.+)", asked.headers["authorization"])
    assert found is not None
    head, claims, signature = found[1].split(".")
    assert decoded(found[2]) == point(SERVER_KEY)
    assert json.loads(decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    r, s = (int.from_bytes(half, "big") for half in (decoded(signature)[:32], decoded(signature)[32:]))
    SERVER_KEY.public_key().verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    return json.loads(decoded(claims))


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(description("webpush")) as server:
        server.always = Answer(201)
        yield server


@pytest.fixture
def sender() -> Iterator[Judged]:
    sender = opened(webpush, settings_here())
    yield sender
    sender.close()


class TestWebPush(ApiContract):
    provider = webpush
    described = description("webpush")
    tried_against = "an HTTP server of ours, where it is decrypted and its signature verified"
    secrets = (PRIVATE, TOKEN, encoded(AUTH), pem(SERVER_KEY).splitlines()[1])
    refused = (
        ({"private_key": Secret("too short")}, "private_key"),
        ({"private_key": Secret("ünïcode")}, "private_key"),
        ({"private_key": Secret(encoded(bytes(32)))}, "private_key"),
        ({"private_key": Secret(encoded(b"\xff" * 32))}, "private_key"),
        ({"private_key": Secret("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----")}, "private_key"),
        ({"private_key": Secret(pem(ec.generate_private_key(ec.SECP384R1())))}, "private_key"),
        ({"subject": "push@example.com"}, "subject"),
        ({"subject": "mailto:"}, "subject"),
        ({"subject": "http://example.com"}, "subject"),
        ({"allow_networks": ("10.0.0.1/8",)}, "allow_networks"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
    )
    accepted = (201, b"")
    # Those of Mozilla's autopush have an errno, those of Apple a reason; Chrome's are plain text.
    golden = (
        (202, b"", {}, Kind.OK, "webpush.accepted"),
        (
            410,
            {"code": 410, "errno": 103, "error": "Gone", "message": f"Request did not validate: {ECHO}"},
            {},
            Kind.DEAD,
            "webpush.gone",
        ),
        (404, {"code": 404, "errno": 102, "error": "Not Found", "message": "Not found"}, {}, Kind.DEAD, "webpush.gone"),
        (
            401,
            {"code": 401, "errno": 109, "error": "Unauthorized", "message": "Request did not validate"},
            {},
            Kind.CONFIG,
            "webpush.key_refused",
        ),
        (403, {"reason": "BadJwtToken"}, {}, Kind.CONFIG, "webpush.key_refused"),
        (
            403,
            b"the VAPID credentials in the authorization header do not correspond to those of the subscription\n",
            {},
            Kind.CONFIG,
            "webpush.key_refused",
        ),
        (400, {"reason": "VapidPkHashMismatch"}, {}, Kind.CONFIG, "webpush.key_mismatch"),
        (
            400,
            {"code": 400, "errno": 111, "error": "Bad Request", "message": "TTL must be greater than 0"},
            {},
            Kind.PERMANENT,
            "webpush.refused",
        ),
        (
            413,
            {"code": 413, "errno": 104, "error": "Payload Too Large", "message": "Data payload too large"},
            {},
            Kind.PERMANENT,
            "webpush.too_large",
        ),
        (301, b"", {"location": "https://push.example.net/new"}, Kind.CONFIG, "webpush.moved"),
        (429, b"", {"retry_after": "120"}, Kind.THROTTLED, "webpush.too_fast"),
        (
            503,
            {"code": 503, "errno": 201, "error": "Service Unavailable"},
            {"retry_after": "30"},
            Kind.TRANSIENT,
            "webpush.trouble",
        ),
        (500, {"code": 500, "errno": 999, "error": "Internal Server Error"}, {}, Kind.TRANSIENT, "webpush.trouble"),
    )
    by_status = {  # noqa: RUF012
        404: Kind.DEAD,
        410: Kind.DEAD,
        402: Kind.PERMANENT,
        405: Kind.PERMANENT,
        501: Kind.TRANSIENT,
    }

    def another(self, message: Message, server: ApiServer) -> str:
        return subscription(f"{server.url}/wpush/v2/staging-token-17")

    @pytest.fixture
    def settings(self) -> webpush.Settings:
        return settings_here()

    @pytest.fixture
    def message(self, server: ApiServer) -> Message:
        return push(server.url, severity="error")


class TestRequest:
    def test_the_browser_reads_what_was_sent(self, server: ApiServer, sender: Judged) -> None:
        options = {
            "severity": "critical",
            "data": {"order": "17", "ü": "☃"},
            "image": "https://shop.example/17.png",
            "click_url": "https://shop.example/17",
            "collapse_key": "order-17",
            "ttl": 3600,
        }
        assert sender.send(push(server.url, **options), LIMIT).kind is Kind.OK
        assert (server.last.method, server.last.path) == ("POST", f"/wpush/v2/{TOKEN}")
        assert json.loads(decrypted(server.last.body)) == {
            "message_id": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50",
            "title": "Your order",
            "body": "It is on its way.",
            "severity": "critical",
            "data": {"order": "17", "ü": "☃"},
            "image": "https://shop.example/17.png",
            "click_url": "https://shop.example/17",
            "collapse_key": "order-17",
        }
        told = {name: server.last.headers[name] for name in ("ttl", "topic", "urgency", "content-encoding")}
        assert told == {"ttl": "3600", "topic": "order-17", "urgency": "high", "content-encoding": "aes128gcm"}

    def test_it_equals_the_example_of_rfc_8291(self) -> None:
        theirs = ec.derive_private_key(
            int.from_bytes(decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big"), ec.SECP256R1()
        )
        ours = ec.derive_private_key(
            int.from_bytes(decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
        )
        auth, salt = decoded("BTBZMqHH6r4Tts7J_aSIgg"), decoded("DGv6ra1nlYgDCS1FRnbzlw")
        known = {"p256dh": encoded(point(theirs)), "auth": encoded(auth)}
        to = webpush._read_subscription(subscription("https://push.example.net/push/J", **known))
        body = webpush._encrypted(b"When I grow up, I want to be a watermelon", to, ours, salt)
        assert encoded(body) == (
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6P"
            "Bru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        )
        assert decrypted(body, theirs, auth) == b"When I grow up, I want to be a watermelon"

    def test_a_plain_one_waits_for_weeks_and_replaces_its_own_repeat(self, server: ApiServer, sender: Judged) -> None:
        for _ in range(2):
            sender.send(push(server.url), LIMIT)
        first, second = server.asked
        told = {name: first.headers[name] for name in ("ttl", "topic", "urgency")}
        assert told == {"ttl": "2419200", "topic": "0190b5f26f7c7b349d6e2b1c5d3e4f50", "urgency": "normal"}
        assert first.headers["topic"] == second.headers["topic"]
        assert first.body != second.body, "salt and key are new for each try"

    def test_a_key_that_is_no_topic_becomes_one(self, server: ApiServer, sender: Judged) -> None:
        for key in ("order 17", "x" * 33, "ü"):
            sender.send(push(server.url, collapse_key=key), LIMIT)
            assert re.fullmatch(r"[A-Za-z0-9_-]{32}", server.last.headers["topic"])

    def test_the_token_is_for_the_push_service(self, server: ApiServer, sender: Judged) -> None:
        sender.send(push(server.url), LIMIT)
        assert claims_of(server.last) == {"aud": server.url, "exp": int(NOW.timestamp()) + 43_200, "sub": SUBJECT}

    def test_a_key_may_be_pem(self, server: ApiServer) -> None:
        sender = opened(webpush, settings_here(private_key=Secret(pem(SERVER_KEY))))
        sender.send(push(server.url), LIMIT)
        sender.close()
        assert claims_of(server.last)["sub"] == SUBJECT

    @pytest.mark.parametrize(
        ("endpoint", "origin"),
        [
            ("https://FCM.googleapis.com/fcm/send/x", "https://fcm.googleapis.com"),
            ("https://push.example.net:443/x", "https://push.example.net"),
            ("https://push.example.net:8443/x", "https://push.example.net:8443"),
            ("https://[2001:db8::1]/x", "https://[2001:db8::1]"),
            ("http://push.example.net:80/x", "http://push.example.net"),
        ],
    )
    def test_an_origin_has_one_spelling(self, endpoint: str, origin: str) -> None:
        assert webpush._read_subscription(subscription(endpoint)).origin == origin


class TestRefusals:
    @pytest.mark.parametrize(
        ("recipient", "words"),
        [
            ("token-17", "no subscription"),
            ("[]", "no subscription"),
            ('{"endpoint": "https://push.example.net/x"}', "no subscription"),
            (subscription("push.example.net"), "endpoint is no URL"),
            (subscription("https://[::1"), "endpoint is no URL"),
            (subscription("https://push.example.net/x", p256dh="AAAA"), "p256dh"),
            (subscription("https://push.example.net/x", p256dh=17), "p256dh"),
            (subscription("https://push.example.net/x", p256dh=encoded(b"\4" + b"\1" * 64)), "p256dh"),
            (subscription("https://push.example.net/x", auth="AAAA"), "keys.auth"),
            (subscription("https://push.example.net/x", auth="ü"), "keys.auth"),
        ],
    )
    def test_a_broken_subscription_is_told_and_not_shown(self, sender: Judged, recipient: str, words: str) -> None:
        outcome = sender.send(a_message(Channel.PUSH, recipient), LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert words in (outcome.error or "")
        assert "push.example.net" not in (outcome.error or "")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"text": "ü" * 2000}, r"\d{4} bytes as JSON.*3993.*shorten"),
            ({"options": {"data": {"a": "x" * 4000}}}, r"\d{4} bytes.*options\.data"),
            ({"options": {"ttl": 0}}, r"options\.ttl is 0"),
            ({"options": {"data": {"a": "\ud800"}}}, "UTF-8"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_words(
        self, server: ApiServer, sender: Judged, changes: dict[str, Any], words: str
    ) -> None:
        outcome = sender.send(replace(push(server.url), **changes), LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert re.search(words, outcome.error or ""), outcome.error
        assert not server.asked

    def test_the_largest_that_fits_is_as_large_as_all_push_services_take(
        self, server: ApiServer, sender: Judged
    ) -> None:
        sender.send(replace(push(server.url), text=""), LIMIT)
        rest = 3993 - len(decrypted(server.last.body))
        assert sender.send(replace(push(server.url), text="x" * rest), LIMIT).kind is Kind.OK
        assert len(server.last.body) == 4096
        assert sender.send(replace(push(server.url), text="x" * (rest + 1)), LIMIT).kind is Kind.PERMANENT

    def test_private_networks_are_closed(self, server: ApiServer) -> None:
        sender = opened(webpush, settings_here(allow_networks=()))
        outcome = sender.send(push(server.url), LIMIT)
        sender.close()
        assert (outcome.kind, outcome.code) == (Kind.PERMANENT, "ssrf_blocked")
        assert not server.asked

    def test_endpoints_are_encrypted(self, server: ApiServer) -> None:
        sender = opened(webpush, settings_here(allow_http=False))
        outcome = sender.send(push(server.url), LIMIT)
        sender.close()
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "guard")
        assert not server.asked


class TestAnswers:
    def test_the_place_of_the_message_is_its_id(self, server: ApiServer, sender: Judged) -> None:
        server.always = Answer(201, b"", {"Location": "https://push.example.net/m/qDIYHNcfAIPP_5ITvURr-d6BGt"})
        assert sender.send(push(server.url), LIMIT).provider_message_id == "qDIYHNcfAIPP_5ITvURr-d6BGt"

    def test_code_and_words_are_the_service_s(self, server: ApiServer, sender: Judged) -> None:
        server.always = Answer(410, {"code": 410, "errno": 106, "error": "Gone", "message": "No such subscription"})
        outcome = sender.send(push(server.url), LIMIT)
        assert (outcome.code, outcome.error) == ("410 106", "the provider answered 410 106: No such subscription")

    def test_our_token_is_not_kept(self, sender: Judged) -> None:
        http: Any = sender.sender
        request = http._translation.request(push("https://push.example.net"))
        token = request.headers["authorization"].removeprefix("vapid t=").partition(",")[0]
        told = json.dumps({"errno": 109, "message": f"Invalid token {token}"}).encode()
        said = http._translation.read(Reply(401, {}, told, request, NOW))
        assert said.words == "Invalid token ***"
        assert token not in json.dumps(said.response)

    @pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
    def test_nothing_that_one_endpoint_says_concerns_the_others(
        self, server: ApiServer, sender: Judged, status: int
    ) -> None:
        server.always = Answer(status)
        assert sender.send(push(server.url), LIMIT).scope is Scope.RECIPIENT

    def test_a_broken_line_concerns_this_endpoint_only(self, server: ApiServer, sender: Judged) -> None:
        server.always = Answer(then="cut")
        outcome = sender.send(push(server.url), LIMIT)
        assert (outcome.kind, outcome.scope) == (Kind.UNCERTAIN, Scope.RECIPIENT)
