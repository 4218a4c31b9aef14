"""What may be sent, as it is written and read."""

from datetime import timedelta

import pytest

from noti_worker.domain.limits import (
    ACCOUNT,
    DESTINATION,
    RATE,
    TENANT_CHANNEL,
    Limit,
    Limits,
    burst_of,
    destination,
    rate,
)
from noti_worker.domain.notification import Channel
from tests.domain.rows import claimed


@pytest.mark.parametrize(
    ("text", "amount", "every"),
    [
        ("14/s", 14, timedelta(seconds=1)),
        ("100/m", 100, timedelta(minutes=1)),
        ("1/6s", 1, timedelta(seconds=6)),
        ("5000/h", 5000, timedelta(hours=1)),
        ("3/250ms", 3, timedelta(milliseconds=250)),
        ("1/1d", 1, timedelta(days=1)),
    ],
)
def test_a_rate_is_a_number_and_a_time(text: str, amount: int, every: timedelta) -> None:
    assert rate(text) == (amount, every)


@pytest.mark.parametrize("text", ["", "14", "14/", "/s", "0/s", "14/0s", "-1/s", "1.5/s", "14/2d", "14/w", "14 / s"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='such as "14/s"'):
        rate(text)


@pytest.mark.parametrize(("amount", "every", "burst"), [(14, 1, 2), (50, 1, 5), (1, 6, 1), (100, 60, 1), (500, 1, 50)])
def test_a_rate_that_does_not_say_lets_so_many_go_at_once_as_a_tenth_of_a_second_brings(
    amount: int, every: float, burst: int
) -> None:
    assert burst_of(amount, every) == burst


def test_a_message_counts_by_its_account_and_by_its_tenants_channel() -> None:
    account = Limit(ACCOUNT, "", "relay", RATE, 14, 1.0, 2)
    channel = Limit(TENANT_CHANNEL, "acme", "email", RATE, 5, 1.0, 1)
    limits = Limits([account], [channel])
    assert limits.of(claimed(tenant_id="acme"), "relay") == (account, channel)
    assert limits.of(claimed(tenant_id="other"), "relay") == (account,)
    assert limits.of(claimed(tenant_id="other"), "spare") == ()


def test_of_two_limits_of_the_same_the_later_counts() -> None:
    configured, row = Limit(ACCOUNT, "", "relay", RATE, 14, 1.0, 2), Limit(ACCOUNT, "", "relay", RATE, 5, 1.0, 1)
    assert Limits([configured], [row]).of_account("relay") == (row,)


DESTINATIONS = [
    (Channel.EMAIL, "ada@example.com", "example.com"),
    (Channel.EMAIL, "Ada <ada@Mail.Example.COM> ", "mail.example.com"),
    (Channel.EMAIL, '"a@b"@example.com', "example.com"),
    (Channel.EMAIL, "ada@MÜNCHEN.example", "mÜnchen.example"),
    (Channel.EMAIL, "ada", None),
    (Channel.EMAIL, "user:17", None),
    (Channel.WEBHOOK, "https://Hooks.example.com:8443/x?y=https://other.example", "hooks.example.com"),
    (Channel.WEBHOOK, "HTTP://hooks.example.com", "hooks.example.com"),
    (Channel.WEBHOOK, "http://[::1]:80/x", "[::1]"),
    (Channel.WEBHOOK, "ftp://hooks.example.com", None),
    (Channel.SMS, "+491511234567", None),
    (Channel.CHAT, "https://hooks.example.com", None),
]
"""Channel, recipient, where that goes; the database says the same of them."""


@pytest.mark.parametrize(("channel", "recipient", "to"), DESTINATIONS)
def test_a_message_goes_to_the_domain_of_an_address_or_the_host_of_a_url(
    channel: Channel, recipient: str, to: str | None
) -> None:
    assert destination(channel, recipient) == to


def test_a_message_counts_by_where_it_goes() -> None:
    limit = Limit(DESTINATION, "", "example.com", RATE, 5, 1.0, 1)
    limits = Limits([limit])
    assert limits.of(claimed(recipient="ada@Example.com"), "relay") == (limit,)
    assert limits.of(claimed(recipient="ada@example.org"), "relay") == ()
    assert Limits().of(claimed(recipient="ada@example.com"), "relay") == ()
