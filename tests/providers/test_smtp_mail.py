"""The bytes of a mail: what a reader finds in them, and the corpus of texts that must not become headers or people."""

import re
from dataclasses import replace
from email import message_from_bytes, message_from_string, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noti_worker.domain.errors import BadNotification
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Attachment, Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.providers import _mail, _mime, smtp
from noti_worker.providers._mail import MOST_RECIPIENTS, compose
from tests.domain.test_mailbox import NOT_ONE_ADDRESS
from tests.providers.contract import a_message, opened

MESSAGE = a_message(Channel.EMAIL, "ann@example.net")
SENDERS = (Mailbox("no-reply@example.com", "Example"),)


def content(message: Message) -> bytes:
    return compose(message, SENDERS).content


def parsed(message: Message) -> EmailMessage:
    return message_from_bytes(content(message), policy=policy.default)


CONTROLS = ["\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"]
INJECTIONS = [
    *(f"before{control}Bcc: evil@x.example" for control in CONTROLS),
    *(f"x{control}" for control in CONTROLS),
    "=?utf-8?q?a=0ABcc:_evil@x.example?=",
    "a =?utf-8?b?YQpCY2M6IGV2aWxAeC5leGFtcGxl?= b",
    "=?us-ascii?q?" + "a" * 60 + "=0D=0ABcc:_evil@x.example?=",
    "lone surrogate \ud800",
]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("subject", lambda text: {"subject": text}),
        ("recipient", lambda text: {"recipient": f'"{text}" <ann@example.net>'}),
        ("recipient", lambda text: {"recipient": f"ann@example.net{text}"}),
        ("recipient", lambda text: {"recipient": f"{text}@example.net"}),
        ("options.from", lambda text: {"options": {"from": f"{text} <no-reply@example.com>"}}),
        ("options.cc[1]", lambda text: {"options": {"cc": ["b@example.net", f"{text} <c@example.net>"]}}),
        ("options.bcc[0]", lambda text: {"options": {"bcc": [f"c@example.net{text}"]}}),
        ("options.reply_to", lambda text: {"options": {"reply_to": f"{text} <c@example.net>"}}),
        ("options.headers.X-Order", lambda text: {"options": {"headers": {"X-Order": text}}}),
        ("options.headers.List-Unsubscribe", lambda text: {"options": {"headers": {"List-Unsubscribe": text}}}),
        ("options.headers", lambda text: {"options": {"headers": {f"X-A{text}": "x"}}}),
    ],
)
def test_no_text_becomes_a_header(field: str, change: Any, text: str) -> None:
    with pytest.raises(BadNotification) as refusal:
        compose(replace(MESSAGE, **change(text)), SENDERS)
    assert str(refusal.value).startswith(field), "the field is named"
    assert field == "options.headers" or "evil" not in str(refusal.value), "its content is not"
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("text", NOT_ONE_ADDRESS)
def test_a_recipient_is_exactly_one_address(text: Any) -> None:
    with pytest.raises(BadNotification) as refusal:
        compose(replace(MESSAGE, recipient=text), SENDERS)
    assert str(refusal.value).startswith("recipient ")
    assert "evil" not in str(refusal.value)
    for options in ({"cc": [text]}, {"bcc": [text]}):
        with pytest.raises(BadNotification, match=r"options\.b?cc\[0\]"):
            compose(replace(MESSAGE, options=options), SENDERS)


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("a@b.example", "a@b.example", ""),
        (" a@b.example ", "a@b.example", ""),
        ("<a@b.example>", "a@b.example", ""),
        ("Ann Example <a@b.example>", "a@b.example", "Ann Example"),
        ("Ann  Example<a@b.example>", "a@b.example", "Ann Example"),
        ('"Example, Ann" <a@b.example>', "a@b.example", "Example, Ann"),
        ('"Ann \\"the\\" \\\\ Example" <a@b.example>', "a@b.example", 'Ann "the" \\ Example'),
        ('"evil@x.example" <a@b.example>', "a@b.example", "evil@x.example"),
        ("J. Doe (Sales) [x] <a@b.example>", "a@b.example", "J. Doe (Sales) [x]"),
        ("Jürgen Ü <a@b.example>", "a@b.example", "Jürgen Ü"),
        ("日本語 <a@b.example>", "a@b.example", "日本語"),
        ("Ann.B+tag/x=y@B.Example", "Ann.B+tag/x=y@b.example", ""),
        ("o'neil@b.example", "o'neil@b.example", ""),
        ("u@exämple.de", "u@xn--exmple-cua.de", ""),
        ("u@straße.de", "u@xn--strae-oqa.de", ""),
        ("u@EXÄMPLE.de", "u@xn--exmple-cua.de", ""),
        ("u@例え.jp", "u@xn--r8jz45g.jp", ""),
        ("Ada <u@हिन्दी.example>", "u@xn--j2bd4cyah0f.example", "Ada"),
        ("u@l·l.cat", "u@xn--ll-0ea.cat", ""),
        ("u@xn--exmple-cua.de", "u@xn--exmple-cua.de", ""),
        ("a@1and1.example", "a@1and1.example", ""),
        ("jürgen@b.example", "jürgen@b.example", ""),
        ("a" * 64 + "@b.example", "a" * 64 + "@b.example", ""),
    ],
)
def test_an_address_is_read(text: str, address: str, name: str) -> None:
    assert read_mailbox(text, "recipient") == Mailbox(address, name)
    mail = compose(replace(MESSAGE, recipient=text), SENDERS)
    assert mail.recipients == (("recipient", address),)
    elsewhere = {"cc": [text], "bcc": ["b@example.net", text], "reply_to": text, "from": text}
    copied = compose(replace(MESSAGE, options=elsewhere), (Mailbox(address, name),))
    assert (copied.sender, copied.recipients[1]) == (address, ("cc[0]", address))
    for made, header in ((mail, "To"), (copied, "Cc"), (copied, "Reply-To"), (copied, "From")):
        [found] = message_from_string(made.content.decode(), policy=policy.default)[header].addresses
        assert (found.addr_spec, found.display_name) == (address, name), header


def test_only_the_own_network_knows_its_names() -> None:
    for text in ("root@localhost", "ann@intranet", "ann@mail.localhost"):
        assert compose(replace(MESSAGE, recipient=text), SENDERS, intranet=True).recipients[0][1] == text
    for text in ("a@127.0.0.1", "a@[10.0.0.1]"):
        with pytest.raises(BadNotification):
            compose(replace(MESSAGE, recipient=text), SENDERS, intranet=True)


@pytest.mark.parametrize("headers", [{"Bcc": "x"}, {"X-SMTPAPI": "x"}, {"X Y": "x"}, {"X-A": 1}, ["X-A"]])
def test_headers_are_read_by_the_one_rule(headers: Any) -> None:
    with pytest.raises(BadNotification, match=r"options\.headers"):
        compose(replace(MESSAGE, options={"headers": headers}), SENDERS)


@pytest.mark.parametrize("key", ["cc", "bcc"])
def test_copies_are_a_list(key: str) -> None:
    with pytest.raises(BadNotification, match=f"options.{key} is not a list"):
        compose(replace(MESSAGE, options={key: "a@b.example"}), SENDERS)


def test_a_mail_has_a_limited_number_of_recipients() -> None:
    copies = [f"user{number}@example.net" for number in range(MOST_RECIPIENTS)]
    assert len(compose(replace(MESSAGE, options={"bcc": copies[1:]}), SENDERS).recipients) == MOST_RECIPIENTS
    with pytest.raises(BadNotification, match="more than 100"):
        compose(replace(MESSAGE, options={"bcc": copies}), SENDERS)


def test_what_is_ill_is_an_answer_and_not_an_exception() -> None:
    sender = opened(smtp, smtp.Settings(host="127.0.0.1", port=9, from_=("a@example.com",), tls="none"))
    outcome = sender.send(replace(MESSAGE, subject="a\r\nBcc: evil@x.example"), 1)
    assert outcome.kind is Kind.PERMANENT
    assert (
        outcome.error
        == "this mail cannot be sent: subject holds a line break or another control character: write plain text"
    )
    assert sender.send(replace(MESSAGE, text=None), 1).kind is Kind.PERMANENT


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\report.pdf", "report.pdf"),
        ("a\r\nContent-Type: text/html\r\n\r\nx.pdf", "aContent-Typetexthtmlx.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        ('a"; filename="b.exe', "a; filename=b.exe"),
        ("Rechnung Ü.pdf", "Rechnung Ü.pdf"),
        ("=?utf-8?q?x?=.pdf", "=utf-8qx=.pdf"),
        ("..", "attachment-1"),
        ("", "attachment-1"),
        ("\x00\n", "attachment-1"),
        ("日" * 300 + ".pdf", "日" * 50 + ".pdf"),
        ("x" * 300, "x" * 150),
    ],
)
def test_a_file_name_is_only_a_name(given: str, kept: str) -> None:
    if "/html" in given:
        kept = "htmlx.pdf"  # what follows the last slash
    [file] = parsed(replace(MESSAGE, attachments=(Attachment(given, "application/pdf", b"x"),))).iter_attachments()
    assert file.get_filename() == kept
    assert file.get_content_type() == "application/pdf"
    assert sorted(map(str.lower, file)) == ["content-disposition", "content-transfer-encoding", "content-type"]


@pytest.mark.parametrize(
    "content_type", ["", "text", "text/html\r\nBcc: evil@x.example", "a/b; x", 'a/b; x="', "a/b; x=ü", "ä/b", "a/b/c"]
)
def test_a_content_type_is_only_a_type(content_type: str) -> None:
    with pytest.raises(BadNotification, match=r"options.attachments\[0\]: its content type"):
        compose(replace(MESSAGE, attachments=(Attachment("a", content_type, b"x"),)), SENDERS)


def test_a_mail_in_a_mail_is_a_plain_file() -> None:
    attached = Attachment("old.eml", "message/rfc822", b"Subject: x\r\n\r\n")
    [file] = parsed(replace(MESSAGE, attachments=(attached,))).iter_attachments()
    assert file.get_content_type() == "application/octet-stream"
    assert file.get_content() == b"Subject: x\r\n\r\n"


def test_the_shape_follows_from_what_there_is() -> None:
    file = Attachment("a.txt", "text/plain", b"x")
    shapes = {
        ("text",): ["text/plain"],
        ("html",): ["text/html"],
        ("text", "html"): ["multipart/alternative", "text/plain", "text/html"],
        ("html", "file"): ["multipart/mixed", "text/html", "text/plain"],
        ("text", "html", "file"): [
            "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/plain",
        ],
    }  # fmt: skip
    for parts, shape in shapes.items():
        message = replace(
            MESSAGE,
            text="text" if "text" in parts else None,
            html="<p>html</p>" if "html" in parts else None,
            attachments=(file,) if "file" in parts else (),
        )
        assert [part.get_content_type() for part in parsed(message).walk()] == shape


def shape_of(message: Message) -> list[str]:
    return [part.get_content_type() for part in parsed(message).walk()]


INVITE = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def test_an_image_that_the_html_shows_stands_beside_it() -> None:
    files = (
        Attachment("logo.png", "image/png", b"logo", content_id="17@noti-worker"),
        Attachment("a.pdf", "application/pdf", b"pdf"),
    )
    message = replace(MESSAGE, html='<img src="cid:17@noti-worker">', attachments=files)
    assert shape_of(message) == [
        *("multipart/mixed", "multipart/alternative", "text/plain"),
        *("multipart/related", "text/html", "image/png", "application/pdf"),
    ]
    [image] = [part for part in parsed(message).walk() if part.get_content_type() == "image/png"]
    assert (image["Content-ID"], image.get_content_disposition()) == ("<17@noti-worker>", "inline")
    assert image.get_content() == b"logo"
    assert shape_of(replace(message, attachments=files[:1]))[0] == "multipart/alternative"
    assert shape_of(replace(message, html=None, attachments=files[:1])) == [
        "multipart/mixed",
        "text/plain",
        "image/png",
    ]


def test_an_invitation_is_an_alternative_and_a_file() -> None:
    invite = Attachment("invite.ics", 'text/calendar; method=REQUEST; name="invite.ics"', INVITE)
    message = replace(MESSAGE, html="<p>html</p>", attachments=(invite,))
    assert shape_of(message) == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics"),
    ]
    *_, calendar, file = parsed(message).walk()
    assert (calendar.get_params() or [])[1:] == [("charset", "utf-8"), ("method", "REQUEST")]
    assert calendar.get_content_disposition() is None
    assert calendar.get_payload(decode=True) == file.get_payload(decode=True) == INVITE
    assert file.get_filename() == "invite.ics"


def test_a_calendar_without_a_method_is_a_file() -> None:
    message = replace(MESSAGE, attachments=(Attachment("a.ics", "text/calendar; charset=utf-8", INVITE),))
    assert shape_of(message) == ["multipart/mixed", "text/plain", "text/calendar"]


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        ('text/csv; charset="utf-8"; header=present', [("charset", "utf-8"), ("header", "present")]),
        ('Application/PDF;name="Über; uns.pdf"', []),
        ('a/b; x="' + "y" * 100 + '; z"', [("x", "y" * 100 + "; z")]),
        ("message/rfc822; x=1", []),
    ],
)
def test_the_parameters_of_a_type_go_out(given: str, parameters: list[tuple[str, str]]) -> None:
    [file] = parsed(replace(MESSAGE, attachments=(Attachment("a", given, b"x"),))).iter_attachments()
    assert (file.get_params() or [])[1:] == parameters


@pytest.mark.parametrize(
    "text",
    [
        "one  two   three " * 20,
        "x" * 900 + "  " + "y" * 80,
        "<https://example.com/u?" + "x" * 900 + ">",
        "a " * 300,
    ],
)
def test_a_long_header_is_folded_at_single_spaces_only(text: str) -> None:
    raw = content(replace(MESSAGE, options={"headers": {"X-Long": text}}))
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["X-Long"] == text.strip()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"=?" not in raw


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("List-Id", "Größe <size.example.com>", "=?utf-8?b?R3LDtsOfZQ==?=\r\n <size.example.com>"),
        (
            "Disposition-Notification-To",
            "Ü <a@exämple.de>, b@example.com",
            "=?utf-8?b?w5w=?=\r\n <a@xn--exmple-cua.de>,\r\n <b@example.com>",
        ),
        ("X-Order", "Größe", "=?utf-8?b?R3LDtsOfZQ==?="),
        ("List-Unsubscribe", "<mailto:u@example.com>, <https://example.com/u>", None),
    ],
)
def test_only_phrases_of_structured_headers_are_encoded(name: str, text: str, line: str | None) -> None:
    raw = content(replace(MESSAGE, options={"headers": {name: text}}))
    assert f"\r\n{name}: {line or text}\r\n".encode() in raw


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "7bit"),
        ("a\n" * 1000, "7bit"),
        ("Jürgen", "quoted-printable"),
        ("日本語" * 30, "base64"),
        ("x" * 999, "quoted-printable"),
        ("x" * 5_000_000, "quoted-printable"),
        ("bell \x07 and null \x00", "quoted-printable"),
        ("--=_0190b5f26f7c7b349d6e2b1c5d3e4f50_m--", "quoted-printable"),
        ("next line \x85 and another separator \u2028", "quoted-printable"),
    ],
)
def test_a_body_is_encoded_when_it_must_be(text: str, encoding: str) -> None:
    mail = parsed(replace(MESSAGE, text=text))
    assert mail["Content-Transfer-Encoding"] == encoding
    decoded = mail.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    assert decoded.decode().replace("\r\n", "\n").removesuffix("\n") == text.removesuffix("\n")


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadNotification, match="text is not valid"):
        compose(replace(MESSAGE, text="\ud800"), SENDERS)


def test_the_reading_direction_of_a_subject_is_not_turned() -> None:
    assert parsed(replace(MESSAGE, subject="a\u202etxt.exe\u202c"))["Subject"] == "atxt.exe"


@pytest.mark.parametrize(
    "subject", [None, "", " ", "  two  spaces  ", "x" * 2000, "word " * 400, "Ü" * 500, "a " * 600]
)
def test_any_subject_arrives_as_it_was(subject: str | None) -> None:
    assert parsed(replace(MESSAGE, subject=subject))["Subject"] == (subject or "")


ENCODABLE = st.characters(codec="utf-8")
SAFE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200).filter(lambda t: "=?" not in t)
ANY = st.text(st.characters() | st.sampled_from('\r\n\x00\x85\u2028:<>@,;"=?'), max_size=60)


@given(subject=SAFE, text=st.text(ENCODABLE, max_size=400), html=st.none() | SAFE)
def test_what_goes_in_comes_out(subject: str, text: str, html: str | None) -> None:
    message = replace(MESSAGE, subject=subject, text=text, html=html)
    raw = content(message)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", subject)
    part = mail.get_body(("plain",))
    assert part is not None
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    normal = re.sub("\r\n?", "\n", text)
    assert decoded.decode().replace("\r\n", "\n").removesuffix("\n") == normal.removesuffix("\n")
    assert content(message) == raw, "the same on every try"


PIECES = [*"ab: \t\r\nü\u2027", "\r\n ", "\r\n", *CONTROLS, "\x1c", "\x1e"]
LINES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(values=st.lists(LINES, min_size=1, max_size=3))
def test_what_the_check_lets_through_is_read_the_same_by_others(values: list[str]) -> None:
    names = [f"X-{index}" for index, _ in enumerate(values)]
    try:
        block = _mime.block_of(tuple(zip(names, values, strict=True))) + b"body"
    except BadNotification:
        return
    for read in (message_from_bytes(block), message_from_string(block.decode())):
        assert read.keys() == names
        assert read.get_payload() == "body"
        assert not read.defects


@given(recipient=ANY, cc=ANY, name=ANY, value=ANY, subject=ANY, filename=ANY, content_type=ANY)
def test_whatever_goes_in_no_header_comes_out_of_it(
    recipient: str, cc: str, name: str, value: str, subject: str, filename: str, content_type: str
) -> None:
    good = {"recipient": MESSAGE.recipient, "subject": "x"}
    tries: list[dict[str, Any]] = [
        good | {"recipient": f"{recipient}@example.net"},
        good | {"recipient": f"{recipient} <a@example.net>"},
        good | {"options": {"cc": [cc]}},
        good | {"options": {"headers": {f"X{name}": value}}},
        good | {"options": {"headers": {"X-Value": value}}},
        good | {"subject": subject},
        good | {"attachments": (Attachment(filename, "text/plain", b"x"),)},
        good | {"attachments": (Attachment("x", content_type, b"x"),)},
    ]
    known = {"from", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type"}
    for changes in tries:
        try:
            mail = compose(replace(MESSAGE, **changes), SENDERS)
        except BadNotification:
            continue
        found = [header.lower() for header in message_from_bytes(mail.content)]
        custom = {header.lower() for header in changes.get("options", {}).get("headers", {})}
        assert set(found) <= known | custom | {"content-transfer-encoding"}
        assert len(found) == len(set(found))
        assert len(mail.recipients) <= 2
        assert all(re.fullmatch(r"[^\s<>,;:\"@]+@[a-z0-9.-]+", address) for _, address in mail.recipients)


def test_the_output_is_checked_whatever_the_input_checks_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    holes = [
        ("_subject", lambda _: "x\r\nBcc: evil@x.example"),
        ("_subject", lambda _: "x\r\n\r\nBody that was not meant"),
        ("_subject", lambda _: "x\ny"),
        ("_subject", lambda _: "x\r\n \r\nBcc: evil@x.example"),
        *[("_subject", lambda _, control=control: f"x{control}Bcc: evil@x.example") for control in CONTROLS],
        ("_subject", lambda _: "x" * 2000),
        ("_written", lambda _: "ann@example.net, evil@x.example"),
        ("_written", lambda _: "evil@x.example, <ann@example.net>"),
        ("_written", lambda _: '"evil@x.example, Ann" <evil@x.example>'),
        ("_written", lambda _: "evil@x.example <ann@example.net>"),
        ("_written", lambda _: "ann@example.net\r\n ,evil@x.example"),
        ("_filename", lambda *_: 'filename="x"\r\nContent-Type: text/html'),
        ("custom_headers", lambda _: [("To", "evil@x.example")]),
    ]
    message = replace(MESSAGE, attachments=(Attachment("x", "text/plain", b"x"),))
    for name, hole in holes:
        with monkeypatch.context() as patch:
            patch.setattr(_mime if name == "_filename" else _mail, name, hole)
            with pytest.raises(BadNotification, match="the built mail"):
                compose(message, SENDERS)
