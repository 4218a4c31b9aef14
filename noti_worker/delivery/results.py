"""What the store is told of a row that was not sent, and what follows one that was."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from noti_worker.domain.facts import Result
from noti_worker.domain.follows import Follow, FurtherAddress, InboxLine, LaterCopy
from noti_worker.domain.lifecycle import Verdict
from noti_worker.domain.notification import (
    BY_PHONE,
    Channel,
    Drop,
    Gather,
    Leave,
    Message,
    Notification,
    Status,
    Stop,
    Wait,
)
from noti_worker.domain.outcome import Outcome
from noti_worker.domain.rules import LONGEST_ERROR
from noti_worker.domain.said import RefusedCopy, Said


def not_sent(row: Notification, stop: Stop) -> Result:
    """A decision without a try; nothing is charged. A row that is left stays `pending`: there is nothing to record."""
    if isinstance(stop, Leave):
        return Result(row, Verdict(Status.PENDING, stop.reason))
    if isinstance(stop, Wait):
        return Result(row, Verdict(Status.RETRYING, stop.reason, wait=stop.delay))
    if isinstance(stop, Gather):
        return Result(row, Verdict(Status.GATHERING, stop.reason, gathers=stop.frequency))
    return Result(row, Verdict(stop.status, stop.reason), kind=stop.kind if isinstance(stop, Drop) else None)


def follows(message: Message) -> tuple[Follow, ...]:
    """What is written together with a message that went out."""
    if message.channel is not Channel.IN_APP:
        return ()
    return (InboxLine(message.tenant_id, message.recipient, message.subject, message.text, message.html),)


def further(message: Message) -> tuple[Follow, ...]:
    """The other addresses of the person, written with a try, whatever came of it: they are tried apart."""
    if message.contact is None:
        return ()
    return tuple(FurtherAddress(other.address, other.locale) for other in message.contact.others)


def left_out(message: Message) -> str:
    """The copies that the suppression list stopped, in words."""
    entries = ", ".join(f"{place} (entry {number})" for place, number in message.left_out.items())
    return f"the suppression list leaves out {entries}" if entries else ""


def dialled(row: Notification, message: Message, outcome: Outcome) -> Outcome:
    """The outcome, telling the number or the address of a person that was used, where the row names it otherwise."""
    if message.contact is not None:
        said = {name: words for name, words in (outcome.response or {}).items() if name != "address"}
        return replace(outcome, response={"address": message.contact.address, **said})
    if message.channel not in BY_PHONE or message.recipient == row.recipient:
        return outcome
    return replace(outcome, response={"dialled": message.recipient, **(outcome.response or {})})


def refused_copies(
    copies: Sequence[RefusedCopy], judge: Callable[[Said], Outcome], decide: Callable[[Outcome, bool], Verdict]
) -> tuple[tuple[LaterCopy, ...], str]:
    """The copies of a message that went out which come later, and the words for all: what is final stands first.

    `judge` and `decide` are as for a row; `decide` is told whether the copy was one of too many.
    """
    later: list[LaterCopy] = []
    final: dict[str, list[str]] = {}
    waiting: dict[str, list[str]] = {}
    for copy in copies:
        outcome = judge(copy.said)
        verdict = decide(outcome, copy.crowded)
        words = f"{copy.said.status} {copy.said.words[:120]}"
        if verdict.status is Status.RETRYING:
            later.append(LaterCopy(copy.name, verdict, outcome))
            waiting.setdefault(words, []).append(copy.name)
        else:
            why = f", {verdict.reason}" if copy.said.status.startswith("4") else ""
            final.setdefault(f"refused{why}: {words}", []).append(copy.name)
    told = [f"{', '.join(names)} {words}" for words, names in final.items()]
    told += [f"{', '.join(names)} {'come' if len(names) > 1 else 'comes'} later: {w}" for w, names in waiting.items()]
    return tuple(later), "; ".join(told)[:LONGEST_ERROR]
