"""The committed dashboards as Prometheus would be asked by Grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_agents.export.prometheus_names import label_name
from otel_agents.metrics import Definition

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
BOARDS = sorted(path.stem for path in FOLDER.glob("*.json"))


def load(board: str) -> dict[str, Any]:
    """A dashboard."""
    found: dict[str, Any] = json.loads((FOLDER / f"{board}.json").read_text())
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel."""

    board: str
    title: str
    letter: str
    expression: str
    instant: bool
    kind: str

    def __str__(self) -> str:
        return f"{self.board}-{self.title}-{self.letter}"


def panels(board: str) -> Iterator[dict[str, Any]]:
    """Panels, those inside of rows among them."""
    for panel in load(board)["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def targets(board: str) -> list[Target]:
    """Every query of a dashboard."""
    return [
        Target(board, panel["title"], one["refId"], one["expr"], bool(one.get("instant")), panel["type"])
        for panel in panels(board)
        for one in panel["targets"]
    ]


def filled(expression: str, given: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The expression as Grafana sends it.

    Args:
        given: Grafana's own variables, such as ``__range``.
        variables: the dashboard's; one that is missing is All. A chosen value is escaped as Grafana
            escapes it for ``=~``.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name.startswith("__"):
            return given[name]
        return escaped(variables[name]) if name in variables else ".*"

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, expression)


def escaped(value: str) -> str:
    """A chosen value of a variable inside of a PromQL string, special characters of RE2 escaped."""
    return re.sub(r"[$^*{}\[\]+?.()|\\]", lambda match: "\\\\" + match[0].replace("\\", "\\\\"), value)


def names_of(definition: Definition) -> set[str]:
    """Labels of a metric in Prometheus."""
    own = {label_name(label) for label in definition.labels}
    return own | {"job", "instance", "deployment_environment_name"}
