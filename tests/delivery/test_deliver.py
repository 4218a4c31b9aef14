"""The whole way of one notification, over fakes of the sender and the renderer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.accounts import Accounts
from noti_worker.delivery.render import Rendered, RendererAway, TemplateRests
from noti_worker.domain.account import Account
from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.follows import InboxLine
from noti_worker.domain.lifecycle import Backoff, Policy
from noti_worker.domain.mode import Mode
from noti_worker.domain.notification import (
    Attachment,
    Briefing,
    Channel,
    Message,
    Notification,
    OnUncertain,
    Status,
    Template,
)
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.ports import Sender
from noti_worker.domain.said import Said
from noti_worker.worker.steering import Steering
from tests.delivery.fakes import REFUSED, Courier, Marker, Purse, StillClock, a_delivery, said
from tests.domain.rows import NOW, claimed

NOTHING = Briefing()
SERVED = frozenset(Channel)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_plain_row_is_sent_as_it_stands() -> None:
    courier = Courier(said(Kind.OK, id="x"))
    row = claimed(traceparent=TRACE)
    result = a_delivery({"relay": courier}).deliver(row, NOTHING)

    assert result.verdict.status is Status.SENT
    assert (result.account, result.provider) == ("relay", "smtp")
    assert result.outcome is not None
    assert (result.outcome.kind, result.outcome.provider_message_id) == (Kind.OK, "x")
    assert result.follows == ()
    assert courier.sent == [
        Message(
            notification_id=1,
            message_id=row.message_id,
            channel=Channel.EMAIL,
            tenant_id="default",
            recipient="ada@example.com",
            account="relay",
            dated_at=row.first_due_at,
            subject="Hello",
            text="Hello Ada",
            traceparent=TRACE,
        )
    ]


def test_a_try_is_limited_and_timed() -> None:
    clock = StillClock()

    def slow(_: Message) -> Said:
        clock.seconds += 2.5
        return said(Kind.OK)

    courier = Courier(instead=slow)
    result = a_delivery({"relay": courier}, policy=Policy(send_timeout=7.0), clock=clock).deliver(claimed(), NOTHING)
    assert courier.limits == [7.0]
    assert (result.since, result.seconds) == (100.0, 2.5)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"requested": Status.CANCELLED}, Status.CANCELLED),
        ({"requested": Status.HELD}, Status.HELD),
        ({"expires_at": NOW}, Status.EXPIRED),
        ({"lost_count": 5}, Status.FAILED),
        ({"dispatched": True, "on_uncertain": OnUncertain.HOLD}, Status.UNKNOWN),
    ],
)
def test_what_is_not_permitted_is_not_sent(fields: dict[str, Any], status: Status) -> None:
    courier = Courier()
    result = a_delivery({"relay": courier}).deliver(claimed(**fields), NOTHING)
    assert result.verdict.status is status
    assert result.verdict.reason
    assert (result.outcome, result.account, courier.sent) == (None, None, [])


def test_what_expires_while_it_is_rendered_is_not_sent() -> None:
    clock, courier = StillClock(), Courier()

    class Slow(Marker):
        def render(self, *given: Any) -> Rendered:
            clock.wall += timedelta(seconds=1)
            return super().render(*given)

    delivery = a_delivery({"relay": courier}, renderer=Slow(), clock=clock)
    template = Briefing(template=Template("hello", body="hello"))
    for seconds, status in ((0.9, Status.EXPIRED), (60, Status.SENT)):
        row = claimed(template_id="hello", body=None, expires_at=clock.wall + timedelta(seconds=seconds))
        result = delivery.deliver(row, template)
        assert result.verdict.status is status
        assert len(courier.sent) == (status is Status.SENT)


def test_how_long_a_category_is_worth_sending_ends_a_row_before_and_after_a_try() -> None:
    courier = Courier(instead=lambda _: said(Kind.TRANSIENT))
    delivery = a_delivery({"relay": courier})
    row = claimed(category="codes")
    late = delivery.deliver(row, Briefing(expires_after=timedelta(seconds=1)))
    assert (late.verdict.status, len(courier.sent)) == (Status.EXPIRED, 0)
    assert late.verdict.reason.endswith("messages of codes are worth sending for 1s")
    soon = delivery.deliver(row, Briefing(expires_after=timedelta(seconds=5)))
    assert (soon.verdict.status, len(courier.sent)) == (Status.EXPIRED, 1), "the next try would come too late"
    later = delivery.deliver(row, Briefing(expires_after=timedelta(days=5)))
    assert later.verdict.status is Status.RETRYING


def test_a_row_that_cannot_be_sent_fails_without_a_try() -> None:
    result = a_delivery().deliver(claimed(has_options=True), Briefing(options='{"cc": 5}'))
    assert result.verdict.status is Status.FAILED
    assert "options.cc" in result.verdict.reason
    assert (result.outcome, result.kind) == (None, "permanent")


@pytest.mark.parametrize("broken", [ValueError, MemoryError, RecursionError, KeyError, SystemExit])
def test_a_bug_of_a_sender_is_uncertain_and_shows_only_its_class(broken: type[BaseException]) -> None:
    def raises(_: Message) -> Said:
        raise broken("the password is hunter2")

    result = a_delivery({"relay": Courier(instead=raises)}).deliver(claimed(), NOTHING)
    assert result.outcome is not None
    assert (result.outcome.kind, result.outcome.error) == (Kind.UNCERTAIN, broken.__name__)
    assert result.verdict.status is Status.RETRYING


def test_a_sender_that_says_nothing_is_uncertain() -> None:
    result = a_delivery({"relay": Courier("250 ok")}).deliver(claimed(), NOTHING)
    assert result.outcome is not None
    assert result.outcome.kind is Kind.UNCERTAIN


def test_what_a_sender_finds_bad_before_sending_is_permanent() -> None:
    def refuses(_: Message) -> Said:
        raise BadNotification("the subject cannot be encoded")

    result = a_delivery({"relay": Courier(instead=refuses)}).deliver(claimed(), NOTHING)
    assert result.outcome is not None
    assert (result.outcome.kind, result.outcome.error) == (Kind.PERMANENT, "the subject cannot be encoded")
    assert result.verdict.status is Status.FAILED


def test_an_in_app_message_is_recorded_with_its_inbox_line() -> None:
    row = claimed(channel=Channel.IN_APP, recipient="user:17", has_options=True)
    result = a_delivery().deliver(row, Briefing(options='{"html": "<b>Hi</b>"}'))
    assert result.follows == (InboxLine("default", "user:17", "Hello", "Hello Ada", "<b>Hi</b>"),)


def test_an_in_app_message_that_failed_has_no_inbox_line() -> None:
    row = claimed(channel=Channel.IN_APP, recipient="user:17")
    assert a_delivery({"in_app": Courier(said(Kind.PERMANENT))}).deliver(row, NOTHING).follows == ()


@given(own=st.integers(0, 20), cap=st.none() | st.integers(0, 20), failures=st.integers(0, 25))
def test_the_channel_caps_the_retries_of_a_row_that_says_how_many(own: int, cap: int | None, failures: int) -> None:
    delivery = a_delivery({"relay": Courier(said(Kind.TRANSIENT))}, policy=Policy(max_retries=cap))
    row = claimed(max_retries=own, retry_count=failures)
    result = delivery.deliver(row, NOTHING)
    allowed = own if cap is None else min(own, cap)
    assert result.verdict.status is (Status.RETRYING if failures < allowed else Status.FAILED)
    assert result.notification is row


def test_the_wait_follows_the_channels_backoff() -> None:
    policy = Policy(backoff=Backoff(initial=timedelta(seconds=7)))
    delivery = a_delivery({"relay": Courier(said(Kind.TRANSIENT))}, policy=policy)
    assert delivery.deliver(claimed(), NOTHING).verdict.wait == timedelta(seconds=7)


def test_uncertainty_follows_the_channel_unless_the_row_says_so() -> None:
    delivery = a_delivery({"relay": Courier(said(Kind.UNCERTAIN))}, policy=Policy(on_uncertain=OnUncertain.HOLD))
    assert delivery.deliver(claimed(), NOTHING).verdict.status is Status.UNKNOWN
    assert delivery.deliver(claimed(on_uncertain=OnUncertain.FAIL), NOTHING).verdict.status is Status.FAILED


def test_a_refused_account_hands_over_to_the_next_one_at_once() -> None:
    delivery = a_delivery({"a": Courier(said(Kind.CONFIG)), "b": Courier()})
    first = delivery.deliver(claimed(), NOTHING)
    assert (first.account, first.verdict.status, first.verdict.wait) == ("a", Status.RETRYING, timedelta(0))
    second = delivery.deliver(claimed(), Briefing(last_account="a", last_kind="config"))
    assert (second.account, second.verdict.status) == ("b", Status.SENT)


def test_the_last_refused_account_of_the_route_holds_the_row() -> None:
    delivery = a_delivery({"a": Courier(), "b": Courier(said(Kind.CONFIG))})
    result = delivery.deliver(claimed(), Briefing(last_account="a", last_kind="config"))
    assert (result.account, result.verdict.status) == ("b", Status.HELD)


def test_a_refused_account_that_the_row_asked_for_holds_the_row() -> None:
    delivery = a_delivery({"a": Courier(said(Kind.CONFIG)), "b": Courier()})
    assert delivery.deliver(claimed(provider="a"), NOTHING).verdict.status is Status.HELD


def test_a_row_waits_for_the_account_that_is_refused_as_a_whole() -> None:
    refused = Courier(REFUSED)
    verdict = a_delivery({"a": refused}).deliver(claimed(attempt_count=2), NOTHING).verdict
    assert (verdict.status, verdict.charge, verdict.wait) == (Status.RETRYING, False, timedelta(minutes=4))


def test_rows_that_come_right_after_a_refusal_do_not_log_in_too() -> None:
    refused = Courier(REFUSED)
    delivery = a_delivery({"a": refused})
    results = [delivery.deliver(claimed(notification_id=number), NOTHING) for number in range(1, 6)]
    assert len(refused.sent) == 1
    assert {(result.verdict.status, result.verdict.charge) for result in results} == {(Status.RETRYING, False)}
    assert results[0].outcome is not None
    assert [result.outcome for result in results[1:]] == [None] * 4
    assert "the account a has just been refused" in results[1].verdict.reason


def test_an_account_in_trouble_leaves_its_route_but_for_the_one_message_that_tries_it() -> None:
    steering = Steering({Channel.EMAIL: {"a": "smtp", "b": "smtp"}})
    first, spare = Courier(), Courier()
    delivery = a_delivery({"a": first, "b": spare}, steering=steering)
    steering.open("a")
    assert delivery.deliver(claimed(notification_id=1), NOTHING).account == "b"
    steering.probe("a")
    assert [delivery.deliver(claimed(notification_id=number), NOTHING).account for number in (2, 3)] == ["a", "b"]
    assert (len(first.sent), len(spare.sent)) == (1, 2)


def test_a_later_account_of_the_route_is_tried_too_when_its_time_has_come() -> None:
    steering = Steering({Channel.EMAIL: {"a": "smtp", "b": "smtp"}})
    delivery = a_delivery({"a": Courier(), "b": Courier()}, steering=steering)
    steering.open("b")
    steering.probe("b")
    assert [delivery.deliver(claimed(notification_id=number), NOTHING).account for number in (1, 2)] == ["b", "a"]


def test_a_row_that_has_expired_meanwhile_leaves_the_one_message_to_another() -> None:
    steering, clock = Steering({Channel.EMAIL: {"a": "smtp"}}), StillClock()
    steering.open("a")
    steering.probe("a")

    class Slow(Marker):
        def render(self, *given: Any) -> Rendered:
            clock.wall += timedelta(seconds=1)
            return super().render(*given)

    delivery = a_delivery({"a": Courier()}, steering=steering, renderer=Slow(), clock=clock)
    late = claimed(template_id="hello", body=None, expires_at=clock.wall + timedelta(seconds=1))
    template = Briefing(template=Template("hello", body="hello"))
    assert delivery.deliver(late, template).verdict.status is Status.EXPIRED
    assert delivery.deliver(claimed(notification_id=2), NOTHING).account == "a"


def test_nothing_is_tried_while_every_account_is_in_trouble() -> None:
    steering = Steering({Channel.EMAIL: {"a": "smtp"}})
    only = Courier()
    steering.open("a")
    result = a_delivery({"a": only}, steering=steering).deliver(claimed(), NOTHING)
    assert (result.outcome, result.verdict.status, result.verdict.charge) == (None, Status.RETRYING, False)
    assert only.sent == []


def test_what_waited_for_an_account_that_was_refused_goes_to_the_next_at_once() -> None:
    begun, answer = threading.Event(), threading.Event()

    def refuse(_: Message) -> Said:
        begun.set()
        answer.wait(20)
        return REFUSED

    first = Courier(instead=refuse)
    delivery = a_delivery({"a": first, "b": Courier()})
    with ThreadPoolExecutor() as pool:
        ahead = pool.submit(delivery.deliver, claimed(notification_id=1), NOTHING)
        assert begun.wait(20)
        behind = pool.submit(delivery.deliver, claimed(notification_id=2), NOTHING)
        answer.set()
        results = [ahead.result(20), behind.result(20)]
    assert len(first.sent) == 1
    assert [result.verdict.wait for result in results] == [timedelta(0), timedelta(0)]


def test_who_was_let_ahead_and_does_not_begin_lets_the_next_go() -> None:
    delivery = a_delivery()
    delivery.give_up(claimed(notification_id=1), 3.0)
    assert delivery.deliver(claimed(notification_id=1), NOTHING).outcome is None
    assert delivery.deliver(claimed(notification_id=2), NOTHING).verdict.status is Status.SENT


def test_a_channel_without_account_holds_the_row_once_it_is_older_than_our_news_of_accounts() -> None:
    delivery = a_delivery(routes={Channel.EMAIL: ("relay",)})
    row = claimed(channel=Channel.SMS, recipient="+491701234567")
    verdict = delivery.deliver(row, NOTHING).verdict
    assert (verdict.status, verdict.charge) == (Status.RETRYING, False)
    old = delivery.deliver(replace(row, created_at=row.created_at - timedelta(seconds=11)), NOTHING).verdict
    assert old.status is Status.HELD
    assert "sms" in old.reason


def test_a_sender_that_cannot_be_built_any_more_is_our_fault_and_not_the_rows() -> None:
    def build(account: Account) -> Sender:
        raise ConfigurationError("accounts.relay.ca_file cannot be read")

    accounts = Accounts({"relay": Account("relay", "smtp", Mode.LIVE, SERVED)}, {Channel.EMAIL: ("relay",)}, build)
    result = a_delivery(accounts=accounts).deliver(claimed(), NOTHING)
    assert result.outcome is not None
    assert (result.outcome.kind, result.outcome.scope) == (Kind.CONFIG, Scope.ACCOUNT)
    assert (result.verdict.status, result.verdict.charge) == (Status.RETRYING, False)


def test_a_renderer_that_cannot_be_had_charges_nothing() -> None:
    away = Marker(RendererAway("the render process cannot be started: OSError"))
    row = claimed(template_id="hello", body=None)
    result = a_delivery(renderer=away).deliver(row, Briefing(template=Template("hello", body="Hi")))
    assert (result.verdict.status, result.verdict.charge) == (Status.RETRYING, False)
    assert result.verdict.wait == timedelta(seconds=60)
    assert result.outcome is None


def test_a_row_of_a_template_that_rests_waits_as_long_and_says_why() -> None:
    rests = Marker(TemplateRests("template 'hello' did not end within 1 s: its rows are tried one by one", 8.0))
    row = claimed(template_id="hello", body=None)
    verdict = a_delivery(renderer=rests).deliver(row, Briefing(template=Template("hello", body="Hi"))).verdict
    assert (verdict.status, verdict.charge, verdict.wait) == (Status.RETRYING, False, timedelta(seconds=8))
    assert verdict.reason == "template 'hello' did not end within 1 s: its rows are tried one by one"


# What is sent

ALL = Template("hello", subject="S", body="B", html="H")


@pytest.mark.parametrize(
    ("fields", "options", "content"),
    [
        ({}, None, ("<S>", "<B>", "<H>")),
        ({"subject": "own"}, None, ("own", "<B>", "<H>")),
        ({"body": "own"}, None, ("<S>", "own", "<H>")),
        ({"has_options": True}, '{"html": "own"}', ("<S>", "<B>", "own")),
        ({"channel": Channel.SMS, "recipient": "+491701234567"}, None, ("<S>", "<B>", None)),
    ],
)
def test_a_template_fills_in_what_the_row_leaves_open(
    fields: dict[str, Any], options: str | None, content: tuple[str, ...]
) -> None:
    courier = Courier()
    row = claimed(**{"template_id": "hello", "subject": None, "body": None} | fields)
    a_delivery({"relay": courier}).deliver(row, Briefing(template=ALL, options=options))
    (message,) = courier.sent
    assert (message.subject, message.text, message.html) == content


def test_a_template_is_given_the_rows_data_and_identity_and_nothing_else() -> None:
    marker = Marker()
    row = claimed(template_id="hello", body=None, has_data=True, locale="de")
    a_delivery(renderer=marker).deliver(row, Briefing(template=ALL, template_data='{"a": 1}'))
    assert marker.data == '{"a": 1}'
    assert marker.about == {
        "notification_id": 1,
        "message_id": "00000000-0000-4000-8000-000000000001",
        "channel": "email",
        "tenant_id": "default",
        "locale": "de",
        "language": "de",
        "direction": "ltr",
        "zone": "UTC",
        "recipient": "ada@example.com",
    }


@pytest.mark.parametrize(
    ("asked", "written", "language", "direction"),
    [
        ("de-CH", "de", "de-CH", "ltr"),  # one language: the row knows the country
        ("fi", "en", "en", "ltr"),  # no Finnish date in an English sentence
        (None, "ar", "ar", "rtl"),
        ("ar_EG", "", "ar_EG", "rtl"),
        ("az-Arab", None, "az-Arab", "rtl"),
        ("ar-Latn", None, "ar-Latn", "ltr"),
        ("no tag", "he", "he", "rtl"),
        (None, None, None, "ltr"),
    ],
)
def test_a_template_knows_the_language_and_the_clock_of_its_reader(
    asked: str | None, written: str | None, language: str | None, direction: str
) -> None:
    marker = Marker()
    row = claimed(template_id="hello", body=None, locale=asked)
    text = Template("hello", body="x", locale=written)
    a_delivery(renderer=marker).deliver(row, Briefing(template=text, zone="Europe/Berlin"))
    assert marker.about is not None
    about = {name: marker.about[name] for name in ("language", "direction", "zone", "locale")}
    assert about == {"language": language, "direction": direction, "zone": "Europe/Berlin", "locale": asked}


def reason(row: Notification, briefing: Briefing = NOTHING) -> str:
    """Why the row is not sent."""
    result = a_delivery().deliver(row, briefing)
    assert (result.verdict.status, result.outcome) == (Status.FAILED, None)
    return result.verdict.reason


def test_an_unknown_template_is_named_with_its_tenant() -> None:
    why = reason(claimed(template_id="hullo", tenant_id="acme", body=None))
    assert "'hullo'" in why
    assert "'acme'" in why


def test_a_template_without_text_does_not_serve_a_channel_without_html() -> None:
    row = claimed(channel=Channel.SMS, recipient="+491701234567", template_id="hello", body=None)
    assert "sms" in reason(row, Briefing(template=Template("hello", html="<b>")))


@pytest.mark.parametrize("bad", ["a\nBcc: evil@example.com", "a\rb", "a\x85b", "a\u2028b", "a\x00b", "a\x1b[2J"])
def test_a_subject_is_one_line(bad: str) -> None:
    assert "subject" in reason(claimed(subject=bad))


def test_a_subject_keeps_no_direction_override() -> None:
    courier = Courier()
    a_delivery({"relay": courier}).deliver(claimed(subject="invoice \u202egpj.exe"), NOTHING)
    assert courier.sent[0].subject == "invoice gpj.exe"


@pytest.mark.parametrize("bad", ["half \ud83d", "nul \x00"])
def test_text_that_cannot_travel_is_refused(bad: str) -> None:
    assert "body" in reason(claimed(body=bad))


def test_what_calls_itself_json_is_json() -> None:
    row = {"channel": Channel.WEBHOOK, "recipient": "https://example.com/", "has_options": True}
    said = Briefing(options='{"content_type": "text/json"}')
    assert "tojson" in reason(claimed(**row, body="{'a': 1}"), said)
    assert "tojson" in reason(claimed(**row, body="[" * 100_000), said)
    assert a_delivery().deliver(claimed(**row, body='{"a": 1}'), said).verdict.status is Status.SENT


ID = "0190b5f2-6f7c-7b34-9d6e-2b1c5d3e4f50"


def test_attachments_come_from_the_briefing() -> None:
    courier = Courier()
    file = Attachment("a.pdf", "application/pdf", b"%PDF")
    briefing = Briefing(options=f'{{"attachments": ["{ID}"]}}', attachments=(file,))
    a_delivery({"relay": courier}).deliver(claimed(has_options=True), briefing)
    assert courier.sent[0].attachments == (file,)
    assert courier.sent[0].options == {}


def test_a_missing_attachment_is_named() -> None:
    named = Briefing(options=f'{{"attachments": ["{ID}"]}}')
    assert ID in reason(claimed(has_options=True), replace(named, missing=(ID,)))
    assert "attachments" in reason(claimed(has_options=True), named)


def test_a_long_body_comes_from_the_briefing() -> None:
    courier = Courier()
    a_delivery({"relay": courier}).deliver(claimed(body=None, long_body=True), Briefing(body="very long"))
    assert courier.sent[0].text == "very long"


def test_content_that_cannot_be_read_fails_with_the_reason() -> None:
    assert (
        reason(claimed(has_data=True), Briefing(unreadable="template_data is too large"))
        == "template_data is too large"
    )


def test_preparing_sends_nothing() -> None:
    courier = Courier()
    prepared = a_delivery({"relay": courier}).preparation.prepare(claimed(), NOTHING, Policy(), NOW)
    assert isinstance(prepared, Message)
    assert courier.sent == []


# Stopping


def test_giving_up_in_the_middle_of_a_send_is_uncertain_and_names_the_account() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hangs(_: Message) -> Said:
        begun.set()
        go_on.wait(10)
        return said(Kind.OK)

    delivery = a_delivery({"relay": Courier(instead=hangs)})
    thread = threading.Thread(target=delivery.deliver, args=(claimed(), NOTHING))
    thread.start()
    assert begun.wait(10)
    result = delivery.give_up(claimed(), 3.0)
    go_on.set()
    thread.join()
    assert result.outcome is not None
    assert (result.outcome.kind, result.account, result.seconds) == (Kind.UNCERTAIN, "relay", 3.0)
    assert (result.verdict.status, result.verdict.charge) == (Status.RETRYING, True)


def test_a_row_that_came_back_while_it_is_still_being_sent_is_sent_apart() -> None:
    inner: list[Message] = []

    def again(message: Message) -> Said:
        if not inner:
            inner.append(message)
            delivery.deliver(claimed(claim_count=2), NOTHING)
        return said(Kind.OK)

    delivery = a_delivery({"relay": Courier(instead=again)})
    assert delivery.deliver(claimed(claim_count=1), NOTHING).verdict.status is Status.SENT


def test_giving_up_before_the_send_forbids_it_and_charges_nothing() -> None:
    courier = Courier()
    delivery = a_delivery({"relay": courier})
    result = delivery.give_up(claimed(), 3.0)
    delivery.deliver(claimed(), NOTHING)
    assert courier.sent == []
    assert (result.outcome, result.verdict.status, result.verdict.wait) == (None, Status.RETRYING, timedelta(0))
    assert not result.verdict.charge


def test_a_paused_account_is_neither_used_nor_failed_over_to() -> None:
    couriers = {"relay": Courier(said(Kind.CONFIG)), "spare": Courier(), "third": Courier()}
    result = a_delivery(couriers, paused=frozenset({"relay"})).deliver(claimed(), NOTHING)
    assert (result.account, result.verdict.status) == ("spare", Status.SENT)
    result = a_delivery(couriers, paused=frozenset({"spare", "third"})).deliver(claimed(), NOTHING)
    assert (result.account, result.verdict.status) == ("relay", Status.HELD)


def test_a_pause_that_comes_during_the_send_does_not_touch_its_result() -> None:
    paused: set[str] = set()

    def late(_: Message) -> Said:
        paused.add("relay")
        return said(Kind.CONFIG)

    house = a_delivery({"relay": Courier(instead=late), "spare": Courier()}, paused=lambda: paused)
    result = house.deliver(claimed(), NOTHING)
    assert (result.account, result.verdict.status) == ("relay", Status.RETRYING)


def test_an_uncertain_row_waits_for_its_paused_account_uncharged() -> None:
    briefing = Briefing(last_account="relay", last_kind=Kind.UNCERTAIN)
    couriers = {"relay": Courier(), "spare": Courier()}
    result = a_delivery(couriers, paused=frozenset({"relay"})).deliver(claimed(attempt_count=1), briefing)
    assert (result.outcome, result.verdict.status, result.verdict.charge) == (None, Status.RETRYING, False)
    assert "the account relay is paused" in result.verdict.reason
    assert couriers["spare"].sent == []


@pytest.mark.parametrize(
    ("on_uncertain", "status"), [(OnUncertain.HOLD, Status.UNKNOWN), (OnUncertain.FAIL, Status.FAILED)]
)
def test_giving_up_what_an_earlier_claim_may_have_sent_does_not_put_it_back(
    on_uncertain: OnUncertain, status: Status
) -> None:
    result = a_delivery().give_up(claimed(dispatched=True, on_uncertain=on_uncertain), 3.0)
    assert (result.verdict.status, result.verdict.wait) == (status, None)


def test_a_row_whose_limit_is_spent_is_left_as_it_was_and_the_account_is_not_asked() -> None:
    courier, purse = Courier(), Purse(relay=1)
    delivery = a_delivery({"relay": courier}, allowance=purse)
    assert delivery.deliver(claimed(), NOTHING).verdict.status is Status.SENT
    result = delivery.deliver(claimed(notification_id=2), NOTHING)
    assert (result.verdict.status, result.outcome) == (Status.PENDING, None)
    assert len(courier.sent) == 1
    purse.left["relay"] = 1
    assert delivery.deliver(claimed(notification_id=2), NOTHING).verdict.status is Status.SENT


def test_an_account_that_has_nothing_left_leaves_the_route_to_the_next() -> None:
    delivery = a_delivery({"a": Courier(), "b": Courier()}, allowance=Purse(a=1))
    assert [delivery.deliver(claimed(), NOTHING).account for _ in range(3)] == ["a", "b", "b"]


def test_the_account_that_alone_knows_whether_it_took_the_message_is_waited_for() -> None:
    delivery = a_delivery({"a": Courier(), "b": Courier()}, allowance=Purse(a=0))
    uncertain = Briefing(last_account="a", last_kind=Kind.UNCERTAIN)
    assert delivery.deliver(claimed(), uncertain).verdict.status is Status.PENDING


def test_what_was_sent_is_kept_as_it_went_out_where_that_is_wished() -> None:
    delivery = a_delivery({"relay": Courier(said(Kind.OK))})
    assert delivery.deliver(claimed(), NOTHING).kept is None
    kept = delivery.deliver(claimed(body="Hello"), Briefing(keeps=timedelta(days=90))).kept
    assert kept is not None
    assert (kept.recipient, kept.body, kept.span, kept.truncated) == ("ada@example.com", "Hello", timedelta(90), False)
