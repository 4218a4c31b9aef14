"""The Grafana dashboard as the tests read it: its panels, and what they show."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.operations.prometheus import Prometheus

FILE = Path(__file__).parents[2] / "config" / "grafana" / "noti-worker.json"


@dataclass(frozen=True)
class Panel:
    """One panel; `queries` are pairs of a query and the legend of its series."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]

    def shown(self, prometheus: Prometheus, span: int) -> dict[str, float]:
        """What it shows when rates and ranges reach back `span` seconds: numbers by legend."""
        result: dict[str, float] = {}
        for query, legend in self.queries:
            for sample in prometheus.query(filled(query, span)):
                labels = sample.labels
                result[re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)] = sample.value  # noqa: B023
        return result


def load() -> Any:
    """The file as JSON."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def panels() -> Iterator[Panel]:
    """Every panel that asks for something."""
    for panel in load()["panels"]:
        if panel["type"] != "row":
            yield Panel(
                panel["title"],
                panel["description"],
                panel["fieldConfig"]["defaults"]["unit"],
                tuple((target["expr"], target["legendFormat"]) for target in panel["targets"]),
            )


def filled(query: str, span: int) -> str:
    """The query as Grafana sends it with everything chosen."""
    values = {"__rate_interval": f"{span}s", "__range": f"{span}s", "job": ".+", "channel": ".+", "tenant": ".+"}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], query)
