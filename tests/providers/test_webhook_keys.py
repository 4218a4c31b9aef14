"""A key for each endpoint: what signs for one receiver is worth nothing at another."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from standardwebhooks import Webhook, WebhookVerificationError

from noti_worker.domain.outcome import Kind
from noti_worker.domain.secret import Secret
from noti_worker.providers._keys import endpoint_key, origin, read_key, written
from noti_worker.transport.guard import Refused
from tests.providers.misbehaving_http import Received, misbehaving
from tests.providers.test_webhook import KEY, OLD_KEY, SOUND, a_webhook, only, send

SEPARATE = replace(SOUND, sign_with="endpoint")


def secret_of(url: str, tenant: str = "default", of: str = KEY) -> str:
    return written(endpoint_key(read_key("secret", Secret(of)), tenant, origin(url)))


def accepts(secret: str, received: Received) -> bool:
    try:
        Webhook(secret).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


def test_an_endpoint_verifies_by_its_own_key_and_no_other() -> None:
    with misbehaving() as one, misbehaving() as other:
        for server in (one, other):
            assert send(a_webhook(server.url("/ok"), text="{}"), SEPARATE).kind is Kind.OK
        first, second = only(one), only(other)
        assert accepts(secret_of(one.url("/elsewhere")), first)
        assert accepts(secret_of(other.url("/ok")), second)
        strangers = (
            KEY,
            secret_of(other.url("/ok")),
            secret_of(one.url("/ok"), "acme"),
            secret_of(one.url("/"), of=OLD_KEY),
        )
        assert [accepts(secret, first) for secret in strangers] == [False] * 4
        assert len(first.headers["webhook-signature"].split()) == 1


def test_tenants_have_keys_of_their_own() -> None:
    with misbehaving() as server:
        send(a_webhook(server.url("/ok"), text="{}", tenant_id="acme"), SEPARATE)
        assert accepts(secret_of(server.url("/ok"), "acme"), only(server))
        assert not accepts(secret_of(server.url("/ok")), only(server))


def test_while_receivers_change_over_both_are_accepted() -> None:
    with misbehaving() as server:
        send(a_webhook(server.url("/ok"), text="{}"), replace(SOUND, sign_with="both", previous_secret=Secret(OLD_KEY)))
        received = only(server)
    keys = (KEY, OLD_KEY, secret_of(server.url("/ok")), secret_of(server.url("/ok"), of=OLD_KEY))
    assert [accepts(key, received) for key in keys] == [True] * 4


def test_while_the_account_s_secret_changes_the_keys_of_both_are_accepted() -> None:
    with misbehaving() as server:
        send(a_webhook(server.url("/ok"), text="{}"), replace(SEPARATE, previous_secret=Secret(OLD_KEY)))
        received = only(server)
    keys = (secret_of(server.url("/ok")), secret_of(server.url("/ok"), of=OLD_KEY), KEY, OLD_KEY)
    assert [accepts(key, received) for key in keys] == [True, True, False, False]


def test_where_nothing_may_go_nothing_is_signed() -> None:
    outcome = send(a_webhook("https://user:pass@127.0.0.1/"), SEPARATE)
    assert (outcome.kind, outcome.code) == (Kind.PERMANENT, "bad_url")


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("https://Example.COM/hooks?a=1", "https://example.com:443"),
        ("https://example.com:443", "https://example.com:443"),
        ("https://example.com.:443/", "https://example.com:443"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://example.com/", "http://example.com:80"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example:443"),
        ("https://[2001:DB8::0:1]/", "https://[2001:db8::1]:443"),
        ("https://192.0.2.1/", "https://192.0.2.1:443"),
    ],
)
def test_an_origin_has_one_spelling(url: str, at: str) -> None:
    assert origin(url) == at


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com/", "https://a@example.com/", "https:///x"])
def test_what_has_no_origin_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        origin(url)


@pytest.mark.parametrize("size", [24, 32, 64])
@pytest.mark.parametrize("tenant", ["default", "", "Zoë", "a\nb"])
def test_it_is_hkdf_as_others_know_it(size: int, tenant: str) -> None:
    key, at = bytes(range(size)), "https://example.com:443"
    info = b"noti-worker webhook endpoint\0" + tenant.encode() + b"\0" + at.encode()
    assert endpoint_key(key, tenant, at) == HKDF(SHA256(), 32, salt=None, info=info).derive(key)


def test_a_key_stays_what_it_is() -> None:
    """Receivers keep it: another version must derive the same."""
    assert secret_of("https://example.com/hooks", "acme") == "whsec_asxMaixuYlc/EAnOUX410dZ5vK0t94/lq1L9U6/fZzA="
