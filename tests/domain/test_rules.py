"""Rules judge what was said: the account's first, then the house's, over words in which only the provider speaks."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind, Scope
from noti_worker.domain.rules import HOUSE, Rule, classify, judge
from noti_worker.domain.said import Said
from noti_worker.providers._api import BY_STATUS
from tests.providers.contract import a_message

RULES = (
    Rule("slow", Kind.THROTTLED, status="4..", text="slow down"),
    Rule("dead", Kind.DEAD, Scope.RECIPIENT, status="550", code=r"5\.1\.\d+"),
    Rule("login", Kind.CONFIG, stage="auth", status="5.."),
    Rule("busy", Kind.TRANSIENT, status="4..", wait=20.0),
)
MAIL = a_message(Channel.EMAIL, "ann@example.net")


def name_of(said: Said) -> str | None:
    rule = classify(RULES, said)
    return None if rule is None else rule.name


def test_the_first_rule_that_matches_judges() -> None:
    assert name_of(Said("dot", "421", words="please SLOW DOWN now")) == "slow"
    assert name_of(Said("dot", "421", words="busy")) == "busy"


def test_every_pattern_that_a_rule_names_must_fit_whole() -> None:
    assert name_of(Said("rcpt", "550", "5.1.1")) == "dead"
    assert name_of(Said("rcpt", "550", "15.1.1")) is None
    assert name_of(Said("rcpt", "5501", "5.1.1")) is None
    assert name_of(Said("auth", "535")) == "login"


@pytest.mark.parametrize(
    ("said", "unclassified"),
    [
        (Said("answer", "422", "odd"), True),
        (Said("answer", "404", "odd"), True),
        (Said("answer", "422"), False),  # there is no code: the status is all that was said
        (Said("answer", "550", "5.1.1"), False),
        (Said("answer", "429", "odd"), False),  # too fast is too fast
        (Said("answer", "500", "odd"), False),
        (Said("answer", "200", "odd"), False),
        (Said("answer", "601"), True),  # no rule at all
        (Said("answer", code="timeout"), False),  # nobody answered
    ],
)
def test_an_answer_is_unclassified_when_no_rule_names_its_code(said: Said, unclassified: bool) -> None:
    assert judge(said, (*RULES[1:2], *BY_STATUS), MAIL).unclassified is unclassified


@pytest.mark.parametrize(("unverified", "kind"), [(True, Kind.DEAD), (False, Kind.DEAD), (True, Kind.OK)])
def test_an_answer_of_an_unverified_rule_is_unclassified_too(unverified: bool, kind: Kind) -> None:
    rules = (Rule("guess", kind, code="E1", unverified=unverified),)
    outcome = judge(Said("answer", "400", "E1"), rules, MAIL)
    assert (outcome.kind, outcome.unclassified) == (kind, unverified and kind is not Kind.OK)


def test_no_rule_is_no_opinion() -> None:
    assert name_of(Said("rcpt", "250")) is None


@pytest.mark.parametrize(
    ("said", "kind", "offered"),
    [
        (Said("compose", error="no"), Kind.PERMANENT, True),
        (Said("guard", code="ssrf_blocked"), Kind.PERMANENT, True),
        *((Said(stage, code="closed"), Kind.TRANSIENT, False) for stage in ("connect", "tls", "greeting", "ehlo")),
        *((Said(stage, code="closed"), Kind.TRANSIENT, False) for stage in ("starttls", "auth", "mail", "rcpt")),
        (Said("data", code="closed"), Kind.TRANSIENT, True),
        (Said("dot", code="closed"), Kind.UNCERTAIN, True),
        (Said("answer", code="timeout"), Kind.UNCERTAIN, True),
        (Said("answer", "200"), Kind.OK, True),
        (Said("dot", "250"), Kind.OK, True),
        (Said("mail", "250"), Kind.TRANSIENT, True),
        (Said("answer", "500"), Kind.TRANSIENT, True),
        (Said("answer", "418"), Kind.TRANSIENT, True),
        *((Said(stage, "421"), Kind.TRANSIENT, False) for stage in ("greeting", "ehlo", "starttls", "auth")),
        *((Said(stage, "421"), Kind.TRANSIENT, True) for stage in ("mail", "rcpt", "data", "dot")),
    ],
    ids=str,
)
def test_the_house_judges_what_no_rule_knows(said: Said, kind: Kind, offered: bool) -> None:
    outcome = judge(said, (), MAIL)
    assert (outcome.kind, outcome.offered, outcome.stage) == (kind, offered, said.stage)
    assert outcome.rule in {rule.name for rule in HOUSE}


def test_the_account_s_rules_go_first_even_for_a_line_that_broke() -> None:
    rules = (Rule("mine", Kind.CONFIG, Scope.ACCOUNT, status="", code="tls"),)
    outcome = judge(Said("tls", code="tls"), rules, MAIL)
    assert (outcome.kind, outcome.scope, outcome.rule, outcome.offered) == (Kind.CONFIG, Scope.ACCOUNT, "mine", False)


def test_what_was_said_is_kept() -> None:
    said = Said("answer", "200", "taken", "Taken, ann@example.net", id="m1", response={"a": 1})
    outcome = judge(said, (), MAIL)
    assert (outcome.code, outcome.provider_message_id, outcome.response) == ("200 taken", "m1", {"a": 1})
    assert outcome.error is None


def test_the_words_make_a_sentence_where_there_is_none() -> None:
    assert judge(Said("answer", "400", "E1", "Bad\nroom"), (), MAIL).error == "the provider answered 400 E1: Bad room"
    assert judge(Said("answer", "400"), (), MAIL).error == "the provider answered 400"
    assert judge(Said("connect", code="dns"), (), MAIL).error == "no answer, it ended at connect: dns"
    assert judge(Said("answer", "400", "E1", "Bad", error="own words"), (), MAIL).error == "own words"
    assert len(judge(Said("answer", "400", words="x" * 5000), (), MAIL).error or "") == 500


@pytest.mark.parametrize(
    ("status", "hint", "wait"), [("421", None, 20.0), ("421", 5.0, 20.0), ("421", 60.0, 60.0), ("999", 7.0, 7.0)]
)
def test_the_longer_of_hint_and_rule_is_the_wait(status: str, hint: float | None, wait: float) -> None:
    assert judge(Said("mail", status, hint=hint), RULES, MAIL).retry_after == wait


def test_it_is_known_who_asked_for_the_wait() -> None:
    assert judge(Said("mail", "450", hint=60.0), RULES, MAIL).asked
    assert not judge(Said("mail", "450", hint=10.0), RULES, MAIL).asked, "the rule waits longer"
    assert not judge(Said("mail", "450"), RULES, MAIL).asked


def test_a_message_that_was_accepted_waits_for_nothing() -> None:
    assert judge(Said("answer", "200", hint=60.0), (), MAIL).retry_after is None


def test_one_refusal_for_several_addresses_calls_none_of_them_dead() -> None:
    copied = replace(MAIL, options={"cc": ["carl@example.net"]})
    itself = replace(MAIL, options={"cc": ["Ann <ANN@example.net>"], "bcc": "ann@example.net"})
    for stage, message, kind in (
        ("dot", copied, Kind.PERMANENT),
        ("answer", copied, Kind.PERMANENT),
        ("rcpt", copied, Kind.DEAD),
        ("dot", itself, Kind.DEAD),
        ("dot", MAIL, Kind.DEAD),
        ("dot", None, Kind.DEAD),
    ):
        assert judge(Said(stage, "550", "5.1.1"), RULES, message).kind is kind, (stage, message)


TEXTS = st.text(max_size=30) | st.sampled_from(["slow down", "ann@example.net", "http://x.example/?a=b", "<", "@", ""])
STAGES = st.sampled_from(
    [
        "compose",
        "guard",
        "connect",
        "tls",
        "answer",
        "greeting",
        "ehlo",
        "starttls",
        "auth",
        "mail",
        "rcpt",
        "data",
        "dot",
        "check",
        "other",
    ]
)
SAID = st.builds(
    Said, STAGES, st.sampled_from(["", "200", "250", "354", "421", "550", "?"]), TEXTS, TEXTS,
    error=st.none() | TEXTS, hint=st.none() | st.floats(0.1, 1e9),
)  # fmt: skip
OPTIONS: Any = st.dictionaries(st.sampled_from(["cc", "bcc"]), TEXTS | st.lists(TEXTS | st.integers(), max_size=3))
MESSAGES = st.none() | st.builds(
    lambda recipient, options: a_message(Channel.EMAIL, recipient, options=options), TEXTS, OPTIONS
)


@given(SAID, MESSAGES)
def test_everything_that_is_said_is_judged(said: Said, message: Message | None) -> None:
    for rules in ((), RULES):
        outcome = judge(said, rules, message)
        assert outcome == judge(said, rules, message)
        assert outcome.rule
        assert outcome.stage == said.stage
        if not said.status or said.stage not in {"answer", "dot"}:
            assert outcome.kind is not Kind.OK, "nobody said yes"
        if outcome.kind is not Kind.OK:
            assert outcome.error
            assert len(outcome.error) <= 500
        if said.stage in {"answer", "dot"} and not said.status:
            assert outcome.kind is Kind.UNCERTAIN
        assert not outcome.offered or said.stage not in {"connect", "tls", "greeting", "ehlo", "starttls", "auth"}


@given(TEXTS, st.sampled_from(["ann@example.net", "Ann <ann@example.net>", "https://example.net/slow down/x", "#rate"]))
def test_what_we_sent_changes_no_judgement(words: str, recipient: str) -> None:
    message = a_message(Channel.EMAIL, recipient)
    rules = (Rule("read", Kind.DEAD, text="slow down|ann|example|rate"),)
    plain = judge(Said("answer", "500", words=f"{words} "), rules, message)
    told = judge(Said("answer", "500", words=f"{words} <{recipient}>"), rules, message)
    if "<" not in words:  # which would open a bracket before ours
        assert told.kind is plain.kind
