"""What a topic of SNS posts: who signed it, for which topic, and a subscription that is confirmed by itself."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.receipts import NotGenuine, NotNow, Posted
from noti_worker.providers._sns_envelope import MOST_FETCHES, Envelopes
from noti_worker.transport import Kit
from tests.certificates import Authority
from tests.providers.contract import NOW
from tests.providers.sns_topic import ARN, CERTIFICATE, HOST, Topic, certificate, confirmation, envelope, signed, topic


@pytest.fixture
def served(authority: Authority) -> Iterator[Topic]:
    with topic(authority) as served:
        yield served


@pytest.fixture
def envelopes(served: Topic) -> Envelopes:
    return Envelopes(ARN, served.kit)


def why(envelopes: Envelopes, posted: Posted, now: datetime = NOW) -> str:
    with pytest.raises(NotGenuine) as refusal:
        envelopes.take(posted, now)
    return refusal.value.why


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Amazon SES\nEmail"}])
def test_what_the_topic_says_is_taken(envelopes: Envelopes, version: str, more: dict[str, Any]) -> None:
    assert envelopes.take(signed(envelope({"a": 1}, SignatureVersion=version, **more)), NOW).keep


def test_the_certificate_is_fetched_once(envelopes: Envelopes, served: Topic) -> None:
    posted = signed(envelope({}))
    with ThreadPoolExecutor(8) as threads:
        assert all(taken.keep for taken in threads.map(lambda _: envelopes.take(posted, NOW), range(40)))
    assert served.asked == [CERTIFICATE]
    assert served.proxy.asked == [f"{HOST}:443"]


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "Subject"])
def test_nothing_that_is_signed_may_change(envelopes: Envelopes, name: str) -> None:
    said = json.loads(signed(envelope({"a": 1}, Subject="x")).body)
    said[name] += "1"
    assert why(envelopes, Posted(json.dumps(said).encode())) == "signature"


def test_another_version_of_the_signature_is_another_signature(envelopes: Envelopes) -> None:
    said = json.loads(signed(envelope({})).body) | {"SignatureVersion": "2"}
    assert why(envelopes, Posted(json.dumps(said).encode())) == "signature"


def test_another_topic_is_somebody_elses(envelopes: Envelopes, served: Topic) -> None:
    """Every topic at Amazon signs by the same key."""
    other = "arn:aws:sns:eu-central-1:210987654321:noti-receipts"
    assert why(envelopes, signed(envelope({}, TopicArn=other))) == "topic"
    assert why(envelopes, signed(confirmation(TopicArn=other))) == "topic"
    assert served.asked == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{CERTIFICATE}",
        f"https://sns.eu-central-1.amazonaws.com.evil.example{CERTIFICATE}",
        f"https://evil.example{CERTIFICATE}",
        f"https://snsXeu-central-1.amazonaws.com{CERTIFICATE}",
        f"https://sns.us-east-1.amazonaws.com{CERTIFICATE}",
        f"https://{HOST}@evil.example{CERTIFICATE}",
        f"https://evil@{HOST}{CERTIFICATE}",
        f"https://{HOST}:8443{CERTIFICATE}",
        f"https://{HOST}:x{CERTIFICATE}",
        f"https://{HOST}/../evil.pem",
        f"https://{HOST}/evil/SimpleNotificationService-1.pem",
        "https://[::1",
        "",
        17,
        None,
    ],
)
def test_the_certificate_is_amazons_or_nothing(envelopes: Envelopes, served: Topic, url: Any) -> None:
    assert why(envelopes, signed(envelope({}, SigningCertURL=url))) == "signature"
    assert (served.asked, served.proxy.asked) == ([], [])


def test_a_certificate_that_is_over_signs_nothing(envelopes: Envelopes, served: Topic) -> None:
    served.pages[CERTIFICATE] = certificate(until=NOW - timedelta(days=1))
    assert why(envelopes, signed(envelope({}))) == "signature"


@pytest.mark.parametrize(
    "page", [None, b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_without_its_certificate_it_comes_again(envelopes: Envelopes, served: Topic, page: bytes | None) -> None:
    good = served.pages.pop(CERTIFICATE)
    if page is not None:
        served.pages[CERTIFICATE] = page
    posted = signed(envelope({}))
    with pytest.raises(NotNow):
        envelopes.take(posted, NOW)
    served.pages[CERTIFICATE] = good
    assert envelopes.take(posted, NOW).keep


def test_strangers_have_few_certificates_fetched(envelopes: Envelopes, served: Topic) -> None:
    for number in range(3 * MOST_FETCHES):
        url = f"https://{HOST}/SimpleNotificationService-{number}.pem"
        with pytest.raises(NotNow):
            envelopes.take(signed(envelope({}, SigningCertURL=url)), NOW)
    assert len(served.asked) == MOST_FETCHES


def test_what_is_old_is_refused(envelopes: Envelopes) -> None:
    posted = signed(envelope({}))
    assert envelopes.take(posted, NOW + timedelta(hours=24)).keep
    assert why(envelopes, posted, NOW + timedelta(hours=25)) == "old"
    assert why(envelopes, posted, NOW - timedelta(minutes=6)) == "old"
    assert why(envelopes, signed(envelope({}, Timestamp="yesterday"))) == "unsigned"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"Type": "Notification"}', b"[" * 100_000, b'{"eventType": "Bounce"}', b"\xff"]
)
def test_what_is_no_envelope_is_unsigned(envelopes: Envelopes, body: bytes) -> None:
    assert why(envelopes, Posted(body)) == "unsigned"


def test_only_posts_are_taken(envelopes: Envelopes) -> None:
    assert why(envelopes, replace(signed(envelope({})), method="GET")) == "method"


def test_a_subscription_is_confirmed_by_itself(envelopes: Envelopes, served: Topic) -> None:
    asked = confirmation()
    assert not envelopes.take(signed(asked), NOW).keep
    assert served.asked == [CERTIFICATE, asked["SubscribeURL"].removeprefix(f"https://{HOST}")]


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/?Action=ConfirmSubscription", "http://169.254.169.254/", "file:///etc/passwd", None, 17],
)
def test_a_confirmation_goes_to_amazon_or_nowhere(envelopes: Envelopes, served: Topic, url: Any) -> None:
    """Whoever could have it signed may not send us anywhere."""
    assert why(envelopes, signed(confirmation(SubscribeURL=url))) == "signature"
    assert served.asked == [CERTIFICATE]


def test_a_confirmation_that_fails_is_asked_for_again(envelopes: Envelopes, served: Topic) -> None:
    del served.pages["/"]
    with pytest.raises(NotNow, match="404"):
        envelopes.take(signed(confirmation()), NOW)


def test_an_unsubscription_is_no_news_of_a_message(envelopes: Envelopes, served: Topic) -> None:
    assert not envelopes.take(signed(confirmation(Type="UnsubscribeConfirmation")), NOW).keep
    assert served.asked == [CERTIFICATE]


def test_a_private_address_is_not_asked() -> None:
    """Without a proxy the guard of our own transport stands between."""
    envelopes = Envelopes(ARN, Kit(lambda: NOW, _lookup_of_this_machine()))
    with pytest.raises(NotNow, match="private or reserved"):
        envelopes.take(signed(envelope({})), NOW)


def _lookup_of_this_machine() -> Any:
    import socket

    from noti_worker.transport.lookup import Resolver

    return Resolver(lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))])


@pytest.mark.parametrize("arn", [None, "", "noti-receipts", "arn:aws:sqs:eu-central-1:123456789012:queue"])
def test_without_a_topic_nothing_is_taken(arn: str | None) -> None:
    with pytest.raises(ConfigurationError, match="topic_arn"):
        Envelopes(arn, Kit(lambda: datetime(2026, 1, 1, tzinfo=UTC)))
