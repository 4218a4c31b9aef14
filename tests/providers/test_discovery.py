"""Providers are found by name: a file here, or an entry point of any installed distribution.

The test below *is* the guide to one's own provider: a module, and one line of packaging.
"""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from noti_worker import providers
from noti_worker.domain.errors import ConfigurationError
from noti_worker.domain.facts import Result
from noti_worker.domain.notification import Briefing, Channel, Status
from noti_worker.domain.secret import Secret
from noti_worker.domain.traits import Traits
from noti_worker.providers import sandbox
from noti_worker.transport import Kit
from tests.delivery.fakes import a_delivery, some_accounts
from tests.domain.rows import NOW, claimed
from tests.providers.api import ApiContract
from tests.providers.matrix import inherited

PAGE = Path(__file__).parents[2] / "noti_worker" / "docs" / "providers.md"

PIGEON = '''
"""Carrier pigeons."""

from dataclasses import dataclass

from noti_worker.domain.notification import Channel, Message
from noti_worker.domain.outcome import Kind
from noti_worker.domain.ports import Sender
from noti_worker.domain.rules import Rule
from noti_worker.domain.said import Said
from noti_worker.domain.secret import Secret
from noti_worker.transport import Kit

CHANNELS = frozenset({Channel.CHAT})
OPTIONS = ()
RULES = (
    Rule("pigeon.home", Kind.OK, code="home"),
    Rule("pigeon.too_heavy", Kind.PERMANENT, code="too heavy"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of an account `[accounts.NAME]` with `provider = "pigeon"`."""

    loft: str                 # loft = "north"
    whistle: Secret           # whistle = "env:WHISTLE"


def build(settings: Settings, kit: Kit) -> Sender:
    return kit.blocking(Pigeons(settings).carry)


class Pigeons:
    def __init__(self, settings: Settings) -> None:
        self._loft = settings.loft

    def carry(self, message: Message, limit: float) -> Said:
        if len(message.text or "") > 20:
            return Said("answer", code="too heavy", error="a pigeon carries 20 characters")
        return Said("answer", code="home", id=f"{self._loft}/{message.message_id}")
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of installed distributions, as `pip install` leaves them."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, module: str, source: str, entry_point: str) -> None:
    """Do what pip does with a pyproject.toml that holds the entry point."""
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[noti_worker.providers]\n{entry_point}\n")
    importlib.invalidate_caches()


@pytest.fixture
def pigeon(site: Path, monkeypatch: pytest.MonkeyPatch) -> providers.Provider:
    install(site, "noti_pigeon", PIGEON, "pigeon = noti_pigeon")
    monkeypatch.delitem(sys.modules, "noti_pigeon", raising=False)
    return providers.find("pigeon")


def sent_by(provider: providers.Provider, text: str) -> Result:
    sender = provider.build(provider.Settings(loft="north", whistle=Secret("fee")), Kit(now=lambda: NOW))
    accounts = some_accounts({"birds": sender}, provider="pigeon", rules=provider.RULES)
    delivery = a_delivery(accounts=accounts)
    return delivery.deliver(claimed(channel=Channel.CHAT, recipient="market square", body=text), Briefing())


def test_a_provider_of_another_distribution_is_found_and_sends(pigeon: providers.Provider) -> None:
    assert "pigeon" in providers.known()
    result = sent_by(pigeon, "Come home")
    assert result.verdict.status is Status.SENT
    assert (result.account, result.provider) == ("birds", "pigeon")
    assert result.outcome is not None
    assert result.outcome.provider_message_id == f"north/{result.notification.message_id}"


def test_what_it_answers_decides_what_becomes_of_the_row(pigeon: providers.Provider) -> None:
    result = sent_by(pigeon, "Come home, the soup is getting cold")
    assert result.verdict.status is Status.FAILED


def try_out(site: Path, module: str, case: str) -> subprocess.CompletedProcess[str]:
    """Install a provider, and run all the checks on it that ours inherit."""
    install(site, "noti_pigeon", module, "pigeon = noti_pigeon")
    (site / "test_pigeon.py").write_text(case)
    return subprocess.run(
        [sys.executable, "-m", "tests.providers.matrix", str(site / "test_pigeon.py")],
        cwd=PAGE.parents[2],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def guide() -> tuple[str, str]:
    """The module and the test of the page."""
    text = PAGE.read_text("utf-8").partition("## A provider of your own")[2]
    (module, *_), (case,) = (re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("python", "py"))
    return module, case


def test_one_module_and_one_test_of_the_guide_get_every_check(site: Path, guide: tuple[str, str]) -> None:
    ran = try_out(site, *guide)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (line,) = [line.split("│")[1:-1] for line in ran.stdout.splitlines() if "`pigeon`" in line]
    checks = inherited(type("Case", (ApiContract,), {}))
    assert [cell.strip() for cell in line] == [
        "`pigeon`", "chat", "an HTTP server of ours", "its page", "20", "2", "400 to 599", "1", "11 stages",
        "1, shown nowhere", str(len(checks)),
    ]  # fmt: skip
    assert len(checks) > 12


def test_a_check_that_one_from_outside_does_not_stand_is_a_hole(site: Path, guide: tuple[str, str]) -> None:
    module, case = guide
    ran = try_out(site, module.replace('status="404", code', 'status="410", code'), case)
    assert ran.returncode == 1
    assert "pigeon: not passed: test_every_foreseeable_answer_is_an_outcome" in ran.stdout


def test_a_file_of_the_package_is_found_by_its_name() -> None:
    assert providers.find("sandbox") is sandbox
    assert {"in_app", "console", "sandbox"} <= set(providers.known())


def test_what_a_provider_needs_besides_is_an_extra_that_pip_knows() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = {name: providers.traits(providers.find(name)).extra for name in providers.known()}
    assert {name for name, extra in extras.items() if extra} >= {"apns", "apprise"}
    assert set(filter(None, extras.values())) <= project["optional-dependencies"].keys()


def test_what_a_module_says_of_itself_may_be_missing(pigeon: providers.Provider) -> None:
    assert providers.traits(pigeon) == Traits()


def test_a_file_of_the_package_is_not_shadowed(site: Path) -> None:
    install(site, "noti_fake_sandbox", PIGEON, "sandbox = noti_fake_sandbox")
    assert providers.find("sandbox") is sandbox


def test_private_files_are_no_providers() -> None:
    assert not [name for name in providers.known() if name.startswith("_")]
    with pytest.raises(ConfigurationError):
        providers.find("_mail")


@pytest.mark.parametrize("name", ["carrier", "", "../sandbox", "sandbox.py", "os"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist: known are .*console.*in_app.*sandbox"):
        providers.find(name)


@pytest.mark.parametrize(
    ("source", "entry_point", "said"),
    [
        ("import a_sdk_that_is_not_there", "owl = noti_owl", "cannot be loaded from 'noti_owl': ModuleNotFoundError"),
        ("", "owl = noti_owl:nothing", "cannot be loaded from 'noti_owl:nothing': AttributeError"),
        ("CHANNELS = ()", "owl = noti_owl", "lacks Settings, OPTIONS, RULES, build"),
    ],
)
def test_a_provider_that_is_broken_is_a_configuration_error(
    site: Path, monkeypatch: pytest.MonkeyPatch, source: str, entry_point: str, said: str
) -> None:
    install(site, "noti_owl", source, entry_point)
    monkeypatch.delitem(sys.modules, "noti_owl", raising=False)
    with pytest.raises(ConfigurationError, match=f"'owl'.*{said}"):
        providers.find("owl")
