"""The alert rules as the tests read them, and promtool to try them with."""

import json
import re
import subprocess
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from tests.needs import needs

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus" / "noti-worker.rules.yml"

_RULE = re.compile(r"^      - alert: (?P<name>\w+)\n(?P<rest>(?:        .*\n|\n(?=        ))+)", re.MULTILINE)


def program(name: str, package: str = "prometheus") -> str:
    """The path of a program of a Debian package; the test is skipped without it."""
    return needs(name, f"Debian package {package}")


@dataclass(frozen=True)
class Rule:
    """One alert as it stands in the file."""

    name: str
    severity: str
    expr: str
    text: str

    def annotation(self, name: str) -> str:
        found = re.search(rf'^          {name}: "(.+)"$', self.text, re.MULTILINE)
        assert found is not None, f"{self.name} has no {name}"
        return found[1]


def rules() -> tuple[Rule, ...]:
    """Every alert of the file, in order."""
    found = []
    for rule in _RULE.finditer(RULES.read_text(encoding="utf-8")):
        rest = rule["rest"]
        expr = re.search(r"expr: (?:\|\n(?P<lines>(?:          .*\n)+)|(?P<line>.*)\n)", rest)
        severity = re.search(r"^          severity: (\w+)$", rest, re.MULTILINE)
        assert expr is not None
        assert severity is not None
        found.append(Rule(rule["name"], severity[1], expr["lines"] or expr["line"], rest))
    return tuple(found)


def promtool_says(
    directory: Path, series: Mapping[str, str], expected: Mapping[int, AbstractSet[str]], file: Path = RULES
) -> str:
    """Play series (a value a minute, in promtool's notation) and give promtool's complaint, if any.

    `expected`: after so many minutes exactly these alerts fire.
    """
    test = {
        "rule_files": [str(file)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names],
                    }
                    for minute, names in expected.items()
                ],
            }
        ],
    }
    played = directory / "test.json"  # JSON is YAML
    played.write_text(json.dumps(test))
    run = subprocess.run(
        [program("promtool"), "test", "rules", str(played)], capture_output=True, text=True, timeout=110, check=False
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr
