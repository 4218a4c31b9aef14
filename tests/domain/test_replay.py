"""What was recorded of a try is judged as the try was, as long as the rules are the same."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker import providers
from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.replay import REASONS, Recorded, Replay, Table
from noti_worker.domain.rules import Rule, judge
from noti_worker.domain.said import Said
from tests.providers.contract import a_message
from tests.readme_tables import own_providers

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MAIL = a_message(Channel.EMAIL, "ann@example.net")
STAGES = ("answer", "unaccepted", "connect", "tls", "auth", "rcpt", "dot", "compose", "guard", "build", "machine")
WORDS = (
    "",
    "User unknown",
    "rate limit exceeded: slow down",
    "greylisted, try again in 5 minutes",
    "<ann@example.net>: mailbox full",
    "blocked using spamhaus",
    "invalid_auth: the token is revoked",
    "listed at https://example.org/rate",
)
CODES = ("", "5.1.1", "4.7.0", "invalid_auth", "21211", "timeout", "a (b)")


def recorded(said: Said, table: Table, message: Message = MAIL) -> Recorded:
    """A try as the log keeps it."""
    outcome = judge(said, table.all, message)
    return Recorded(
        17, NOON, "it", table.provider, outcome.kind, outcome.rule, outcome.stage, outcome.code, outcome.error
    )


def replayed(tried: Recorded, table: Table) -> tuple[str, str] | str:
    return Replay({"it": table}).judge(tried)


def table_of(provider: str, *answers: Rule) -> Table:
    return Table(provider, answers, tuple(providers.find(provider).RULES))


@given(
    provider=st.sampled_from(own_providers()),
    stage=st.sampled_from(STAGES),
    status=st.sampled_from(("", "200", "250", "302", "400", "404", "422", "429", "450", "503", "550", "554")),
    code=st.sampled_from(CODES),
    words=st.sampled_from(WORDS),
    sentence=st.sampled_from(
        (None, "the server refused the recipient: {status} {words}", "answered {status}: {words}")
    ),
)
def test_the_same_rules_say_the_same(
    provider: str, stage: str, status: str, code: str, words: str, sentence: str | None
) -> None:
    said = Said(stage, status, code, words if status else "")
    if sentence is not None and status:
        said = replace(said, error=sentence.format(status=status, words=words))
    table = table_of(provider)
    tried = recorded(said, table)
    assert replayed(tried, table) == (tried.kind, tried.rule)


def test_other_rules_say_something_else() -> None:
    tried = recorded(Said("answer", "422", "odd", "come back tomorrow"), table_of("http"))
    assert (tried.kind, tried.rule) == (Kind.PERMANENT, "api.refused")
    by_code = Rule("account.odd", Kind.TRANSIENT, status="422", code="odd")
    by_words = Rule("account.later", Kind.THROTTLED, status="4..", text="^come back tomorrow$")
    for_another = Rule("account.other", Kind.TRANSIENT, status="422", code="odder")
    assert replayed(tried, table_of("http", by_code)) == ("transient", "account.odd")
    assert replayed(tried, table_of("http", by_words)) == ("throttled", "account.later")
    assert replayed(tried, table_of("http", for_another)) == (tried.kind, tried.rule)


def test_a_refusal_of_a_mail_with_copies_is_judged_as_it_was() -> None:
    smtp = table_of("smtp")
    with_copies = replace(MAIL, options={"cc": "bob@example.net"})
    tried = recorded(Said("dot", "550", "5.1.1", "User unknown"), smtp, with_copies)
    assert tried.kind == Kind.PERMANENT
    assert replayed(tried, smtp) == (tried.kind, tried.rule)


def test_what_was_said_of_a_redirected_message_is_not_about_its_recipient() -> None:
    smtp = table_of("smtp")
    tried = recorded(Said("rcpt", "550", "5.1.1", "User unknown"), smtp)
    redirected = replace(tried, kind="config", error=f"{tried.error} (redirected to delivery.redirect_to.email)")
    assert replayed(redirected, smtp) == ("config", tried.rule)
    accepted = replace(recorded(Said("dot", "250"), smtp), error="redirected to delivery.redirect_to.email")
    assert replayed(accepted, smtp) == ("ok", "smtp.accepted")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stage": None}, "not_recorded"),
        ({"account": "gone"}, "account_missing"),
        ({"account": None}, "account_missing"),
        ({"provider": "http"}, "provider_changed"),
        ({"error": None}, "words_missing"),
    ],
)
def test_what_cannot_be_judged_again_says_why(change: dict[str, str | None], reason: str) -> None:
    asks_for_words = Rule("account.later", Kind.THROTTLED, status="5..", text="later")
    smtp = table_of("smtp", asks_for_words)
    tried = recorded(Said("rcpt", "550", "5.1.1", "User unknown"), smtp)
    assert replayed(replace(tried, **change), smtp) == reason  # type: ignore[arg-type]
    assert reason in REASONS


def test_words_that_nobody_asks_for_need_not_be_known() -> None:
    tried = recorded(Said("dot", "250", words="queued"), table_of("smtp"))
    assert tried.error is None
    assert replayed(tried, table_of("smtp")) == ("ok", "smtp.accepted")
    first = Rule("account.first", Kind.UNCERTAIN, status="250")
    queued = Rule("account.queued", Kind.TRANSIENT, status="250", text="queued")
    assert replayed(tried, table_of("smtp", first, queued)) == ("uncertain", "account.first")
    assert replayed(tried, table_of("smtp", queued)) == "words_missing"
