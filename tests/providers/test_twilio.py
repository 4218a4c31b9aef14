"""SMS, WhatsApp and calls through Twilio: its requests, and the answers that its pages show."""

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.receipts import Posted, ReceiptKind, Taken
from noti_worker.domain.rules import classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.providers import twilio
from noti_worker.transport import Kit
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, NOW, a_message, opened
from tests.providers.receipts import ECHO, URL, ReceiptContract, a_kit, of, wrote

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
KEY = "SK0123456789abcdef0123456789abcdef"
SERVICE = "MG0123456789abcdef0123456789abcdef"
TEMPLATE = "HX0123456789abcdef0123456789abcdef"
TOKEN = "t0ken-0f-the-acc0unt-32-digits-l0"
LOGIN = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
NUMBER = "+4915112345678"
PLAN = "https://example.com/plan.pdf"
MESSAGE_SID = "SM1234567890abcdef1234567890abcdef"

ACCEPTED = {
    "account_sid": ACCOUNT,
    "api_version": "2010-04-01",
    "body": "It is on its way.",
    "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    "date_sent": None,
    "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
    "direction": "outbound-api",
    "error_code": None,
    "error_message": None,
    "from": NUMBER,
    "num_media": "0",
    "num_segments": "1",
    "price": None,
    "price_unit": None,
    "messaging_service_sid": None,
    "sid": MESSAGE_SID,
    "status": "queued",
    "subresource_uris": {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{MESSAGE_SID}/Media.json"},
    "to": "+4915199999999",
    "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{MESSAGE_SID}.json",
}


def refusal(code: int, message: str, status: int = 400) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = replace(server.always, status=201, body=ACCEPTED)
        yield server


def settings_at(server: ApiServer, **changes: Any) -> twilio.Settings:
    return replace(
        twilio.Settings(account_sid=ACCOUNT, auth_token=Secret(TOKEN), from_=("Shop", NUMBER), api_url=server.url),
        **changes,
    )


def send(server: ApiServer, message: Message, **changes: Any) -> Outcome:
    sender = opened(twilio, settings_at(server, **changes))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def to(channel: Channel, text: str | None = "It is on its way.", **options: Any) -> Message:
    return a_message(channel, "+4915199999999", text=text, options=options)


class TestTwilio(ApiContract):
    provider = twilio
    secrets = (TOKEN, LOGIN)
    refused = (
        ({"account_sid": "AC123"}, "account_sid"),
        ({"account_sid": KEY}, "account_sid"),
        ({"auth_token": None}, "auth_token"),
        ({"auth_token": Secret("")}, "auth_token"),
        ({"auth_token": None, "api_key_sid": KEY}, "api_key_secret"),
        ({"auth_token": None, "api_key_secret": Secret("s3cret")}, "api_key_sid"),
        ({"auth_token": None, "api_key_sid": "SK1", "api_key_secret": Secret("s3cret")}, "api_key_sid"),
        ({"from_": ()}, "from"),
        ({"from_": ("whatsapp:+4915112345678",)}, "from"),
        ({"messaging_service_sid": "MG1"}, "messaging_service_sid"),
        ({"language": "German"}, "language"),
        ({"voice": ""}, "voice"),
        ({"voice": "a\x01"}, "voice"),
        ({"status_callback": "example.com/hook"}, "status_callback"),
        ({"status_callback": "https://["}, "status_callback"),
        ({"status_callback": "https://user:pass@example.com/hook"}, "status_callback"),
        ({"api_url": "http://api.twilio.example"}, "api_url"),
    )
    accepted = (201, ACCEPTED)
    golden = (
        (
            400,
            refusal(21211, "The 'To' number +1234 is not a valid phone number."),
            {},
            Kind.DEAD,
            "twilio.no_such_number",
        ),
        (400, refusal(21610, "Attempt to send to unsubscribed recipient"), {}, Kind.OPTOUT, "twilio.optout"),
        (400, refusal(21614, "'To' number is not a valid mobile number"), {}, Kind.DEAD, "twilio.no_mobile"),
        (400, refusal(21408, "Permission to send an SMS has not been enabled"), {}, Kind.CONFIG, "twilio.region"),
        (400, refusal(21606, "The From phone number is not valid"), {}, Kind.CONFIG, "twilio.sender"),
        (400, refusal(21608, "The number is unverified. Trial accounts…"), {}, Kind.CONFIG, "twilio.trial"),
        (400, refusal(21611, "This 'From' number has exceeded…"), {}, Kind.THROTTLED, "twilio.sender_queue"),
        (400, refusal(21612, "cannot be reached"), {}, Kind.PERMANENT, "twilio.unreachable_from_here"),
        (400, refusal(21617, "The concatenated message body exceeds"), {}, Kind.PERMANENT, "twilio.content"),
        (400, refusal(21656, "The ContentVariables is invalid"), {}, Kind.PERMANENT, "twilio.content_template"),
        (400, refusal(63016, "outside the allowed window"), {}, Kind.PERMANENT, "twilio.outside_window"),
        (401, refusal(20003, "Authenticate", 401), {}, Kind.CONFIG, "twilio.login"),
        (401, refusal(20003, f"Authenticate: Basic {LOGIN}", 401), {}, Kind.CONFIG, "twilio.login"),
        (401, refusal(20003, f"Authenticate: no {TOKEN} here", 401), {}, Kind.CONFIG, "twilio.login"),
        (404, refusal(20404, "The requested resource was not found", 404), {}, Kind.CONFIG, "twilio.account"),
        (429, refusal(20429, "Too Many Requests", 429), {"Retry_After": "7"}, Kind.THROTTLED, "twilio.too_fast"),
        (429, refusal(63038, "exceeded the daily limit", 429), {}, Kind.THROTTLED, "twilio.daily"),
        (400, refusal(99999, "new"), {}, Kind.PERMANENT, "api.refused"),
        (503, refusal(20503, "Service unavailable", 503), {}, Kind.TRANSIENT, "api.trouble"),
        (201, {**ACCEPTED, "status": "failed", "error_code": 30007}, {}, Kind.PERMANENT, "twilio.content"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> twilio.Settings:
        return settings_at(server)

    @pytest.fixture
    def message(self) -> Message:
        return to(Channel.SMS)


class TestSms:
    def test_it_is_a_form_with_the_account_s_login(self, server: ApiServer) -> None:
        outcome = send(server, to(Channel.SMS, "Grüße & 😀"))
        assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, MESSAGE_SID)
        asked = server.last
        assert (asked.method, asked.path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
        assert asked.headers["authorization"] == f"Basic {LOGIN}"
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        assert asked.form() == {"To": "+4915199999999", "From": "Shop", "Body": "Grüße & 😀"}

    def test_an_api_key_stands_for_the_token(self, server: ApiServer) -> None:
        send(server, to(Channel.SMS), auth_token=None, api_key_sid=KEY, api_key_secret=Secret("k3y-secret"))
        assert base64.b64decode(server.last.headers["authorization"].split()[1]) == f"{KEY}:k3y-secret".encode()
        assert server.last.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    def test_the_row_s_sender_is_taken_past_the_messaging_service(self, server: ApiServer) -> None:
        send(server, to(Channel.SMS), messaging_service_sid=SERVICE)
        assert server.last.form()["MessagingServiceSid"] == SERVICE
        assert "From" not in server.last.form()
        send(server, to(Channel.SMS, **{"from": NUMBER}), messaging_service_sid=SERVICE)
        assert server.last.form()["From"] == NUMBER
        assert "MessagingServiceSid" not in server.last.form()

    def test_a_callback_goes_along(self, server: ApiServer) -> None:
        send(server, to(Channel.SMS), status_callback="https://example.com/twilio")
        assert server.last.form()["StatusCallback"] == "https://example.com/twilio"

    @pytest.mark.parametrize(
        ("text", "told"),
        [("a" * 161, {"segments": 2, "encoding": "gsm7"}), ("Ё" * 71, {"segments": 2, "encoding": "ucs2"})],
    )
    def test_parts_and_encoding_are_recorded_with_the_try(
        self, server: ApiServer, text: str, told: Mapping[str, Any]
    ) -> None:
        outcome = send(server, to(Channel.SMS, text))
        assert outcome.response is not None
        assert {name: outcome.response[name] for name in told} == told
        assert outcome.response["status"] == 201
        server.answers(400, refusal(21610, "unsubscribed"))()
        refused = send(server, to(Channel.SMS, text))
        assert refused.response is not None
        assert refused.response["segments"] == told["segments"]

    def test_plain_characters_make_it_cheaper(self, server: ApiServer) -> None:
        outcome = send(server, to(Channel.SMS, "“" + "a" * 100 + "”…"), plain_characters=True)
        assert server.last.form()["Body"] == '"' + "a" * 100 + '"...'
        assert outcome.response is not None
        assert outcome.response["encoding"] == "gsm7"

    def test_the_subject_stays_here(self, server: ApiServer) -> None:
        send(server, replace(to(Channel.SMS), subject="Geheim"))
        assert b"Geheim" not in server.last.body


class TestWhatsapp:
    def test_addresses_have_the_channel_s_prefix(self, server: ApiServer) -> None:
        outcome = send(server, to(Channel.WHATSAPP))
        assert server.last.form() == {
            "To": "whatsapp:+4915199999999",
            "From": f"whatsapp:{NUMBER}",
            "Body": "It is on its way.",
        }
        assert outcome.response is not None
        assert "segments" not in outcome.response

    def test_without_a_number_the_service_sends(self, server: ApiServer) -> None:
        send(server, to(Channel.WHATSAPP), from_=("Shop",), messaging_service_sid=SERVICE)
        assert server.last.form()["MessagingServiceSid"] == SERVICE

    def test_a_template_goes_instead_of_the_body(self, server: ApiServer) -> None:
        send(server, to(Channel.WHATSAPP, content_sid=TEMPLATE, content_variables={"1": "Ada", "2": "ü"}))
        asked = server.last.form()
        assert "Body" not in asked
        assert asked["ContentSid"] == TEMPLATE
        assert json.loads(asked["ContentVariables"]) == {"1": "Ada", "2": "ü"}
        send(server, to(Channel.WHATSAPP, content_sid=TEMPLATE))
        assert "ContentVariables" not in server.last.form()

    @pytest.mark.parametrize(
        ("text", "asked"), [("A plan", {"Body": "A plan", "MediaUrl": PLAN}), (None, {"MediaUrl": PLAN})]
    )
    def test_a_file_goes_along(self, server: ApiServer, text: str | None, asked: Mapping[str, str]) -> None:
        send(server, to(Channel.WHATSAPP, text, media_url=PLAN, media_type="document"))
        ends = {"To": "whatsapp:+4915199999999", "From": f"whatsapp:{NUMBER}"}
        assert server.last.form() == {**ends, **asked}


class TestVoice:
    def test_a_call_reads_the_text(self, server: ApiServer) -> None:
        server.answers(201, {"sid": "CA1234567890abcdef1234567890abcdef", "status": "queued"})()
        outcome = send(server, to(Channel.VOICE, 'Tom & "Ada" <3'), voice="Polly.Vicki", language="de-DE")
        assert outcome.provider_message_id == "CA1234567890abcdef1234567890abcdef"
        assert server.last.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
        assert server.last.form() == {
            "To": "+4915199999999",
            "From": NUMBER,
            "Twiml": '<Response><Say language="de-DE" voice="Polly.Vicki">Tom &amp; "Ada" &lt;3</Say></Response>',
        }

    def test_the_row_chooses_language_and_voice(self, server: ApiServer) -> None:
        send(server, to(Channel.VOICE, "Hi", language="fr-FR", voice='x" loop="0'), voice="man", language="de-DE")
        twiml = server.last.form()["Twiml"]
        assert twiml == '<Response><Say language="fr-FR" voice="x&quot; loop=&quot;0">Hi</Say></Response>'
        send(server, to(Channel.VOICE, "Hi"))
        assert server.last.form()["Twiml"] == "<Response><Say>Hi</Say></Response>"


@pytest.mark.parametrize(
    ("message", "changes", "said"),
    [
        (to(Channel.SMS, "a" * 1531), {}, "takes 11 SMS, and max_segments allows 10"),
        (to(Channel.SMS, "a" * 1601), {"max_segments": 20}, "1601 characters, and the service takes 1600: shorten"),
        (to(Channel.SMS, ""), {}, "the text is empty"),
        (to(Channel.SMS, None), {}, "the text is empty"),
        (to(Channel.SMS, **{"from": "+4915100000000"}), {}, "options.from is no sender of the account"),
        (to(Channel.SMS, "\ud800"), {}, "UTF-8"),
        (to(Channel.WHATSAPP, "a" * 1601), {}, "1601 characters, and the service takes 1600: shorten"),
        (to(Channel.WHATSAPP, " "), {}, "the text is empty"),
        (to(Channel.WHATSAPP), {"from_": ("Shop",)}, "the account has no sender for whatsapp: add a phone number"),
        (to(Channel.WHATSAPP, content_sid="HX1"), {}, "options.content_sid is HX and 32"),
        (to(Channel.WHATSAPP, content_variables={"1": "a"}), {}, "give options.content_sid as well"),
        (to(Channel.WHATSAPP, media_url="http://example.com/a"), {}, "options.media_url is no URL"),
        (to(Channel.WHATSAPP, media_type="image"), {}, "options.media_type has no file"),
        (to(Channel.WHATSAPP, content_sid=TEMPLATE, media_url=PLAN), {}, "options.media_url cannot go with"),
        (to(Channel.VOICE, "a" * 4000), {}, "Twilio 4000: shorten the text"),
        (to(Channel.VOICE, "&" * 900), {}, "Twilio 4000: shorten the text"),
        (to(Channel.VOICE, ""), {}, "the text is empty"),
        (to(Channel.VOICE, "a\x07b"), {}, "control character"),
        (to(Channel.VOICE, "a\ud800b"), {}, "control character"),
        (to(Channel.VOICE, language="German!"), {}, "options.language is no language"),
        (
            to(Channel.VOICE),
            {"from_": (), "messaging_service_sid": SERVICE},
            "the account has no sender for voice: add a phone number",
        ),
        (to(Channel.VOICE, **{"from": "Shop"}), {}, "options.from is no phone number, which voice needs"),
    ],
)
def test_what_cannot_go_out_is_refused_before_anything_is_sent(
    server: ApiServer, message: Message, changes: Mapping[str, Any], said: str
) -> None:
    outcome = send(server, message, **changes)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert said in (outcome.error or "")
    assert not server.asked


@pytest.mark.parametrize(
    ("code", "kind", "scope", "wait"),
    [
        ("10001", Kind.CONFIG, Scope.ACCOUNT, None),
        ("21214", Kind.DEAD, Scope.RECIPIENT, None),
        ("21601", Kind.CONFIG, Scope.SENDER, None),
        ("21730", Kind.TRANSIENT, Scope.PROVIDER, None),
        ("21660", Kind.CONFIG, Scope.SENDER, None),
        ("14103", Kind.PERMANENT, Scope.MESSAGE, None),
        ("21635", Kind.PERMANENT, Scope.MESSAGE, None),
        ("63017", Kind.THROTTLED, Scope.ACCOUNT, None),
        ("63038", Kind.THROTTLED, Scope.ACCOUNT, 3600.0),
        ("21611", Kind.THROTTLED, Scope.SENDER, 300.0),
        ("30001", Kind.TRANSIENT, Scope.MESSAGE, None),
        ("30002", Kind.CONFIG, Scope.ACCOUNT, None),
        ("30003", Kind.TRANSIENT, Scope.RECIPIENT, 1800.0),
        ("30004", Kind.OPTOUT, Scope.RECIPIENT, None),
        ("30005", Kind.DEAD, Scope.RECIPIENT, None),
        ("30006", Kind.DEAD, Scope.RECIPIENT, None),
        ("30007", Kind.PERMANENT, Scope.MESSAGE, None),
        ("30008", Kind.TRANSIENT, Scope.MESSAGE, None),
        ("30010", Kind.CONFIG, Scope.ACCOUNT, None),
        ("30022", Kind.THROTTLED, Scope.SENDER, None),
        ("30034", Kind.CONFIG, Scope.SENDER, None),
        ("30410", Kind.TRANSIENT, Scope.MESSAGE, None),
        ("63012", Kind.TRANSIENT, Scope.MESSAGE, None),
        ("63018", Kind.THROTTLED, Scope.SENDER, 3600.0),
        ("63003", Kind.DEAD, Scope.RECIPIENT, None),
        ("63007", Kind.CONFIG, Scope.SENDER, None),
        ("63024", Kind.DEAD, Scope.RECIPIENT, None),
        ("63028", Kind.CONFIG, Scope.SENDER, None),
        ("63032", Kind.PERMANENT, Scope.RECIPIENT, None),
    ],
)
def test_a_code_has_its_kind(code: str, kind: Kind, scope: Scope, wait: float | None) -> None:
    rule = classify(twilio.RULES, Said("answer", "400", code))
    assert rule is not None
    assert (rule.kind, rule.scope, rule.wait) == (kind, scope, wait)


def test_a_wish_to_wait_is_heard(server: ApiServer) -> None:
    server.answers(429, refusal(20429, "Too Many Requests", 429), Retry_After="7")()
    outcome = send(server, to(Channel.SMS))
    assert (outcome.kind, outcome.retry_after, outcome.code) == (Kind.THROTTLED, 7.0, "429 20429")


def test_each_message_names_itself_in_the_url_that_twilio_tells_of_it(server: ApiServer) -> None:
    sender = opened(twilio, settings_at(server), a_kit())
    sender.send(to(Channel.SMS), LIMIT)
    sender.close()
    ids = "notification_id=17&message_id=0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
    assert server.last.form()["StatusCallback"] == f"{URL}?{ids}"


def status(name: str, sid: str = MESSAGE_SID, **more: str) -> dict[str, str]:
    """What twilio.com/docs/messaging/guides/track-outbound-message-status shows."""
    return {
        "SmsSid": sid,
        "SmsStatus": name,
        "MessageStatus": name,
        "To": "+15558675310",
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": "+15017250604",
        "ApiVersion": "2010-04-01",
        **more,
    }


def call(name: str) -> dict[str, str]:
    return {"CallSid": f"CA{name}", "AccountSid": ACCOUNT, "From": "+1", "To": "+15558675310", "CallStatus": name}


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> list[tuple[Any, ...]]:
    return [of(kind, "+15558675310", code, words)]


INBOUND = {
    "ToCountry": "US", "SmsMessageSid": "SM9", "NumMedia": "0", "SmsSid": "SM9", "SmsStatus": "received",
    "Body": "Stop", "To": "+15017250604", "NumSegments": "1", "MessageSid": "SM9", "AccountSid": ACCOUNT,
    "From": "+15558675310", "ApiVersion": "2010-04-01",
}  # fmt: skip


class TestReceipts(ReceiptContract):
    provider = twilio
    settings = twilio.Settings(account_sid=ACCOUNT, auth_token=Secret(TOKEN), from_=(NUMBER,))
    needs = ("auth_token",)
    other = ("auth_token", Secret("another"))
    said = (
        (status("delivered", RawDlrDoneDate="2404281218"), told(ReceiptKind.DELIVERED)),
        (status("undelivered", ErrorCode="30003"), told(ReceiptKind.SOFT_BOUNCED, "30003")),
        (status("undelivered", "SM2", ErrorCode="30005"), told(ReceiptKind.BOUNCED, "30005")),
        (status("undelivered", "SM3", ErrorCode="30007"), told(ReceiptKind.FAILED, "30007")),
        (status("failed", "SM4", ErrorCode="21610", ErrorMessage="unsubscribed"),
         told(ReceiptKind.UNSUBSCRIBED, "21610", "unsubscribed")),
        (status("failed", "SM5"), told(ReceiptKind.FAILED)),
        (status("read", "SM6"), told(ReceiptKind.READ)),
        *((status(name), []) for name in ("accepted", "queued", "sending", "sent")),
        (call("completed"), told(ReceiptKind.DELIVERED)),
        (call("busy"), told(ReceiptKind.FAILED, None, "the call ended: busy")),
        (call("no-answer"), told(ReceiptKind.FAILED, None, "the call ended: no-answer")),
        (INBOUND, [wrote("+15558675310", "Stop")]),
        (INBOUND | {"MessageSid": "SM10", "OptOutType": "STOP", "Body": "Aufhören"}, [wrote("+15558675310", "STOP")]),
        (INBOUND | {"MessageSid": "SM11", "From": "whatsapp:+15558675310"}, [wrote("whatsapp:+15558675310", "Stop")]),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW, url: str = URL, query: str = urlencode(ECHO)) -> Posted:
        fields = document if isinstance(document, dict) else {"junk": document}
        pairs = {name: str(value).encode(errors="replace").decode() for name, value in fields.items()}
        signed = f"{url}?{query}" if query else url
        signed += "".join(f"{name}{value}" for name, value in sorted(pairs.items()))
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(errors="replace"), "sha1")).decode()
        body = urlencode(pairs, errors="replace").encode()
        return Posted(body, {"x-twilio-signature": signature}, query)

    @pytest.mark.parametrize(
        ("url", "query", "body", "signature"),
        [
            (
                "https://mycompany.com/myapp.php", "foo=1&bar=2",
                b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309",
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            ),
            (
                "https://mycompany.com:1234/myapp.php", "foo=1&bar=2",
                b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309",
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            ),
            (
                "https://mycompany.com/myapp.php", "foo=1&bar=2",
                b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309",
                "kvajT1Ptam85bY51eRf/AJRuM3w=",
            ),
            (
                "https://mycompany.com/myapp.php", "foo=1&bar=2",
                b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (
                "https://mycompany.com/myapp.php",
                "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
                b'{"property": "value", "boolean": true}',
                "a9nBmqA0ju/hNViExpshrM61xv4=",
            ),
        ],
    )  # fmt: skip
    def test_requests_of_twilio_are_genuine(self, url: str, query: str, body: bytes, signature: str) -> None:
        """Those of the tests of twilio-python (tests/unit/test_request_validator.py)."""
        receiver = self.made(replace(self.settings, auth_token=Secret("12345")), a_kit(url))
        posted = Posted(body, {"x-twilio-signature": signature}, query)
        receiver.take(posted, NOW)
        assert self.refused(receiver, replace(posted, body=body + b" ")) == "signature"
        assert self.refused(receiver, replace(posted, query=query + "&a=1")) == "signature"

    def test_an_api_key_sends_while_the_token_checks(self, server: ApiServer) -> None:
        settings = settings_at(server, api_key_sid=KEY, api_key_secret=Secret("k3y-secret"))
        sender = opened(twilio, settings)
        assert sender.send(to(Channel.SMS), LIMIT).kind is Kind.OK
        sender.close()
        assert base64.b64decode(server.last.headers["authorization"][6:]) == f"{KEY}:k3y-secret".encode()
        self.made(settings)

    def test_nothing_is_sent_back_to_who_writes(self) -> None:
        assert self.made(self.settings).take(self.sign(INBOUND), NOW) == Taken(
            keep=True, body=b"<Response/>", media_type="text/xml"
        )

    def test_without_a_url_of_ours_nothing_can_be_checked(self) -> None:
        with pytest.raises(ConfigurationError, match=r"web\.url"):
            twilio.receiver(self.settings, Kit(lambda: NOW))
