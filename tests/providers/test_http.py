"""Any service over HTTP: two worked examples against a real server, and what a template may and may not do."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Outcome
from noti_worker.domain.secret import Secret
from noti_worker.providers import http
from noti_worker.transport import Kit
from tests.providers.api import ApiContract, ApiServer, Asked
from tests.providers.contract import LIMIT, NOW, a_message, opened

LOGIN = "shop@example.com:0F3B7A-c1icksend-k3y"
KEY = "k3y-of-the-gateway/+"
NUMBER = "+491701234567"
MESSAGE_ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"
CLICKSEND = (
    '{"messages": [{"to": {{ recipient | tojson }}, "body": {{ text | tojson }},'
    ' "custom_string": {{ message_id | tojson }}}]}'
)
QUEUED = {
    "http_code": 200,
    "response_code": "SUCCESS",
    "response_msg": "Messages queued for delivery.",
    "data": {
        "total_count": 1,
        "queued_count": 1,
        "messages": [{"to": NUMBER, "message_id": "BF7AD270-0DE2-418B-B606-71D527D9C1AE", "status": "SUCCESS"}],
    },
}


def queued(status: str) -> dict[str, Any]:
    return {**QUEUED, "data": {"messages": [{"to": NUMBER, "message_id": "BF7AD270", "status": status}]}}


def an_sms(**changes: Any) -> Message:
    return a_message(Channel.SMS, NUMBER, **changes)


def clicksend(url: str) -> http.Settings:
    return http.Settings(
        url=f"{url}/v3/sms/send",
        basic_auth=Secret(LOGIN),
        body=CLICKSEND,
        id="data.messages.0.message_id",
        code="data.messages.0.status|response_code",
        words="response_msg",
        accepted="SUCCESS",
    )


class TestClickSend(ApiContract):
    provider = http
    secrets = (LOGIN, LOGIN.partition(":")[2], base64.b64encode(LOGIN.encode()).decode())
    accepted = (200, QUEUED)
    golden: ClassVar = [
        (200, queued("INVALID_RECIPIENT"), {}, Kind.PERMANENT, "http.not_accepted"),
        (200, b"<html>Please log in to this network</html>", {}, Kind.UNCERTAIN, "http.unclear"),
        (
            401,
            {"http_code": 401, "response_code": "UNAUTHORIZED", "response_msg": f"Not {LOGIN}", "data": None},
            {},
            Kind.CONFIG,
            "api.login",
        ),
        (429, {"http_code": 429, "response_code": "TOO_MANY_REQUESTS"}, {}, Kind.THROTTLED, "api.too_fast"),
    ]
    refused = (
        ({"url": "https://{{ recipient }}/send"}, "url"),
        ({"url": "https://api.example.com{{ recipient }}/send"}, "url"),
        ({"url": "https://api.example.com{% if subject %}.evil.example{% endif %}/send"}, "url"),
        ({"url": "{{ recipient }}"}, "url"),
        ({"url": "{{ 'https://x' }}/send"}, "url"),
        ({"url": "https://user:pass@api.example.com/send"}, "url"),
        ({"url": "ftp://api.example.com/send"}, "url"),
        ({"url": "https://api.example.com:99999/send"}, "url"),
        ({"url": "http://api.example.com/send"}, "url"),
        ({"url": "https://api.example.com/a b"}, "url"),
        ({"url": "https://api.example.com/../b"}, "url"),
        ({"url": "https://api.example.com/#{{ recipient }}"}, "url"),
        ({"body": '{"to": "{{ recipient }}"}'}, "body"),
        ({"body": '["{{ text }}"]'}, "body"),
        ({"body": '{"to": {{ recipent }}}'}, "recipient"),
        ({"body": '{"to": {{ recipient }'}, "body"),
        ({"body": '{"to": {{ recipient | unknown }}}'}, "body"),
        ({"body": '{"to": {{ recipient.__class__.__mro__ }}}'}, "body"),
        ({"body": '{"to": {{ 1 / 0 }}}'}, "body"),
        ({"body": "{}", "form": {"to": "x"}}, "form"),
        ({"method": "get"}, "method"),
        ({"content_type": "application/xml"}, "content_type"),
        ({"content_type": "JSON"}, "content_type"),
        ({"content_type": "application/x-www-form-urlencoded"}, "form"),
        ({"body": None, "form": {"to": "x"}, "content_type": "application/json"}, "form"),
        ({"accepted": "("}, "accepted"),
        ({"code": ""}, "code"),
        ({"basic_auth": Secret("no-colon-in-here")}, "basic_auth"),
        ({"headers": {"authorization": Secret("Bearer abcdefgh")}}, "basic_auth"),
        ({"headers": {"X-Api-Key": "abcdefgh"}}, "X-Api-Key"),
        ({"headers": {"X-One": Secret("one\r\nX-Two: two")}}, "X-One"),
        ({"headers": {"X-Text": "{{ text }}"}}, "X-Text"),
        ({"headers": {"Host": "example.com"}}, "Host"),
        ({"headers": {"A b": "x"}}, "headers"),
        ({"ca_file": "/no/such/file"}, "ca_file"),
    )

    @pytest.fixture
    def settings(self, server: ApiServer) -> http.Settings:
        return clicksend(server.url)

    @pytest.fixture
    def message(self) -> Message:
        return an_sms()


@pytest.fixture
def server() -> Any:
    with ApiServer() as server:
        yield server


def send(settings: http.Settings, message: Message) -> Outcome:
    sender = opened(http, settings)
    try:
        return sender.send(message, LIMIT)
    finally:
        sender.close()


def asked(server: ApiServer, message: Message, **settings: Any) -> Asked:
    """The request that was made of a message which was accepted."""
    outcome = send(http.Settings(**{"url": f"{server.url}/send", **settings}), message)
    assert outcome.kind is Kind.OK, outcome
    return server.last


HOSTILE = '", "to": "+1900", "x": "{{ keys }} {% raw %} \\ \u2028 &to=+1900 /../?#%'


class TestTemplates:
    def test_no_value_leaves_its_place_in_json(self, server: ApiServer) -> None:
        for body in ('{"a": {{ text }}, "to": 1}', '{"a": {{ text | tojson }}, "to": 1}'):
            assert asked(server, an_sms(text=HOSTILE), body=body).json() == {"a": HOSTILE, "to": 1}
        body = '{"a": {{ "Order: " ~ text }}, "to": 1}'
        assert asked(server, an_sms(text=HOSTILE), body=body).json() == {"a": f"Order: {HOSTILE}", "to": 1}
        request = asked(server, an_sms(text=HOSTILE), body='{"a": {{ text | tojson | safe }}, "to": 1}')
        assert request.json().keys() == {"a", "to"}
        body = '{% set all = text ~ (text | tojson) %}{"a": {{ all }}, "to": 1}'
        assert asked(server, an_sms(text="x"), body=body).json() == {"a": 'x"x"', "to": 1}

    def test_no_value_leaves_its_place_in_a_form(self, server: ApiServer) -> None:
        request = asked(server, an_sms(text=HOSTILE), form={"to": "{{ recipient }}", "text": "Hi: {{ text }}"})
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.form() == {"to": NUMBER, "text": f"Hi: {HOSTILE}"}
        assert request.body.count(b"to=") == 1

    def test_no_value_leaves_its_place_in_a_url(self, server: ApiServer) -> None:
        request = asked(
            server,
            an_sms(text="a/b?c=d&e"),
            url=f"{server.url}/to/{{{{ recipient }}}}?text={{{{ text }}}}",
            method="get",
        )
        assert (request.method, request.path) == ("GET", "/to/%2B491701234567?text=a%2Fb%3Fc%3Dd%26e")
        assert request.body == b""

    @pytest.mark.parametrize("recipient", ["..", "."])
    def test_no_value_leads_to_another_path(self, server: ApiServer, recipient: str) -> None:
        settings = http.Settings(url=f"{server.url}/users/{{{{ recipient }}}}/send")
        outcome = send(settings, replace(an_sms(), recipient=recipient))
        assert outcome.kind is Kind.PERMANENT
        assert not server.asked

    @pytest.mark.parametrize("subject", ["a\r\nX-Other: b", "über"])
    def test_a_header_is_one_line_of_ascii(self, server: ApiServer, subject: str) -> None:
        outcome = send(http.Settings(f"{server.url}/", headers={"Title": "{{ subject }}"}), an_sms(subject=subject))
        assert outcome.kind is Kind.PERMANENT
        assert "headers.Title" in (outcome.error or "")
        assert not server.asked

    def test_a_body_of_plain_text_and_headers_go_as_they_are_written(self, server: ApiServer) -> None:
        request = asked(
            server,
            an_sms(),
            method="put",
            body="{{ subject }}: {{ text }}",
            content_type="text/plain; charset=utf-8",
            headers={"Idempotency-Key": "{{ message_id }}", "X-Place": "berlin"},
        )
        assert (request.method, request.body) == ("PUT", b"Your order: It is on its way.")
        assert request.headers["content-type"] == "text/plain; charset=utf-8"
        assert (request.headers["idempotency-key"], request.headers["x-place"]) == (MESSAGE_ID, "berlin")

    def test_a_template_is_not_read_a_second_time(self, server: ApiServer) -> None:
        request = asked(server, an_sms(text="{{ keys.k }}"), body="{{ text }}", keys={"k": Secret(KEY)})
        assert request.json() == "{{ keys.k }}"

    def test_what_a_row_lacks_is_named(self, server: ApiServer) -> None:
        settings = http.Settings(f"{server.url}/", body='{"from": {{ options["from"] }}}')
        assert "'from'" in (send(settings, an_sms()).error or "")
        settings = replace(settings, body='{"from": {{ options.from | default("ACME") }}}')
        assert send(settings, an_sms()).kind is Kind.OK
        assert server.last.json() == {"from": "ACME"}

    def test_a_branch_that_makes_no_json_is_found_when_it_is_taken(self, server: ApiServer) -> None:
        settings = http.Settings(f"{server.url}/", body='{% if tenant_id == "a" %}oops{% else %}1{% endif %}')
        outcome = send(settings, an_sms(tenant_id="a"))
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert not server.asked

    def test_a_text_that_utf_8_cannot_express_is_refused(self, server: ApiServer) -> None:
        for settings in (
            http.Settings(f"{server.url}/", body="{{ text }}"),
            http.Settings(f"{server.url}/", form={"text": "{{ text }}"}),
            http.Settings(f"{server.url}/?{{{{ text }}}}"),
        ):
            assert send(settings, an_sms(text="\ud800")).kind is Kind.PERMANENT
        assert not server.asked


class TestSms:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a" * 161, {"segments": 2, "encoding": "gsm7"}),
            ("Ё" * 71, {"segments": 2, "encoding": "ucs2"}),
        ],
    )
    def test_parts_and_encoding_are_recorded_with_the_try(
        self, server: ApiServer, text: str, told: dict[str, Any]
    ) -> None:
        outcome = send(http.Settings(f"{server.url}/", body="{{ text }}"), an_sms(text=text))
        assert server.last.json() == text
        assert outcome.response is not None
        assert told.items() <= outcome.response.items()
        assert outcome.response["status"] == 200

    def test_more_parts_than_allowed_are_refused(self, server: ApiServer) -> None:
        settings = http.Settings(f"{server.url}/", body="{{ text }}", max_segments=1)
        outcome = send(settings, an_sms(text="a" * 161))
        assert (outcome.kind, outcome.stage) == (Kind.PERMANENT, "compose")
        assert "takes 2 SMS, and max_segments allows 1: shorten it" in (outcome.error or "")
        assert not server.asked

    def test_typographic_characters_turn_plain_on_request(self, server: ApiServer) -> None:
        sms = an_sms(text="\u201cHi\u201d \u2014 now\u2026")
        assert asked(server, sms, body="{{ text }}", plain_characters=True).json() == '"Hi" - now...'

    def test_other_channels_hold_what_they_like(self, server: ApiServer) -> None:
        call = a_message(Channel.VOICE, NUMBER, text="\u201c" * 800)
        outcome = send(http.Settings(f"{server.url}/", body="{{ text }}"), call)
        assert (outcome.kind, server.last.json()) == (Kind.OK, "\u201c" * 800)
        assert outcome.response is not None
        assert "segments" not in outcome.response


class TestOptions:
    @pytest.mark.parametrize(
        "body",
        ["{}", "{{ text }}", "{{ options.voice }}", '{{ options["voice"] | default(1) }}', "{{ options.image }}"],
    )
    def test_one_that_no_template_carries_is_refused(self, server: ApiServer, body: str) -> None:
        outcome = send(http.Settings(f"{server.url}/", body=body), an_sms(options={"from": "ACME", "voice": "x"}))
        assert outcome.kind is Kind.PERMANENT
        assert "options.from" in (outcome.error or "")
        assert not server.asked

    @pytest.mark.parametrize(
        "body",
        [
            "{{ options }}",
            "{{ options.from }}",
            '{{ options["from"] }}',
            "[{% for name, value in options.items() %}{{ [name, value] }}{% endfor %}]",
        ],
    )
    def test_one_that_a_template_names_goes_out(self, server: ApiServer, body: str) -> None:
        if "for name" in body:
            body = body.replace("{% endfor %}", "{% if not loop.last %},{% endif %}{% endfor %}")
        assert "ACME" in str(asked(server, an_sms(options={"from": "ACME"}), body=body).json())

    def test_severity_is_carried_by_its_own_name_and_info_without_one(self, server: ApiServer) -> None:
        chat = a_message(Channel.CHAT, "room")
        assert asked(server, chat, body="{{ severity }}").json() == "info"
        loud = replace(chat, options={"severity": "critical"})
        assert asked(server, loud, body="{{ severity }}").json() == "critical"

    def test_any_name_in_data_may_be_asked_for(self, server: ApiServer) -> None:
        push = a_message(Channel.PUSH, "token", options={"data": {"order": "17"}})
        assert asked(server, push, body="{{ options.data.order }}").json() == "17"


def test_a_template_that_needs_a_subject_is_refused_with_what_it_was_tried_with() -> None:
    settings = http.Settings("https://api.example.com/", body="{{ subject.upper() }}")
    with pytest.raises(ConfigurationError, match="a sample without a subject"):
        http.build(settings, Kit(now=lambda: NOW))


class TestSecrets:
    @pytest.mark.parametrize(
        "settings",
        [
            {"body": '{"key": {{ keys.k }}}'},
            {"form": {"key": "{{ keys.k }}"}},
            {"headers": {"Authorization": "Bearer {{ keys.k }}"}},
            {"headers": {"X-Api-Key": Secret(KEY)}},
            {"url": "/send?key={{ keys.k }}"},
            {"url": "/bot{{ keys.k }}/send"},
        ],
    )
    def test_a_key_goes_out_and_is_never_shown(self, server: ApiServer, settings: Mapping[str, Any]) -> None:
        given = {**settings, "url": server.url + settings.get("url", "/"), "code": "error"}
        made = http.Settings(**given, keys={"k": Secret(KEY)})
        server.answers(400, {"error": KEY, "more": [KEY, "k3y-of-the-gateway%2F%2B"]})()
        outcome = send(made, an_sms())
        sent = f"{server.last.path} {server.last.headers} {server.last.body!r}"
        assert "k3y-of-the-gateway" in sent
        for shown in (repr(outcome), str(outcome.response), outcome.error, outcome.code, repr(made)):
            assert "k3y-of-the-gateway" not in (shown or "")

    def test_our_own_id_in_a_header_may_come_back_as_the_provider_s(self, server: ApiServer) -> None:
        server.answers(200, {"id": MESSAGE_ID})()
        settings = http.Settings(f"{server.url}/", headers={"Idempotency-Key": "{{ message_id }}"}, id="id")
        assert send(settings, an_sms()).provider_message_id == MESSAGE_ID


def test_a_wish_to_wait_is_read_where_it_stands(server: ApiServer) -> None:
    server.answers(429, {"wait": 90})()
    assert send(http.Settings(f"{server.url}/", retry_after="wait"), an_sms()).retry_after == 90.0


def test_http_without_tls_to_elsewhere_is_said_on_purpose() -> None:
    settings = http.Settings("http://gateway.example.com/send")
    with pytest.raises(ConfigurationError, match="allow_http"):
        http.build(settings, Kit(now=lambda: NOW))
    http.build(replace(settings, allow_http=True), Kit(now=lambda: NOW)).close()
