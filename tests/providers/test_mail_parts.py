"""A mail as plain values: what it shares with the bytes that go out over SMTP, and what is refused."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Attachment, Message
from noti_worker.providers._mail import compose
from noti_worker.providers._mail_parts import (
    Parts,
    json_of,
    parts_of,
    read_senders,
    written,
)
from tests.providers.mails import INVITATION, PICTURE, REPORT, a_full_mail, a_mail

SENDERS = (Mailbox("no-reply@example.com", "Example"), Mailbox("billing@example.com", "Billing"))


def parts(message: Message) -> Parts:
    return parts_of(message, SENDERS, "Pigeons")


def test_the_parts_are_those_of_the_mail_over_smtp() -> None:
    message = a_full_mail()
    read = parts(message)
    mail = compose(message, SENDERS)
    sent = message_from_bytes(mail.content, policy=policy.default)
    assert read.sender.address == mail.sender
    everyone = [box.address for box in (read.to, *read.cc, *read.bcc)]
    assert everyone == [address for _, address in mail.recipients]
    assert str(sent["To"]) == written(read.to)
    assert str(sent["Reply-To"]) == written(read.reply_to or read.to)
    assert sent["Subject"] == read.subject
    assert sent["Message-ID"] == read.mail_id
    assert [(one.get_filename(), one.get_content_type()) for one in sent.iter_attachments()] == [
        (one.name, one.media_type.name) for one in read.files
    ]
    assert [one.content_id for one in read.images] == ["logo.png"]


def test_copies_that_are_left_out_do_not_get_it_over_any_protocol() -> None:
    options = {"cc": ["ann@example.com", "bea@example.com"], "bcc": ["cid@example.com", "bea@example.com"]}
    message = replace(a_mail(options=options), left_out={"cc[1]": 1, "bcc[0]": 2, "bcc[1]": 1})
    read = parts(message)
    assert [box.address for box in (*read.cc, *read.bcc)] == ["ann@example.com"]
    assert compose(message, SENDERS).recipients == (("recipient", read.to.address), ("cc[0]", "ann@example.com"))


def test_headers_are_ascii_and_each_on_one_line() -> None:
    long = "word " * 60 + "end"
    headers = parts(a_mail(options={"headers": {"X-Note": "für Ann", "X-Long": long}})).headers
    assert headers["X-Long"] == long
    assert headers["X-Note"].isascii()
    assert str(make_header(decode_header(headers["X-Note"]))) == "für Ann"


def test_an_invitation_stands_beside_the_text_and_among_the_files() -> None:
    read = parts(a_mail(attachments=(INVITATION,)))
    assert [str(one.media_type) for one in read.invitations] == ["text/calendar; charset=utf-8; method=REQUEST"]
    assert [str(one.media_type) for one in read.files] == ["application/ics"]


def test_an_image_without_html_is_a_file() -> None:
    read = parts(a_mail(attachments=(PICTURE, REPORT)))
    assert not read.images
    assert [(one.name, one.content_id) for one in read.files] == [("logo.png", None), ("orders.csv", None)]


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (a_mail(options={"copy_of": "eve@example.net"}), "options.copy_of: Pigeons"),
        (a_mail(options={"from": "eve@example.org"}), "options.from"),
        (a_mail(options={"cc": ["nobody"]}), r"options.cc\[0\]"),
        (a_mail(options={"bcc": ["a@localhost"]}), r"options.bcc\[0\]"),
        (a_mail(options={"reply_to": "a@b@c"}), "options.reply_to"),
        (a_mail(options={"cc": [f"a{number}@example.net" for number in range(100)]}), "more than 100"),
        (a_mail(options={"headers": {"Bcc": "eve@example.net"}}), "options.headers.Bcc"),
        (a_mail(options={"cc": ["jürgen@example.net"]}), "beyond ASCII before the @, which Pigeons"),
        (a_mail(subject="a\r\nBcc: eve@example.net"), "subject"),
        (a_mail(text="", html=None), "neither a text nor an html body"),
        (a_mail(text="\ud800"), "text is not valid"),
        (a_mail(html="\ud800"), "body_html is not valid"),
        (a_mail(attachments=(Attachment("x", "no type", b""),)), r"options.attachments\[0\]"),
    ],
)
def test_what_is_ill_or_cannot_be_carried_is_named(message: Message, named: str) -> None:
    with pytest.raises(BadNotification, match=named):
        parts(message)


def test_addresses_beyond_ascii_go_where_they_are_taken() -> None:
    message = a_mail(options={"cc": ["jürgen@example.net"]})
    assert parts_of(message, SENDERS, "Pigeons", utf8=True).cc[0].address == "jürgen@example.net"


@pytest.mark.parametrize("text", ["a@example.net", "Ann Lee <a@example.net>", '"Lee, \\"Ann\\"" <a@example.net>'])
def test_a_mailbox_is_written_as_it_is_read(text: str) -> None:
    assert written(read_mailbox(text, "x")) == text


def test_a_name_beyond_ascii_is_quoted() -> None:
    assert written(Mailbox("a@example.net", "Änne")) == '"Änne" <a@example.net>'


def test_what_is_larger_than_the_service_takes_is_refused_with_what_to_do() -> None:
    assert json_of({"ä": None}, "Pigeons", 1) == '{"ä": null}'.encode()
    with pytest.raises(BadNotification, match="larger than the 1 MB that Pigeons takes"):
        json_of({"text": "x" * 1024 * 1024}, "Pigeons", 1)


def test_senders_are_read_once_and_name_their_setting() -> None:
    assert read_senders(["Example <a@example.com>"]) == (Mailbox("a@example.com", "Example"),)
    for given in ([], ["nobody"], ["a@localhost"]):
        with pytest.raises(ConfigurationError, match="from"):
            read_senders(given)
