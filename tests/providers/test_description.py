"""A request that is not as its service has it is found, whatever is wrong with it; and the descriptions are sound."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from openapi_spec_validator import validate

from noti_worker.domain.secret import Secret
from noti_worker.providers import discord
from noti_worker.transport import Request as OurRequest
from tests.providers.api import ApiServer, Asked
from tests.providers.aws import Model
from tests.providers.contract import LIMIT, opened
from tests.providers.description import FOLDER, description
from tests.providers.test_discord import MESSAGE, PATH

MAIL = {
    "personalizations": [{"to": [{"email": "ann@example.net"}]}],
    "from": {"email": "no-reply@example.com"},
    "subject": "Your order",
    "content": [{"type": "text/plain", "value": "It is on its way."}],
}
JSON = {"authorization": "Bearer SG.x", "content-type": "application/json"}
SMS = b"To=%2B4915199999999&From=%2B4915112345678&Body=Hi"
FORM = {"authorization": "Basic YTpi", "content-type": "application/x-www-form-urlencoded"}
MESSAGES = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json"


def a_mail(path: str = "/v3/mail/send", method: str = "POST", headers: Any = JSON, **changes: Any) -> Asked:
    document = {name: value for name, value in (MAIL | changes).items() if value is not None}
    return Asked(method, path, headers, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (a_mail(path="/v3/mail/sent"), "no such operation"),
        (a_mail(method="PUT"), "no such operation"),
        (a_mail(path="/v3/mail/send?priority=high"), "query priority is unknown"),
        (a_mail(headers={**JSON, "authorization": "Basic YTpi"}), "no login as described: key"),
        (a_mail(headers={"content-type": "application/json"}), "no login as described: key"),
        (a_mail(headers={**JSON, "content-type": "text/plain"}), "content type 'text/plain'"),
        (a_mail(content=None, subject=None, personalizations=None), "'personalizations' is a required property"),
        (a_mail(subjekt="x"), "'subjekt' was unexpected"),
        (a_mail(subject=""), "body.subject: '' should be non-empty"),
        (a_mail(content=[{"type": "text/plain"}]), "body.content.0: 'value' is a required property"),
        (a_mail(reply_to={"email": "nobody"}), "body.reply_to.email"),
        (a_mail(send_at="soon"), "body.send_at: 'soon' is not of type 'integer'"),
        (Asked("POST", "/v3/mail/send", JSON, b'{"from": NULL}'), "the body is no application/json"),
        (Asked("POST", "/v3/mail/send", JSON, b'{"from": {}, "from": {}}'), "a name stands twice"),
    ],
)
def test_a_wrong_document_is_found(asked: Asked, words: str) -> None:
    faults = list(description("sendgrid").faults(asked))
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (MESSAGES, SMS + b"&Body=again", "body.Body: ['Hi', 'again'] is not of type 'string'"),
        (MESSAGES, SMS + b"&Boddy=x", "'Boddy' was unexpected"),
        (MESSAGES, SMS + b"&MaxPrice=cheap", "body.MaxPrice: 'cheap' is not of type 'number'"),
        (MESSAGES, SMS.removeprefix(b"To=%2B4915199999999&"), "'To' is a required property"),
        (MESSAGES, b"To=%2B4915199999999&Body=Hi", "is not valid under any of the given schemas"),
        (MESSAGES, SMS + b"&and", "the body is no application/x-www-form-urlencoded"),
        (MESSAGES.replace("AC0", "SK0"), SMS, "path AccountSid: 'SK0"),
    ],
)
def test_a_wrong_form_is_found(path: str, body: bytes, words: str) -> None:
    faults = list(description("twilio").faults(Asked("POST", path, FORM, body)))
    assert any(words in fault for fault in faults), faults


def test_headers_have_their_types() -> None:
    vapid = "vapid t=a.b.c, k=" + "k" * 87
    headers = {"authorization": vapid, "content-type": "application/octet-stream", "content-encoding": "aes128gcm"}
    push = description("webpush")
    assert not list(push.faults(Asked("POST", "/wpush/v2/x", headers | {"ttl": "60"}, bytes(100))))
    for wrong, words in (
        ({}, "header TTL is missing"),
        ({"ttl": "a while"}, "header TTL: 'a while'"),
        ({"ttl": "60", "topic": "x" * 33}, "header Topic"),
    ):
        faults = list(push.faults(Asked("POST", "/wpush/v2/x", headers | wrong, bytes(100))))
        assert [words in fault for fault in faults] == [True], faults


def test_what_is_right_has_no_faults() -> None:
    assert not list(description("sendgrid").faults(a_mail()))
    assert not list(description("sendgrid").faults(a_mail(path="/behind/a/gateway/v3/mail/send")))
    assert not list(description("twilio").faults(Asked("POST", MESSAGES, FORM, SMS + b"&MaxPrice=0.5")))


def ask(asked: Asked) -> None:
    """Send it, as it is, to a server of SendGrid's description."""
    with ApiServer(description("sendgrid")) as server:
        urlopen(Request(server.url + asked.path, asked.body, dict(asked.headers), method="POST")).close()


def test_a_server_that_was_asked_wrongly_fails_its_test() -> None:
    ask(a_mail())
    with pytest.raises(AssertionError, match=r"OpenAPI of twilio/sendgrid-oai has them:\n.*'subjekt' was unexpected"):
        ask(a_mail(subjekt="x"))


def send() -> None:
    """Send a message by Discord to a server of its description."""
    with ApiServer(description("discord")) as server:
        sender = opened(discord, discord.Settings(webhook_url=Secret(server.url + PATH)))
        sender.send(MESSAGE, LIMIT)
        sender.close()


def test_a_provider_that_asks_wrongly_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    right = discord._Discord.request

    def wrong(self: Any, message: Any) -> OurRequest:
        request = right(self, message)
        return replace(request, body=request.body.replace(b"content", b"text"))

    send()
    monkeypatch.setattr(discord._Discord, "request", wrong)
    with pytest.raises(AssertionError, match="'text' was unexpected"):
        send()


def aws_mail(**changes: Any) -> Asked:
    document = {"FromEmailAddress": "a@example.com", "Content": {"Raw": {"Data": "SGk="}}} | changes
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    return Asked("POST", "/v2/email/outbound-emails", headers, json.dumps(document).encode())


def test_botocore_knows_what_is_wrong() -> None:
    mails, texts = Model("sesv2", "SendEmail"), Model("sns", "Publish")
    assert not list(mails.faults(aws_mail()))
    for wrong, words in (
        ({"From": "a@example.com"}, 'Unknown parameter in input: "From"'),
        ({"Content": {"Raw": {}}}, 'Missing required parameter in Content.Raw: "Data"'),
        ({"Destination": {"ToAddresses": "a@example.com"}}, "Destination.ToAddresses"),
    ):
        assert words in "".join(mails.faults(aws_mail(**wrong)))
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    form = b"Action=Publish&Version=2010-03-31&PhoneNumber=%2B491511234567&Message=Hi"
    assert not list(texts.faults(Asked("POST", "/", signed, form)))
    assert "'PhoneNummer'" in "".join(texts.faults(Asked("POST", "/", signed, form + b"&PhoneNummer=1"))).replace(
        '"', "'"
    )
    assert "MessageAttributes" in "".join(
        texts.faults(Asked("POST", "/", signed, form + b"&MessageAttributes.entry.1.Name=a"))
    )
    assert "it is not signed" in "".join(texts.faults(Asked("POST", "/", {}, form)))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_description_is_openapi_and_names_its_source(file: Path) -> None:
    document = json.loads(file.read_text("utf-8"))
    for methods in document["paths"].values():  # what we leave out of it: the words for people
        for operation in (one for name, one in methods.items() if name != "parameters"):
            operation["responses"] = {
                status: {"description": "", **answer} for status, answer in operation["responses"].items()
            }
    validate(document)
    assert document["info"]["x-source"]
    assert "yped from " in document["info"]["description"]


def test_every_description_is_of_a_provider() -> None:
    from tests.readme_tables import own_providers

    assert {path.stem for path in FOLDER.glob("*.json")} <= set(own_providers())
