"""What SMTP answers mean: golden tables by words, by enhanced code and by basic code."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.lifecycle import Policy, decide
from noti_worker.domain.notification import Channel, Message, Notification, Priority
from noti_worker.domain.outcome import Kind, Outcome, Scope
from noti_worker.domain.rules import classify, judge
from noti_worker.domain.said import Said
from noti_worker.providers import smtp
from noti_worker.providers._smtp_exchange import Account, Exchange, _queue_id
from noti_worker.providers._smtp_said import Refused, Reply, Transcript
from tests.providers.contract import a_message

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESSAGE = a_message(Channel.EMAIL, "ann@example.net")


def judged(line: str, stage: str = "rcpt", message: Message = MESSAGE) -> Outcome:
    """The outcome of a server's reply line."""
    account = Account(
        "here.example", (), intranet=False, tls="none", login=None, dot_timeout=1.0, host="mx.example", port=25
    )
    exchange = Exchange(account, Transcript(), message, None)
    return judge(exchange._refused(Refused(stage, Reply(int(line[:3]), (line[4:],)))), smtp.RULES, message)


@pytest.mark.parametrize(
    ("line", "kind", "scope"),
    [
        ("550 5.1.1 No such user here", Kind.DEAD, Scope.RECIPIENT),
        ("550 5.7.1 Unauthenticated email is not accepted (DMARC)", Kind.CONFIG, Scope.SENDER),
        ("550 5.7.26 This mail is blocked because of its sender", Kind.CONFIG, Scope.SENDER),
        ("550 5.4.1 Recipient address rejected: Access denied", Kind.DEAD, Scope.RECIPIENT),
        ("554 blocked using zen.spamhaus.org", Kind.CONFIG, Scope.SENDER),
        ("550 5.2.1 Mailbox unavailable. Your IP is blacklisted using XBL", Kind.CONFIG, Scope.SENDER),
        ("421 4.7.1 blocked using grey.rbl, Greylisting in action", Kind.TRANSIENT, Scope.RECIPIENT),
        ("450 4.7.1 Greylisted, try again in 300 seconds", Kind.TRANSIENT, Scope.RECIPIENT),
        ("421 4.7.0 Too many messages from your IP, slow down", Kind.THROTTLED, Scope.DOMAIN),
        ("452 4.5.3 Too many recipients", Kind.TRANSIENT, Scope.MESSAGE),
        ("452 4.2.2 over quota", Kind.TRANSIENT, Scope.RECIPIENT),
        ("552 5.3.4 Message too big", Kind.PERMANENT, Scope.MESSAGE),
    ],
)
def test_golden_answers(line: str, kind: Kind, scope: Scope) -> None:
    outcome = judged(line)
    assert (outcome.kind, outcome.scope) == (kind, scope)


@pytest.mark.parametrize(
    ("line", "kind", "scope"),
    [
        # greylisting comes before everything
        ("451 4.7.1 Postgrey says: come back in 5 minutes", Kind.TRANSIENT, Scope.RECIPIENT),
        ("450 4.2.0 grey listed by our rbl", Kind.TRANSIENT, Scope.RECIPIENT),
        ("421 4.7.0 temporarily deferred due to unexpected volume", Kind.TRANSIENT, Scope.RECIPIENT),
        # block lists and reputation
        ("550 5.1.1 Your server is Black listed", Kind.CONFIG, Scope.SENDER),
        ("554 5.1.1 mail from 192.0.2.1 is listed at dnsbl.example", Kind.CONFIG, Scope.SENDER),
        ("550 Your IP address has been denied", Kind.CONFIG, Scope.SENDER),
        ("450 4.1.1 poor reputation", Kind.THROTTLED, Scope.SENDER),
        ("553 5.3.0 refused, see [TSS04]", Kind.CONFIG, Scope.SENDER),
        # authentication, sender, relaying
        ("550 5.1.1 SPF check failed for user unknown", Kind.CONFIG, Scope.SENDER),
        ("554 5.5.1 Relay access denied", Kind.CONFIG, Scope.SENDER),
        ("550 5.1.8 Sender address rejected: Domain not found", Kind.CONFIG, Scope.SENDER),
        (
            "553 5.1.8 <a@host.example>... Domain of sender address a@host.example does not exist",
            Kind.CONFIG,
            Scope.SENDER,
        ),
        ("450 4.7.1 cannot find your reverse hostname", Kind.THROTTLED, Scope.SENDER),
        # size
        ("552 5.1.1 size limit exceeded", Kind.PERMANENT, Scope.MESSAGE),
        ("554 message too large", Kind.PERMANENT, Scope.MESSAGE),
        # rate
        ("550 5.1.1 sending rate exceeded", Kind.THROTTLED, Scope.DOMAIN),
        ("454 Throttling failure: Maximum sending rate", Kind.THROTTLED, Scope.DOMAIN),
        ("421 [TS01] deferred", Kind.THROTTLED, Scope.DOMAIN),
        ("450 4.2.1 is receiving mail at a rate that prevents more", Kind.THROTTLED, Scope.RECIPIENT),
        ("550 5.4.5 Daily user sending limit exceeded", Kind.THROTTLED, Scope.ACCOUNT),
        # content
        ("550 5.1.1 looks like spam", Kind.PERMANENT, Scope.MESSAGE),
        ("554 a virus was found", Kind.PERMANENT, Scope.MESSAGE),
        # unknown users
        ("550 no such user", Kind.DEAD, Scope.RECIPIENT),
        ("550 User ann@example.net does not exist", Kind.DEAD, Scope.RECIPIENT),
        ("554 this account has been disabled", Kind.DEAD, Scope.RECIPIENT),
        ("550 invalid recipient", Kind.DEAD, Scope.RECIPIENT),
        ("550 sorry, no mailbox here by that name (#5.1.1)", Kind.DEAD, Scope.RECIPIENT),
        # full mailboxes
        ("552 5.2.2 Mailbox size limit exceeded", Kind.TRANSIENT, Scope.RECIPIENT),
        ("554 mailbox is full", Kind.TRANSIENT, Scope.RECIPIENT),
        ("452 insufficient system storage", Kind.TRANSIENT, Scope.RECIPIENT),
    ],
)
def test_words_outrank_codes(line: str, kind: Kind, scope: Scope) -> None:
    outcome = judged(line)
    assert (outcome.kind, outcome.scope) == (kind, scope)


R, D, S, M, A = Scope.RECIPIENT, Scope.DOMAIN, Scope.SENDER, Scope.MESSAGE, Scope.ACCOUNT
T, P, X, C, H = Kind.TRANSIENT, Kind.PERMANENT, Kind.DEAD, Kind.CONFIG, Kind.THROTTLED


@pytest.mark.parametrize(
    ("detail", "soft", "hard"),
    [
        *((code, (T, R), (X, R)) for code in ("1.1", "1.2", "1.3", "1.4", "1.6", "2.1", "2.4")),
        *((code, (T, S), (C, S)) for code in ("1.7", "1.8", "7.27", "7.1", "7.5", "7.23", "7.26", "7.30")),
        ("1.10", (T, D), (X, D)),
        ("2.0", (T, R), (P, R)),
        ("2.2", (T, R), (T, R)),
        ("2.3", (P, M), (P, M)),
        *((code, (T, D), (T, D)) for code in ("3.0", "3.1", "3.2", "3.5", "4.1", "4.2", "4.3", "4.4")),
        ("3.4", (P, M), (P, M)),
        ("4.5", (T, D), (H, A)),
        *((code, (T, D), (P, D)) for code in ("4.6", "4.7", "7.18")),
        ("5.3", (T, M), (T, M)),
        *((code, (T, M), (P, M)) for code in ("5.0", "5.1", "5.4", "6.0", "6.1", "6.10")),
        ("7.0", (H, D), (C, S)),
        *((code, (H, D), (H, D)) for code in ("7.28", "7.38")),
        *((code, (T, R), (P, R)) for code in ("7.13", "7.17")),
    ],
)
def test_enhanced_codes(detail: str, soft: tuple[Kind, Scope], hard: tuple[Kind, Scope]) -> None:
    for line, (kind, scope) in ((f"450 4.{detail} x", soft), (f"550 5.{detail} x", hard), (f"599 5.{detail} x", hard)):
        outcome = judged(line)
        assert (outcome.kind, outcome.scope) == (kind, scope), line


BASIC: dict[int, tuple[Kind, Scope]] = {
    **dict.fromkeys((421, 451, 455, 458, 459), (T, D)),
    **dict.fromkeys((450, 452), (T, R)),
    454: (T, A),
    499: (T, M),
    **dict.fromkeys((500, 501, 502, 503, 504, 552, 554, 555, 599), (P, M)),
    **dict.fromkeys((530, 534, 535, 538, 541), (C, A)),
    **dict.fromkeys((521, 556), (X, D)),
    **dict.fromkeys((551, 553), (X, R)),
    550: (P, R),
}
"""What a basic code means after RCPT, without an enhanced one and without telling words."""


@pytest.mark.parametrize("code", BASIC)
def test_basic_codes(code: int) -> None:
    outcome = judged(f"{code} x")
    assert (outcome.kind, outcome.scope) == BASIC[code]


@pytest.mark.parametrize(
    ("stage", "line", "kind", "scope"),
    [
        ("greeting", "421 busy", T, D),
        ("greeting", "421 too many connections", H, D),
        ("greeting", "554 no such user", C, A),
        ("greeting", "521 no mail here", C, A),
        ("ehlo", "502 what?", C, A),
        ("starttls", "454 4.7.0 not now", T, A),
        ("starttls", "501 no", C, A),
        ("auth", "535 5.7.8 invalid user or password", C, A),
        ("auth", "535 user disabled", C, A),
        ("auth", "550 unknown user", C, A),
        ("auth", "454 4.7.0 temporary authentication failure", T, A),
        ("auth", "421 too many login attempts", H, A),
        ("mail", "421 closing", H, D),
        ("mail", "421 4.3.2 closing", T, D),
        ("mail", "550 5.1.1 unknown user", C, S),
        ("mail", "553 x", C, S),
        ("mail", "530 x", C, A),
        ("mail", "552 x", P, M),
        ("data", "554 no such user", X, R),
        ("dot", "551 x", P, M),
    ],
)
def test_a_stage_changes_what_a_code_means(stage: str, line: str, kind: Kind, scope: Scope) -> None:
    outcome = judged(line, stage)
    assert (outcome.kind, outcome.scope) == (kind, scope)


def _words_of(pattern: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", re.sub(r"\\[a-zA-Z]", " ", pattern))


OUR_WORDS = sorted(
    {word for rule in smtp.RULES for word in _words_of(rule.text or "")}
    | {"rate", "spam", "dmarc", "helo", "15min", "blacklist", "too.many", "spf", "ptr", "greylist", "reputation"}
    | {"user", "unknown", "mailbox", "quota", "come-back", "try-again-in-5", "300seconds", "1hour", "virus"}
)
HOSTS = ["example.net", "rate.spam.example", "xn--spam-blacklist.example", "spämdmarc.example"]
LOOK_ALIKE = str.maketrans({"s": "\u017f", "k": "\u212a", "i": "\u0131", "S": "\u017f", "K": "\u212a"})
"""Letters that a search without regard to case takes for those of ASCII."""


@pytest.mark.parametrize("word", OUR_WORDS)
@pytest.mark.parametrize(
    "host", ["example.net", "rate.spam.example", "xn--spam-blacklist.example", "spämdmarc.example"]
)
def test_whom_it_is_about_changes_no_judgement(word: str, host: str) -> None:
    local_parts = [word, word.upper(), f"{word}.more", f"o'{word}", f"{word}+{word}", f"{word}ü", f"ü-{word}"]
    for local in (*local_parts, word.translate(LOOK_ALIKE)):
        for address in (f"{local}@{host}", f"Too Many <{local}@{host}>"):
            bare = f"{local}@{host}"
            message = replace(MESSAGE, recipient=address)
            for written in (bare, bare.lower(), f"<{bare}>", f'"{bare}"', f"({bare})", f"to={bare};"):
                line = f"550 5.1.1 {written}: Recipient address rejected: User unknown"
                outcome = judged(line, message=message)
                assert (outcome.kind, outcome.scope) == (Kind.DEAD, Scope.RECIPIENT), line
                assert outcome.retry_after is None
                assert written in (outcome.error or ""), "people read it as it was said"
                soft = judged(f"450 4.2.0 {written}: Recipient address rejected: Temporarily so", message=message)
                assert (soft.kind, soft.retry_after) == (Kind.TRANSIENT, None), line


def test_the_word_list_covers_the_rules() -> None:
    assert {"throttl", "reputation", "spamhaus", "DMARC", "phish", "quota", "TSS"} <= set(OUR_WORDS)


@pytest.mark.parametrize("copy", ["cc", "bcc"])
def test_a_copy_is_no_word_of_the_server_either(copy: str) -> None:
    message = replace(MESSAGE, options={copy: ["Spam <spam@rate.example>"]})
    assert judged("554 5.3.0 spam@rate.example or rate.example: no", "dot", message).rule == (
        "smtp.enhanced.system.for_good"
    )


@pytest.mark.parametrize(
    "line",
    [
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation",
        "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
        "450 4.7.1 <mail.example.com>: Helo command rejected: Host not found",
        "451 4.7.24 SPF validation error",
        "421 4.7.0 [TSS04] Messages deferred due to user complaints",
        "454 4.7.1 Relay access denied",
    ],
)
def test_what_the_server_has_against_us_for_now_waits_long_and_for_nobody(line: str) -> None:
    outcome = judged(line)
    assert outcome.kind is Kind.THROTTLED, line
    assert outcome.retry_after is not None
    assert outcome.retry_after >= 1800


WORDS = st.sampled_from(
    ["no such user", "mailbox unavailable", "account disabled", "unknown recipient", "blocked", "rejected", "DMARC"]
)
STAGES = ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot")


@given(st.integers(400, 599), st.integers(0, 40), st.lists(WORDS, max_size=4), st.sampled_from(STAGES))
def test_a_policy_code_never_calls_an_address_dead(code: int, detail: int, words: list[str], stage: str) -> None:
    for written in (f"{code} {code // 100}.7.{detail} {' '.join(words)}", f"{code} {' '.join(words)} (#5.7.{detail})"):
        assert judged(written, stage).kind is not Kind.DEAD, written


@given(st.integers(400, 599), st.text(max_size=60), st.sampled_from(STAGES))
def test_every_refusal_is_judged(code: int, words: str, stage: str) -> None:
    outcome = judged(f"{code} {words}", stage)
    assert outcome.kind is not Kind.OK
    if code < 500:
        assert outcome.kind not in {Kind.DEAD, Kind.CONFIG}, "it may pass by itself"
    if stage in {"greeting", "ehlo", "starttls", "auth", "mail"}:
        assert outcome.kind is not Kind.DEAD, "nobody has been named yet"


@pytest.mark.parametrize(
    ("stage", "line", "kind"),
    [("rcpt", "354", T), ("data", "250", T), ("dot", "354", Kind.UNCERTAIN), ("dot", "250", Kind.OK)],
)
def test_a_yes_where_none_was_due_is_a_server_that_lost_its_way(stage: str, line: str, kind: Kind) -> None:
    rule = classify(smtp.RULES, Said(stage, line))
    assert rule is not None
    assert rule.kind is kind


@pytest.mark.parametrize(
    ("line", "wait"),
    [
        ("450 4.7.1 Greylisted, try again in 300 seconds", 310.0),
        ("450 4.7.1 Greylisted, try again in 10 minutes", 610.0),
        ("450 4.7.1 Greylisted, try again in 30 seconds", 40.0),
        ("450 4.7.1 Greylisted", None),
        ("421 4.7.0 Slow down, wait 90 sec", 100.0),
        ("451 4.3.0 back in 1 hour", 3610.0),
        ("451 4.3.0 Queue trouble", None),
        ("550 5.4.5 Daily limit exceeded", 3600.0),
        ("550 5.1.1 unknown for 20 minutes", None),
    ],
)
def test_a_hint_in_the_words_is_kept(line: str, wait: float | None) -> None:
    assert judged(line).retry_after == wait


@given(st.floats(0, 1, exclude_max=True))
def test_a_greylisted_mail_waits_as_long_as_it_was_told(dice: float) -> None:
    notification = Notification(
        notification_id=1, claim_count=1, channel=Channel.EMAIL, priority=Priority.NORMAL, tenant_id="default",
        recipient="ann@example.net", message_id=UUID(int=1), created_at=NOW, due_at=NOW, claimed_at=NOW,
        first_due_at=NOW,
    )  # fmt: skip
    verdict = decide(notification, judged("450 4.7.1 Greylisted, try again in 300 seconds"), NOW, Policy(), dice)
    assert verdict.wait is not None
    assert verdict.wait.total_seconds() >= 310


@pytest.mark.parametrize(
    ("lines", "enhanced"),
    [
        (("5.1.1 No such user",), "5.1.1"),
        (("5.1.10 No such domain", "5.1.10 at all"), "5.1.10"),
        (("#5.7.1 Policy",), "5.7.1"),
        (("(#5.7.1) Policy",), "5.7.1"),
        (("sorry (#5.1.1)",), "5.1.1"),
        (("[5.1.1] brackets",), ""),
        (("your address 5.1.1.7 is bad",), ""),
        (("5.1.1.7 is bad",), ""),
        (("5.1.1. No such user",), "5.1.1"),
        (("",), ""),
    ],
)
def test_enhanced_codes_are_found(lines: tuple[str, ...], enhanced: str) -> None:
    assert Reply(550, lines).enhanced == enhanced


@pytest.mark.parametrize(
    ("words", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4XyZ0001", "4XyZ0001"),
        ("OK id=1tABCd-000000-Ab", "1tABCd-000000-Ab"),
        ("Ok 0100018c2d3e4f50-1b2c3d4e-000000", "0100018c2d3e4f50-1b2c3d4e-000000"),
        ("Ok", None),
        ("Message accepted for delivery", None),
    ],
)
def test_the_queue_id_is_kept(words: str, queue_id: str | None) -> None:
    assert _queue_id(words) == queue_id
