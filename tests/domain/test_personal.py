"""The token of a person's link: it says what went in, and whoever changes anything of it has none."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.personal import LONGEST_TOKEN, Person, PersonalLinks
from noti_worker.domain.secret import Secret
from noti_worker.domain.subscription import Links

KEY, OLD = (Secret(letter * 32) for letter in "ko")
LINKS = PersonalLinks("https://noti.example.com/", [KEY])

# Text as PostgreSQL stores it.
stored = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
people = st.builds(
    Person,
    stored,
    stored.filter(bool),
    st.integers(0, 2**63 - 1),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=35),
)


def token_of(person: Person, links: PersonalLinks = LINKS) -> str:
    start, _, token = links.to(person).rpartition("/")
    assert start == "https://noti.example.com/preferences"
    return token


@given(people)
def test_what_goes_in_comes_out(person: Person) -> None:
    token = token_of(person)
    if len(token) <= LONGEST_TOKEN:
        assert LINKS.read(token) == person


@given(people, st.data())
def test_a_changed_byte_is_refused(person: Person, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of(person) + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert LINKS.read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


@given(st.text(max_size=200) | st.text("ABCabc012-_", max_size=2000))
def test_anything_else_is_no_token(text: str) -> None:
    assert LINKS.read(text) is None


def test_the_longest_names_have_room_and_old_keys_are_believed() -> None:
    longest = Person("t" * 128, "u" * 256, 2**63 - 1, "l" * 35)
    token = token_of(longest)
    assert len(token) < 650
    both = PersonalLinks("https://noti.example.com", [OLD, KEY])
    assert both.read(token) == longest
    assert LINKS.read(token_of(longest, both)) is None
    assert LINKS.read(LINKS.nowhere.rpartition("/")[2]) is None


def test_nothing_of_it_can_be_read_and_it_is_no_link_to_leave() -> None:
    token = token_of(Person("acme-corporation", "customer-4242", 17, "de"))
    raw = base64.urlsafe_b64decode(token + "==")
    assert b"customer" not in raw
    assert b"acme" not in raw
    assert Links("https://noti.example.com", [KEY]).read(token) is None
    assert "customer" not in repr(Person("acme", "customer-4242", 17))
