"""The tables of the README and of the shipped pages, made from the code. `python -m tests.readme_tables` rewrites them.

A table may stand on several pages, between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import importlib.util
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from noti_worker import providers, settings
from noti_worker.cli.main import main as cli
from noti_worker.domain.notification import Channel
from noti_worker.domain.rules import Rule
from noti_worker.observe.catalogue import METRICS
from noti_worker.observe.log import EVENTS
from noti_worker.providers import sandbox
from noti_worker.settings import coercion
from tests.bench.report import scaling_table
from tests.test_architecture import drawing

ROOT = Path(__file__).parent.parent
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
PAGES = (ROOT / "README.md", *sorted((ROOT / "noti_worker" / "docs").rglob("*.md")))

_TABLE = re.compile(r"(?P<opens><!-- table: (?P<name>[a-z_ ]+) -->\n).*?(?P<ends><!-- end of table -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with its tables as the code has them."""
    return _TABLE.sub(lambda found: found["opens"] + TABLES[found["name"]]() + found["ends"], text)


def names(text: str) -> list[str]:
    """The names of the tables of a page."""
    return [found["name"] for found in _TABLE.finditer(text)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _spelling(option: click.Parameter) -> str:
    name = max(option.opts, key=len)
    if isinstance(option, click.Option) and not option.is_flag:
        shown = option.metavar or ("NAME" if isinstance(option.type, click.Choice) else option.type.name.upper())
        return f"{name} {'N' if shown.startswith('INTEGER') else shown}"
    return name


def _options(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option)]


def _filter() -> list[click.Option]:
    """The options that list and the moves share."""
    of_hold = {option.name: option.help for option in _options(cli.commands["hold"])}
    return [option for option in _options(cli.commands["list"]) if of_hold.get(option.name) == option.help]


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _commands() -> str:
    shared = {(option.name, option.help) for option in _filter()}

    def row(name: str, command: click.Command) -> Sequence[str]:
        arguments = [_argument(argument) for argument in command.params if isinstance(argument, click.Argument)]
        own = [option for option in _options(command) if (option.name, option.help) not in shared]
        words = [_code(_spelling(option)) for option in own]
        if len(own) < len(_options(command)):
            words.insert(0, _code("FILTER"))
        return (
            _code(" ".join([name, *arguments])),
            (command.help or "").replace("\n", " "),
            ", ".join(words),
        )

    rows = [
        row(f"{name} {part}" if part else name, each)
        for name, command in cli.commands.items()
        for part, each in (command.commands.items() if isinstance(command, click.Group) else [("", command)])
    ]
    return _table(("command", "what it does", "options"), rows)


def own_providers() -> tuple[str, ...]:
    """The providers of this repository; an entry point of somebody else's distribution is none of them."""
    return tuple(name for name in providers.known() if importlib.util.find_spec(f"{providers.__name__}.{name}"))


def page_of(name: str) -> Path:
    """The page of a provider of this repository."""
    return ROOT / "noti_worker" / "docs" / "providers" / f"{name}.md"


def _channels() -> str:
    """What serves each channel."""
    serving = {
        channel: [name for name in _real_providers() if channel in providers.find(name).CHANNELS] for channel in Channel
    }
    return _table(
        ("channel", "providers"),
        [(_code(channel), ", ".join(map(_code, names))) for channel, names in serving.items()],
    )


def _providers() -> str:
    """The index of the pages: by channel, and those that serve many of them last."""
    order = list(Channel)

    def row(name: str) -> Sequence[str]:
        title = page_of(name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        provider = providers.find(name)
        serves = sorted(provider.CHANNELS, key=order.index)
        return (
            f"[`{name}`](providers/{name}.md)",
            "all" if serves == order else ", ".join(map(_code, serves)),
            _code(getattr(provider, "EXTRA", "")),
            title,
        )

    def place(name: str) -> tuple[bool, int, str]:
        serves = providers.find(name).CHANNELS
        return len(serves) > 3, min(map(order.index, serves)), name

    return _table(("provider", "channels", "extra", "what it is"), map(row, sorted(own_providers(), key=place)))


def _sandbox() -> str:
    return "".join(line + "\n" for line in (sandbox.__doc__ or "").splitlines() if line.startswith("|"))


def _settings_of(name: str) -> str:
    lines = coercion.describe(providers.find(name).Settings, "")
    return _table(("key", "default", "meaning"), [(_code(line.key), line.default, line.help) for line in lines])


def _options_of(name: str) -> str:
    options = providers.find(name).OPTIONS
    return _table(("option", "value", "meaning"), [(_code(o.name), o.kind.value, o.meaning) for o in options])


def _answers_of(name: str) -> str:
    """What is said, and what it means: the rules in their order, without the patterns of words."""

    def when(rule: Rule) -> str:
        asked = {"status": rule.status, "code": rule.code, "stage": rule.stage}
        told = [f"{what} {_code(pattern) or 'none'}" for what, pattern in asked.items() if pattern is not None]
        return ", ".join([*told, *(["certain words"] if rule.text else [])])

    rules = providers.find(name).RULES
    return _table(("rule", "when", "kind", "concerns"), [(_code(r.name), when(r), r.kind, r.scope) for r in rules])


def _real_providers() -> Iterable[str]:
    """Those that send: who serves every channel only pretends to."""
    return (name for name in own_providers() if not frozenset(Channel) <= providers.find(name).CHANNELS)


TABLES: dict[str, Callable[[], str]] = {
    "channels": _channels,
    "providers": _providers,
    "commands": _commands,
    "filter": lambda: _table(("option", "meaning"), [(_code(_spelling(o)), o.help or "") for o in _filter()]),
    "settings": lambda: _table(
        ("setting", "default", "meaning"), [(_code(line.key), line.default, line.help) for line in settings.describe()]
    ),
    "metrics": lambda: _table(
        ("metric", "type", "labels", "meaning"),
        [(_code(m.name), m.type, ", ".join(map(_code, m.labels)), m.help) for m in METRICS],
    ),
    "events": lambda: _table(("event", "meaning"), [(_code(name), meaning) for name, meaning in EVENTS.items()]),
    "sandbox": _sandbox,
    "benchmark": scaling_table,
    "rooms": drawing,
} | {
    f"{what} of {name}": partial(table, name)
    for name in _real_providers()
    for what, table, told in (
        ("settings", _settings_of, coercion.describe(providers.find(name).Settings, "")),
        ("options", _options_of, providers.find(name).OPTIONS),
        ("answers", _answers_of, providers.find(name).RULES),
    )
    if told
}


def main() -> None:
    """Rewrite the tables of all pages."""
    for page in (*PAGES, CONTRIBUTING):
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    main()
