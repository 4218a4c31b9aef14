"""What a tenant may do at most, said alike by the worker and by the database."""

from typing import Any

import pytest

from noti_worker.domain.bounds import Bounds, NotAllowed
from noti_worker.domain.errors import BadNotification
from noti_worker.domain.notification import Channel, Priority
from tests.domain.rows import claimed

HOSTS = ("hooks.acme.example", "*.acme.test")
SENDERS = ("News@Acme.example", "unreadable@", "*@mail.acme.example", "+4930123", "ACME")

HOST_CASES = [
    ("https://hooks.acme.example/x", True),
    ("https://HOOKS.acme.example:8443/x", True),
    ("http://a.b.acme.test", True),
    ("https://acme.test/", False),
    ("https://evilacme.test/", False),
    ("https://.acme.test/", False),
    ("https://hooks.acme.example.evil.test/", False),
    ("https://evil.test/?hooks.acme.example", False),
    ("https://hooks.acme.example@evil.test/", False),
]
SENDER_CASES = [
    ("email", "news@acme.example", True),
    ("email", '"Acme, Inc." <NEWS@acme.example>', True),
    ("email", "a@mail.acme.example", True),
    ("email", "a@x.mail.acme.example", False),
    ("email", "news@acme.example.evil.test", False),
    ("email", "Acme news@acme.example <a@evil.test>", False),
    ("sms", "+4930123", True),
    ("sms", "ACME", True),
    ("sms", "Acme", False),
    ("voice", "+4930124", False),
]


@pytest.mark.parametrize(("url", "allowed"), HOST_CASES)
def test_webhooks_go_to_the_hosts_that_are_named(url: str, allowed: bool) -> None:
    refused = Bounds("acme", hosts=HOSTS).refuses(claimed(channel=Channel.WEBHOOK, recipient=url, tenant_id="acme"))
    assert (refused is None) is allowed


@pytest.mark.parametrize(("channel", "sender", "allowed"), SENDER_CASES)
def test_a_message_comes_from_the_senders_that_are_named(channel: str, sender: str, allowed: bool) -> None:
    bounds = Bounds("acme", senders=SENDERS)
    try:
        assert bounds.sender(Channel(channel), {"from": sender}) == sender
    except BadNotification:
        assert not allowed
    else:
        assert allowed


def test_who_names_no_sender_is_the_first_that_is_allowed() -> None:
    assert Bounds("acme", senders=SENDERS).sender(Channel.EMAIL, {}) == "News@Acme.example"
    assert Bounds("acme", senders=SENDERS).sender(Channel.SMS, {}) == "+4930123"
    assert Bounds("acme", senders=("+4930123",)).sender(Channel.EMAIL, {}) is None  # the account's own
    with pytest.raises(NotAllowed, match="the row names no sender"):
        Bounds("acme", senders=("*@acme.example",)).sender(Channel.EMAIL, {})


@pytest.mark.parametrize(
    ("bounds", "fields", "words"),
    [
        ({"channels": ("email",)}, {"channel": Channel.SMS}, "use the channel sms"),
        ({"channels": ("email",)}, {}, None),
        ({"highest_priority": "normal"}, {"priority": Priority.HIGH}, "use the priority high"),
        ({"highest_priority": "high"}, {"priority": Priority.HIGH}, None),
        ({"highest_priority": "low"}, {"priority": Priority.LOW}, None),
        ({"hosts": ("a.example",)}, {"recipient": "ada@b.example"}, None),
    ],
)
def test_what_is_not_allowed_is_said(bounds: dict[str, Any], fields: dict[str, Any], words: str | None) -> None:
    said = Bounds("acme", **bounds).refuses(claimed(**fields))
    assert (said is None) if words is None else said is not None and f"the tenant acme may not {words}: allow" in said
