"""The keys of links by which recipients leave: references, long enough, with a URL that mail programs follow."""

from pathlib import Path

import pytest

from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.secret import Secret
from noti_worker.settings import load
from noti_worker.settings.shown import show

KEY, OLD = "k" * 32, "o" * 64
URL = 'url = "https://noti.example.com"\n'


def written(tmp_path: Path, web: str) -> Path:
    for name, text in {"key": KEY, "old": OLD, "short": "x" * 31}.items():
        (tmp_path / name).write_text(text)
    config = tmp_path / "noti-worker.toml"
    config.write_text(f"[web]\n{web}\n".replace("HERE", str(tmp_path)))
    return config


def test_several_keys_are_read_in_their_order(tmp_path: Path) -> None:
    settings = load(written(tmp_path, URL + 'unsubscribe_keys = ["file:HERE/key", "env:OLD"]'), {"OLD": OLD})
    assert settings.web.unsubscribe_keys == (Secret(KEY), Secret(OLD))
    assert settings.web.links is not None


def test_keys_come_from_the_environment_too(tmp_path: Path) -> None:
    environ = {"A": KEY, "B": OLD, "NOTI_WEB__UNSUBSCRIBE_KEYS": "env:A,env:B"}
    assert load(written(tmp_path, URL), environ).web.unsubscribe_keys == (Secret(KEY), Secret(OLD))


@pytest.mark.parametrize("keys", ["", "unsubscribe_keys = []"])
def test_without_a_key_there_are_no_links(tmp_path: Path, keys: str) -> None:
    assert load(written(tmp_path, URL + keys), {}).web.links is None


@pytest.mark.parametrize(
    ("web", "words"),
    [
        (URL + f'unsubscribe_keys = ["{KEY}"]', "web.unsubscribe_keys[0]: a secret does not stand here itself"),
        (URL + 'unsubscribe_keys = ["file:HERE/key", "env:NONE"]', "web.unsubscribe_keys[1]: "),
        (URL + 'unsubscribe_keys = ["file:HERE/short"]', "a key has fewer than 32 characters; openssl rand -hex 32"),
        (URL + "unsubscribe_keys = [1]", "write a list of texts"),
        ('unsubscribe_keys = ["file:HERE/key"]', "which begin with url: write https://HOST there"),
        ('url = "http://a.example"\nunsubscribe_keys = ["file:HERE/key"]', "write https://HOST there"),
        (
            'url = "https://bücher.example"\nunsubscribe_keys = ["file:HERE/key"]',
            "in ASCII (of other names the form xn--",
        ),
        ('url = "https://a.example/<x>"\nunsubscribe_keys = ["file:HERE/key"]', "write https://HOST there"),
        (f'url = "https://{"a" * 200}"\nunsubscribe_keys = ["file:HERE/key"]', "of at most 200 characters"),
    ],
)
def test_what_cannot_sign_a_link_is_refused_in_words(tmp_path: Path, web: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, web), {})
    assert words in str(caught.value)
    assert "web" in str(caught.value)
    assert KEY not in str(caught.value)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    config = written(tmp_path, URL + 'unsubscribe_keys = ["file:HERE/key", "file:HERE/old"]')
    shown = {line.key: line.value for line in show(config, {}, type)}
    assert shown["web.unsubscribe_keys"] == ["***", "***"]
