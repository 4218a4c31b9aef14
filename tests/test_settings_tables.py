"""Tables of any keys among the settings: texts, secrets, and texts that may be secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.providers import http
from noti_worker.secrets import References
from noti_worker.settings.coercion import FromEnvironment, parse
from noti_worker.settings.shown import Shown, show


@dataclass(frozen=True, slots=True)
class Sample:
    texts: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Secret] = field(default_factory=dict)
    either: Mapping[str, str | Secret] = field(default_factory=dict)
    maybe: Mapping[str, str] | None = None


def read(**table: object) -> Sample:
    return parse(Sample, table, "a", References({"K": "hush-hush"}))


def test_each_value_is_read_as_its_type() -> None:
    sample = read(texts={"A b": "x"}, keys={"k": "env:K"}, either={"x": "env:K", "y": "plain"}, maybe={})
    assert sample == Sample({"A b": "x"}, {"k": Secret("hush-hush")}, {"x": Secret("hush-hush"), "y": "plain"}, {})
    assert read(texts={"a": FromEnvironment("x", "V")}).texts == {"a": "x"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"texts": "hush-hush"}, "a.texts: this is a table"),
        ({"texts": FromEnvironment("hush-hush", "V")}, "V: this is a table"),
        ({"texts": {"b": 1}}, "a.texts.b is 1: write text in quotes"),
        ({"keys": {"b": "hush-hush"}}, "a.keys.b: a secret does not stand here itself"),
        ({"either": {"b": "env:NOT_SET"}}, "a.either.b: env:NOT_SET"),
        ({"either": {"b": 1}}, "a.either.b is 1: write text in quotes"),
    ],
)
def test_what_is_none_is_refused_with_its_key(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(**table)
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)


def test_every_key_of_a_table_and_every_answer_is_shown_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "noti.toml"
    file.write_text(
        """[accounts.gateway]
provider = "http"
url = "https://api.example.com"
headers = { Accept = "text/plain", Authorization = "env:TOKEN" }
answers = [{ status = "429", text = "slow", kind = "throttled", wait = "90s" }]
"""
    )
    lines = {line.key: line for line in show(file, {}, lambda _: http.Settings)}
    assert lines["accounts.gateway.headers.Accept"] == Shown(
        "accounts.gateway.headers.Accept", "text/plain", f"{file}:4"
    )
    assert lines["accounts.gateway.headers.Authorization"].value == "***"
    assert lines["accounts.gateway.headers.Authorization"].origin == f"{file}:4, env:TOKEN"
    assert lines["accounts.gateway.answers"] == Shown(
        "accounts.gateway.answers", ["account.1: status 429, text slow: throttled, account, wait 90s"], f"{file}:5"
    )
