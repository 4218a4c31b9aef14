"""Firebase Cloud Messaging: its login, its messages, its answers."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.secret import Secret
from noti_worker.providers import fcm
from noti_worker.transport import Kit
from tests.keys import pem
from tests.providers.api import Answer, ApiContract, ApiServer, Asked
from tests.providers.contract import LIMIT, NOW, Judged, a_message, opened

KEY = rsa.generate_private_key(65537, 2048)
PEM = pem(KEY)
DEVICE = "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1"
ACCESS = "ya29.c.b0Aaekm1K-the-access-token-0123456789"
LOGIN = {"access_token": ACCESS, "expires_in": 3599, "token_type": "Bearer"}
TAKEN = {"name": "projects/shop-4711/messages/0:1500415314455276%31bd1c9631bd1c96"}
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


def service_account(url: str, **changes: Any) -> Secret:
    """The file as the Firebase console writes it, but for where its tokens come from."""
    document = {
        "type": "service_account",
        "project_id": "shop-4711",
        "private_key_id": "0123456789abcdef",
        "private_key": PEM,
        "client_email": "firebase-adminsdk-x@shop-4711.iam.gserviceaccount.com",
        "client_id": "104711",
        "token_uri": f"{url}/token",
    }
    return Secret(json.dumps(document | changes))


def error(status: str, text: str, code: str = "", *before: Mapping[str, Any]) -> dict[str, Any]:
    details = [*before, *([{"@type": FCM_ERROR, "errorCode": code}] if code else [])]
    return {"error": {"code": 400, "message": text, "status": status, "details": details}}


def violation(field: str, description: str) -> dict[str, Any]:
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": description}]}


INVALID = "INVALID_ARGUMENT"
NO_TOKEN = "is not a valid FCM registration token"
BAD_DEVICE = violation("message.token", "Invalid registration token")
WRONG_TOKEN = error(INVALID, "Request contains an invalid argument.", INVALID, BAD_DEVICE)
UNKNOWN_FIELD = error(INVALID, "Invalid JSON payload received.", "", violation("message", "Cannot find field."))
FOREIGN = error("PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")
UNAUTHENTICATED = error("UNAUTHENTICATED", "Request had invalid authentication credentials.")
APPLE_KEY = error("UNAUTHENTICATED", "Auth error from APNS or Web Push Service", "THIRD_PARTY_AUTH_ERROR")
BAD_SIGNATURE = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
EXCEEDED = error("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Send requests'.", "QUOTA_EXCEEDED")


class Service(ApiServer):
    """FCM, and where its tokens come from."""

    def __init__(self) -> None:
        super().__init__()
        self.by_path["/token"] = Answer(200, LOGIN)
        self.revoked: set[str] = set()
        """The tokens with which it sends no more."""

    def _heard(self, asked: Asked) -> Answer:
        answer = super()._heard(asked)
        return Answer(401, UNAUTHENTICATED) if asked.headers.get("authorization") in self.revoked else answer

    @property
    def logins(self) -> int:
        return sum(asked.path == "/token" for asked in self.asked)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        service.always = Answer(200, TAKEN)
        yield service


@pytest.fixture
def server(service: Service) -> Service:
    return service


@pytest.fixture
def sender(server: Service) -> Iterator[Judged]:
    sender = opened(fcm, fcm.Settings(service_account(server.url), api_url=server.url))
    yield sender
    sender.close()


def push(**options: Any) -> Message:
    return a_message(Channel.PUSH, DEVICE, options=options)


def sent(server: Service) -> Any:
    return server.last.json()["message"]


class TestFcm(ApiContract):
    provider = fcm
    secrets = (PEM, PEM.splitlines()[3], ACCESS, DEVICE)
    prepares = 1
    refused = (
        ({"service_account": Secret("no json")}, "service_account"),
        ({"service_account": Secret("[]")}, "service_account"),
        ({"service_account": Secret('{"type": "authorized_user"}')}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1", private_key="no key")}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1", private_key=PEM[:200])}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1", client_email="")}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1", token_uri=17)}, "service_account"),
        ({"service_account": service_account("ftp://127.0.0.1")}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1"), "api_url": "https://x.example"}, "service_account"),
        ({"service_account": service_account("http://127.0.0.1", project_id="")}, "project_id"),
        ({"api_url": "http://fcm.example.com"}, "api_url"),
    )
    accepted = (200, TAKEN)
    golden = (
        (404, error("NOT_FOUND", "Requested entity was not found.", "UNREGISTERED"), {}, Kind.DEAD, "fcm.unregistered"),
        (404, error("NOT_FOUND", "Requested entity was not found."), {}, Kind.CONFIG, "api.wrong_url"),
        (404, b"<html>Not Found</html>", {}, Kind.CONFIG, "api.wrong_url"),
        (400, WRONG_TOKEN, {}, Kind.DEAD, "fcm.bad_token"),
        (400, error(INVALID, f"The registration token {NO_TOKEN}", INVALID), {}, Kind.DEAD, "fcm.not_a_token"),
        (400, UNKNOWN_FIELD, {}, Kind.PERMANENT, "fcm.invalid"),
        (400, error(INVALID, "Android message is too big", INVALID), {}, Kind.PERMANENT, "fcm.invalid"),
        (403, FOREIGN, {}, Kind.CONFIG, "fcm.other_sender"),
        (403, error("PERMISSION_DENIED", "The caller does not have permission"), {}, Kind.CONFIG, "api.login"),
        (401, APPLE_KEY, {}, Kind.CONFIG, "fcm.apple_key"),
        (401, error("UNAUTHENTICATED", f"Invalid credentials {ACCESS} for {DEVICE}."), {}, Kind.CONFIG, "api.login"),
        (429, EXCEEDED, {"retry_after": "90"}, Kind.THROTTLED, "fcm.quota"),
        (429, {}, {}, Kind.THROTTLED, "fcm.too_fast"),
        (503, error("UNAVAILABLE", "Try again later.", "UNAVAILABLE"), {}, Kind.TRANSIENT, "fcm.unavailable"),
        (500, error("INTERNAL", "Internal error encountered.", "INTERNAL"), {}, Kind.TRANSIENT, "fcm.internal"),
        (502, b"<html>502 Bad Gateway</html>", {}, Kind.TRANSIENT, "api.trouble"),
    )

    @pytest.fixture
    def server(self, service: Service) -> Iterator[ApiServer]:
        yield service  # noqa: PT022 - as the one that it stands for

    @pytest.fixture
    def settings(self, server: ApiServer) -> fcm.Settings:
        return fcm.Settings(service_account(server.url), api_url=server.url)

    @pytest.fixture
    def message(self) -> Message:
        return push(severity="error", data={"order": "17"})


class TestLogin:
    def test_it_signs_for_a_token_as_google_asks(self, server: Service, sender: Judged) -> None:
        assert sender.send(push(), LIMIT).kind is Kind.OK
        login, send = server.asked
        assert (login.method, login.path) == ("POST", "/token")
        assert login.headers["content-type"] == "application/x-www-form-urlencoded"
        form = login.form()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        head, claims, signature = (
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in form["assertion"].split(".")
        )
        assert json.loads(head) == {"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef"}
        assert json.loads(claims) == {
            "iss": "firebase-adminsdk-x@shop-4711.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": f"{server.url}/token",
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 3600,
        }
        signed = form["assertion"].rpartition(".")[0].encode()
        KEY.public_key().verify(signature, signed, PKCS1v15(), SHA256())
        assert (send.method, send.path) == ("POST", "/v1/projects/shop-4711/messages:send")
        assert send.headers["authorization"] == f"Bearer {ACCESS}"

    def test_a_token_serves_until_a_minute_before_its_end(self, server: Service) -> None:
        clock = [NOW]
        sender = opened(fcm, fcm.Settings(service_account(server.url), api_url=server.url), Kit(now=lambda: clock[0]))
        for minutes, logins in ((0, 1), (1, 1), (58, 1), (59, 2), (60, 2)):
            clock[0] = NOW + timedelta(minutes=minutes)
            sender.send(push(), LIMIT)
            assert server.logins == logins, minutes
        sender.close()

    def test_a_token_without_an_end_serves_once(self, server: Service, sender: Judged) -> None:
        server.by_path["/token"] = Answer(200, {"access_token": ACCESS})
        assert [sender.send(push(), LIMIT).kind for _ in range(2)] == [Kind.OK, Kind.OK]
        assert server.logins == 2

    def test_many_sends_at_once_log_in_once(self, server: Service, sender: Judged) -> None:
        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(lambda _: sender.send(push(), LIMIT), range(16)))
        assert {outcome.kind for outcome in outcomes} == {Kind.OK}
        assert server.logins == 1

    def test_nobody_waits_without_end_for_another_s_login(
        self, server: Service, sender: Judged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fcm, "_PATIENCE", 0.01)
        fetching: Any = sender.sender
        with fetching._translation._lock:
            outcome = sender.send(push(), LIMIT)
        assert (outcome.kind, outcome.offered) == (Kind.TRANSIENT, False)
        assert "still fetching the access token" in (outcome.error or "")
        assert not server.asked

    def test_a_token_that_is_taken_no_more_is_renewed_within_the_try(self, server: Service, sender: Judged) -> None:
        sender.send(push(), LIMIT)
        server.revoked.add(f"Bearer {ACCESS}")
        server.by_path["/token"] = Answer(200, {**LOGIN, "access_token": "ya29.another"})
        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(lambda _: sender.send(push(), LIMIT), range(8)))
        assert {outcome.kind for outcome in outcomes} == {Kind.OK}
        assert server.logins == 2
        assert server.last.headers["authorization"] == "Bearer ya29.another"

    def test_a_new_token_that_is_refused_too_blames_the_account(self, server: Service, sender: Judged) -> None:
        sender.send(push(), LIMIT)
        server.always = Answer(401, UNAUTHENTICATED)
        before = len(server.asked)
        outcome = sender.send(push(), LIMIT)
        assert (outcome.kind, outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT)
        assert [asked.path == "/token" for asked in server.asked[before:]] == [False, True, False]
        server.always = Answer(200, TAKEN)
        assert sender.send(push(), LIMIT).kind is Kind.OK
        assert server.logins == 3

    def test_what_is_cut_after_a_renewal_may_have_been_sent(self, server: Service, sender: Judged) -> None:
        sender.send(push(), LIMIT)
        server.revoked.add(f"Bearer {ACCESS}")
        server.by_path["/token"] = Answer(200, {**LOGIN, "access_token": "ya29.another"})
        server.breaks("cut")()
        assert sender.send(push(), LIMIT).kind is Kind.UNCERTAIN

    def test_apple_s_key_has_nothing_to_do_with_our_token(self, server: Service, sender: Judged) -> None:
        server.always = Answer(401, APPLE_KEY)
        for _ in range(2):
            assert sender.send(push(), LIMIT).rule == "fcm.apple_key"
        assert server.logins == 1

    @pytest.mark.parametrize(
        ("answer", "kind", "rule"),
        [
            (Answer(400, BAD_SIGNATURE), Kind.CONFIG, "fcm.login_refused"),
            (Answer(401, {"error": "invalid_client"}), Kind.CONFIG, "fcm.login_refused"),
            (Answer(302), Kind.CONFIG, "fcm.login_refused"),
            (Answer(429), Kind.THROTTLED, "fcm.login_too_fast"),
            (Answer(503, b"<html>"), Kind.TRANSIENT, "fcm.login_trouble"),
            (Answer(200, {"id_token": "eyJ-a-secret"}), Kind.TRANSIENT, "fcm.login_trouble"),
            (Answer(200, b"<html>"), Kind.TRANSIENT, "fcm.login_trouble"),
            (Answer(then="cut"), Kind.TRANSIENT, "house.not_sent"),
        ],
    )
    def test_without_a_token_nothing_was_sent(
        self, server: Service, sender: Judged, answer: Answer, kind: Kind, rule: str
    ) -> None:
        server.by_path["/token"] = answer
        outcome = sender.send(push(), LIMIT)
        assert (outcome.kind, outcome.rule, outcome.offered) == (kind, rule, False)
        assert [asked.path for asked in server.asked] == ["/token"]
        assert "eyJ" not in repr(outcome)
        server.by_path["/token"] = Answer(200, LOGIN)
        assert sender.send(push(), LIMIT).kind is Kind.OK

    def test_a_refused_login_says_so(self, server: Service, sender: Judged) -> None:
        server.by_path["/token"] = Answer(400, BAD_SIGNATURE)
        assert sender.send(push(), LIMIT).error == (
            "the login for an access token was answered 400 invalid_grant: Invalid JWT Signature."
        )

    def test_another_project_may_be_named(self, server: Service) -> None:
        settings = fcm.Settings(service_account(server.url), project_id="other", api_url=server.url)
        opened(fcm, settings).send(push(), LIMIT)
        assert server.last.path == "/v1/projects/other/messages:send"

    def test_a_key_of_another_kind_is_refused(self) -> None:
        other = service_account("https://oauth2.example.com", private_key=pem(ec.generate_private_key(ec.SECP256R1())))
        with pytest.raises(ConfigurationError, match="no RSA key"):
            fcm.build(fcm.Settings(other), Kit(now=lambda: NOW))


class TestMessage:
    def test_a_plain_one(self, server: Service, sender: Judged) -> None:
        outcome = sender.send(push(), LIMIT)
        assert outcome.provider_message_id == "0:1500415314455276%31bd1c9631bd1c96"
        own_id = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
        assert sent(server) == {
            "token": DEVICE,
            "notification": {"title": "Your order", "body": "It is on its way."},
            "data": {"message_id": own_id},
            "android": {"notification": {"tag": own_id}},
            "apns": {"headers": {"apns-collapse-id": own_id}},
            "webpush": {"headers": {}},
        }

    def test_every_option(self, server: Service, sender: Judged) -> None:
        sender.send(
            push(
                severity="critical",
                data={"order": "17"},
                ttl=3600,
                collapse_key="order 17",
                image="https://shop.example/17.png",
                click_url="https://shop.example/17",
            ),
            LIMIT,
        )
        message = sent(server)
        assert message["notification"]["image"] == "https://shop.example/17.png"
        assert message["data"]["order"] == "17"
        assert message["data"]["click_url"] == "https://shop.example/17"
        assert message["android"] == {
            "notification": {"tag": "order 17"}, "collapse_key": "order 17", "priority": "HIGH", "ttl": "3600s",
        }  # fmt: skip
        assert message["apns"] == {
            "headers": {
                "apns-collapse-id": "order 17",
                "apns-priority": "10",
                "apns-expiration": str(int(NOW.timestamp()) + 3600),
            },
            "payload": {"aps": {"mutable-content": 1}},
            "fcm_options": {"image": "https://shop.example/17.png"},
        }
        web = message["webpush"]
        assert (web["headers"]["Urgency"], web["headers"]["TTL"]) == ("high", "3600")
        assert len(web["headers"]["Topic"]) == 32
        assert web["fcm_options"] == {"link": "https://shop.example/17"}

    def test_what_is_not_grave_may_wait(self, server: Service, sender: Judged) -> None:
        sender.send(push(severity="warning", ttl=0, collapse_key="order-17"), LIMIT)
        message = sent(server)
        assert (message["android"]["priority"], message["android"]["ttl"]) == ("NORMAL", "0s")
        assert message["apns"]["headers"]["apns-priority"] == "5"
        assert message["apns"]["headers"]["apns-expiration"] == "0"
        assert message["webpush"]["headers"] == {"Topic": "order-17", "Urgency": "normal", "TTL": "0"}

    def test_a_link_into_an_app_goes_to_apps_only(self, server: Service, sender: Judged) -> None:
        sender.send(push(click_url="shop://order/17"), LIMIT)
        assert sent(server)["data"]["click_url"] == "shop://order/17"
        assert "fcm_options" not in sent(server)["webpush"]

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"text": "ü" * 2048}, "4161 bytes.*4096.*shorten"),
            ({"options": {"data": {"a": "x" * 4096}}}, "bytes.*4096.*options.data"),
            ({"options": {"data": {"from": "x"}}}, "options.data.*FCM keeps"),
            ({"options": {"data": {"google.x": "x"}}}, "options.data.*FCM keeps"),
            ({"options": {"data": {"gcm": "x"}}}, "options.data.*FCM keeps"),
            ({"options": {"data": {"click_url": "x"}, "click_url": "y"}}, "options.data.click_url"),
            ({"options": {"collapse_key": "ü" * 33}}, "options.collapse_key.*64 bytes"),
            ({"options": {"data": {"a": "\ud800"}}}, "UTF-8"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_words(
        self, server: Service, sender: Judged, changes: dict[str, Any], words: str
    ) -> None:
        outcome: Outcome = sender.send(replace(push(), **changes), LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert re.search(words, outcome.error or ""), outcome.error
        assert not server.asked

    def test_as_much_as_fits_goes_out(self, server: Service, sender: Judged) -> None:
        rest = 4096 - len("titleYour orderbodymessage_id") - 36
        assert sender.send(replace(push(), text="x" * rest), LIMIT).kind is Kind.OK
        assert sender.send(replace(push(), text="x" * (rest + 1)), LIMIT).kind is Kind.PERMANENT


class TestAnswers:
    def test_a_quota_waits_as_asked_and_a_minute_at_least(self, server: Service, sender: Judged) -> None:
        for headers, seconds in (({}, 60.0), ({"Retry-After": "5"}, 60.0), ({"Retry-After": "90"}, 90.0)):
            server.always = Answer(429, EXCEEDED, headers)
            assert sender.send(push(), LIMIT).retry_after == seconds

    def test_a_foreign_token_concerns_its_row_alone(self, server: Service, sender: Judged) -> None:
        server.always = Answer(403, FOREIGN)
        assert sender.send(push(), LIMIT).scope is Scope.RECIPIENT

    def test_the_field_at_fault_is_told(self, server: Service, sender: Judged) -> None:
        server.always = Answer(
            400,
            error("INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT", violation("message.data[0].value", "Long")),
        )
        assert sender.send(push(), LIMIT).code == "400 INVALID_ARGUMENT message.data[0].value"
