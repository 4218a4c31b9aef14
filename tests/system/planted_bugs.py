"""Plants known bugs into a copy of the tree and shows that the tests catch them: `python -m tests.system.planted_bugs`.

A bug is a text that is replaced by another. The text is short and tells what the line is about, so that it survives
changes around it; when it is gone, the bug cannot be planted and the command says so instead of passing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


WITHIN = 900.0
"""Seconds for the tests of one bug."""


@dataclass(frozen=True, slots=True)
class Change:
    """In `file`, each match of the regular expression `old` becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        """Write the changed file below `tree`; LookupError when there is nothing to change."""
        path = tree / self.file
        text, count = re.subn(self.old, lambda _: self.new, path.read_text())
        if count == 0:
            raise LookupError(f"{self.file} has no {self.old!r} any more: plant this bug where that went")
        if path.suffix == ".py":
            compile(text, self.file, "exec")  # a syntax error is not the bug that is meant
        path.write_text(text)


@dataclass(frozen=True, slots=True)
class Bug:
    """Changes that break one promise, and tests each of which must notice."""

    name: str
    changes: Sequence[Change]
    tests: Sequence[str]


_CLAIM = "noti_worker/store/queue/sql/claim.sql"
_RECORDS = ("noti_worker/store/queue/sql/record.sql", "noti_worker/store/queue/sql/record_sent.sql")
_HEARTBEAT = "tests/worker/test_heartbeat.py"
_ROUNDS = "tests/worker/test_rounds.py"
_RECORD = "tests/store/test_record.py"
_RECORDER = "tests/worker/test_recorder.py"
_FAULTS = "tests/system/test_faults.py"
_CIRCUITS = "tests/system/test_circuits.py"
_COPIES = "tests/system/test_copies.py"
_AFTERCARE = "tests/system/test_faults_aftercare.py"
_CAMPAIGN = (
    "tests/system/test_campaign.py::test_the_next_campaign_leaves_out_exactly_those_who_bounced_complained_or_left[300]"
)
_DESK = "noti_worker/store/receipts/desk.py"
_RECEIVE = "migrations/functions/receive/2.sql"
_FAULTS_SERVER = "tests/system/test_faults_server.py"

BUGS = (
    Bug(
        "no fence: a result is recorded although the row has another owner",
        [
            Change(
                file,
                r"AND n\.claimed_by = cast\(:worker_id AS bigint\)\s+"
                r"AND n\.claim_count = entry\.claim_count\s+FOR NO KEY UPDATE",
                "FOR NO KEY UPDATE",
            )
            for file in _RECORDS
        ],
        [
            f"{_RECORD}::test_the_result_of_a_zombie_is_stale_and_changes_nothing",
            f"{_FAULTS}::test_a_worker_that_was_paused_past_its_lease_changes_nothing_any_more",
        ],
    ),
    Bug(
        "a try counts at its end only: a lost claim leaves no trace",
        [
            Change(_CLAIM, r"lost_count = n\.lost_count \+ \(n\.lease_until IS NOT NULL\)::int", "lost_count = 0"),
            Change(_CLAIM, r"n\.attempt_count \+ \(n\.lease_until IS NOT NULL\)::int", "n.attempt_count"),
            Change(_CLAIM, r"WHERE lost\b", "WHERE false"),
        ],
        [
            "tests/store/test_claim_rescue.py::test_an_expired_lease_is_taken_again_and_the_loss_is_written_down",
            f"{_FAULTS}::test_a_row_that_kills_its_worker_five_times_ends_alone_and_its_mates_are_sent",
        ],
    ),
    Bug(
        "what may have gone out is sent again although the row says hold",
        [
            Change("noti_worker/domain/lifecycle.py", r"if on_uncertain is OnUncertain\.HOLD:", "if False:"),
            Change("noti_worker/domain/permits/dispatched.py", r"if not row\.dispatched:", "if True:"),
        ],
        [
            "tests/system/test_delivery_rules.py::test_uncertainty_is_held_or_failed_where_the_row_says_so",
            f"{_FAULTS}::test_after_a_kill_what_must_not_go_out_twice_does_not",
        ],
    ),
    Bug(
        "a floor without a sweep: what commits late is never found",
        [Change("noti_worker/worker/scanner.py", r"\bsweeping = .*", "sweeping = False")],
        [
            f"{_ROUNDS}::test_a_row_behind_the_floor_is_found_by_the_next_sweep",
            "tests/system/test_commits.py::test_a_row_that_commits_long_after_its_neighbours_were_sent_is_sent_too",
        ],
    ),
    Bug(
        "results are dropped when the database is away",
        [Change("noti_worker/worker/recorder.py", r"\[\*again, \*self\._waiting\]", "self._waiting")],
        [
            f"{_RECORDER}::test_while_the_database_is_away_results_are_kept_and_one_line_a_minute_is_said",
            f"{_FAULTS_SERVER}::test_an_end_of_the_database_in_the_middle_costs_nothing",
        ],
    ),
    Bug(
        "plain FOR UPDATE: a foreign key of the application hides rows",
        [Change(_CLAIM, r"FOR NO KEY UPDATE SKIP LOCKED", "FOR UPDATE SKIP LOCKED")],
        [
            "tests/store/test_claim.py::test_a_foreign_key_of_an_application_hides_no_row",
            f"{_FAULTS}::test_an_application_that_refers_to_a_row_in_an_open_transaction_does_not_hide_it",
        ],
    ),
    Bug(
        "the lease is not looked at before a send",
        [Change("noti_worker/worker/inflight.py", r"claim\.lease_ends - now < margin", "False")],
        [f"{_HEARTBEAT}::test_a_send_is_not_started_with_too_little_lease_left"],
    ),
    Bug(
        "no mark before a send that must not go out twice",
        [
            Change(
                "noti_worker/worker/sends.py",
                r"\(notification\.on_uncertain or policy\.on_uncertain\) is OnUncertain\.RETRY",
                "True",
            )
        ],
        [
            "tests/worker/test_worker.py::test_a_row_that_must_not_go_out_twice_is_marked_before_its_send",
            f"{_FAULTS}::test_after_a_kill_what_must_not_go_out_twice_does_not",
        ],
    ),
    Bug(
        "no fence of its own: a worker whose heart stands still sends on",
        [Change("noti_worker/worker/inflight.py", r"\S+ - self\._heard >= FENCE_AFTER", "False")],
        [
            f"{_HEARTBEAT}::test_a_worker_that_cannot_beat_fences_itself_before_others_take_its_rows",
            f"{_HEARTBEAT}::test_a_process_that_was_stopped_begins_nothing_before_it_knows_what_is_still_its_own",
        ],
    ),
    Bug(
        "what was lost twice is claimed among the others",
        [Change(_CLAIM, r"AND \(n\.lost_count \+ .* = cast\(:solo AS boolean\)", "AND NOT cast(:solo AS boolean)")],
        [
            "tests/store/test_claim_rescue.py::test_a_row_lost_twice_is_only_taken_alone",
            f"{_FAULTS}::test_a_row_that_kills_its_worker_five_times_ends_alone_and_its_mates_are_sent",
        ],
    ),
    Bug(
        "what was lost twice is sent beside the others",
        [Change("noti_worker/worker/suspects.py", r" and len\(self\._in_flight\) <= 1", "")],
        ["tests/worker/test_suspects.py::test_a_row_lost_twice_is_sent_alone"],
    ),
    Bug(
        "a result is forgotten when its row is locked",
        [Change("noti_worker/worker/recorder.py", r'\[.* if fates\[id_\] == "busy"\] \+ later', "later")],
        [
            f"{_RECORDER}::test_a_locked_row_is_flushed_again_and_holds_up_nobody",
            f"{_FAULTS}::test_a_row_locked_by_an_application_waits_and_holds_up_nobody",
        ],
    ),
    Bug(
        "a result that is flushed again is written again",
        [Change("noti_worker/store/queue/sql/record.sql", r"THEN 'again'", "THEN 'stale'")],
        [
            f"{_RECORD}::test_a_result_that_is_flushed_again_writes_nothing",
            f"{_RECORD}::test_a_try_that_is_flushed_again_after_the_next_claim_is_again_too",
        ],
    ),
    Bug(
        "a late result is thrown away although nobody else took the row",
        [
            Change(
                file,
                r"AND n\.claim_count = entry\.claim_count\s+FOR NO KEY UPDATE",
                "AND n.claim_count = entry.claim_count AND n.lease_until > now() FOR NO KEY UPDATE",
            )
            for file in _RECORDS
        ],
        [f"{_RECORD}::test_a_late_result_counts_while_nobody_else_took_the_row"],
    ),
    Bug(
        "a stale try leaves no trace",
        [Change("noti_worker/store/queue/sql/record.sql", r" OR fate = 'stale' AND exists", "")],
        [
            f"{_RECORD}::test_the_result_of_a_zombie_is_stale_and_changes_nothing",
            f"{_FAULTS}::test_a_worker_that_was_paused_past_its_lease_changes_nothing_any_more",
        ],
    ),
    Bug(
        "after an outage rows are claimed before results are written",
        [Change("noti_worker/worker/outage.py", r"return self\.on or .*", "return self.on")],
        [f"{_ROUNDS}::test_after_an_outage_results_in_hand_go_before_new_claims"],
    ),
    Bug(
        "after an outage the rows of others are taken at once",
        [Change("noti_worker/worker/outage.py", r"return ended is not None and .*", "return False")],
        [
            f"{_HEARTBEAT}::test_for_15_seconds_after_an_outage_no_claim_of_others_is_taken",
            f"{_FAULTS_SERVER}::test_after_an_outage_nobody_sends_again_what_a_neighbour_has_yet_to_record",
        ],
    ),
    Bug(
        "what was never offered spends a try: an outage of the provider fails rows",
        [
            Change(
                "noti_worker/domain/lifecycle.py",
                r"case Kind\.TRANSIENT if not outcome\.offered and .*:",
                "case Kind.TRANSIENT if False:",
            )
        ],
        [
            "tests/domain/test_lifecycle.py::test_what_says_nothing_of_the_message_spends_no_try_and_waits_longer_each_time[outcome0]",
            f"{_CIRCUITS}::test_a_server_that_is_away_for_longer_than_all_retries_loses_nothing",
        ],
    ),
    Bug(
        "an account that refuses us is asked again for every row",
        [Change("noti_worker/domain/circuits.py", r"return read is Sign\.REFUSED or \(", "return False and (")],
        [
            "tests/worker/test_circuits.py::test_a_refusal_closes_the_account_here_at_once_and_everywhere_with_the_next_round",
            f"{_CIRCUITS}::test_a_wrong_password_costs_a_login_now_and_then_and_no_row",
        ],
    ),
    Bug(
        "a mail is not tried on a fresh line when the kept one was worn out",
        [Change("noti_worker/transport/lines.py", r"if not ended\.worn_out:", "if True:")],
        ["tests/providers/test_smtp_worn.py::test_a_server_that_wears_its_lines_out_gets_all_mails"],
    ),
    Bug(
        "the recipient's address is read as the server's words",
        [Change("noti_worker/domain/rules.py", r"blanked\(said\.words, message\)", "said.words")],
        [
            f"tests/providers/test_smtp_rules.py::test_whom_it_is_about_changes_no_judgement[example.net-{word}]"
            for word in ("rate", "spam", "dmarc", "helo")
        ],
    ),
    Bug(
        "a copy that is refused for now is told and forgotten",
        [Change("noti_worker/delivery/results.py", r"later\.append\(.*", "pass")],
        [
            "tests/delivery/test_copies.py::test_a_copy_that_is_refused_for_now_comes_later_and_the_row_is_sent",
            f"{_COPIES}::test_everybody_gets_it_once_of_a_server_that_takes_three_and_greylists_one[pipelined]",
        ],
    ),
    Bug(
        "a copy that is sent later goes to everybody again",
        [Change("noti_worker/providers/_mail.py", r"envelope\(recipient, \(\), \(\)\) if original else ", "")],
        [
            "tests/providers/test_smtp_copies.py::test_one_that_is_sent_later_is_the_same_mail_to_its_recipient_alone",
            f"{_COPIES}::test_a_copy_that_waits_survives_the_worker_that_sent_its_mail[one by one]",
        ],
    ),
    Bug(
        "who may create in public runs code as the worker",
        [
            Change(
                "noti_worker/store/settings.py",
                r'"search_path": "pg_catalog,pg_temp"',
                '"search_path": "public,pg_catalog"',
            )
        ],
        ["tests/migrations/test_attack.py::test_workers_and_people_spring_none"],
    ),
    Bug(
        "a document that is a gigabyte as text comes in",
        [Change("migrations/functions/too_large/1.sql", r"digits > 16 \* most OR", "")],
        ["tests/store/test_schema_sizes.py::test_no_text_of_a_gigabyte_is_made_to_find_out"],
    ),
    Bug(
        "one row that a claim is refused for stops its lane",
        [Change("noti_worker/domain/narrowing.py", r"middle = len\(some\) // 2", "raise")],
        ["tests/worker/test_refusals.py::test_the_rows_that_a_claim_is_refused_for_are_set_aside_and_the_others_go_on"],
    ),
    Bug(
        "a release by conditions sends again what may have arrived",
        [
            Change(
                "noti_worker/store/people/moves.py",
                r"order\.rule\.repeats and seen\.perhaps and not order\.repeats",
                "False",
            )
        ],
        ["tests/cli/test_moving_commands.py::test_conditions_leave_out_what_may_have_arrived"],
    ),
    Bug(
        "an erasure of one address takes it out of longer ones",
        [Change("migrations/functions/unnamed/2.sql", "pattern := CASE\n", "pattern := CASE WHEN true THEN literal\n")],
        [
            "tests/store/test_erasure_names.py::test_of_addresses_that_are_alike_only_the_one_asked_for_goes",
        ],
    ),
    Bug(
        "a refusal for now, for our reputation, holds the row for a person",
        [
            Change(
                "noti_worker/providers/_smtp_rules.py",
                r'_for_now", Kind\.THROTTLED',
                '_for_now", Kind.CONFIG',
            )
        ],
        ["tests/providers/test_smtp_rules.py::test_what_the_server_has_against_us_for_now_waits_long_and_for_nobody"],
    ),
    Bug(
        "results of hundreds of megabytes go in one statement",
        [Change("noti_worker/store/queue/portions.py", r"if number > first and .*:", "if False:")],
        [
            "tests/store/test_record_portions.py::test_large_results_go_in_portions_of_eight_megabytes",
            "tests/store/test_record_portions.py::test_what_took_too_long_is_halved_until_it_goes_through_and_grows_again",
        ],
    ),
    Bug(
        "attachments are read, however many and large they are",
        [
            Change("noti_worker/store/briefing/attachments.py", r"MOST = 25", "MOST = 25_000"),
            Change("noti_worker/store/briefing/attachments.py", r"25 \* 1024 \* 1024", "2**40"),
        ],
        ["tests/store/test_contents.py::test_attachments_that_are_too_large_together_are_refused_unread"],
    ),
    Bug(
        "a row that an application locks past its lease is taken from a worker that lives",
        [Change(_CLAIM, r"n\.claimed_by <> ALL \(cast\(:living AS bigint\[\]\)\)", "true")],
        [
            "tests/system/test_nothing_stops.py::test_rows_locked_for_longer_than_the_lease_of_a_living_worker_go_out_once",
        ],
    ),
    Bug(
        "sends go on while nothing can be recorded",
        [Change("noti_worker/worker/refusals.py", r"return not self\._stops or not \(RECORD.*", "return True")],
        [
            "tests/worker/test_refusals.py::test_while_no_result_can_be_written_nothing_is_claimed_and_rows_in_hand_do_not_begin",
        ],
    ),
    Bug(
        "one row that takes a claim all its time stops its channel",
        [Change("noti_worker/worker/claimer.py", r"self\._hasty_until = self.*", "raise")],
        [
            "tests/worker/test_slow_claims.py::test_the_rows_that_a_claim_takes_too_long_for_are_set_aside_and_the_others_go_on",
        ],
    ),
    Bug(
        "a configuration is known before all of it was read",
        [
            Change(
                "noti_worker/app.py",
                r"stack\.pop_all\(\)\n        return reading",
                "stack.pop_all()\n        self.commit(reading)\n        return reading",
            )
        ],
        ["tests/test_app.py::test_a_reading_tells_nobody_before_it_is_committed"],
    ),
    Bug(
        "templates that take all their time delay those of others",
        [Change("noti_worker/delivery/render.py", r"if self\._pace\.is_slow\(request\)", "if False")],
        ["tests/system/test_fairness.py::test_templates_that_take_all_their_time_delay_nobody_else"],
    ),
    Bug(
        "the suppression list is not asked",
        [Change("noti_worker/store/briefing/sql/suppressions.sql", r"ON s\.address_hash = .*", "ON false")],
        ["tests/system/test_suppression.py::test_a_dead_address_gets_nothing_more_until_it_is_lifted", _CAMPAIGN],
    ),
    Bug(
        "a receipt that is told again counts again",
        [Change(_RECEIVE, r"receipts_once DO NOTHING", "receipts_once DO UPDATE SET event = EXCLUDED.event")],
        ["tests/store/test_receipts.py::test_what_is_told_again_counts_once", _CAMPAIGN],
    ),
    Bug(
        "a receipt for a message in flight is forgotten",
        [
            Change(
                _RECEIVE, r"WHEN NOT ready AND one\.kind <> 'replied' THEN clock_timestamp\(\)", "WHEN false THEN now()"
            )
        ],
        ["tests/store/test_receipts.py::test_bad_news_of_a_row_in_flight_waits_for_its_result"],
    ),
    Bug(
        "what was posted counts as read before it is taken over",
        [
            Change(_DESK, r"with self\._session\.transaction\(\) as run:", "run = self._session.run\n        if True:"),
            Change(
                _DESK,
                r"            counts = run\(_RECEIVE",
                "            if raw is not None:\n"
                "                run(_MARK, {'raw_id': raw.raw_id, 'error': None})\n"
                "            counts = run(_RECEIVE",
            ),
        ],
        [f"{_AFTERCARE}::test_a_worker_that_is_killed_over_a_receipt_leaves_it_to_the_next_one_and_it_counts_once"],
    ),
    Bug(
        "whoever posts without a signature is believed",
        [Change("noti_worker/providers/sendgrid.py", r"raise NotGenuine\(\"signature\", .*", "pass")],
        [
            "tests/system/test_receipts.py::test_a_bounce_is_posted_read_told_and_stops_the_next_message",
        ],
    ),
    Bug(
        "what a limit leaves is given back twice",
        [Change("noti_worker/worker/allowance.py", r"self\._purses\[limit\]\.pop\(surplus\)", "pass")],
        ["tests/worker/test_allowance.py::test_what_no_row_needs_goes_back_at_once"],
    ),
    Bug(
        "a rate grants what is asked for",
        [Change("migrations/functions/allow/1.sql", r"least\(wants\[i\], floor\(left_\)\)", "wants[i]")],
        [
            "tests/store/test_limits.py::test_a_bucket_holds_no_more_than_its_burst",
            "tests/system/test_limits.py::test_four_workers_share_the_rate_of_an_account_and_one_of_them_is_killed[300]",
        ],
    ),
    Bug(
        "a quota grants what is asked for",
        [Change("migrations/functions/allow/1.sql", r"least\(wants\[i\], greatest\(0, .*?\)\)", "wants[i]")],
        [
            "tests/store/test_quotas.py::test_whoever_takes_at_the_same_time_gets_the_amount_and_not_one_more",
            f"{_AFTERCARE}::test_what_a_killed_worker_had_in_hand_of_a_quota_is_lost_and_never_granted_again",
        ],
    ),
    Bug(
        "who looks at a link has left",
        [
            Change(
                "noti_worker/web/unsubscribe.py",
                r'if request\.method != "POST":\s+return _asks\(language, subscription\)',
                'if request.method != "POST":\n            return self._leave(language, subscription)',
            )
        ],
        ["tests/system/test_unsubscribe.py::test_one_click_ends_a_category_and_a_second_one_brings_it_back", _CAMPAIGN],
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """How many test cases ran, and the names of those that were green."""

    cases: int
    green: Sequence[str]
    seconds: float


class Copy:
    """A copy of the tree in which tests run."""

    def __init__(self, directory: Path) -> None:
        self._tree = directory / "tree"
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self._tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self._tree / name)

        self._before: dict[Path, str] = {}

    def plant(self, bug: Bug) -> None:
        """Apply its changes."""
        for change in bug.changes:
            path = self._tree / change.file
            self._before.setdefault(path, path.read_text())
            change.apply(self._tree)

    def mend(self) -> None:
        """Take all changes back."""
        for path, text in self._before.items():
            path.write_text(text)

    def run(self, tests: Sequence[str]) -> Run:
        """Run the tests; RuntimeError when there was something else than green and red."""
        report, began = self._tree.parent / "report.xml", time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "", "-p", "no:cacheprovider", f"--junitxml={report}", *tests],
            cwd=self._tree,
            env={**os.environ, "PYTHONPATH": str(self._tree)},
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN,
        )
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"the tests did not run:\n{done.stdout}\n{done.stderr}")
        cases = list(ET.parse(report).getroot().iter("testcase"))
        green = [case.get("name", "") for case in cases if case.find("failure") is None and case.find("error") is None]
        return Run(len(cases), green, time.monotonic() - began)


def main(arguments: Sequence[str] | None = None, bugs: Sequence[Bug] = BUGS) -> int:
    """Plant each, run its tests, print a table; 0 when every test was green before and red with its bug."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.planted_bugs", description="Are bugs caught?")
    parser.add_argument("words", nargs="*", help="only bugs whose names hold one of these")
    given = parser.parse_args(arguments)
    chosen = [bug for bug in bugs if not given.words or any(word in bug.name for word in given.words)]
    missed = False
    with tempfile.TemporaryDirectory(prefix="noti-bugs-") as directory:
        copy = Copy(Path(directory))
        before = copy.run(sorted({test for bug in chosen for test in bug.tests}))
        _say("no bug", f"{len(before.green)} of {before.cases} green", before.seconds)
        missed |= len(before.green) != before.cases
        for bug in chosen:
            try:
                copy.plant(bug)
            except (LookupError, SyntaxError) as error:
                missed = True
                _say(bug.name, f"NOT PLANTED: {error}", 0.0)
            else:
                after = copy.run(bug.tests)
                caught = not after.green and after.cases >= len(bug.tests)
                missed |= not caught
                words = f"{after.cases - len(after.green)} of {after.cases} red"
                _say(bug.name, words if caught else f"{words}, NOT CAUGHT by {', '.join(after.green)}", after.seconds)
            copy.mend()
    return 1 if missed or not chosen else 0


def _say(name: str, words: str, seconds: float) -> None:
    sys.stdout.write(f"{name:<66} {seconds:>4.0f} s  {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
