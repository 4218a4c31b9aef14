"""A mail as plain values, for services that build it themselves: the same model as the bytes of `_mail`.

Recipients, subject, headers, images and invitations are read by what `compose` is made of, so that a row means the
same mail through every account.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from noti_worker.domain.errors import BadNotification, ConfigurationError
from noti_worker.domain.mailbox import Mailbox, read_mailbox
from noti_worker.domain.notification import Message
from noti_worker.domain.setting import about
from noti_worker.domain.value import value
from noti_worker.providers._mail import custom_headers, envelope, mailboxes, plain_subject, sender_of
from noti_worker.providers._mime import File, files_of

FROM = about("the senders that a message may use, `a@b` or `Name <a@b>`; the first is the default. One text or a list")
"""Metadata of the setting `from`."""

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


@value
class Parts:
    """What a mail is made of.

    Everyone stands once in `to`, `cc` and `bcc`. `headers` are ASCII, each on one line. `files` are attached, `images`
    stand inside the HTML, `invitations` beside the text; a copy of each invitation is among the files.
    `mail_id` is the Message-ID with its brackets, the same on every try.
    """

    sender: Mailbox = field(repr=False)
    to: Mailbox = field(repr=False)
    cc: tuple[Mailbox, ...] = field(repr=False)
    bcc: tuple[Mailbox, ...] = field(repr=False)
    reply_to: Mailbox | None = field(repr=False)
    subject: str = field(repr=False)
    text: str | None = field(repr=False)
    html: str | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    images: tuple[File, ...]
    invitations: tuple[File, ...]
    files: tuple[File, ...]
    mail_id: str

    @property
    def people(self) -> tuple[Mailbox, ...]:
        """Everyone that the mail names."""
        return (self.sender, self.to, *self.cc, *self.bcc, *([self.reply_to] if self.reply_to else []))


def parts_of(message: Message, senders: Sequence[Mailbox], service: str, *, utf8: bool = False) -> Parts:
    """Read a message; `senders` are the account's. `utf8`: the service takes addresses beyond ASCII.

    Raises BadNotification that names what is ill, or what `service` cannot carry.
    """
    options = message.options
    if options.get("copy_of"):
        raise BadNotification(
            f"options.copy_of: {service} sends a mail to the one whom it names, and so cannot send a copy to somebody"
            " else: send it through an account of smtp or mailgun"
        )
    to = read_mailbox(message.recipient, "recipient")
    cc, bcc = mailboxes(options, "cc", intranet=False), mailboxes(options, "bcc", intranet=False)
    once = {name for name, _ in envelope(to, cc, bcc, message.left_out)}
    sender = sender_of(options.get("from"), senders)
    reply_to = options.get("reply_to")
    if not message.text and not message.html:
        raise BadNotification(f"there is neither a text nor an html body, and {service} sends no empty mail")
    images, invitations, files = files_of(message)
    parts = Parts(
        sender,
        to,
        tuple(box for index, box in enumerate(cc) if f"cc[{index}]" in once),
        tuple(box for index, box in enumerate(bcc) if f"bcc[{index}]" in once),
        read_mailbox(reply_to, "options.reply_to") if reply_to else None,
        plain_subject(message.subject),
        _sound(message.text, "text"),
        _sound(message.html, "body_html"),
        {name: text.replace("\r\n", "") for name, text in custom_headers(options.get("headers"))},
        tuple(images),
        tuple(invitations),
        tuple(files),
        f"<{message.message_id}@{sender.domain}>",
    )
    if not utf8 and any(box.needs_utf8 for box in parts.people):
        raise BadNotification(
            f"an address has letters beyond ASCII before the @, which {service} does not take: send it through an"
            " account of smtp whose server has SMTPUTF8"
        )
    return parts


def written(box: Mailbox) -> str:
    """A mailbox as one text: `ada@example.com`, `Ada <ada@example.com>` or `"Lovelace, Ada" <ada@example.com>`."""
    if not box.name:
        return box.address
    if _ATOMS.fullmatch(box.name):
        return f"{box.name} <{box.address}>"
    quoted = re.sub(r'(["\\])', r"\\\1", box.name)
    return f'"{quoted}" <{box.address}>'


def base64_of(file: File) -> str:
    """The content as services want it in JSON."""
    return base64.b64encode(file.content).decode("ascii")


def json_of(document: dict[str, Any], service: str, megabytes: int) -> bytes:
    """The JSON that goes out; raises BadNotification when it is larger than the service takes."""
    body = json.dumps(document, ensure_ascii=False).encode()
    refuse_larger(body, service, megabytes)
    return body


def refuse_larger(content: bytes, service: str, megabytes: int) -> None:
    """Raise BadNotification for more than the service takes; encoded files count, as services count them."""
    if len(content) > megabytes * 1024 * 1024:
        raise BadNotification(
            f"the mail is larger than the {megabytes} MB that {service} takes, files in base64 included:"
            " send smaller attachments, or a link to them"
        )


def read_senders(given: Sequence[str]) -> tuple[Mailbox, ...]:
    """The setting `from`, the default first; raises ConfigurationError."""
    if not given:
        raise ConfigurationError("from names no sender")
    try:
        return tuple(read_mailbox(one, "from") for one in given)
    except BadNotification as error:
        raise ConfigurationError(str(error)) from None


def _sound(text: str | None, where: str) -> str | None:
    if not text:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadNotification(f"{where} is not valid text") from None
    return text
