"""Visits to a mailbox, by IMAP or POP3."""

from noti_worker.domain.bounces import BounceMailbox, MailSession


def visit(mailbox: BounceMailbox) -> MailSession:
    """Go there and log in; raises MailboxAway."""
    from noti_worker.transport.imap import ImapSession
    from noti_worker.transport.pop3 import Pop3Session

    return ImapSession(mailbox) if mailbox.protocol == "imap" else Pop3Session(mailbox)
