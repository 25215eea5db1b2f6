"""Small charts as inline SVG: no script, colours from the page's style sheet, a tooltip on every mark.

Every chart is :data:`WIDTH` units wide and scales with its box. Text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 440
_LEFT: Final = 46
_ROW: Final = 30
_LABEL_CHARS: Final = 17
#: Width of a character of the axis.
_CHAR: Final = 7.0
_LABEL_WIDTH: Final = 138
_VALUE_WIDTH: Final = 74

Format = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar over time; ``part`` is drawn in the colour of failures at its foot."""

    label: str
    value: float
    title: str
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a chart by group: a value, and maybe where it ranges (or a second value)."""

    label: str
    value: float | None
    title: str
    low: float | None = None
    high: float | None = None


def columns(bars: Sequence[Bar], form: Format, what: str) -> str:
    """Upright bars over time, with an axis of rounded values."""
    height, bottom, top = 190, 160, 12
    ceiling = _ceiling(max((bar.value for bar in bars), default=0.0))
    room = (WIDTH - _LEFT - 4) / max(len(bars), 1)
    width = max(min(room * 0.76, 34), 0.8)
    parts = []
    for step in range(5):
        at = bottom - (bottom - top) * step / 4
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>')
        if step % 2 == 0:
            parts.append(_text(_LEFT - 6, at + 4, form(ceiling * step / 4), "end"))
    longest = max((len(bar.label) for bar in bars), default=0)
    shown = max(2, min(5, int((WIDTH - _LEFT) / (longest * _CHAR + 8))))
    every = max(1, math.ceil(len(bars) / shown))
    for index, bar in enumerate(bars):
        x = _LEFT + room * index + (room - width) / 2
        tall = (bottom - top) * bar.value / ceiling
        foot = (bottom - top) * min(bar.part, bar.value) / ceiling
        parts.append(f"<g><title>{escape(bar.title)}</title>")
        # The whole height takes the pointer, or days with little would have no tooltip.
        parts.append(_rect("hit", _LEFT + room * index, top, room, bottom - top))
        parts.append(_rect("bar", x, bottom - tall, width, tall - foot))
        if foot:
            parts.append(_rect("bad", x, bottom - foot, width, foot))
        parts.append("</g>")
        if index % every == 0:
            parts.append(_text(_LEFT + room * (index + 0.5), bottom + 18, bar.label, "middle"))
    return _svg(height, what, parts)


def rows(rows_given: Sequence[Row], form: Format, what: str) -> str:
    """Lying bars, one a group."""
    most = max((row.value or 0.0 for row in rows_given), default=0.0) or 1.0
    space = WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    parts = []
    for index, row in enumerate(rows_given):
        y = index * _ROW
        wide = space * (row.value or 0.0) / most
        parts.append(f"<g><title>{escape(row.title)}</title>{_rect('hit', 0, y, WIDTH, _ROW)}")
        parts.append(_label(row.label, y))
        if wide > 0:
            parts.append(_rect("bar", _LABEL_WIDTH, y + 7, max(wide, 1.5), 16))
        parts.append(_text(_LABEL_WIDTH + max(wide, 0) + 6, y + 20, form(row.value), "start", "value"))
        parts.append("</g>")
    return _svg(max(len(rows_given), 1) * _ROW, what, parts)


def ranges(rows_given: Sequence[Row], form: Format, what: str, *, zoom: bool = False) -> str:
    """A dot for each group's value on a line from its low to its high end.

    Args:
        rows_given: the groups.
        form: prints a value.
        what: says what the chart shows, to those who do not see it.
        zoom: begin the axis near the lowest value instead of at 0.
    """
    known = [row for row in rows_given if row.value is not None]
    ends = [end for row in known for end in (row.value, row.low, row.high) if end is not None]
    highest = max(ends, default=1.0)
    floor, ceiling = 0.0, _ceiling(highest)
    if zoom and ends:
        spread = max(highest - min(ends), 0.02)
        floor, ceiling = min(ends) - spread * 0.15, highest + spread * 0.15
    space = WIDTH - _LABEL_WIDTH - _VALUE_WIDTH

    def x(value: float) -> float:
        return _LABEL_WIDTH + space * (value - floor) / (ceiling - floor)

    parts = []
    bottom = max(len(rows_given), 1) * _ROW
    for step in range(3):
        at = _LABEL_WIDTH + space * step / 2
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{bottom}"/>')
        parts.append(_text(at, bottom + 16, form(floor + (ceiling - floor) * step / 2), "middle"))
    for index, row in enumerate(rows_given):
        y = index * _ROW + _ROW / 2
        parts.append(f"<g><title>{escape(row.title)}</title>{_rect('hit', 0, y - 15, WIDTH, _ROW)}")
        parts.append(_label(row.label, index * _ROW))
        if row.value is not None:
            low = row.value if row.low is None else row.low
            high = row.value if row.high is None else row.high
            parts.append(f'<line class="range" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}"/>')
            parts.append(f'<circle class="dot" cx="{x(row.value):.1f}" cy="{y}" r="5"/>')
        parts.append(_text(WIDTH, y + 5, form(row.value), "end", "value"))
        parts.append("</g>")
    return _svg(bottom + 22, what, parts)


def _svg(height: float, what: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(what, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
        f'height="{max(height, 0):.1f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "axis") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _label(text: str, y: float) -> str:
    short = text if len(text) <= _LABEL_CHARS else f"{text[: _LABEL_CHARS - 1]}…"
    return _text(0, y + 20, short, "start", "label")


def _ceiling(value: float) -> float:
    """The next round number: 1, 2, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10, 20) if step * power >= value * (1 - 1e-9))
