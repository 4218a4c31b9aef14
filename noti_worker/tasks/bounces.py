"""Read what comes back to a mailbox, and take over what it says of our mails."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from noti_worker.domain.bounces import BounceMailbox, MailboxAway, MailSession
from noti_worker.domain.errors import BadNotification, DatabaseRefused
from noti_worker.domain.facts import MailboxLeft, MailboxLost, MailboxReached, MailsRead, ReceiptsRead
from noti_worker.domain.mail_report import Fate, MailReport, Stray, Unfit, read_report
from noti_worker.domain.mailbox import read_mailbox
from noti_worker.domain.ports import Observer
from noti_worker.domain.receipts import Receipt, ReceiptKind
from noti_worker.providers._receipts import by_refusal
from noti_worker.store.receipts.mails import MailDesk, Mailed
from noti_worker.store.upkeep.duties import Duties

PROVIDER = "mailbox"
"""What stands for a provider beside receipts that came by mail."""

VISIT = 60.0
"""Seconds after which a visit ends and the rest waits for the next: a duty must not be taken for abandoned."""

MOST_BREAKS = 3
"""After so many visits that broke at the same mail it is left where it is."""

_COMPLAINTS = {
    "abuse": ReceiptKind.COMPLAINED,
    "fraud": ReceiptKind.COMPLAINED,
    "opt-out": ReceiptKind.UNSUBSCRIBED,
    "opt-out-list": ReceiptKind.UNSUBSCRIBED,
}
"""By the type of the complaint (RFC 5965 section 7.3); the others, `not-spam` among them, ask for nothing."""

_POLICY = re.compile(r"(?<![\d.])5\.7\.\d{1,3}(?![\d.])")


@dataclass(frozen=True, slots=True)
class _Told:
    """What a mail came to: `what` is counted, and with `dispose` the mail has done its duty."""

    what: str
    receipts: Sequence[Receipt] = ()
    dispose: bool = True


class ReadBounces:
    """Reads one mailbox, on one worker at a time; what it says counts once even if two should meet."""

    def __init__(
        self,
        name: str,
        mailbox: BounceMailbox,
        visit: Callable[[BounceMailbox], MailSession],
        desk: MailDesk,
        duties: Duties,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`visit` opens the mailbox, and raises MailboxAway. Nothing happens before `run_once`."""
        self._name = name
        self._mailbox = mailbox
        self._visit = visit
        self._desk = desk
        self._duties = duties
        self._observer = observer
        self._monotonic = monotonic
        self._due = float("-inf")
        self._stale = float("inf")  # from when on what this worker knows of the mailbox is old
        self._more = False  # the last visit did not come to the end
        self._left: set[str] = set()  # mails that were read and stay where they are
        self._breaks: Counter[str] = Counter()
        self._lost_since: float | None = None

    def run_once(self, most: int) -> tuple[int, datetime | None]:
        """Read at most `most` mails, when it is due; gives how many. Raises DatabaseError."""
        if self._monotonic() < self._due:
            return 0, None
        every = self._mailbox.every
        duty = f"bounces {self._name}"
        done = 0
        if self._duties.take(duty, timedelta(0) if self._more else every):
            self._more = False
            self._stale = self._monotonic() + 3 * every.total_seconds()
            try:
                done = self._visited(most)
            except MailboxAway as error:
                self._lose(error)
            finally:
                self._duties.finish(duty, {})
        elif self._monotonic() >= self._stale:
            self._stale, self._lost_since = float("inf"), None
            self._observer.on(MailboxLeft(self._name))
        if not self._more:
            self._due = self._monotonic() + max(1.0, every.total_seconds() / 10)
        return done, None

    def _visited(self, most: int) -> int:
        ends_at = self._monotonic() + VISIT
        told: Counter[str] = Counter()
        left: list[str] = []
        done = 0
        session = self._visit(self._mailbox)
        try:
            names = session.names()
            self._left &= set(names)
            fresh = [name for name in names if name not in self._left]
            for name in fresh[:most]:
                if self._monotonic() >= ends_at:
                    break
                self._read_one(session, name, told, left)
                done += 1
            self._more = done < len(fresh)
        finally:
            try:
                session.close()
            finally:
                if told or left:
                    self._observer.on(MailsRead(self._name, dict(told), tuple(left)))
        lost_for = None if self._lost_since is None else self._monotonic() - self._lost_since
        self._lost_since = None
        self._observer.on(MailboxReached(self._name, lost_for))
        return done

    def _read_one(self, session: MailSession, name: str, counts: Counter[str], left: list[str]) -> None:
        try:
            content = session.head(name)
        except MailboxAway:
            self._breaks[name] += 1
            if self._breaks[name] >= MOST_BREAKS:
                self._left.add(name)
                left.append(name)
            raise
        if content is None:  # another worker was there
            return
        told = self._told(content)
        counts[told.what] += 1
        if told.dispose:
            session.dispose(name)
        if self._mailbox.after == "keep" or not told.dispose:
            self._left.add(name)
        if told.what in {Unfit.UNREADABLE, "forged"}:
            left.append(name)

    def _told(self, content: bytes) -> _Told:
        """What a mail says; taken over when this returns."""
        try:
            mail = read_report(content)
        except Exception:  # noqa: BLE001 - one mail that nobody foresaw must not keep the others from being read
            mail = Stray(Unfit.UNREADABLE)
        told = self._understood(mail)
        if told.receipts:
            try:
                counts = self._desk.take_over(self._name, PROVIDER, told.receipts)
            except DatabaseRefused as error:
                if error.whole:
                    raise
                return _Told(Unfit.UNREADABLE, dispose=False)
            self._observer.on(ReceiptsRead(counts, {}))
        return told

    def _understood(self, mail: MailReport | Stray) -> _Told:
        signed = self._mailbox.signed
        notification_id = signed.notification_in(mail.texts)
        if isinstance(mail, Stray):
            return _Told(mail.why, dispose=mail.why is Unfit.AUTO_REPLY and notification_id is not None)
        known = self._known(mail, notification_id)
        if known is None and notification_id is not None:
            return _Told("unmatched")  # it is ours, and too late: retention was there first
        if known is None:
            return _Told("forged" if signed.is_forged_in(mail.texts) else "unmatched", dispose=False)
        receipts = (
            _receipt(f"{mail.id} {known.notification_id} {number}", fate, known, complaint=mail.complaint)
            for number, fate in enumerate(mail.fates)
        )
        news = [receipt for receipt in receipts if receipt is not None]
        return _Told("complaint" if mail.complaint else "report", news)

    def _known(self, mail: MailReport, notification_id: int | None) -> Mailed | None:
        """The notification that a report is about: by our signature, else by both ids, which only receivers know."""
        asked = mail.notification_id if notification_id is None else notification_id
        found = self._desk.mailed(asked) if asked is not None else None
        # With a signature no id may be wrong (a row that was requeued is another mail), without one both must be right.
        told = mail.notification_id == asked
        return None if found is not None and told and found.message_id != mail.message_id else found

    def _lose(self, error: MailboxAway) -> None:
        now = self._monotonic()
        self._lost_since = now if self._lost_since is None else self._lost_since
        self._observer.on(MailboxLost(self._name, str(error), now - self._lost_since))


def _receipt(event: str, fate: Fate, mailed: Mailed, *, complaint: bool) -> Receipt | None:
    """What a report says of one recipient; None when it is no news, or of whom is not known."""
    kind = _COMPLAINTS.get(fate.action) if complaint else _kind(fate)
    if kind is None:
        return None
    named = {_plain(one) for one in fate.addresses}
    copy = None
    if _plain(mailed.recipient) not in named and mailed.copies:
        copy = next((one for one in mailed.copies if _plain(one) in named), None)
        if copy is None:
            return None  # one of several, and nobody knows which
    elif _plain(mailed.recipient) not in named and named and kind is ReceiptKind.BOUNCED:
        kind = ReceiptKind.SOFT_BOUNCED  # to where it was forwarded: the address itself may live
    return Receipt(
        kind,
        event,
        fate.at,
        notification_id=mailed.notification_id,
        recipient=copy,
        code=fate.status or None,
        words=fate.words or None,
    )


def _kind(fate: Fate) -> ReceiptKind | None:
    match fate.action:
        case "failed" if fate.status.startswith("4"):
            return ReceiptKind.SOFT_BOUNCED
        case "failed":
            return _refused(fate)
        case "delayed":
            return ReceiptKind.DEFERRED
        case "delivered":
            return ReceiptKind.DELIVERED
        case _:
            return None


def _refused(fate: Fate) -> ReceiptKind:
    """What a refusal for good means. Only what the rules of SMTP call dead is dead at once.

    Elsewhere the status says too little: 5.0.0 stands where a server knows nothing better (Exim), 5.1.0 and 5.2.0 where
    it does not like the sender or the content.
    """
    by_policy = _POLICY.search(fate.words)  # a word of policy outranks the status: it is about us
    code = by_policy[0] if by_policy else fate.status
    return by_refusal(fate.words, None if code.endswith(".0.0") else code, otherwise=ReceiptKind.SOFT_BOUNCED)


def _plain(address: str) -> str:
    try:
        return read_mailbox(address, "address", intranet=True).address.lower()
    except BadNotification:
        return address.strip().lower()
