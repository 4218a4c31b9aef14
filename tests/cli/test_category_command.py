"""`category`: what operators say of categories."""

from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Invoke, read

Connection = psycopg.Connection[Any]


def test_hours_caps_and_what_is_kept_are_said_and_forgotten(noti: Invoke) -> None:
    words = ("--no-quiet", "--window", "weekdays 9-18", "--cap", "3/7d", "--over", "drop", "--keep", "90d")
    assert noti("category", "set", "news", *words).stdout == (
        "set: news: goes to who does not refuse it; in quiet hours, too; goes out weekdays 9-18;"
        " at most 3 to a person in 7d, the rest is dropped; what they say is kept for 90d\n"
    )
    forgotten = ("--quiet", "--window", "", "--cap", "", "--keep", "")
    assert noti("category", "set", "news", *forgotten).stdout == "set: news: goes to who does not refuse it\n"
    for wrong, said in (
        (("--window", "now and then"), "the send window 'now and then' cannot be read. Give days and hours"),
        (("--cap", "3"), "'3' is no cap. Write how many in how long, like 3/7d."),
        (("--cap", "0/7d"), "a cap is at least 1 message and at most 100"),
        (("--mandatory", "--cap", "3/7d"), "a mandatory category goes out at any hour"),
        (("--keep", "5m"), "kept for at least an hour and at most ten years"),
    ):
        refused = noti("category", "set", "news", *wrong)
        assert refused.exit_code in {1, 2}
        assert said in refused.stderr, refused.stderr


def test_a_category_is_set_changed_and_removed(
    noti: Invoke, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert noti("category", "list").stderr == "nothing is said of any category (noti-worker category set)\n"
    words = (
        "--opt-in",
        "--channels",
        "email,push",
        "--expires-after",
        "7d",
        "--title",
        "News",
        "--title-in",
        "de=Neues",
    )
    dry = noti("category", "set", "news", *words, "--dry-run")
    told = 'news: opt-in; by email, push; worth sending for 7d; called "News"; in de\n'
    assert (dry.stdout, dry.stderr) == (f"would be set: {told}", "")
    assert connection.execute("SELECT FROM noti.categories").fetchall() == []
    assert noti("category", "set", "news", *words).stdout == f"set: {told}"
    assert noti("category", "set", "news", "--title-in", "pt-BR=Novidades", "--channels", "").exit_code == 0
    assert noti("category", "set", "news", "--mandatory", "--no-opt-in", "--tenant", "acme").exit_code == 0
    connection.execute("SELECT noti.choose(who, 'news', '', who <> '43') FROM unnest('{42,43,44}'::text[]) AS who")
    [ours, theirs] = read(noti("category", "list", "--json"))["categories"]
    assert ours == {
        "tenant_id": "",
        "category": "news",
        "mandatory": False,
        "can_be_left": False,
        "opt_in": True,
        "channels": None,
        "expires_after_seconds": 604800.0,
        "title": "News",
        "titles": {"de": "Neues", "pt-BR": "Novidades"},
        "quiet": True,
        "send_window": None,
        "cap_amount": None,
        "cap_seconds": None,
        "cap_over": "wait",
        "keep_seconds": None,
        "refused_by": 1,
        "chosen_by": 2,
    }
    assert (theirs["tenant_id"], theirs["mandatory"], theirs["chosen_by"]) == ("acme", True, 0)
    assert [line["tenant_id"] for line in read(noti("category", "list", "--tenant", "", "--json"))["categories"]] == [
        ""
    ]
    assert "mandatory" in noti("category", "list").stdout
    assert noti("category", "remove", "news", "--tenant", "acme", "--dry-run").stdout == (
        "would be removed: news of tenant acme\n"
    )
    assert read(noti("category", "remove", "news", "--tenant", "acme", "--json")) == {"dry_run": False, "removed": True}
    again = noti("category", "remove", "news", "--tenant", "acme")
    assert (again.exit_code, again.stderr) == (1, "nothing is said of the category news of tenant acme\n")
    lines = connection.execute(
        "SELECT tenant_id, action, metadata->>'by' FROM noti.audit_log WHERE entity_type = 'category' ORDER BY audit_id"
    ).fetchall()
    assert lines == [
        ("default", "category_set", "ada"),
        ("default", "category_set", "ada"),
        ("acme", "category_set", "ada"),
        ("acme", "category_removed", "ada"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mandatory", "--opt-in"), "what is mandatory asks nobody for a yes. Say one of the two."),
        (("--mandatory", "--can-be-left"), "what is mandatory cannot be left. Say one of the two."),
        (("--channels", "email,fax"), "'fax' is no channel. Name some of email"),
        (("--expires-after", "5000d"), "its messages cannot expire after that. Give one second to ten years."),
        (("--expires-after", "soon"), "'soon' is no duration"),
        (("--title-in", "Neues"), "'Neues' names no language. Write it like de=Neuigkeiten."),
        (("--title-in", "german=Neues"), "its titles are no texts by language."),
    ],
)
def test_what_makes_no_sense_is_said_in_words(noti: Invoke, words: tuple[str, ...], said: str) -> None:
    result = noti("category", "set", "news", *words)
    assert result.exit_code != 0
    assert said in " ".join(result.stderr.split())
