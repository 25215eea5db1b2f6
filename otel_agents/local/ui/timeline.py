"""A trace's observations as the rows of a tree, each with a bar placed in time.

Places are percentages of the lane, drawn as SVG attributes: the page forbids inline styles, and needs no
script to show the picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from otel_agents.local.rows import Observation
from otel_agents.local.ui import figures

#: Id of the made-up root above observations whose parent is not in the trace.
UNATTACHED = "unattached"
#: Width of a tree's guides in px: deeper trees get narrower levels, the deepest rows share the last one.
WIDEST = 168
STEPS = (4, 14)  # px: width of one level, at least and at most
ROW = 28  # px: height of one row
_GUIDED = WIDEST // STEPS[0]  # levels that can have guides at all
_LEFT, _WIDTH = 1.0, 97.5  # percent of the lane, so that points at the edges are whole


@dataclass(slots=True)
class Mark:
    """A point on a row's bar: a span event."""

    at: float
    name: str
    error: bool


@dataclass(slots=True)
class Row:
    """One line of the tree."""

    id: str
    name: str
    kind: str
    depth: int
    #: Position among its siblings, from 1, and their number.
    position: int
    siblings: int
    children: int
    observation: Observation | None = None
    #: "1" for each ancestor below the root that has a later sibling, "0" for each other.
    above: str = ""
    #: SVG path of the lines that lead to the row, and their width in px.
    guides: str = ""
    indent: int = 0
    x: float = 0.0
    width: float = 0.0
    #: Width up to the first token, when that is known.
    wait: float = 0.0
    marks: list[Mark] = field(default_factory=list)
    offset: float = 0.0  # seconds after the trace's start
    duration: float | None = None  # seconds
    #: Of the row and everything under it; None when nothing was recorded.
    cost: float | None = None
    tokens: int | None = None

    @property
    def summed(self) -> bool:
        """True when cost and tokens come (also) from rows below."""
        return self.children > 0

    @property
    def level(self) -> str:
        """The observation's level in lower case; "" for the made-up root."""
        return self.observation.level.lower() if self.observation else ""


@dataclass(slots=True)
class Tick:
    """One label of the axis."""

    at: float
    label: str
    #: SVG ``text-anchor``.
    anchor: str = "start"


@dataclass(slots=True)
class Timeline:
    """The rows in the order they are drawn."""

    rows: list[Row]
    ticks: list[Tick]
    start_ns: int
    end_ns: int
    unattached: int


def build(observations: Sequence[Observation]) -> Timeline:
    """Arranges ``observations`` (any order, any parents: also missing, own or circular ones)."""
    by_id = {row.id: row for row in observations}
    children: dict[str, list[Observation]] = defaultdict(list)
    roots: list[Observation] = []
    orphans: list[Observation] = []
    for row in by_id.values():
        if not row.parent_id:
            roots.append(row)
        elif row.parent_id in by_id and row.parent_id != row.id:
            children[row.parent_id].append(row)
        elif row.is_app_root:
            roots.append(row)
        else:
            orphans.append(row)
    reached = _reach(roots + orphans, children)
    for row in sorted(by_id.values(), key=_order):
        if row.id not in reached:  # a circle of parents: it is cut above its first span
            orphans.append(row)
            children[row.parent_id].remove(row)
            reached |= _reach([row], children)
    start = min((row.start_ns for row in by_id.values()), default=0)
    end = max((row.end_ns for row in by_id.values()), default=0)
    rows = _rows(sorted(roots, key=_order), sorted(orphans, key=_order), children)
    _sum_up(rows)
    _indent(rows)
    for line in rows:
        _place(line, start, max(end - start, 1))
    return Timeline(rows, _ticks(max(end - start, 0) / 1e9), start, end, len(orphans))


def _order(row: Observation) -> tuple[int, int, str]:
    return (row.start_ns, -row.end_ns, row.id)


def _reach(start: Sequence[Observation], children: dict[str, list[Observation]]) -> set[str]:
    seen: set[str] = set()
    stack = [row.id for row in start]
    while stack:
        found = stack.pop()
        if found not in seen:
            seen.add(found)
            stack.extend(child.id for child in children.get(found, ()))
    return seen


def _rows(
    roots: list[Observation], orphans: list[Observation], children: dict[str, list[Observation]]
) -> list[Row]:
    lines: list[Row] = []
    tops = len(roots) + bool(orphans)
    # (observation, depth, position, siblings, guides of the ancestors); depth first, without recursion.
    stack = [(row, 0, at + 1, tops, "") for at, row in enumerate(roots)][::-1]

    def drain() -> None:
        while stack:
            row, depth, position, siblings, above = stack.pop()
            below = sorted(children.get(row.id, ()), key=_order)
            lines.append(
                Row(
                    id=row.id,
                    name=row.name,
                    kind=row.type.lower(),
                    depth=depth,
                    position=position,
                    siblings=siblings,
                    children=len(below),
                    observation=row,
                    above=above,
                )
            )
            passing = (above + ("0" if position == siblings else "1"))[:_GUIDED] if depth else ""
            for at in range(len(below), 0, -1):
                stack.append((below[at - 1], depth + 1, at, len(below), passing))

    drain()
    if orphans:
        lines.append(Row(UNATTACHED, "unattached", "span", 0, tops, tops, len(orphans)))
        stack = [(row, 1, at + 1, len(orphans), "") for at, row in enumerate(orphans)][::-1]
        drain()
    return lines


def _indent(lines: list[Row]) -> None:
    """Guides and indentation, as wide as the deepest row lets them be."""
    deepest = max((line.depth for line in lines), default=0)
    step = min(max(WIDEST // max(deepest, 1), STEPS[0]), STEPS[1])
    for line in lines:
        line.indent = min(line.depth * step, WIDEST)
        if line.depth == 0 or line.depth * step > WIDEST:
            continue
        path = [f"M{at * step + 8} 0V{ROW}" for at, more in enumerate(line.above) if more == "1"]
        x, last = (line.depth - 1) * step + 8, line.position == line.siblings
        path.append(f"M{x} 0V{ROW // 2 if last else ROW}M{x} {ROW // 2}h{max(step - 8, 2)}")
        line.guides = "".join(path)


def _sum_up(lines: list[Row]) -> None:
    """Costs and tokens from the leaves up: every row hands its sum to the row it stands under."""
    parents: list[int] = []  # index of the row's parent, -1 for a root
    path: list[int] = []
    for at, line in enumerate(lines):
        del path[line.depth :]
        parents.append(path[-1] if path else -1)
        path.append(at)
        if line.observation is not None:
            line.cost = line.observation.total_cost
            line.tokens = line.observation.total_tokens or None
    for at in range(len(lines) - 1, -1, -1):
        line, parent = lines[at], lines[parents[at]]
        if parents[at] < 0:
            continue
        if line.cost is not None:
            parent.cost = (parent.cost or 0.0) + line.cost
        if line.tokens is not None:
            parent.tokens = (parent.tokens or 0) + line.tokens


def _place(line: Row, start_ns: int, span_ns: int) -> None:
    row = line.observation
    if row is None:
        return

    def at(moment: int) -> float:
        share = min(max((moment - start_ns) / span_ns, 0.0), 1.0)
        return round(_LEFT + share * _WIDTH, 3)

    line.x = at(row.start_ns)
    line.width = round(max(at(row.end_ns) - line.x, 0.0), 3)
    line.offset = (row.start_ns - start_ns) / 1e9
    line.duration = (row.end_ns - row.start_ns) / 1e9
    if row.completion_start_ns and row.start_ns < row.completion_start_ns <= row.end_ns:
        line.wait = round(at(row.completion_start_ns) - line.x, 3)
    for event in row.events[:50]:
        line.marks.append(Mark(at(event.time_ns), event.name, event.name == "exception"))


def _ticks(seconds: float) -> list[Tick]:
    """Four to six labels at round times."""
    ticks = [Tick(_LEFT, "0")]
    if seconds <= 0:
        return ticks
    most = 4 if seconds < 1 else 5  # "800 ms" is wider than "8 s"
    step = next((s for s in _STEPS if seconds / s <= most), _STEPS[-1])
    step = max(step, seconds / 6)  # longer than the list knows
    number = 1
    while number * step <= seconds * 1.0001:
        share = number * step / seconds
        ticks.append(Tick(round(_LEFT + share * _WIDTH, 3), _label(number * step), "end"))
        number += 1
    return ticks


def _label(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{seconds:g} s" if seconds < 60 else figures.seconds(seconds)


_STEPS = [
    *(round(m * 10**e, 6) for e in range(-5, 1) for m in (1, 2, 5)),
    *(10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800),
]
