"""Amazon SES: the requests that a server gets, its answers as Amazon gives them, and mails through a local AWS."""

import base64
import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Attachment, Channel, Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.receipts import Posted, ReceiptKind, Receiver
from noti_worker.domain.secret import Secret
from noti_worker.providers import ses
from noti_worker.transport import Kit
from tests.certificates import Authority
from tests.providers.api import ApiContract, ApiServer, Look
from tests.providers.aws import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    Model,
    local_aws,
    nobodys_account,
    signed_by_botocore,
)
from tests.providers.contract import LIMIT, NOW, Judged, a_message, opened
from tests.providers.receipts import ECHO as IDS_BACK
from tests.providers.receipts import ReceiptContract, of
from tests.providers.sns_topic import ARN, Topic, envelope, signed, topic

MODEL = Model("sesv2", "SendEmail", "GetAccount")
ACCEPTED = {"MessageId": "0107018a1b2c3d4e-5f60718293a4-000000"}
MAIL = a_message(Channel.EMAIL, "Ada <ada@example.com>")

SMITHY = "http://internal.amazon.com/coral/com.amazonaws.services.ses.v2/"
NOT_VERIFIED = (
    "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1:"
    " no-reply@example.com"
)
EXPIRED = "Signature expired: 20260301T120000Z is now earlier than 20260301T121000Z"
ECHO = (
    "The request signature we calculated does not match. The Canonical String should have been"
    f" 'POST\n\nx-amz-security-token:{SESSION_TOKEN}\n'; Credential={ACCESS_KEY_ID}/20260301"
)


def error(name: str, words: str | None = None) -> tuple[dict[str, str | None], dict[str, str]]:
    """Body and headers of a refusal; Amazon leaves some without words."""
    return {"message": words}, {"x_amzn_ErrorType": name}


@pytest.fixture(scope="module", autouse=True)
def machine() -> Iterator[pytest.MonkeyPatch]:
    with nobodys_account() as patch:
        yield patch


def account(url: str, **changes: Any) -> ses.Settings:
    sound = ses.Settings(
        region=REGION,
        access_key_id=Secret(ACCESS_KEY_ID),
        secret_access_key=Secret(SECRET_ACCESS_KEY),
        from_=("Example <no-reply@example.com>", "billing@example.com"),
        api_url=url,
    )
    return replace(sound, **changes)


class TestSes(ApiContract):
    provider = ses
    described = MODEL
    tried_against = "an HTTP server of ours; the AWS of moto"
    secrets = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN)
    refused = (
        ({"region": "Frankfurt"}, "region"),
        ({"region": "xx-nowhere-1", "api_url": ""}, "region"),
        ({"from_": ()}, "from"),
        ({"from_": ("nobody",)}, "from"),
        ({"from_": ("jürgen@example.com",)}, "from"),
        ({"access_key_id": None}, "access_key_id"),
        ({"access_key_id": Secret("two words")}, "access_key_id"),
        ({"secret_access_key": None}, "secret_access_key"),
        ({"secret_access_key": Secret("")}, "secret_access_key"),
        ({"session_token": Secret("line\nbreak")}, "session_token"),
        ({"profile": "mine"}, "profile"),
        (
            {"profile": "mine", "access_key_id": None, "secret_access_key": None, "session_token": None},
            "profile",
        ),
        ({"configuration_set": "no name"}, "configuration_set"),
        ({"tenant_name": ""}, "tenant_name"),
        ({"api_url": "http://email.example.com"}, "api_url"),
    )
    # https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html
    looks = Look(
        "GET /v2/email/account",
        {"SendingEnabled": True, "ProductionAccessEnabled": True, "Details": {"ContactLanguage": "a-canary"}},
        {"__type": "UnrecognizedClientException", "message": "The security token included in the request is invalid."},
        refuses=403,
        kept="a-canary",
    )
    accepted = (200, ACCEPTED)
    golden = (
        (429, *error("TooManyRequestsException", "Maximum sending rate exceeded."), Kind.THROTTLED, "ses.too_fast"),
        (429, *error("TooManyRequestsException", "Daily message quota exceeded."), Kind.THROTTLED, "ses.daily_quota"),
        (
            400,
            {"__type": "Throttling", "message": "Maximum sending rate exceeded."},
            {},
            Kind.THROTTLED,
            "ses.too_fast",
        ),
        (
            400,
            {"__type": "Throttling", "message": "Daily message quota exceeded"},
            {},
            Kind.THROTTLED,
            "ses.daily_quota",
        ),
        (400, *error("LimitExceededException", "Too many."), Kind.CONFIG, "ses.account"),
        (400, *error("AccountSuspendedException"), Kind.CONFIG, "ses.account"),
        (400, *error("SendingPausedException"), Kind.CONFIG, "ses.account"),
        (400, *error("AccountSendingPausedException"), Kind.CONFIG, "ses.account"),
        (400, *error("ConfigurationSetSendingPausedException"), Kind.CONFIG, "ses.account"),
        (400, *error("MailFromDomainNotVerifiedException"), Kind.CONFIG, "ses.mail_from"),
        (400, *error(f"MessageRejected:{SMITHY}", NOT_VERIFIED), Kind.CONFIG, "ses.not_verified"),
        (400, *error("MessageRejected", "Transaction failed: virus"), Kind.PERMANENT, "ses.rejected"),
        (404, *error("NotFoundException", "Configuration set <x> does not exist."), Kind.CONFIG, "ses.not_found"),
        (400, *error("ConfigurationSetDoesNotExist", "It does not exist."), Kind.CONFIG, "ses.not_found"),
        (400, *error("BadRequestException", "Illegal address"), Kind.DEAD, "ses.no_address"),
        (400, *error("InvalidParameterValue", "Domain contains illegal character"), Kind.DEAD, "ses.no_address"),
        (400, *error("BadRequestException", "Invalid tag value."), Kind.PERMANENT, "ses.bad_request"),
        (400, *error("ValidationError", "1 validation error"), Kind.PERMANENT, "ses.bad_request"),
        (400, *error("IncompleteSignature", "No signature"), Kind.CONFIG, "ses.login"),
        (403, *error("InvalidClientTokenId", "The token is invalid."), Kind.CONFIG, "ses.login"),
        (403, *error("UnrecognizedClientException", "The token is invalid."), Kind.CONFIG, "ses.login"),
        (403, *error("InvalidSignatureException", ECHO), Kind.CONFIG, "ses.login"),
        (403, *error("SignatureDoesNotMatch", ECHO), Kind.CONFIG, "ses.login"),
        (403, *error("AccessDenied", "User is not authorized"), Kind.CONFIG, "ses.login"),
        (403, *error("OptInRequired", "Needs a subscription"), Kind.CONFIG, "ses.login"),
        (403, *error("MissingAuthenticationToken", "Missing"), Kind.CONFIG, "ses.login"),
        (403, *error("AccessDeniedException", "User is not authorized"), Kind.CONFIG, "ses.login"),
        (403, *error("InvalidSignatureException", EXPIRED), Kind.CONFIG, "ses.clock"),
        (403, *error("ExpiredTokenException", "The security token is expired"), Kind.CONFIG, "ses.expired"),
        (400, *error("RequestExpired", "Request has expired"), Kind.CONFIG, "ses.expired"),
        (400, *error("RequestTimeout", "Request timed out"), Kind.TRANSIENT, "ses.their_side"),
        (500, *error("InternalServiceErrorException"), Kind.TRANSIENT, "ses.their_side"),
        (500, *error("InternalFailure"), Kind.TRANSIENT, "ses.their_side"),
        (503, *error("ServiceUnavailable"), Kind.TRANSIENT, "ses.their_side"),
        (503, b"<html>Service Unavailable</html>", {}, Kind.TRANSIENT, "api.trouble"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> ses.Settings:
        return account(server.url, session_token=Secret(SESSION_TOKEN))

    @pytest.fixture
    def message(self) -> Message:
        return MAIL


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(MODEL) as server:
        server.always = replace(server.always, body=ACCEPTED)
        yield server


def send(message: Message, settings: ses.Settings) -> Any:
    sender = opened(ses, settings)
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def mail_in(server: ApiServer) -> EmailMessage:
    raw = base64.b64decode(server.last.json()["Content"]["Raw"]["Data"])
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def test_a_mail_goes_out_whole_with_our_id_as_a_tag(server: ApiServer) -> None:
    outcome = send(MAIL, account(server.url, configuration_set="mails", tenant_name="acme"))
    assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, "0107018a1b2c3d4e-5f60718293a4-000000")
    asked = server.last.json()
    del asked["Content"]
    assert (server.last.method, server.last.path) == ("POST", "/v2/email/outbound-emails")
    assert asked == {
        "FromEmailAddress": "no-reply@example.com",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "EmailTags": [
            {"Name": "notification_id", "Value": "17"},
            {"Name": "message_id", "Value": "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"},
        ],
        "ConfigurationSetName": "mails",
        "TenantName": "acme",
    }
    mail = mail_in(server)
    assert (mail["From"], mail["To"]) == ("Example <no-reply@example.com>", "Ada <ada@example.com>")
    assert mail["Subject"] == "Your order"
    assert "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50" in mail["Message-ID"]
    assert mail.get_content().rstrip() == "It is on its way."


def test_copies_are_in_the_envelope_and_blind_ones_only_there(server: ApiServer) -> None:
    options = {"cc": ["Bob <bob@example.com>"], "bcc": ["eve@example.com"], "reply_to": "help@example.com"}
    send(replace(MAIL, options=options), account(server.url))
    assert server.last.json()["Destination"] == {
        "ToAddresses": ["ada@example.com"],
        "CcAddresses": ["bob@example.com"],
        "BccAddresses": ["eve@example.com"],
    }
    mail = mail_in(server)
    assert (mail["Cc"], mail["Reply-To"], mail["Bcc"]) == ("Bob <bob@example.com>", "help@example.com", None)
    assert b"eve@example.com" not in mail.as_bytes()


def test_a_copy_of_a_mail_goes_to_its_recipient_alone(server: ApiServer) -> None:
    options = {"copy_of": "Ada <ada@example.com>", "cc": ["bob@example.com"]}
    send(replace(MAIL, recipient="bob@example.com", options=options), account(server.url))
    assert server.last.json()["Destination"] == {"ToAddresses": ["bob@example.com"]}
    assert (mail_in(server)["To"], mail_in(server)["Cc"]) == ("Ada <ada@example.com>", "bob@example.com")


def test_attachments_html_headers_and_sender_go_with_it(server: ApiServer) -> None:
    message = replace(
        MAIL,
        html="<p>It is on its way.</p>",
        options={"from": "billing@example.com", "headers": {"X-Order": "17"}},
        attachments=(Attachment("bill.pdf", "application/pdf", b"%PDF"),),
    )
    send(message, account(server.url))
    mail = mail_in(server)
    (attachment,) = mail.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("bill.pdf", b"%PDF")
    assert (mail["X-Order"], mail["From"]) == ("17", "billing@example.com")
    html = mail.get_body(("html",))
    assert html is not None
    assert "<p>It is on its way.</p>" in html.get_content()
    assert server.last.json()["FromEmailAddress"] == "billing@example.com"


@pytest.mark.parametrize("token", [None, SESSION_TOKEN])
def test_it_is_signed_as_botocore_signs_at_the_time_of_the_database(server: ApiServer, token: str | None) -> None:
    send(MAIL, account(server.url, session_token=token and Secret(token)))
    headers = server.last.headers
    assert headers["x-amz-date"] == "20260301T120000Z"
    assert headers.get("x-amz-security-token") == token
    assert headers["authorization"] == signed_by_botocore(server.last, server.url, "ses", NOW, token)


def test_a_message_gives_the_same_mail_on_every_try(server: ApiServer) -> None:
    settings = account(server.url)
    send(MAIL, settings)
    send(MAIL, settings)
    assert server.asked[0].body == server.asked[1].body


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipient": "jürgen@example.com"}, "beyond ASCII"),
        ({"options": {"cc": [f"a{number}@example.com" for number in range(50)]}}, "50 recipients"),
        ({"options": {"from": "else@example.com"}}, "options.from"),
        ({"attachments": (Attachment("a.bin", "application/zip", bytes(22_000_000)),)}, "40 MB"),
    ],
)
def test_what_amazon_does_not_take_is_refused_before_it_is_sent(server: ApiServer, changes: Any, words: str) -> None:
    outcome = send(replace(MAIL, **changes), account(server.url))
    assert outcome.kind is Kind.PERMANENT
    assert words in (outcome.error or "")
    assert server.asked == []


def test_a_domain_in_another_script_goes_out_in_ascii(server: ApiServer) -> None:
    send(replace(MAIL, recipient="ada@bücher.example"), account(server.url))
    assert server.last.json()["Destination"] == {"ToAddresses": ["ada@xn--bcher-kva.example"]}


def test_without_credentials_the_account_is_at_fault_and_nothing_is_sent(server: ApiServer) -> None:
    outcome = send(MAIL, account(server.url, access_key_id=None, secret_access_key=None))
    assert (outcome.kind, outcome.scope, outcome.offered) == (Kind.CONFIG, Scope.ACCOUNT, False)
    assert "access_key_id" in (outcome.error or "")
    assert server.asked == []


def test_credentials_that_cannot_be_fetched_are_told_without_their_words(
    server: ApiServer, tmp_path: Path, machine: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile mine]\ncredential_process = sh -c 'echo hush >&2; exit 1'\n")
    with machine.context() as patch:
        patch.setenv("AWS_CONFIG_FILE", str(config))
        outcome = send(MAIL, account(server.url, access_key_id=None, secret_access_key=None, profile="mine"))
    assert outcome.kind is Kind.CONFIG
    assert "CredentialRetrievalError" in (outcome.error or "")
    assert "hush" not in repr(outcome)
    assert server.asked == []


def test_credentials_of_a_profile_and_of_the_environment_sign(
    server: ApiServer, tmp_path: Path, machine: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = AKIDOFTHEPROFILE\naws_secret_access_key = hush\n")
    searching = account(server.url, access_key_id=None, secret_access_key=None)
    with machine.context() as patch:
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        send(MAIL, replace(searching, profile="mine"))
        assert "Credential=AKIDOFTHEPROFILE/20260301/eu-central-1/ses/" in server.last.headers["authorization"]
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHEENVIRONMENT")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        send(MAIL, searching)
        assert "Credential=AKIDOFTHEENVIRONMENT/" in server.last.headers["authorization"]


def test_without_an_address_it_is_amazons_of_the_region() -> None:
    from noti_worker.providers._aws import Aws

    kit = Kit(now=lambda: NOW)
    assert Aws(account(""), "ses", "email", kit).url == "https://email.eu-central-1.amazonaws.com"
    china = account("", region="cn-north-1")
    assert Aws(china, "ses", "email", kit).url == "https://email.cn-north-1.amazonaws.com.cn"
    with pytest.raises(ConfigurationError, match="region"):
        Aws(account("", region="xx-nowhere-1"), "ses", "email", kit)


@pytest.fixture(scope="module")
def aws(machine: pytest.MonkeyPatch) -> Iterator[str]:
    with local_aws() as url:
        yield url


@pytest.fixture
def verified(aws: str) -> Judged:
    import boto3

    client: Any = boto3.client(
        "sesv2",
        region_name=REGION,
        endpoint_url=aws,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )
    client.create_email_identity(EmailIdentity="no-reply@example.com")
    client.close()
    return opened(ses, account(aws))


def test_a_local_aws_takes_the_mail(verified: Judged) -> None:
    from moto.backends import get_backend

    message = replace(MAIL, text="Größe 42", options={"cc": ["bob@example.com"], "bcc": ["eve@example.com"]})
    outcome = verified.send(message, LIMIT)
    verified.close()
    assert outcome.kind is Kind.OK, outcome
    (sent,) = get_backend("ses")["123456789012"][REGION].sent_messages
    assert outcome.provider_message_id == sent.id
    assert sent.source == "no-reply@example.com"
    assert {"ada@example.com", "bob@example.com", "eve@example.com"} <= set(sent.destinations)
    mail = email.message_from_string(sent.raw_data, policy=email.policy.default)
    assert (mail["To"], mail["Subject"]) == ("Ada <ada@example.com>", "Your order")
    assert isinstance(mail, EmailMessage)
    assert mail.get_content().strip() == "Größe 42"


def test_a_local_aws_refuses_a_sender_that_is_not_verified(verified: Judged) -> None:
    outcome = verified.send(replace(MAIL, options={"from": "billing@example.com"}), LIMIT)
    verified.close()
    assert (outcome.kind, outcome.rule) == (Kind.PERMANENT, "ses.rejected")
    assert "billing@example.com" in (outcome.error or "")


def record(type_: str, name: str = "", said: Any = None, **mail: Any) -> dict[str, Any]:
    """One of https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html."""
    return {
        "eventType": type_,
        **({name or type_.lower(): said} if said is not None else {}),
        "mail": {
            "timestamp": "2017-08-05T00:40:02.012Z",
            "source": "Sender Name <sender@example.com>",
            "messageId": "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
            "destination": ["recipient@example.com"],
            "tags": {"ses:from-domain": ["example.com"], **{name: [value] for name, value in IDS_BACK.items()}},
            **mail,
        },
    }


def bounce(type_: str, sub_type: str, status: str = "", words: str = "", **mail: Any) -> dict[str, Any]:
    one = {"emailAddress": "recipient@example.com", "action": "failed", "status": status, "diagnosticCode": words}
    said = {
        "bounceType": type_,
        "bounceSubType": sub_type,
        "bouncedRecipients": [{name: value for name, value in one.items() if value}],
        "timestamp": "2017-08-05T00:41:02.669Z",
        "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
    }
    return record("Bounce", said=said, **mail)


def told(
    kind: ReceiptKind, code: str | None = None, words: str | None = None, who: str | None = "recipient@example.com"
) -> list[tuple[Any, ...]]:
    return [of(kind, who, code, words)]


COMPLAINT = {
    "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
    "timestamp": "2017-08-05T00:41:02.669Z",
    "complaintFeedbackType": "abuse",
}
DELIVERY = {"timestamp": "2016-10-19T23:21:04.133Z", "recipients": ["recipient@example.com"], "smtpResponse": "250 OK"}
DELAY = {
    "delayType": "TransientCommunicationFailure",
    "delayedRecipients": [{"emailAddress": "recipient@example.com", "status": "4.4.1", "diagnosticCode": "smtp; 421"}],
    "timestamp": "2020-06-16T00:25:40.914Z",
}
UNKNOWN = "smtp; 550 5.1.1 user unknown"
LISTED = "smtp; 554 5.7.1 blocked using zen.spamhaus.org"
LEFT = {"timestamp": "2022-01-12T01:00:17.910Z", "newTopicPreferences": {"unsubscribeAll": True}}


@pytest.fixture(scope="module")
def served(authority: Authority) -> Iterator[Topic]:
    with topic(authority) as served:
        yield served


class TestReceipts(ReceiptContract):
    provider = ses
    settings = ses.Settings(region=REGION, from_=("a@example.com",), topic_arn=ARN)
    needs = ("topic_arn",)
    other = ("topic_arn", f"{ARN}-of-others")
    covers = False  # the fields of the envelope are signed, not its bytes: tests/providers/test_sns_envelope.py
    keeps_for = timedelta(hours=24)
    said = (
        (record("Delivery", said=DELIVERY), told(ReceiptKind.DELIVERED, None, "250 OK")),
        (bounce("Permanent", "General", "5.1.1", UNKNOWN), told(ReceiptKind.BOUNCED, "5.1.1", UNKNOWN)),
        (bounce("Permanent", "NoEmail"), told(ReceiptKind.BOUNCED, None, "Permanent NoEmail")),
        (bounce("Permanent", "OnAccountSuppressionList"),
         told(ReceiptKind.BOUNCED, None, "Permanent OnAccountSuppressionList")),
        (bounce("Permanent", "General", "5.7.1", LISTED), told(ReceiptKind.FAILED, "5.7.1", LISTED)),
        (bounce("Transient", "MailboxFull", "4.2.2"), told(ReceiptKind.SOFT_BOUNCED, "4.2.2", "Transient MailboxFull")),
        (bounce("Transient", "General"), told(ReceiptKind.SOFT_BOUNCED, None, "Transient General")),
        (bounce("Transient", "ContentRejected"), told(ReceiptKind.FAILED, None, "Transient ContentRejected")),
        (bounce("Undetermined", "Undetermined"), told(ReceiptKind.SOFT_BOUNCED, None, "Undetermined Undetermined")),
        (bounce("Permanent", "General", "5.1.1", UNKNOWN, destination=["meant@example.com"]),
         told(ReceiptKind.BOUNCED, "5.1.1", UNKNOWN, "meant@example.com")),
        (bounce("Permanent", "General", "5.1.1", UNKNOWN, destination=["meant@example.com", "recipient@example.com"]),
         told(ReceiptKind.BOUNCED, "5.1.1", UNKNOWN)),
        (record("Complaint", said=COMPLAINT), told(ReceiptKind.COMPLAINED, "abuse")),
        (record("Complaint", said=COMPLAINT | {"complaintFeedbackType": "not-spam"}), []),
        (record("DeliveryDelay", "deliveryDelay", DELAY),
         told(ReceiptKind.DEFERRED, "TransientCommunicationFailure", "smtp; 421")),
        (record("Reject", said={"reason": "Bad content"}), told(ReceiptKind.FAILED, None, "Bad content")),
        (record("Rendering Failure", "failure", {"errorMessage": "Attribute 'x' is not present"}),
         told(ReceiptKind.FAILED, None, "Attribute 'x' is not present")),
        (record("Subscription", said=LEFT), told(ReceiptKind.UNSUBSCRIBED)),
        *((record(name), []) for name in ("Send", "Open", "Click")),
        ("Successfully validated SNS topic for Amazon SES event publishing.", []),
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def _behind_the_proxy(self, served: Topic) -> None:
        self.kit = served.kit

    def made(self, settings: Any, kit: Kit | None = None) -> Receiver:
        return super().made(settings, kit or self.kit)

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        return signed(envelope(document, at))

    def test_an_identity_that_tells_without_tags_is_known_by_its_reference(self) -> None:
        """https://docs.aws.amazon.com/ses/latest/dg/notification-examples.html."""
        notification = bounce("Permanent", "General", "5.1.1", UNKNOWN)
        notification["notificationType"] = notification.pop("eventType")
        del notification["mail"]["tags"]
        [receipt] = ses.receipts(self.sign(notification))
        assert (receipt.kind, receipt.notification_id, receipt.reference, receipt.at) == (
            ReceiptKind.BOUNCED,
            None,
            "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
            datetime(2017, 8, 5, 0, 41, 2, 669000, UTC),
        )
