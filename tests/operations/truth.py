"""What each panel of the dashboard has to show, counted in the database."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest

from noti_worker import __version__

Numbers = Mapping[str, float]
Check = Callable[[Numbers], bool]

_STATES = {"in flight": "in_flight", "lost": "due", "expiring": "due", "unknown": "held"}


class Truth:
    """Counts of now, and of what happened within the last `span` seconds, over which the panels look back.

    `checks` tells by the title of a panel whether the numbers that it shows are right.
    """

    def __init__(self, connection: psycopg.Connection[Any], span: int, workers: int) -> None:
        self._connection = connection
        self._span = span
        self._depth: dict[tuple[str, str], int] = {}
        for channel, state, count in self._rows(
            "SELECT q.channel, CASE WHEN due_now AND noti.paused(n) IS NOT NULL THEN 'paused' ELSE state END, count(*)"
            " FROM noti.queue q JOIN noti.notifications_log n USING (notification_id),"
            " LATERAL (SELECT state IN ('due', 'lost', 'expiring') AS due_now) AS now GROUP BY 1, 2"
        ):
            key = (channel, _STATES.get(state, state))
            self._depth[key] = self._depth.get(key, 0) + count
        self._tries: dict[tuple[str, str, str], int] = {
            (channel, account, kind): count
            for channel, account, kind, count in self._rows(
                "SELECT channel, account, a.kind, count(*) FROM noti.notification_attempts_log a"
                " JOIN noti.notifications_log USING (notification_id)"
                f" WHERE {self._lately('a.created_at')} GROUP BY 1, 2, 3"
            )
        }
        self.checks: Mapping[str, Check] = {
            **self._now(workers),
            **self._waits(),
            **self._goes(),
            **self._comes_back(),
            **self._works(workers),
        }

    def _now(self, workers: int) -> dict[str, Check]:
        return {
            "Due now": _is({"due": self._state("due")}),
            "Oldest due": self._old,
            "Accepted per minute": _near({"accepted": 60 * self._rate()}),
            "Failing tries": _near({"failing": self._failing()}),
            "Waiting for a person": _is({"held": self._state("held")}),
            "Pauses": _is({"pauses": self._rows("SELECT count(*) FROM noti.pauses")[0][0]}),
            "Accounts in safe mode": _is({"not live": 0}),
            "Workers": _is({__version__: workers}),
        }

    def _waits(self) -> dict[str, Check]:
        states = {state for _, state in self._depth}
        due = {channel: count for (channel, state), count in self._depth.items() if state == "due"}
        return {
            "Unfinished by state": _is({state: self._state(state) for state in states}),
            "Due by channel": _is(due),
            "Oldest due by channel and priority": lambda shown: (
                {name.split()[0] for name in shown} == set(due) and self._old(shown)
            ),
            "Pick-up delay": lambda shown: 0 < shown["median"] <= shown["95 %"] <= shown["99 %"],
            "High and urgent begun within 5 s": lambda shown: 0 <= shown["in time"] <= 1,
            "Budget left for late ones": lambda shown: -99 <= shown["left"] <= 1,
        }

    def _goes(self) -> dict[str, Check]:
        channels = {channel for channel, _, _ in self._tries}
        accepted = {channel: rate for channel in channels if (rate := self._rate(channel))}
        refused: dict[str, float] = {}
        for (_, account, kind), count in self._tries.items():
            if kind != "ok":
                refused[f"{account} {kind}"] = refused.get(f"{account} {kind}", 0) + count / self._span
        return {
            "Accepted by channel": _near(accepted),
            "Answers by account and kind": _near(refused),
            "Failing tries by channel": _near(
                {channel: self._failing(channel) for channel in channels if self._judged(channel)}
            ),
            "Failed for good by cause": _near(self._ended("failed")),
            "To be tried again by cause": _near(self._ended("retrying")),
            "Not sent by decision": _near(
                self._by("SELECT channel || ' ' || status, count(*) FROM noti.notifications_log"
                         " WHERE status IN ('held', 'unknown', 'expired', 'cancelled', 'suppressed')"
                         f" AND {self._lately('updated_at')} GROUP BY 1")
            ),
            "Stopped by the suppression list": _near(
                self._by("SELECT n.channel || ' ' || (a.metadata ->> 'kind'), count(*) FROM noti.audit_log a"
                         " JOIN noti.notifications_log n ON n.notification_id = a.entity_id::bigint"
                         " WHERE a.action = 'notification_suppressed' AND a.metadata ? 'kind'"
                         f" AND {self._lately('a.created_at')} GROUP BY 1")
            ),
            "Pace of limited accounts": _is({"relay": 1}),
            "Quotas that run out": _is(self._quotas()),
            "Time of a try": lambda shown: {"email smtp", "email sandbox", "in_app in_app"} <= set(shown),
            "Accepted for the chosen tenants": _near(
                self._by("SELECT channel, count(*) FROM noti.notifications_log"
                         f" WHERE status = 'sent' AND {self._lately('sent_at')} GROUP BY 1")
            ),
            "Tenants that send most": _near(
                self._by("SELECT tenant_id, count(*) FROM noti.notifications_log"
                         f" WHERE status = 'sent' AND {self._lately('sent_at')} GROUP BY 1")
            ),
        }  # fmt: skip

    def _quotas(self) -> dict[str, float]:
        return self._by(
            "SELECT CASE WHEN taken < amount THEN 'nearly used' ELSE 'used up' END, count(*) FROM noti.usage"
            " WHERE taken >= 0.8 * amount GROUP BY 1"
        )

    def _comes_back(self) -> dict[str, Check]:
        told = self._by(
            "SELECT provider || ' ' || kind, count(*) FROM noti.receipts"
            f" WHERE tenant_id IS NOT NULL AND {self._lately('created_at')} GROUP BY 1"
        )
        (unread,) = self._rows("SELECT count(*) FROM noti.receipts_raw WHERE read_at IS NULL")[0]
        (parked,) = self._rows("SELECT count(*) FROM noti.receipts WHERE look_at IS NOT NULL")[0]
        return {
            "Told afterwards": _near(told),
            "Requests of providers": _is({}),  # nobody listens here
            "Told and not taken over yet": _is({"unread": unread, "parked": parked}),
            "Came to nothing": _is({}),
            "Links of messages acted upon": _is({}),
            "Mailboxes of bounces reached": lambda shown: shown == {"back": 0},
            "Mails that came back": _is({}),
            "Endpoints": _is({"events not told yet": 0}),
        }

    def _works(self, workers: int) -> dict[str, Check]:
        (claims,) = self._rows(
            f"SELECT coalesce(sum(claim_count), 0) FROM noti.notifications_log WHERE {self._lately('updated_at')}"
        )[0]
        (results,) = self._rows(
            f"SELECT count(*) FROM noti.audit_log WHERE action_by_type = 'worker' AND {self._lately('created_at')}"
        )[0]
        return {
            "In hand": lambda shown: len(shown) == workers and sum(shown.values()) == 0,
            "Taken": lambda shown: (
                len(shown) == workers and _near({"": claims / self._span})({"": sum(shown.values())})
            ),
            "Results by what the database did": lambda shown: (
                _near({"": results / self._span})({"": shown["applied"]}) and shown["stale"] == shown["refused"] == 0
            ),
            "Statements": lambda shown: set(shown) == {"claim", "record"} and min(shown.values()) > 0,
            "Reaches the database": lambda shown: list(shown.values()) == [1] * workers,
            "Results that wait to be written": lambda shown: list(shown.values()) == [0] * workers,
            "Heartbeat age": lambda shown: len(shown) == workers and max(shown.values()) < 10,
            "What should not happen": lambda shown: (
                {name for name, number in shown.items() if number} == {"templates stopped by force"} and len(shown) == 5
            ),
            "Memory and processor": lambda shown: (
                len(shown) == 2 * workers and min(value for name, value in shown.items() if "memory" in name) > 20e6
            ),
        }

    def _state(self, wanted: str) -> int:
        return sum(count for (_, state), count in self._depth.items() if state == wanted)

    def _old(self, shown: Numbers) -> bool:
        (age,) = self._rows(
            "SELECT extract(epoch FROM now() - min(q.due_at))::float8"
            " FROM noti.queue q JOIN noti.notifications_log n USING (notification_id)"
            " WHERE state = 'due' AND noti.paused(n) IS NULL"
        )[0]
        if age is None:
            return not shown
        return bool(
            0 <= age - max(shown.values()) < 40
        )  # counted every 15 s, and shown by the other worker up to 15 s later

    def _rate(self, channel: str | None = None) -> float:
        found = (count for (of, _, how), count in self._tries.items() if how == "ok" and channel in {None, of})
        return sum(found) / self._span

    def _judged(self, channel: str | None) -> int:
        return sum(
            count for (of, _, kind), count in self._tries.items() if kind != "throttled" and channel in {None, of}
        )

    def _failing(self, channel: str | None = None) -> float:
        good = sum(count for (of, _, kind), count in self._tries.items() if kind == "ok" and channel in {None, of})
        return 1 - good / max(self._judged(channel), 1)

    def _ended(self, status: str) -> dict[str, float]:
        return self._by(
            "SELECT channel || ' ' || (a.metadata->>'kind'), count(*) FROM noti.audit_log a"
            " JOIN noti.notifications_log n ON n.notification_id::text = a.entity_id AND a.entity_type = 'notification'"
            f" WHERE a.action = 'notification_{status}' AND {self._lately('a.created_at')} GROUP BY 1"
        )

    def _lately(self, column: str) -> str:
        return f"{column} > now() - interval '{self._span} s'"

    def _by(self, query: str) -> dict[str, float]:
        return {name: float(count) for name, count in self._rows(query)}

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query.encode()).fetchall()


def _is(expected: Numbers) -> Check:
    """Exactly; what is 0 may be shown or not."""

    def some(numbers: Numbers) -> Numbers:
        return {name: number for name, number in numbers.items() if number}

    return lambda shown: some(shown) == some(expected)


def _near(expected: Numbers) -> Check:
    """Within a tenth: Prometheus guesses what happened between the last scrape and now. Zeros may be shown or not."""
    return lambda shown: (
        {name: number for name, number in shown.items() if number or name in expected}
        == pytest.approx(expected, rel=0.1, abs=0.002)
    )
