"""SendGrid: the requests that it gets, and its answers."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.notification import Attachment, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers import sendgrid
from tests.providers.api import ApiContract, ApiServer
from tests.providers.contract import LIMIT, NOW, Judged, opened
from tests.providers.description import description
from tests.providers.mails import INVITATION, a_full_mail, a_mail

KEY = "SG.kV7bq2mXQ1yT0sZ9.notARealKeyOfAnybody"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
NAMED = {"custom_args": {"message_id": MESSAGE_ID}}


def errors(message: str, field: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field, "help": None}]}


class TestSendGrid(ApiContract):
    provider = sendgrid
    described = description("sendgrid")
    secrets = (KEY,)
    refused = (
        ({"api_key": Secret("")}, "api_key"),
        ({"api_key": Secret("a key")}, "api_key"),
        ({"from_": ()}, "from"),
        ({"from_": ("nobody",)}, "from"),
        ({"api_url": "http://api.sendgrid.com"}, "api_url"),
    )
    accepted = (202, b"")
    by_status = dict.fromkeys((406, 415, 451), Kind.CONFIG)
    golden = (
        (400, errors("Does not contain a valid address.", "personalizations.0.to.0.email"), {}, Kind.DEAD,
         "sendgrid.recipient"),
        (400, errors("Does not contain a valid address.", "personalizations.0.cc.0.email"), {}, Kind.PERMANENT,
         "sendgrid.refused"),
        (400, errors("The from email does not contain a valid address.", "from.email"), {}, Kind.CONFIG,
         "sendgrid.from"),
        (400, errors("The subject is required.", "subject"), {}, Kind.PERMANENT, "sendgrid.refused"),
        (401, errors("The provided authorization grant is invalid, expired, or revoked"), {}, Kind.CONFIG,
         "api.login"),
        (401, errors("Maximum credits exceeded"), {}, Kind.CONFIG, "sendgrid.credits"),
        (403, errors("The from address does not match a verified Sender Identity. Mail cannot be sent until this "
                     "error is resolved.", "from"), {}, Kind.CONFIG, "sendgrid.sender"),
        (403, errors("You have been temporarily blocked"), {}, Kind.THROTTLED, "sendgrid.blocked"),
        (403, errors("access forbidden"), {}, Kind.CONFIG, "api.login"),
        (404, errors("not found"), {}, Kind.CONFIG, "api.wrong_url"),
        (405, errors("method not allowed"), {}, Kind.CONFIG, "api.wrong_url"),
        (406, errors("missing Accept header"), {}, Kind.CONFIG, "sendgrid.our_fault"),
        (413, b"<html><title>413 Request Entity Too Large</title></html>", {}, Kind.PERMANENT, "api.refused"),
        (415, errors("Content-Type should be application/json."), {}, Kind.CONFIG, "sendgrid.our_fault"),
        (429, errors("too many requests"), {}, Kind.THROTTLED, "api.too_fast"),
        (451, errors("region mismatch"), {}, Kind.CONFIG, "sendgrid.region"),
        (500, errors("internal error"), {}, Kind.TRANSIENT, "api.trouble"),
        (503, errors("unavailable"), {}, Kind.TRANSIENT, "api.trouble"),
    )  # fmt: skip

    @pytest.fixture
    def settings(self, server: ApiServer) -> sendgrid.Settings:
        return sendgrid.Settings(
            Secret(KEY), ("Example <no-reply@example.com>", "billing@example.com"), api_url=server.url
        )

    @pytest.fixture
    def message(self) -> Message:
        return a_mail()

    @pytest.fixture
    def sent(self, sender: Judged, server: ApiServer) -> Callable[[Message], dict[str, Any]]:
        def send(message: Message) -> dict[str, Any]:
            server.answers(202)()
            assert sender.send(message, LIMIT).kind is Kind.OK
            return dict(server.last.json())

        return send

    def test_a_plain_mail(self, sent: Callable[[Message], dict[str, Any]], server: ApiServer) -> None:
        assert sent(a_mail()) == {
            "personalizations": [{"to": [{"email": "ann@example.net", "name": "Ann"}], **NAMED}],
            "from": {"email": "no-reply@example.com", "name": "Example"},
            "subject": "Your order",
            "content": [{"type": "text/plain", "value": "It is on its way."}],
            "headers": {"Message-ID": f"<{MESSAGE_ID}@example.com>"},
        }
        assert (server.last.method, server.last.path) == ("POST", "/v3/mail/send")
        assert server.last.headers["authorization"] == f"Bearer {KEY}"

    def test_a_mail_with_everything(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_full_mail())
        assert mail["personalizations"] == [
            {
                "to": [{"email": "ann@example.net", "name": "Ann"}],
                "cc": [{"email": "bo@example.net", "name": "Bo"}],
                "bcc": [{"email": "cy@example.net"}],
                **NAMED,
            }
        ], "SendGrid refuses a mail that names somebody twice"
        assert mail["from"] == {"email": "billing@example.com"}
        assert mail["reply_to"] == {"email": "help@example.com", "name": "Desk, Help"}
        assert mail["headers"]["X-Order"] == "17"
        assert [one["type"] for one in mail["content"]] == ["text/plain", "text/html"]
        assert [
            (one["filename"], one["type"], one["disposition"], one.get("content_id")) for one in mail["attachments"]
        ] == [("orders.csv", "text/csv", "attachment", None), ("logo.png", "image/png", "inline", "logo.png")]
        assert base64.b64decode(mail["attachments"][1]["content"]) == b"\x89PNG"

    def test_an_invitation_is_a_text_beside_the_others(self, sent: Callable[[Message], dict[str, Any]]) -> None:
        mail = sent(a_mail(attachments=(INVITATION,)))
        assert mail["content"][1] == {
            "type": "text/calendar; method=REQUEST",
            "value": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        }
        assert [one["type"] for one in mail["attachments"]] == ["application/ics"]

    def test_the_sandbox_mode_is_asked_for(self, settings: sendgrid.Settings, server: ApiServer) -> None:
        sender = opened(sendgrid, replace(settings, sandbox_mode=True))
        server.answers(200)()
        assert sender.send(a_mail(), LIMIT).kind is Kind.OK
        sender.close()
        assert server.last.json()["mail_settings"] == {"sandbox_mode": {"enable": True}}

    def test_the_id_stands_in_a_header(self, sender: Judged, server: ApiServer) -> None:
        server.answers(202, b"", X_Message_Id="14c5d75ce93.dfd.64b469")()
        assert sender.send(a_mail(), LIMIT).provider_message_id == "14c5d75ce93.dfd.64b469"

    def test_it_names_the_instant_of_the_next_request(self, sender: Judged, server: ApiServer) -> None:
        server.answers(429, errors("too many requests"), X_RateLimit_Reset=str(int(NOW.timestamp()) + 40))()
        assert sender.send(a_mail(), LIMIT).retry_after == 40.0

    @pytest.mark.parametrize(
        ("message", "named"),
        [
            (a_mail(subject=None), "subject is empty"),
            (a_mail(options={"copy_of": "eve@example.net"}), "options.copy_of"),
            (a_mail(attachments=(Attachment("a.txt", "text/plain; charset=latin-1", b"\xe4"),)), "UTF-8"),
            (a_mail(attachments=(replace(INVITATION, content=b"\xff"),)), "charset"),
            (
                a_mail(attachments=(replace(INVITATION, content_type="text/calendar; method=X; charset=klingon"),)),
                "charset",
            ),
            (
                a_mail(
                    attachments=(
                        replace(
                            INVITATION, content=b"+2AA-", content_type="text/calendar; method=REQUEST; charset=utf-7"
                        ),
                    )
                ),
                "charset",
            ),
            (a_mail(attachments=(Attachment("a.bin", "a/b", bytes(23 * 1024 * 1024)),)), "30 MB"),
        ],
    )
    def test_what_it_cannot_carry_is_refused_with_words(
        self, sender: Judged, server: ApiServer, message: Message, named: str
    ) -> None:
        outcome = sender.send(message, LIMIT)
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert named in (outcome.error or "")
        assert not server.asked
