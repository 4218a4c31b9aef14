from noti_worker.domain.outcome import Kind
from noti_worker.domain.rules import Answer, Rule, classify

RULES = (
    Rule(Kind.THROTTLED, status="4..", text="slow down"),
    Rule(Kind.DEAD, status="550", code=r"5\.1\.\d+"),
    Rule(Kind.CONFIG, stage="auth", status="5.."),
    Rule(Kind.TRANSIENT, status="4.."),
)


def test_the_first_rule_that_matches_judges() -> None:
    rule = classify(RULES, Answer(status="421", text="please SLOW DOWN now"))
    assert rule is RULES[0]
    assert classify(RULES, Answer(status="421", text="busy")) is RULES[3]


def test_every_pattern_that_a_rule_names_must_fit_whole() -> None:
    assert classify(RULES, Answer(status="550", code="5.1.1")) is RULES[1]
    assert classify(RULES, Answer(status="550", code="15.1.1")) is None
    assert classify(RULES, Answer(status="5501", code="5.1.1")) is None
    assert classify(RULES, Answer(status="535", stage="auth")) is RULES[2]


def test_no_rule_is_no_opinion() -> None:
    assert classify(RULES, Answer(status="250")) is None
