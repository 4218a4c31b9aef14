"""Amazon SNS: the requests that a server gets, its answers as Amazon gives them, and an SMS through a local AWS."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.options import read_options
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.receipts import Posted, Receipt, ReceiptKind, Receiver
from noti_worker.domain.secret import Secret
from noti_worker.providers import sns
from noti_worker.transport import Kit
from tests.certificates import Authority
from tests.providers.api import ApiContract, ApiServer
from tests.providers.aws import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    local_aws,
    nobodys_account,
    signed_by_botocore,
)
from tests.providers.contract import LIMIT, NOW, a_message, opened
from tests.providers.receipts import ReceiptContract, of, wrote
from tests.providers.sns_topic import ARN, Topic, envelope, signed, topic

ACCEPTED = b"""<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
  <ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>
</PublishResponse>"""
SMS = a_message(Channel.SMS, "+491511234567", subject=None)


def refusal(code: str, words: str, fault: str = "Sender") -> bytes:
    """An error as the service writes it."""
    return (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">\n  <Error>\n'
        f"    <Type>{fault}</Type>\n    <Code>{code}</Code>\n    <Message>{words}</Message>\n  </Error>\n"
        "  <RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId>\n</ErrorResponse>"
    ).encode()


@pytest.fixture(scope="module", autouse=True)
def machine() -> Iterator[pytest.MonkeyPatch]:
    with nobodys_account() as patch:
        yield patch


def account(url: str, **changes: Any) -> sns.Settings:
    sound = sns.Settings(
        region=REGION,
        access_key_id=Secret(ACCESS_KEY_ID),
        secret_access_key=Secret(SECRET_ACCESS_KEY),
        api_url=url,
    )
    return replace(sound, **changes)


class TestSns(ApiContract):
    provider = sns
    secrets = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN, quote(SESSION_TOKEN, safe=""))
    refused = (
        ({"region": ""}, "region"),
        ({"secret_access_key": None}, "secret_access_key"),
        ({"sender_id": "12345"}, "sender_id"),
        ({"sender_id": "much too long"}, "sender_id"),
        ({"origination_number": "Example"}, "origination_number"),
        ({"sms_type": "Urgent"}, "sms_type"),
        ({"max_price_usd": "free"}, "max_price_usd"),
        ({"max_price_usd": "0.00"}, "max_price_usd"),
        ({"api_url": "ftp://sns.example.com"}, "api_url"),
    )
    accepted = (200, ACCEPTED)
    golden = (
        (
            400,
            refusal(
                "InvalidParameter", "Invalid parameter: PhoneNumber Reason: +491511234567 is not valid to publish to"
            ),
            {},
            Kind.DEAD,
            "sns.no_number",
        ),
        (400, refusal("InvalidParameter", "Invalid parameter: Message too long"), {}, Kind.PERMANENT, "sns.parameter"),
        (400, refusal("ParameterValueInvalid", "Invalid &quot;SenderID&quot;"), {}, Kind.PERMANENT, "sns.parameter"),
        (400, refusal("ValidationException", "1 validation error"), {}, Kind.PERMANENT, "sns.parameter"),
        (500, refusal("InternalError", "Internal", "Receiver"), {}, Kind.TRANSIENT, "sns.their_side"),
        (400, refusal("Throttling", "Rate exceeded"), {}, Kind.THROTTLED, "sns.too_fast"),
        (400, refusal("ThrottlingException", "Rate exceeded"), {}, Kind.THROTTLED, "sns.too_fast"),
        (429, refusal("ThrottledException", "Rate exceeded"), {}, Kind.THROTTLED, "sns.too_fast"),
        (400, refusal("KMSThrottling", "The request was denied"), {}, Kind.THROTTLED, "sns.too_fast"),
        (400, refusal("KMSDisabled", "The key is disabled"), {}, Kind.CONFIG, "sns.encryption"),
        (403, refusal("KMSOptInRequired", "Needs a subscription"), {}, Kind.CONFIG, "sns.encryption"),
        (404, refusal("NotFound", "Topic does not exist"), {}, Kind.CONFIG, "sns.account"),
        (400, refusal("PlatformApplicationDisabled", "It is disabled"), {}, Kind.CONFIG, "sns.account"),
        (400, refusal("EndpointDisabled", "Endpoint is disabled"), {}, Kind.DEAD, "sns.endpoint_disabled"),
        (400, refusal("OptedOut", "It has opted out"), {}, Kind.OPTOUT, "sns.opted_out"),
        (
            409,
            refusal("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT"),
            {},
            Kind.OPTOUT,
            "sns.opted_out_conflict",
        ),
        (409, refusal("ConflictException", "Another change is under way"), {}, Kind.PERMANENT, "sns.conflict"),
        (
            403,
            refusal("AuthorizationError", "User: arn:aws:iam::123456789012:user/x is not authorized: SNS:Publish"),
            {},
            Kind.CONFIG,
            "sns.login",
        ),
        (403, refusal("InvalidSecurity", "Not over HTTPS"), {}, Kind.CONFIG, "sns.login"),
        (
            403,
            refusal("SignatureDoesNotMatch", f"{ACCESS_KEY_ID}/x, {SESSION_TOKEN}, {quote(SESSION_TOKEN, safe='')}"),
            {},
            Kind.CONFIG,
            "sns.login",
        ),
        (
            403,
            refusal("SignatureDoesNotMatch", "Signature not yet current: 20260301T120000Z is still later than x"),
            {},
            Kind.CONFIG,
            "sns.clock",
        ),
        (403, refusal("ExpiredToken", "The security token is expired"), {}, Kind.CONFIG, "sns.expired"),
        (400, refusal("RequestExpired", "The request is too old"), {}, Kind.CONFIG, "sns.expired"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> sns.Settings:
        return account(server.url, session_token=Secret(SESSION_TOKEN))

    @pytest.fixture
    def message(self) -> Message:
        return SMS


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.always = replace(server.always, body=ACCEPTED)
        yield server


def send(message: Message, settings: sns.Settings) -> Any:
    sender = opened(sns, settings)
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def attributes(server: ApiServer) -> dict[str, tuple[str, str]]:
    """The message attributes of the last request, by name."""
    form = server.last.form()
    return {
        value: (form[f"{name[:-5]}.Value.DataType"], form[f"{name[:-5]}.Value.StringValue"])
        for name, value in form.items()
        if name.startswith("MessageAttributes.entry.") and name.endswith(".Name")
    }


def test_an_sms_goes_out_as_a_form(server: ApiServer) -> None:
    outcome = send(replace(SMS, text="Größe 42 & mehr 🎉"), account(server.url))
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "567910cd-659e-55d4-8ccb-5aaf14679dc0")
    form = server.last.form()
    assert (server.last.method, server.last.path) == ("POST", "/")
    assert (form["Action"], form["Version"]) == ("Publish", "2010-03-31")
    assert (form["PhoneNumber"], form["Message"]) == ("+491511234567", "Größe 42 & mehr 🎉")
    assert attributes(server) == {"AWS.SNS.SMS.SMSType": ("String", "Transactional")}


def test_sender_kind_and_price_are_attributes(server: ApiServer) -> None:
    full = account(
        server.url,
        sender_id="Example",
        origination_number="+18005550100",
        sms_type="Promotional",
        max_price_usd="0.50",
    )
    send(SMS, full)
    both = attributes(server)
    assert both == {
        "AWS.SNS.SMS.SenderID": ("String", "Example"),
        "AWS.MM.SMS.OriginationNumber": ("String", "+18005550100"),
        "AWS.SNS.SMS.SMSType": ("String", "Promotional"),
        "AWS.SNS.SMS.MaxPrice": ("Number", "0.50"),
    }
    send(replace(SMS, options={"from": "+18005550100"}), full)
    assert attributes(server) == {name: value for name, value in both.items() if name != "AWS.SNS.SMS.SenderID"}


def test_it_is_signed_as_botocore_signs_at_the_time_of_the_database(server: ApiServer) -> None:
    send(SMS, account(server.url))
    assert server.last.headers["x-amz-date"] == "20260301T120000Z"
    assert server.last.headers["authorization"] == signed_by_botocore(server.last, server.url, "sns", NOW, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "x" * 1531}, "takes 11 SMS, and max_segments allows 10"),
        ({"text": " \n"}, "the text is empty"),
        ({"options": {"from": "Somebody"}}, "options.from"),
        ({"text": "\ud800"}, "UTF-8"),
    ],
)
def test_what_amazon_does_not_take_is_refused_before_it_is_sent(server: ApiServer, changes: Any, words: str) -> None:
    outcome = send(replace(SMS, **changes), account(server.url, sender_id="Example"))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert server.asked == []


def test_a_text_is_no_longer_than_amazon_takes_however_many_parts_are_allowed(server: ApiServer) -> None:
    outcome = send(replace(SMS, text="x" * 1601), account(server.url, max_segments=255))
    assert outcome.kind is Kind.PERMANENT
    assert "1601 characters, and the service takes 1600: shorten it" in (outcome.error or "")
    assert server.asked == []


@pytest.mark.parametrize(
    ("text", "told"),
    [("a" * 161, {"segments": 2, "encoding": "gsm7"}), ("Ё" * 71, {"segments": 2, "encoding": "ucs2"})],
)
def test_parts_and_encoding_are_recorded_with_the_try(server: ApiServer, text: str, told: Mapping[str, Any]) -> None:
    outcome = send(replace(SMS, text=text), account(server.url))
    assert outcome.kind is Kind.OK
    assert outcome.response["status"] == 200
    assert {name: outcome.response[name] for name in told} == told
    server.answers(400, refusal("OptedOut", "It has opted out"))()
    refused = send(replace(SMS, text=text), account(server.url))
    assert refused.kind is Kind.OPTOUT
    assert {name: refused.response[name] for name in told} == told


def test_plain_characters_make_it_cheaper(server: ApiServer) -> None:
    outcome = send(replace(SMS, text="“" + "a" * 100 + "”…"), account(server.url, plain_characters=True))
    assert server.last.form()["Message"] == '"' + "a" * 100 + '"...'
    assert (outcome.response["segments"], outcome.response["encoding"]) == (1, "gsm7")


def test_options_of_calls_are_refused() -> None:
    with pytest.raises(BadNotification, match=r"options\.voice"):
        read_options(sns.OPTIONS, Channel.SMS, '{"voice": "Joanna"}')


def test_without_credentials_the_account_is_at_fault_and_nothing_is_sent(server: ApiServer) -> None:
    outcome = send(SMS, account(server.url, access_key_id=None, secret_access_key=None))
    assert (outcome.kind, outcome.scope, outcome.offered) == (Kind.CONFIG, Scope.ACCOUNT, False)
    assert server.asked == []


def test_an_answer_that_defines_entities_is_not_expanded(server: ApiServer) -> None:
    body = b'<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;">]>' + refusal("Throttling", "&b; &lt;slow&gt;")
    server.answers(400, body)()
    outcome = send(SMS, account(server.url))
    assert outcome.kind is Kind.THROTTLED
    assert "&b; <slow>" in (outcome.error or "")


def test_a_local_aws_takes_the_sms() -> None:
    from moto.backends import get_backend

    with local_aws() as url:
        settings = account(url, sender_id="Example", plain_characters=True)
        outcome = send(replace(SMS, text="“Größe” " + "42 " * 60), settings)
    assert outcome.kind is Kind.OK, outcome
    sent = get_backend("sns")["123456789012"][REGION].sms_messages
    assert sent[outcome.provider_message_id][:2] == ("+491511234567", '"Größe" ' + "42 " * 60)
    assert (outcome.response["segments"], outcome.response["encoding"]) == (2, "gsm7")


def log(status: str, response: str) -> dict[str, Any]:
    """What https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html shows."""
    return {
        "notification": {"messageId": f"34d9b400-c6dd-5444-820d-fbeb0f1f54cf {response}", "timestamp": "2016-06-28"},
        "delivery": {"destination": "+15551234567", "providerResponse": response, "smsType": "Transactional"},
        "status": status,
    }


REPLY = {
    "originationNumber": "+14255550182",
    "destinationNumber": "+12125550101",
    "messageKeyword": "JOIN",
    "messageBody": "Stop",
    "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
    "previousPublishedMessageId": "wJalrXUtnFEMI",
}


def told(kind: ReceiptKind, words: str) -> list[tuple[Any, ...]]:
    return [of(kind, "+15551234567", None, words)]


@pytest.fixture(scope="module")
def served(authority: Authority) -> Iterator[Topic]:
    with topic(authority) as served:
        yield served


class TestReceipts(ReceiptContract):
    provider = sns
    settings = sns.Settings(region=REGION, topic_arn=ARN)
    needs = ("topic_arn",)
    other = ("topic_arn", f"{ARN}-of-others")
    covers = False  # the fields of the envelope are signed, not its bytes: tests/providers/test_sns_envelope.py
    keeps_for = timedelta(hours=24)
    said = (
        (log("SUCCESS", "Message has been accepted by phone carrier"),
         told(ReceiptKind.DELIVERED, "Message has been accepted by phone carrier")),
        (log("FAILURE", "Phone number is invalid"), told(ReceiptKind.BOUNCED, "Phone number is invalid")),
        (log("FAILURE", "Phone has blocked SMS"), told(ReceiptKind.BOUNCED, "Phone has blocked SMS")),
        (log("FAILURE", "Phone number is opted out"), told(ReceiptKind.UNSUBSCRIBED, "Phone number is opted out")),
        (log("FAILURE", "Phone is currently unreachable/unavailable"),
         told(ReceiptKind.SOFT_BOUNCED, "Phone is currently unreachable/unavailable")),
        (log("FAILURE", "Blocked as spam by phone carrier"),
         told(ReceiptKind.FAILED, "Blocked as spam by phone carrier")),
        (REPLY, [wrote("+14255550182", "Stop")]),
        ("a text of somebody's own", []),
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def _behind_the_proxy(self, served: Topic) -> None:
        self.kit = served.kit

    def made(self, settings: Any, kit: Kit | None = None) -> Receiver:
        return super().made(settings, kit or self.kit)

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        return signed(envelope(document, at))

    def test_our_ids_come_back(self) -> None:
        """They do not: it is the id that SNS gave to the message."""
        [receipt] = sns.receipts(self.sign(log("SUCCESS", "")))
        assert isinstance(receipt, Receipt)
        assert receipt.reference == "34d9b400-c6dd-5444-820d-fbeb0f1f54cf"
