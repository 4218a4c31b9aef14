"""The token of a link: it says what went in, and whoever changes anything of it has none."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.headers import LONGEST_MAIL_LINE
from noti_worker.domain.notification import Channel
from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import LONGEST_TOKEN, Links, Subscription
from noti_worker.settings.listening import LONGEST_WEB_URL

URL = "https://noti.example.com"
KEY, OLD, OTHER = (Secret(letter * 32) for letter in "kox")
LINKS = Links(URL, [KEY])

# Text as PostgreSQL stores it.
stored = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
subscriptions = st.builds(
    Subscription,
    stored,
    st.sampled_from(Channel),
    st.binary(min_size=32, max_size=32),
    stored.filter(bool),
    st.integers(0, 2**63 - 1),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=35),
)
ONE = Subscription("default", Channel.EMAIL, bytes(range(32)), "news", 17, "de")


def token_of(links: Links, subscription: Subscription) -> str:
    start, _, token = links.to(subscription).rpartition("/")
    assert start == f"{URL}/unsubscribe"
    return token


@given(subscriptions)
def test_what_goes_in_comes_out(subscription: Subscription) -> None:
    token = token_of(LINKS, subscription)
    if len(token) <= LONGEST_TOKEN:
        assert LINKS.read(token) == subscription


@given(subscriptions, st.data())
def test_a_changed_character_is_refused(subscription: Subscription, data: st.DataObject) -> None:
    token = token_of(LINKS, subscription)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[place]))
    assert LINKS.read(token[:place] + other + token[place + 1 :]) is None


@given(subscriptions, st.data())
def test_a_changed_byte_is_refused(subscription: Subscription, data: st.DataObject) -> None:
    token = token_of(LINKS, subscription)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert LINKS.read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


def test_each_bit_of_a_token_counts() -> None:
    token = token_of(LINKS, ONE)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = [token[:place] + one + token[place + 1 :] for place in range(len(token)) for one in alphabet]
    assert [one for one in changed if one != token and LINKS.read(one) is not None] == []


@given(st.text(max_size=200) | st.text("ABCabc012-_", max_size=2000))
def test_anything_else_is_no_token(text: str) -> None:
    assert LINKS.read(text) is None


def test_a_token_with_more_or_less_at_its_ends_is_none() -> None:
    token = token_of(LINKS, ONE)
    changed = [token + "=", token + "A", token[:-1], token[1:], f" {token}", f"{token}\n", token + "AAAA", ""]
    assert [LINKS.read(one) for one in changed] == [None] * len(changed)


def test_keys_are_changed_without_breaking_links() -> None:
    before, after = Links(URL, [OLD]), Links(URL, [KEY, OLD])
    assert after.read(token_of(before, ONE)) == ONE
    assert LINKS.read(token_of(after, ONE)) == ONE, "the first key signs"
    assert LINKS.read(token_of(before, ONE)) is None
    assert Links(URL, [OTHER]).read(token_of(after, ONE)) is None


def test_neither_the_address_nor_its_hash_stands_in_a_link() -> None:
    token = token_of(LINKS, ONE)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert ONE.address_hash not in raw
    again = Subscription("default", Channel.EMAIL, ONE.address_hash, "news", 18, "de")
    other = base64.urlsafe_b64decode((text := token_of(LINKS, again)) + "=" * (-len(text) % 4))
    assert raw[17:49] != other[17:49], "two mails to one address do not tell that it is one"
    assert "address_hash" not in repr(ONE)


def test_a_link_fits_into_a_line_of_a_mail() -> None:
    longest = Subscription("t" * 128, Channel.IN_APP, bytes(32), "c" * 256, 2**63 - 1, "l" * 100)
    link = Links("https://" + "x" * (LONGEST_WEB_URL - 8), [KEY]).to(longest)
    assert len(link.rpartition("/")[2]) <= LONGEST_TOKEN
    assert len(f"List-Unsubscribe: <{link}>") <= LONGEST_MAIL_LINE
    assert len(LINKS.to(ONE)) < 170


def test_a_path_of_a_proxy_comes_before_ours() -> None:
    assert Links("https://example.com/mail/", [KEY]).to(ONE).startswith("https://example.com/mail/unsubscribe/")


def test_the_link_of_safe_mode_leads_nowhere() -> None:
    assert LINKS.read(LINKS.nowhere.rpartition("/")[2]) is None
