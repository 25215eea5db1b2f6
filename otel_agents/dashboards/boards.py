"""The dashboards of ``grafana/dashboards``, read into what is shown of them.

Only what ``grafana/generator/panels.py`` writes is understood; anything else is an error here, so that a
panel cannot silently look different from the one in Grafana.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = Path(__file__).resolve().parent
#: In the order of the menu; others follow by name.
_ORDER: Final = ("overview", "models", "agents", "coding_agents", "quality", "pipeline")
_KINDS: Final = frozenset({"row", "stat", "timeseries", "bargauge", "table"})
_UNITS: Final = frozenset({"short", "none", "currencyUSD", "s", "percentunit", "bytes"})
#: What the rules' links begin with.
_RUNBOOKS: Final = "docs/runbooks.md"
#: Folders that ``export`` copies, and where a wheel has those that are not in :func:`folder`.
_EXPORTED: Final = {
    "dashboards": None,
    "provisioning": None,
    "rules": _PACKAGE.parent / "stack" / "data" / "rules",
}


class BoardError(Exception):
    """A dashboard cannot be found or shown; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression of a panel, variables not yet filled in.

    Attributes:
        ref: the letter that tables name its column after.
        legend: name of a series, labels in double braces; ``__auto`` for the labels themselves.
        instant: asked for the end of the time range only.
        exemplars: whether points that lead to traces are asked for.
    """

    ref: str
    expression: str
    legend: str
    instant: bool
    exemplars: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel, or the heading of a row of them (kind ``row``).

    Attributes:
        width: of 24 columns.
        height: in Grafana's rows of 30 pixels.
        steps: colours by value, (from this value on, colour); the first has no lower bound.
        interval: shortest step in seconds.
        most: points over time at most.
        renamed, order, excluded: a table's columns.
        units: of a table's columns, by their new names.
    """

    id: int
    kind: str
    title: str
    description: str = ""
    width: int = 24
    height: int = 1
    unit: str = "none"
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    no_value: str = "no data"
    steps: tuple[tuple[float | None, str], ...] = ()
    interval: float = 0.0
    most: int = 11_000
    stacked: bool = False
    bars: bool = False
    queries: tuple[Query, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    order: Mapping[str, int] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is asked of Prometheus: the values of ``wanted`` among the series of ``selector``."""

    name: str
    title: str
    selector: str
    wanted: str
    all_value: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard.

    Attributes:
        name: of its file.
        since: seconds that the time range spans when nothing is chosen.
        refresh: seconds between two refreshes when nothing is chosen; 0 for none.
        langfuse: address that links go to when nothing is chosen.
    """

    name: str
    title: str
    description: str
    since: float
    refresh: float
    langfuse: str
    variables: tuple[Variable, ...]
    panels: tuple[Panel, ...]


def folder() -> Path:
    """The folder with ``dashboards/`` and ``provisioning/``: in the wheel, or in a checkout.

    Raises:
        BoardError: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "data", _PACKAGE.parent.parent / "grafana"):
        if (candidate / "dashboards").is_dir():
            return candidate
    raise BoardError("the dashboards are missing from this installation of otel-agents; install it again")


def names() -> list[str]:
    """Names of all dashboards, in the order of the menu."""
    found = [path.stem for path in (folder() / "dashboards").glob("*.json")]
    return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


@cache
def load(name: str) -> Board:
    """One dashboard.

    Raises:
        BoardError: there is none of that name, or it uses something that cannot be shown.
    """
    if name not in names():
        raise BoardError(f"there is no dashboard {name!r}; there are {', '.join(names())}")
    made = json.loads((folder() / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
    listed = made["templating"]["list"]
    return Board(
        name,
        made["title"],
        made.get("description", ""),
        since=duration(made["time"]["from"].removeprefix("now-")),
        refresh=duration(made["refresh"]) if made.get("refresh") else 0.0,
        langfuse=next((one["query"] for one in listed if one["type"] == "textbox"), ""),
        variables=tuple(_variable(one) for one in listed if one["type"] == "query"),
        panels=tuple(panel for one in made["panels"] for panel in _with_children(one)),
    )


def export(target: Path, langfuse: str = "", runbooks: str = "") -> list[Path]:
    """Copies dashboards, provisioning and rules to ``target``; answers the files written.

    Args:
        langfuse: address of the project in Langfuse, which the dashboards' links then lead to.
        runbooks: address of docs/runbooks.md as people read it, for the alerts' links.

    Raises:
        BoardError: the folder cannot be written.
    """
    written: list[Path] = []
    try:
        for part, elsewhere in _EXPORTED.items():
            source = folder() / part
            if elsewhere is not None and not source.is_dir():
                source = elsewhere
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    to = target / part / path.relative_to(source)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    text = path.read_text(encoding="utf-8")
                    if part == "dashboards" and langfuse:
                        text = _leading_to(text, langfuse)
                    elif part == "rules" and runbooks:
                        text = text.replace(f"{_RUNBOOKS}#", f"{runbooks}#")
                    to.write_text(text, encoding="utf-8")
                    written.append(to)
    except OSError as error:
        raise BoardError(f"{target} cannot be written ({error.strerror}); give another folder") from None
    return written


def _leading_to(text: str, langfuse: str) -> str:
    made = json.loads(text)
    for one in made["templating"]["list"]:
        if one["type"] == "textbox":
            one["query"] = langfuse
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def duration(text: str) -> float:
    """Seconds of a duration such as ``5m`` or ``24h``.

    Raises:
        BoardError: it is none.
    """
    match = re.fullmatch(r"(\d+)([smhdw])", text)
    if match is None:
        raise BoardError(f"{text!r} is no duration; give one such as 30m, 6h or 7d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[match[2]]


def _variable(made: Mapping[str, Any]) -> Variable:
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", made["query"])
    if match is None:
        raise BoardError(f"the query of the variable {made['name']} cannot be shown: {made['query']}")
    return Variable(made["name"], made["label"], match[1], match[2], made.get("allValue") or ".*")


def _with_children(made: Mapping[str, Any]) -> list[Panel]:
    return [_panel(made), *(_panel(one) for one in made.get("panels", []))]


def _panel(made: Mapping[str, Any]) -> Panel:
    kind, title = made["type"], made.get("title", "")
    if kind not in _KINDS:
        raise BoardError(f"the panel {title!r} is a {kind}, which cannot be shown")
    if kind == "row":
        return Panel(made["id"], kind, title)
    defaults = made["fieldConfig"]["defaults"]
    custom = defaults.get("custom", {})
    panel = Panel(
        made["id"],
        kind,
        title,
        made.get("description", ""),
        width=made["gridPos"]["w"],
        height=made["gridPos"]["h"],
        unit=defaults.get("unit", "none"),
        decimals=defaults.get("decimals"),
        minimum=defaults.get("min"),
        maximum=defaults.get("max"),
        no_value=defaults.get("noValue", "no data"),
        steps=tuple((one["value"], one["color"]) for one in defaults.get("thresholds", {}).get("steps", [])),
        interval=duration(made["interval"]) if made.get("interval") else 0.0,
        most=made.get("maxDataPoints") or 11_000,
        stacked=custom.get("stacking", {}).get("mode") == "normal",
        bars=custom.get("drawStyle") == "bars",
        queries=tuple(
            Query(
                one["refId"],
                one["expr"],
                one.get("legendFormat") or "__auto",
                bool(one.get("instant")),
                bool(one.get("exemplar")),
            )
            for one in made["targets"]
        ),
        units={
            one["matcher"]["options"]: value["value"]
            for one in made["fieldConfig"].get("overrides", [])
            for value in one["properties"]
            if value["id"] == "unit"
        },
        **_columns(made),
    )
    if unknown := {panel.unit, *panel.units.values()} - _UNITS:
        raise BoardError(f"the panel {title!r} has the unit {unknown.pop()}, which cannot be shown")
    return panel


def _columns(made: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in made.get("transformations", []):
        if one["id"] == "organize":
            options = one["options"]
            found = {
                "renamed": options.get("renameByName", {}),
                "order": options.get("indexByName", {}),
                "excluded": frozenset(name for name, out in options.get("excludeByName", {}).items() if out),
            }
        elif one["id"] != "merge":
            raise BoardError(f"the panel {made['title']!r} is made by {one['id']}, which cannot be shown")
    return found
