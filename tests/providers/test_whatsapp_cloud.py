"""WhatsApp by Meta's Cloud API: its requests, and the answers that its pages show."""

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.receipts import Posted, ReceiptKind, Taken
from noti_worker.domain.rules import classify
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.domain.traits import Limit
from noti_worker.providers import whatsapp_cloud
from tests.providers.api import ApiContract, ApiServer, Look
from tests.providers.contract import LIMIT, NOW, Judged, a_message, opened
from tests.providers.description import description
from tests.providers.receipts import MESSAGE_ID, ReceiptContract, of, wrote

TOKEN = "EAAJB1ZCfake5token9of0a7system3user"
NUMBER_ID = "106540352242922"
WAMID = "wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA"
IMAGE = "https://www.luckyshrub.com/assets/succulents/aloe.png"
ACCEPTED = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+16505551234", "wa_id": "16505551234"}],
    "messages": [{"id": WAMID}],
}


def refusal(code: int, message: str, details: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "Az8or2yhqkZfEZ"}
    if details is not None:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return {"error": error}


def to(text: str | None = "It is on its way.", **options: Any) -> Message:
    return a_message(Channel.WHATSAPP, "+16505551234", text=text, options=options)


# …/whatsapp/cloud-api/support/error-codes: code, kind, scope, wait, rule; the status says nothing.
CODES = (
    (0, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.login"),
    (190, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.login"),
    (3, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.permission"),
    (10, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.permission"),
    (200, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.permission"),
    (299, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.permission"),
    (1, Kind.TRANSIENT, Scope.PROVIDER, None, "whatsapp_cloud.trouble"),
    (2, Kind.TRANSIENT, Scope.PROVIDER, None, "whatsapp_cloud.trouble"),
    (131000, Kind.TRANSIENT, Scope.PROVIDER, None, "whatsapp_cloud.trouble"),
    (131016, Kind.TRANSIENT, Scope.PROVIDER, None, "whatsapp_cloud.trouble"),
    (131057, Kind.TRANSIENT, Scope.PROVIDER, None, "whatsapp_cloud.trouble"),
    (4, Kind.THROTTLED, Scope.ACCOUNT, None, "whatsapp_cloud.too_fast"),
    (80007, Kind.THROTTLED, Scope.ACCOUNT, None, "whatsapp_cloud.too_fast"),
    (130429, Kind.THROTTLED, Scope.SENDER, 1.0, "whatsapp_cloud.sender_rate"),
    (131056, Kind.THROTTLED, Scope.RECIPIENT, 6.0, "whatsapp_cloud.pair_rate"),
    (131048, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.spam"),
    (131064, Kind.THROTTLED, Scope.SENDER, 3600.0, "whatsapp_cloud.messaging_limit"),
    (133016, Kind.THROTTLED, Scope.SENDER, None, "whatsapp_cloud.registrations"),
    (368, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.blocked"),
    (131031, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.blocked"),
    (130497, Kind.PERMANENT, Scope.DOMAIN, None, "whatsapp_cloud.country"),
    (131005, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.account"),
    (131037, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.account"),
    (131042, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.account"),
    (131044, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.account"),
    (131045, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.account"),
    (130472, Kind.PERMANENT, Scope.RECIPIENT, None, "whatsapp_cloud.experiment"),
    (131026, Kind.DEAD, Scope.RECIPIENT, None, "whatsapp_cloud.undeliverable"),
    (131047, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.outside_window"),
    (131049, Kind.PERMANENT, Scope.RECIPIENT, None, "whatsapp_cloud.too_much_marketing"),
    (131050, Kind.OPTOUT, Scope.MESSAGE, None, "whatsapp_cloud.optout"),
    (131021, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.to_itself"),
    (131030, Kind.CONFIG, Scope.ACCOUNT, None, "whatsapp_cloud.test_list"),
    (100, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.content"),
    (131008, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.content"),
    (131009, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.content"),
    (131051, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.content"),
    (131062, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.content"),
    (131052, Kind.TRANSIENT, Scope.MESSAGE, None, "whatsapp_cloud.media"),
    (131053, Kind.TRANSIENT, Scope.MESSAGE, None, "whatsapp_cloud.media"),
    (132000, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.template_parameters"),
    (132005, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.template_parameters"),
    (132008, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.template_parameters"),
    (132012, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.template_parameters"),
    (132018, Kind.PERMANENT, Scope.MESSAGE, None, "whatsapp_cloud.template_format"),
    (132001, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.template"),
    (132007, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.template"),
    (132015, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.template"),
    (132016, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.template"),
    (131063, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.template"),
    (132068, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.flow_blocked"),
    (132069, Kind.THROTTLED, Scope.SENDER, None, "whatsapp_cloud.flow_rate"),
    (33, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.sender_gone"),
    (133000, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.registration"),
    (133005, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.registration"),
    (133010, Kind.CONFIG, Scope.SENDER, None, "whatsapp_cloud.registration"),
    (135000, Kind.TRANSIENT, Scope.MESSAGE, None, "whatsapp_cloud.generic"),
    (137000, Kind.PERMANENT, Scope.RECIPIENT, None, "whatsapp_cloud.identity_changed"),
)


class TestWhatsAppCloud(ApiContract):
    provider = whatsapp_cloud
    described = description("whatsapp_cloud")
    secrets = (TOKEN,)
    # https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account-to-number-current-status
    looks = Look(
        f"GET /v25.0/{NUMBER_ID}?fields=id",
        {"id": NUMBER_ID, "display_phone_number": "15550783881"},
        {"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}},
        kept="15550783881",
    )
    accepted = (200, ACCEPTED)
    golden: ClassVar[Any] = (
        *((400, refusal(code, f"(#{code}) No."), {}, kind, rule) for code, kind, _, _, rule in CODES),
        (
            200,
            {**ACCEPTED, "messages": [{"id": WAMID, "message_status": "held_for_quality_assessment"}]},
            {},
            Kind.OK,
            "api.accepted",
        ),
        (
            400,
            refusal(130429, "(#130429) Rate limit hit", "Message failed to send because there were too many messages"),
            {},
            Kind.THROTTLED,
            "whatsapp_cloud.sender_rate",
        ),
        (
            400,
            refusal(131056, "(#131056) (Business Account, Consumer Account) pair rate limit hit"),
            {},
            Kind.THROTTLED,
            "whatsapp_cloud.pair_rate",
        ),
        (
            401,
            refusal(190, "Error validating access token: Session has expired on Friday, 01-Mar-26 12:00:00 PST."),
            {},
            Kind.CONFIG,
            "whatsapp_cloud.login",
        ),
        (401, refusal(190, f"Malformed access token {TOKEN}"), {}, Kind.CONFIG, "whatsapp_cloud.login"),
        (
            400,
            {
                "error": {
                    "message": f"Unsupported post request. Object with ID '{NUMBER_ID}' does not exist, cannot be"
                    " loaded due to missing permissions, or does not support this operation.",
                    "type": "GraphMethodException",
                    "code": 100,
                    "error_subcode": 33,
                }
            },
            {},
            Kind.CONFIG,
            "whatsapp_cloud.no_such_sender",
        ),
        (400, refusal(100, "(#100) Invalid parameter"), {}, Kind.PERMANENT, "whatsapp_cloud.content"),
        (
            404,
            refusal(132001, "(#132001) Template name does not exist in the translation"),
            {},
            Kind.CONFIG,
            "whatsapp_cloud.template",
        ),
        (400, refusal(131026, "Message Undeliverable."), {}, Kind.DEAD, "whatsapp_cloud.undeliverable"),
        (400, refusal(131050, "User has stopped marketing"), {}, Kind.OPTOUT, "whatsapp_cloud.optout"),
        (500, refusal(131000, "(#131000) Something went wrong"), {}, Kind.TRANSIENT, "whatsapp_cloud.trouble"),
        (400, refusal(999999, "new"), {}, Kind.PERMANENT, "api.refused"),
    )
    refused = (
        ({"access_token": Secret("")}, "access_token"),
        ({"access_token": Secret("EAA JB")}, "access_token"),
        ({"phone_number_id": "+16505551234"}, "phone_number_id"),
        ({"version": "25"}, "version"),
        ({"api_url": "http://graph.facebook.example"}, "api_url"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> whatsapp_cloud.Settings:
        return settings_at(server)

    def beyond(self, limit: Limit, message: Message) -> Message:
        if limit.of == "caption":
            return to("x" * (limit.most + 1), media_url=IMAGE, media_type="image")
        return super().beyond(limit, message)

    @pytest.fixture
    def message(self) -> Message:
        return to()

    def test_a_text_is_posted_with_the_message_s_id(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        outcome = sender.send(to("Grüße 😀"), LIMIT)
        assert (outcome.kind, outcome.provider_message_id) == (Kind.OK, WAMID)
        assert (server.last.method, server.last.path) == ("POST", f"/v25.0/{NUMBER_ID}/messages")
        assert server.last.headers["authorization"] == f"Bearer {TOKEN}"
        assert server.last.headers["content-type"] == "application/json; charset=utf-8"
        assert server.last.json() == {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "+16505551234",
            "type": "text",
            "text": {"preview_url": False, "body": "Grüße 😀"},
            "biz_opaque_callback_data": "17.0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50",
        }

    def test_the_subject_stays_here(self, sender: Judged, server: ApiServer) -> None:
        server.answers(200, ACCEPTED)()
        sender.send(replace(to(), subject="Geheim"), LIMIT)
        assert b"Geheim" not in server.last.body


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(description("whatsapp_cloud")) as server:
        server.answers(200, ACCEPTED)()
        yield server


def settings_at(server: ApiServer) -> whatsapp_cloud.Settings:
    return whatsapp_cloud.Settings(access_token=Secret(TOKEN), phone_number_id=NUMBER_ID, api_url=server.url)


def send(server: ApiServer, message: Message) -> Outcome:
    sender = opened(whatsapp_cloud, settings_at(server))
    outcome = sender.send(message, LIMIT)
    sender.close()
    return outcome


def sent(server: ApiServer, message: Message) -> Any:
    """What of the request is the content."""
    outcome = send(server, message)
    assert outcome.kind is Kind.OK, outcome.error
    document = server.last.json()
    return {document["type"]: document[document["type"]]}


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (
            to(template="order_sent", template_language="de"),
            {"template": {"name": "order_sent", "language": {"policy": "deterministic", "code": "de"}}},
        ),
        (
            to(None, template="order_sent", template_language="en_US", template_parameters={"2": "17", "1": "Ada"}),
            {
                "template": {
                    "name": "order_sent",
                    "language": {"policy": "deterministic", "code": "en_US"},
                    "components": [
                        {
                            "type": "body",
                            "parameters": [{"type": "text", "text": "Ada"}, {"type": "text", "text": "17"}],
                        }
                    ],
                }
            },
        ),
        (
            to(template="order_sent", template_language="de", template_parameters={"first_name": "Ada"}),
            {
                "template": {
                    "name": "order_sent",
                    "language": {"policy": "deterministic", "code": "de"},
                    "components": [
                        {
                            "type": "body",
                            "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Ada"}],
                        }
                    ],
                }
            },
        ),
        (
            to("The best succulent ever?", media_url=IMAGE, media_type="image"),
            {"image": {"link": IMAGE, "caption": "The best succulent ever?"}},
        ),
        (to(None, media_url=IMAGE, media_type="video"), {"video": {"link": IMAGE}}),
        (to(None, media_url=IMAGE, media_type="audio"), {"audio": {"link": IMAGE}}),
        (
            to(None, media_url="https://example.com/a/Rechnung%2017.pdf?sig=x", media_type="document"),
            {"document": {"link": "https://example.com/a/Rechnung%2017.pdf?sig=x", "filename": "Rechnung 17.pdf"}},
        ),
        (
            to("Philz Coffee", location="37.44216251868683, -122.16153582049394"),
            {
                "location": {
                    "latitude": "37.44216251868683",
                    "longitude": "-122.16153582049394",
                    "name": "Philz Coffee",
                }
            },
        ),
        (to(None, location="0,180"), {"location": {"latitude": "0", "longitude": "180"}}),
        (to("a" * 4096), {"text": {"preview_url": False, "body": "a" * 4096}}),
    ],
)
def test_options_choose_what_is_sent(server: ApiServer, message: Message, content: Mapping[str, Any]) -> None:
    assert sent(server, message) == content


TEMPLATE = {"template": "order_sent", "template_language": "de"}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (to("a" * 4097), "4097 characters, and the service takes 4096: shorten"),
        (to(" "), "the text is empty"),
        (to(None), "the text is empty"),
        (to("\ud800"), "UTF-8"),
        (to(**TEMPLATE, location="1,2"), "options.template and options.location are two messages"),
        (to(media_url=IMAGE, media_type="image", location="1,2"), "options.media_url and options.location"),
        (to(template_language="de"), "options.template_language has no template"),
        (to(template_parameters={"1": "a"}), "options.template_parameters has no template"),
        (to(template="order_sent"), "options.template_language is missing"),
        (to(template="Order sent", template_language="de"), "options.template is no name of a template"),
        (to(template="order_sent", template_language="German"), "options.template_language is no language"),
        (to(**TEMPLATE, template_parameters={"1": " "}), "'1' is empty"),
        (to(**TEMPLATE, template_parameters={"1": "a", "3": "b"}), "the numbers from 1 without a gap"),
        (to(**TEMPLATE, template_parameters={"1": "a", "name": "b"}), "either names, or the numbers"),
        (to(media_type="image"), "options.media_type has no file"),
        (to(media_url=IMAGE), "options.media_type is missing"),
        (to(media_url="http://example.com/a.png", media_type="image"), "options.media_url is no URL"),
        (to(media_url="https://[x/a.png", media_type="image"), "options.media_url is no URL"),
        (to(media_url=IMAGE, media_type="audio"), "the body cannot go with audio"),
        (
            to("a" * 1025, media_url=IMAGE, media_type="image"),
            "caption, has 1025 characters, and the service takes 1024",
        ),
        (to(location="Berlin"), "options.location is no place"),
        (to(location="91,0"), "options.location is no place"),
        (to(location="0,181"), "options.location is no place"),
    ],
)
def test_what_cannot_go_out_is_refused_before_anything_is_sent(server: ApiServer, message: Message, said: str) -> None:
    outcome = send(server, message)
    assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
    assert said in (outcome.error or "")
    assert not server.asked


@pytest.mark.parametrize(("code", "kind", "scope", "wait"), [one[:4] for one in CODES])
def test_a_code_has_its_scope_and_wait(code: int, kind: Kind, scope: Scope, wait: float | None) -> None:
    rule = classify(whatsapp_cloud.RULES, Said("answer", "400", str(code)))
    assert rule is not None
    assert rule.unverified == (code == 132018 or (133000 <= code <= 133010))
    assert (rule.kind, rule.scope, rule.wait) == (kind, scope, wait)


USAGE = '{"1040117786":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":%s}]}'


@pytest.mark.parametrize(
    ("usage", "wait"),
    [
        (USAGE % "5", 300.0),
        (USAGE % "0", None),
        (USAGE % '"soon"', None),
        ('{"1040117786":7}', None),
        ("[]", None),
        ("none", None),
    ],
)
def test_the_minutes_until_calls_are_taken_again_are_heard(server: ApiServer, usage: str, wait: float | None) -> None:
    server.answers(400, refusal(80007, "(#80007) Rate limit issues"), X_Business_Use_Case_Usage=usage)()
    assert send(server, to()).retry_after == wait


APP_SECRET = "0123456789abcdef0123456789abcdef"
VERIFY = "meatyhamhock"


def posted(**value: Any) -> dict[str, Any]:
    """What …/whatsapp/webhooks/reference/messages shows."""
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "102290129340398",
                "changes": [
                    {
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {"display_phone_number": "15550783881", "phone_number_id": NUMBER_ID},
                            **value,
                        },
                        "field": "messages",
                    }
                ],
            }
        ],
    }


def status(name: str, code: int | None = None, details: str = "") -> dict[str, Any]:
    error = {"code": code, "title": "Message undeliverable", "error_data": {"details": details}}
    said = {
        "id": f"wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBIyRDM1RTI{code or ''}",
        "status": name,
        "timestamp": "1750030073",
        "recipient_id": "16505551234",
        "biz_opaque_callback_data": f"17.{MESSAGE_ID}",
    }
    return posted(statuses=[said | ({"errors": [error]} if code else {})])


def message(type_: str, content: dict[str, Any]) -> dict[str, Any]:
    said = {"from": "16505551234", "id": f"wamid.{type_}", "timestamp": "1749416383", "type": type_, type_: content}
    return posted(contacts=[{"profile": {"name": "Sheena"}, "wa_id": "16505551234"}], messages=[said])


def told(kind: ReceiptKind, code: str | None = None, words: str | None = None) -> list[tuple[Any, ...]]:
    return [of(kind, "+16505551234", code, words)]


class TestReceipts(ReceiptContract):
    provider = whatsapp_cloud
    settings = whatsapp_cloud.Settings(
        Secret(TOKEN), NUMBER_ID, app_secret=Secret(APP_SECRET), verify_token=Secret(VERIFY)
    )
    needs = ("app_secret", "verify_token")
    other = ("app_secret", Secret("another"))
    said = (
        (status("delivered"), told(ReceiptKind.DELIVERED)),
        (status("sent"), []),
        (status("read"), told(ReceiptKind.READ)),
        (status("failed", 131026, "incapable"), told(ReceiptKind.BOUNCED, "131026", "incapable")),
        (status("failed", 131050, "stopped"), told(ReceiptKind.UNSUBSCRIBED, "131050", "stopped")),
        (status("failed", 131049), told(ReceiptKind.FAILED, "131049", "Message undeliverable")),
        (message("text", {"body": "STOP"}), [wrote("+16505551234", "STOP")]),
        (message("button", {"text": "Stop", "payload": "x"}), [wrote("+16505551234", "Stop")]),
        (message("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}),
         [wrote("+16505551234", "Yes")]),
        (message("image", {"id": "1"}), [wrote("+16505551234", "")]),
        (posted(errors=[{"code": 130429}]), []),
    )  # fmt: skip

    def sign(self, document: Any, at: datetime = NOW) -> Posted:
        body = json.dumps(document).encode()
        return Posted(body, {"x-hub-signature-256": f"sha256={hmac.digest(APP_SECRET.encode(), body, 'sha256').hex()}"})

    def test_it_answers_the_challenge_of_who_knows_the_token(self) -> None:
        receiver = self.made(self.settings)
        asked = Posted(query=f"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={VERIFY}", method="GET")
        assert receiver.take(asked, NOW) == Taken(keep=False, body=b"1158201444", media_type="text/plain")
        for query in (
            "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=other",
            "hub.mode=subscribe&hub.challenge=1158201444",
            f"hub.mode=subscribe&hub.challenge=<script>&hub.verify_token={VERIFY}",
            f"hub.challenge=1&hub.verify_token={VERIFY}",
            "",
        ):
            assert self.refused(receiver, replace(asked, query=query)) in {"signature", "unsigned"}

    def test_it_says_when(self) -> None:
        [receipt] = whatsapp_cloud.receipts(self.sign(status("delivered")))
        assert receipt.at == datetime(2025, 6, 15, 23, 27, 53, tzinfo=UTC)
