"""Graphs as SVG: where lines, areas, bars and ticks go.

The plot is 1000 wide and 100 high and is stretched to what the panel has; strokes are not, and what is
round is a stroke without length. Letters stay outside of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from otel_agents.dashboards.looks import Asked, Line, Look
from otel_agents.dashboards.prometheus import Exemplar
from otel_agents.dashboards.units import written

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
#: Zeros that say nothing on an axis.
_ZEROS: Final = re.compile(r"(\.\d*[1-9])0+(?!\d)|\.0+(?!\d)")
#: Moment, foot and head.
Spot = tuple[float, float, float]
Scale = Callable[[float], float]
#: Colours that the style sheet has.
_COLOURS: Final = 10
#: Series that are drawn; the rest is named in a line.
MOST: Final = 40
_SPANS: Final = (
    2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
)  # fmt: skip
_TIMES: Final = (
    60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600,
    2_592_000, 7_776_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where (0 to 100, from the left or from the top), and its words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One series.

    Attributes:
        colour: number of its colour.
        line: path of its line, or of its bars.
        area: path of what is filled, "" for nothing.
        dots: path of the points that have no neighbour to draw a line to: what a new process shows first.
        last: its last value, written.
    """

    name: str
    colour: int
    line: str
    area: str
    dots: str
    last: str
    value: float


@dataclass(frozen=True, slots=True)
class Point:
    """An exemplar: a stroke without length, and what it says."""

    path: str
    exemplar: Exemplar
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template puts down.

    Attributes:
        data: JSON for the script: moments, and the written values of each series.
        left_out: series that are not drawn.
    """

    series: list[Drawn]
    points: list[Point]
    values: list[Tick]
    times: list[Tick]
    bars: bool
    left_out: int
    words: str
    data: str


def draw(look: Look, *, asked: Asked) -> Chart:
    """The graph of a panel that is not empty."""
    panel = look.panel
    lines = sorted(look.lines, key=lambda line: line.name)[:MOST]
    moments = sorted({at for line in lines for at, _ in line.points})
    shown = (
        _stack(lines, moments)
        if panel.stacked
        else [[(at, 0.0, value) for at, value in line.points] for line in lines]
    )
    low, high = _bounds(look, [point for points in shown for point in points])
    marks = ticks(low, high, panel.unit)
    if panel.maximum is None and marks:
        high = max(high, marks[-1])

    def x(at: float) -> float:
        return round((at - asked.start) / asked.span * WIDTH, 1)

    def y(value: float) -> float:
        return round(HEIGHT - (min(max(value, low), high) - low) / (high - low) * HEIGHT, 2)

    series = []
    for at, (line, points) in enumerate(zip(lines, shown, strict=True)):
        if panel.bars:
            path, area, dots = _bars_path(points, look.between, x, y), "", ""
        else:
            path, area, dots = _line_paths(points, look.between, x, y)
        last = line.points[-1][1]
        series.append(Drawn(line.name, at % _COLOURS, path, area, dots, _text(last, look), last))
    spots = [
        Point(f"M{x(one.at)} {y(one.value)}h0", one, _exemplar_title(one, look)) for one in look.exemplars
    ]
    return Chart(
        series,
        spots,
        [
            Tick(round(y(mark), 2), _ZEROS.sub(lambda found: found[1] or "", _text(mark, look)))
            for mark in marks
            if low <= mark <= high
        ],
        time_ticks(asked.start, asked.end),
        panel.bars,
        len(look.lines) - len(lines),
        "; ".join(f"{one.name}: {one.last}" for one in series[:8]),
        _data(lines, moments, look, asked),
    )


def _bounds(look: Look, points: Sequence[Spot]) -> tuple[float, float]:
    panel = look.panel
    values = [value for _, _, value in points]
    low = panel.minimum if panel.minimum is not None else min(values)
    high = panel.maximum if panel.maximum is not None else max(values)
    if high <= low:  # a flat line at the bottom, or nothing but zeros
        high = low + (abs(low) or 1.0)
    return low, high


def _stack(lines: Sequence[Line], moments: Sequence[float]) -> list[list[Spot]]:
    """Moment, foot and head of each series, the first at the bottom."""
    feet = dict.fromkeys(moments, 0.0)
    stacked = []
    for line in lines:
        points = []
        for at, value in line.points:
            points.append((at, feet[at], feet[at] + value))
            feet[at] += value
        stacked.append(points)
    return stacked


def _line_paths(points: Sequence[Spot], between: float, x: Scale, y: Scale) -> tuple[str, str, str]:
    """A line that ends where there is a gap, the area below it, and the points that stand alone."""
    line, area, dots = [], [], []
    for run in _runs(points, between):
        heads = " ".join(f"{x(at)} {y(head)}" for at, _, head in run)
        if len(run) == 1:
            dots.append(f"M{heads}h0")
            continue
        line.append(f"M{heads}")
        feet = " ".join(f"{x(at)} {y(foot)}" for at, foot, _ in reversed(run))
        area.append(f"M{heads} {feet}z")
    return "".join(line), "".join(area), "".join(dots)


def _bars_path(points: Sequence[Spot], between: float, x: Scale, y: Scale) -> str:
    """Bars that end at their moment: each counts the step before it."""
    made = []
    for at, foot, head in points:
        left, right = x(at - between * 0.9), x(at)
        made.append(f"M{left} {y(foot)}H{right}V{y(head)}H{left}z")
    return "".join(made)


def _runs(points: Sequence[Spot], between: float) -> list[list[Spot]]:
    runs: list[list[Spot]] = []
    for point in points:
        if runs and point[0] - runs[-1][-1][0] <= between * 1.5:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def ticks(low: float, high: float, unit: str = "none") -> list[float]:
    """About four round values from ``low`` to at least ``high``."""
    rough = (high - low) / 4
    if unit == "s" and rough > 1:
        size = next((float(one) for one in _SPANS if one >= rough), 86_400.0 * math.ceil(rough / 86_400))
    elif unit == "bytes":
        power = 1024.0 ** max(math.floor(math.log(max(rough, 1.0), 1024.0)), 0)
        size = power * next(
            one for one in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if power * one >= rough
        )
    else:
        power = 10.0 ** math.floor(math.log10(rough))
        size = power * next(one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * (1 - 1e-9))
    first, last = math.floor(low / size), math.ceil(high / size - 1e-9)
    return [at * size for at in range(first, last + 1)]


def time_ticks(start: float, end: float) -> list[Tick]:
    """About six round moments in the zone of this machine."""
    span = end - start
    size = next((one for one in _TIMES if span / one <= 7), _TIMES[-1])
    offset = datetime.fromtimestamp(start, UTC).astimezone().utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    at = math.ceil((start + shift) / size) * size - shift
    found = []
    while at <= end:
        share = (at - start) / span * 100
        if 2 <= share <= 98:
            moment = datetime.fromtimestamp(at, UTC).astimezone()
            text = f"{moment:%b} {moment.day}" if size >= 86_400 else f"{moment:%H:%M}"
            found.append(Tick(round(share, 2), text))
        at += size
    return found


def _data(lines: Sequence[Line], moments: Sequence[float], look: Look, asked: Asked) -> str:
    long = asked.span > 86_400
    places = {at: number for number, at in enumerate(moments)}
    texts = []
    for line in lines:
        row = [""] * len(moments)
        for at, value in line.points:
            row[places[at]] = _text(value, look)
        texts.append(row)
    return json.dumps(
        {
            "x": [round((at - asked.start) / asked.span, 5) for at in moments],
            "t": [_moment(at, long) for at in moments],
            "s": texts,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _moment(at: float, long: bool) -> str:
    moment = datetime.fromtimestamp(at, UTC).astimezone()
    return f"{moment:%b} {moment.day} {moment:%H:%M}" if long else f"{moment:%H:%M:%S}"


def _exemplar_title(one: Exemplar, look: Look) -> str:
    labels = ", ".join(
        f"{name} {text}"
        for name, text in one.labels.items()
        if name in ("gen_ai_agent_name", "gen_ai_request_model", "task_type")
    )
    where = f", {labels}" if labels else ""
    return f"{_text(one.value, look)} at {_moment(one.at, True)}{where}: open the trace"


def _text(value: float, look: Look) -> str:
    # Marks are multiples of a round number but for the last digits of a float.
    return written(float(f"{value:.12g}"), look.panel.unit, look.panel.decimals)
