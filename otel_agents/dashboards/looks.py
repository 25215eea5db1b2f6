"""What each panel of a dashboard shows: its queries asked, the answers arranged as Grafana arranges them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from otel_agents.dashboards import filling
from otel_agents.dashboards.boards import Board, Panel, Query
from otel_agents.dashboards.prometheus import PATIENCE, Exemplar, Prometheus, Refused, Series
from otel_agents.dashboards.units import written

#: Points of a panel for each of its 24 columns.
_POINTS: Final = 30
#: Exemplars of a panel: the largest of as many spans of the time range.
_EXEMPLARS: Final = 40
_LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_workers: Final = ThreadPoolExecutor(8, "otel-agents-dashboards")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader has chosen.

    Attributes:
        start, end: of the time range, seconds since 1970.
        chosen: variable and its values; one that is missing or empty is All.
    """

    start: float
    end: float
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def span(self) -> float:
        """Seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Shown:
    """A number with how it is written and coloured; ``value`` is None where there is none."""

    text: str
    value: float | None = None
    colour: str = "text"


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a graph."""

    name: str
    points: list[tuple[float, float]]


@dataclass(slots=True)
class Look:
    """What one panel shows; of the lists, the one that fits its kind is filled.

    Attributes:
        problem: why it shows nothing, in Prometheus' words.
        number: of a stat.
        bars: of a bar gauge: name, number, share of the longest.
        headings, rows: of a table; cells that are no number are text.
        lines, between, exemplars: of a graph; ``between`` is seconds from point to point.
    """

    panel: Panel
    problem: str = ""
    number: Shown | None = None
    bars: list[tuple[str, Shown, float]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    rows: list[list[Shown | str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    between: float = 0.0
    exemplars: list[Exemplar] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.bars or self.rows or self.lines or self.number is not None)


def offered(board: Board, asked: Asked, server: Prometheus) -> dict[str, list[str]]:
    """The values of each variable, those before it narrowing it.

    Raises:
        Away: Prometheus does not answer.
    """
    found: dict[str, list[str]] = {}
    matched = _matched(board, asked)
    for variable in board.variables:
        selector = filling.fill(variable.selector, {}, matched)
        try:
            found[variable.name] = server.label_values(selector, variable.wanted, asked.start, asked.end)
        except Refused:
            found[variable.name] = []
    return found


def look(board: Board, asked: Asked, server: Prometheus) -> list[Look]:
    """What the panels of ``board`` show, in their order.

    A page is there after ``PATIENCE`` seconds: a panel whose answer is not says so.

    Raises:
        Away: Prometheus does not answer.
    """
    until = time.monotonic() + PATIENCE
    begun = [begin(board, panel, asked, server, until) for panel in board.panels]
    return [finish() for finish in begun]


def begin(
    board: Board, panel: Panel, asked: Asked, server: Prometheus, until: float = math.inf
) -> Callable[[], Look]:
    """Asks the queries of one panel; what is answered waits for the rest and gives the look.

    Args:
        until: when nobody waits any more, by the monotonic clock.
    """
    between = filling.step(asked.span, min(panel.width * _POINTS, panel.most), panel.interval)
    given, matched = filling.own(asked.span, between), _matched(board, asked)
    futures: list[tuple[Query, Future[list[Series]]]] = []
    traced: list[Future[list[Exemplar]]] = []
    # As Grafana does: steps stay where they are while the time goes on, so that bars do not flicker.
    start, end = (math.floor(at / between) * between for at in (asked.start, asked.end))
    for query in panel.queries:
        expression = filling.fill(query.expression, given, matched)
        if query.instant:
            futures.append((query, _workers.submit(server.instant, expression, asked.end, until)))
        else:
            futures.append((query, _workers.submit(server.over_time, expression, start, end, between, until)))
        if query.exemplars:
            traced.append(_workers.submit(server.exemplars, expression, asked.start, asked.end, until))

    def finish() -> Look:
        made = Look(panel, between=between)
        try:
            answers = [(query, _finite(future.result())) for query, future in futures]
            _ARRANGE[panel.kind](made, answers)
            made.exemplars = _largest([one for each in traced for one in each.result()], asked)
        except Refused as refused:
            return Look(panel, problem=str(refused))
        return made

    return finish


def _matched(board: Board, asked: Asked) -> dict[str, str]:
    return {
        one.name: filling.matching(asked.chosen.get(one.name, ()), one.all_value) for one in board.variables
    }


def _finite(found: list[Series]) -> list[Series]:
    """Without the points that are no number: a quantile of nothing is no data, not a gap with a name."""
    kept = [replace(one, points=[point for point in one.points if math.isfinite(point[1])]) for one in found]
    return [one for one in kept if one.points]


Answers = list[tuple[Query, list[Series]]]


def _number(made: Look, answers: Answers) -> None:
    for _, found in answers:
        if found:
            made.number = _shown(found[0].points[-1][1], made.panel)
            return


def _bars(made: Look, answers: Answers) -> None:
    found = [(name_of(query, one, made.panel), one.points[-1][1]) for query, all_ in answers for one in all_]
    longest = max((abs(value) for _, value in found), default=0.0) or 1.0
    made.bars = [
        (name, _shown(value, made.panel), min(max(value / longest, 0.0), 1.0)) for name, value in found
    ]


def _graph(made: Look, answers: Answers) -> None:
    made.lines = [
        Line(name_of(query, one, made.panel), one.points) for query, all_ in answers for one in all_
    ]


def _table(made: Look, answers: Answers) -> None:
    """One row for each combination of labels, one column for each label and each query: merge, organize."""
    panel = made.panel
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    labels: set[str] = set()
    keys = [f"Value #{query.ref}" if len(answers) > 1 else "Value" for query, _ in answers]
    for (_, found), key in zip(answers, keys, strict=True):
        for one in found:
            own = {name: text for name, text in one.labels.items() if name != "__name__" and text}
            labels |= set(own)
            rows.setdefault(tuple(sorted(own.items())), {})[key] = one.points[-1][1]
    if not rows:
        return
    # A label that the panel names is a column even where no row has it.
    labels |= {name for name in panel.renamed if not name.startswith("Value")}
    columns = [name for name in (*sorted(labels), *keys) if name not in panel.excluded]
    columns.sort(key=lambda name: panel.order.get(name, len(panel.order)))
    made.headings = [panel.renamed.get(name, name) for name in columns]
    for row_labels, values in sorted(rows.items()):
        texts = dict(row_labels)
        made.rows.append([_cell(panel, name, texts, values, keys) for name in columns])


def _cell(
    panel: Panel, name: str, texts: Mapping[str, str], values: Mapping[str, float], keys: Sequence[str]
) -> Shown | str:
    if name not in keys:
        return texts.get(name, "")
    value = values.get(name)
    if value is None:
        return Shown("")
    unit = panel.units.get(panel.renamed.get(name, name), panel.unit)
    return Shown(written(value, unit, panel.decimals), value)


def _shown(value: float, panel: Panel) -> Shown:
    return Shown(written(value, panel.unit, panel.decimals), value, colour_of(value, panel))


def colour_of(value: float, panel: Panel) -> str:
    """The colour of the last threshold that ``value`` has reached."""
    colour = "text"
    for least, name in panel.steps:
        if least is None or value >= least:
            colour = name
    return colour


def name_of(query: Query, found: Series, panel: Panel) -> str:
    """What a series is called: the legend with its labels in it; ``none`` where it has none of them."""
    if query.legend == "__auto":
        inside = [f'{name}="{text}"' for name, text in sorted(found.labels.items()) if name != "__name__"]
        return ", ".join(inside) or panel.title
    return _LABEL.sub(lambda match: found.labels.get(match[1], ""), query.legend).strip(" :") or "none"


def _largest(found: list[Exemplar], asked: Asked) -> list[Exemplar]:
    """The largest of each span of time: what somebody who looks for trouble wants to open."""
    width = max(asked.span / _EXEMPLARS, 1e-9)
    best: dict[int, Exemplar] = {}
    for one in found:
        if asked.start <= one.at <= asked.end:
            at = int((one.at - asked.start) / width)
            if at not in best or best[at].value < one.value:
                best[at] = one
    return [best[at] for at in sorted(best)]


_ARRANGE: Final[Mapping[str, Callable[[Look, Answers], None]]] = {
    "row": lambda _, __: None,
    "stat": _number,
    "bargauge": _bars,
    "timeseries": _graph,
    "table": _table,
}
