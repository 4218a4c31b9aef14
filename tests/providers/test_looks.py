"""Looks at accounts: what providers say beyond yes and no (the rest is inherited from `api.ApiContract`)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import (
    discord,
    fcm,
    gotify,
    http,
    mailgun,
    ntfy,
    opsgenie,
    resend,
    sendgrid,
    ses,
    sns,
    twilio,
)
from noti_worker.providers import whatsapp_cloud as whatsapp
from tests.providers.api import Answer, ApiServer
from tests.providers.aws import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    local_aws,
    nobodys_account,
    signed_by_botocore,
)
from tests.providers.contract import LIMIT, NOW, opened
from tests.providers.test_discord import PATH
from tests.providers.test_fcm import LOGIN, service_account
from tests.providers.test_twilio import ACCOUNT, KEY

FROM = ("a@example.com",)
AWS: dict[str, Any] = {
    "region": REGION,
    "access_key_id": Secret(ACCESS_KEY_ID),
    "secret_access_key": Secret(SECRET_ACCESS_KEY),
}
DENIED = "User: arn:aws:iam::111122223333:user/mailer is not authorized to perform: ses:GetAccount"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture(autouse=True)
def machine() -> Iterator[None]:
    with nobodys_account():
        yield


def look(provider: Any, settings: Any) -> Outcome:
    with closing(opened(provider, settings)) as sender:
        return sender.check(LIMIT)


def test_a_key_of_sendgrid_that_may_do_other_things_cannot_send(server: ApiServer) -> None:
    server.answers(200, {"scopes": ["stats.read"]})()
    outcome = look(sendgrid, sendgrid.Settings(Secret("SG.x"), FROM, api_url=server.url))
    assert (outcome.kind, outcome.rule) == (Kind.CONFIG, "sendgrid.may_not_send")
    assert "Mail Send" in (outcome.error or "")
    server.answers(200, {"scopes": None})()
    assert look(sendgrid, sendgrid.Settings(Secret("SG.x"), FROM, api_url=server.url)).kind is Kind.CONFIG


def test_mailgun_is_asked_to_send_nothing_to_nobody(server: ApiServer) -> None:
    settings = mailgun.Settings(Secret("key-x"), "mg.example.com", FROM, api_url=server.url)
    server.answers(400, {"message": "'from' parameter is missing"})()
    assert look(mailgun, settings).kind is Kind.OK
    assert server.last.form() == {"o:testmode": "yes"}
    server.answers(404, {"message": "Domain not found: mg.example.com"})()
    assert look(mailgun, settings).kind is Kind.CONFIG
    server.answers(400, {"message": "something else"})()
    assert look(mailgun, settings).kind is Kind.PERMANENT


def test_a_key_of_resend_that_may_only_send_is_known(server: ApiServer) -> None:
    words = "This API key is restricted to only send emails"
    server.answers(401, {"statusCode": 401, "name": "restricted_api_key", "message": words})()
    outcome = look(resend, resend.Settings(Secret("re_x"), FROM, api_url=server.url))
    assert (outcome.kind, outcome.rule) == (Kind.OK, "resend.let_in")


def test_who_may_not_look_at_amazon_is_known_to_it_all_the_same(server: ApiServer) -> None:
    server.answers(403, {"message": DENIED}, x_amzn_ErrorType="AccessDeniedException")()
    assert look(ses, ses.Settings(**AWS, from_=FROM, api_url=server.url)).rule == "ses.let_in"
    error = f"<ErrorResponse><Error><Code>AuthorizationError</Code><Message>{DENIED}</Message></Error></ErrorResponse>"
    server.answers(403, error.encode())()
    assert look(sns, sns.Settings(**AWS, api_url=server.url)).rule == "sns.let_in"


def test_ses_tells_a_pause_and_the_sandbox(server: ApiServer) -> None:
    settings = ses.Settings(**AWS, from_=FROM, api_url=server.url)
    server.answers(200, {"SendingEnabled": False, "ProductionAccessEnabled": True})()
    paused = look(ses, settings)
    assert (paused.kind, paused.rule) == (Kind.CONFIG, "ses.account")
    assert "sending is paused" in (paused.error or "")
    server.answers(200, {"SendingEnabled": True, "ProductionAccessEnabled": False})()
    sandbox = look(ses, settings)
    assert sandbox.kind is Kind.OK
    assert "sandbox" in (sandbox.error or "")


@pytest.mark.parametrize(("service", "settings"), [(ses, {"from_": FROM}), (sns, {})])
def test_a_look_at_amazon_is_signed_as_botocore_signs(
    server: ApiServer, service: Any, settings: dict[str, Any]
) -> None:
    look(service, service.Settings(**AWS, **settings, api_url=server.url))
    name = service.__name__.rpartition(".")[2]
    assert server.last.headers["authorization"] == signed_by_botocore(server.last, server.url, name, NOW, None)
    without = service.Settings(region=REGION, **settings, api_url=server.url)
    outcome = look(service, without)
    assert (outcome.kind, outcome.code, len(server.asked)) == (Kind.CONFIG, "no_credentials", 1)


def test_a_local_aws_lets_us_in() -> None:
    with local_aws() as url:
        assert look(sns, sns.Settings(**AWS, api_url=url)).kind is Kind.OK


def test_fcm_looks_at_a_message_to_nobody_and_sends_none(server: ApiServer) -> None:
    server.by_path["/token"] = Answer(200, LOGIN)
    settings = fcm.Settings(service_account(server.url), api_url=server.url)
    server.answers(200, {"name": "projects/shop-4711/messages/fake_message_id"})()
    with closing(opened(fcm, settings)) as sender:
        assert [sender.check(LIMIT).kind for _ in range(2)] == [Kind.OK, Kind.OK]
    assert [asked.path for asked in server.asked].count("/token") == 1, "the token that is held serves"
    assert server.last.json() == {"validate_only": True, "message": {"topic": "noti-worker"}}
    server.answers(404, {"error": {"status": "NOT_FOUND", "message": "Requested entity was not found."}})()
    assert look(fcm, settings).kind is Kind.CONFIG
    server.by_path["/token"] = Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    refused = look(fcm, settings)
    assert (refused.kind, refused.stage) == (Kind.CONFIG, "auth")
    assert "Invalid JWT Signature" in (refused.error or "")


def test_a_standard_key_of_twilio_looks_with_its_own_login(server: ApiServer) -> None:
    settings = twilio.Settings(
        ACCOUNT, api_key_sid=KEY, api_key_secret=Secret("s3cret-of-the-key"), from_=("+4915112345678",),
        api_url=server.url,
    )  # fmt: skip
    server.answers(200, {"incoming_phone_numbers": []})()
    assert look(twilio, settings).kind is Kind.OK
    assert server.last.path.startswith(f"/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json")
    words = {"code": 20404, "message": "The requested resource was not found"}
    server.answers(404, words)()
    assert look(twilio, settings).kind is Kind.CONFIG


def test_a_number_that_the_token_may_not_use_is_told_by_meta(server: ApiServer) -> None:
    words = "Unsupported get request. Object with ID '106540352242922' does not exist, cannot be loaded due to missing"
    server.answers(400, {"error": {"message": words, "type": "GraphMethodException", "code": 100}})()
    outcome = look(whatsapp, whatsapp.Settings(Secret("EAAx"), "106540352242922", api_url=server.url))
    assert (outcome.kind, outcome.rule) == (Kind.CONFIG, "whatsapp_cloud.no_such_sender")


def test_a_key_of_opsgenie_that_may_not_read_is_known(server: ApiServer) -> None:
    settings = opsgenie.Settings(Secret("eb243592-faa2-4ba2-a551-1afdf565c889"), api_url=server.url)
    server.answers(403, {"code": 40301, "message": "You are not authorized to access this resource"})()
    assert look(opsgenie, settings).rule == "opsgenie.may_not_look"
    server.answers(403, {"code": 40302, "message": "not supported"})()
    assert look(opsgenie, settings).kind is Kind.CONFIG


def test_ntfy_is_asked_without_a_login_too(server: ApiServer) -> None:
    server.answers(200, {"username": "*", "role": "anonymous"})()
    assert look(ntfy, ntfy.Settings(api_url=server.url)).kind is Kind.OK
    assert "authorization" not in server.last.headers


def test_gotify_is_told_by_its_version_and_gets_no_token(server: ApiServer) -> None:
    settings = gotify.Settings(server.url, Secret("AWWfWyqd8xR0p1g"))
    server.answers(200, {"version": "2.0.2"})()
    assert look(gotify, settings).kind is Kind.OK
    assert "AWWfWyqd8xR0p1g" not in repr(server.last.headers)
    server.answers(200, {"status": "another service"})()
    assert look(gotify, settings).kind is Kind.TRANSIENT


def test_a_thread_of_discord_is_no_part_of_the_look(server: ApiServer) -> None:
    server.answers(200, {"id": "223704706495545344"})()
    assert look(discord, discord.Settings(Secret(f"{server.url}{PATH}?thread_id=17"))).kind is Kind.OK
    assert server.last.path == PATH


def test_any_service_is_looked_at_where_its_account_says_how(server: ApiServer) -> None:
    settings = http.Settings(
        url=f"{server.url}/send",
        headers={"X-Token": Secret("the-t0ken-0f-the-gateway"), "X-Id": "{{ message_id }}"},
        keys={"one": Secret("k3y/+")},
        body="{}",
        code="state",
        accepted="queued",
    )
    with closing(opened(http, settings)) as sender:
        assert sender.checked(LIMIT) is None
    checked = replace(settings, check=f"{server.url}/balance?key={{{{ keys.one }}}}", words="error")
    server.answers(200, b"42 EUR")()
    assert look(http, checked).kind is Kind.OK
    assert (server.last.method, server.last.path) == ("GET", "/balance?key=k3y%2F%2B")
    assert server.last.headers["x-token"] == "the-t0ken-0f-the-gateway"
    server.answers(401, {"error": "unknown: the-t0ken-0f-the-gateway k3y/+"})()
    refused = look(http, checked)
    assert (refused.kind, refused.error) == (Kind.CONFIG, "the provider answered 401: unknown: *** ***")
    assert "the-t0ken-0f-the-gateway" not in repr(refused)
    server.breaks("cut")()
    assert look(http, checked).kind is Kind.TRANSIENT
