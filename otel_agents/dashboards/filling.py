"""Puts values for variables into a query, exactly as Grafana does for Prometheus."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

#: ``$name`` or ``${name}``.
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
#: What Grafana escapes in a chosen value. Quotes and ends of lines it forgets; they would end the string.
_SPECIAL: Final = re.compile(r"[$^*{}\[\]'+?.()|]")
#: Grafana's steps: up to this many seconds, this one.
_ROUND: Final = (
    (1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120),
    (450, 300), (750, 600), (1050, 900), (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200),
    (16_200, 10_800), (32_400, 21_600), (86_400, 43_200), (604_800, 86_400), (1_814_400, 604_800),
    (3_628_800, 2_592_000),
)  # fmt: skip
#: Seconds between two scrapes where nobody says: the ``timeInterval`` of the provisioned data source.
SCRAPE_INTERVAL: Final = 15.0


def fill(expression: str, given: Mapping[str, str], chosen: Mapping[str, str]) -> str:
    """The query as it is sent.

    Args:
        expression: PromQL with ``$name`` and ``${name}``.
        given: Grafana's own, such as ``__range``, to be put in as they are.
        chosen: the dashboard's variables, made fit by :func:`matching`.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = given.get(name, chosen.get(name))
        return match[0] if found is None else found

    return _VARIABLE.sub(value, expression)


def matching(values: Sequence[str], all_value: str) -> str:
    """What ``=~"$name"`` compares with: any value for All (nothing chosen), else one of ``values``."""
    if not values:
        return all_value
    escaped = [_escaped(value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escaped(value: str) -> str:
    """A value inside of a regular expression (RE2) inside of a PromQL string."""
    value = _SPECIAL.sub(lambda match: "\\\\" + match[0], value.replace("\\", "\\" * 4))
    return value.replace('"', '\\"').replace("\n", "\\n")


def step(span: float, points: int, shortest: float) -> float:
    """Seconds between two points: ``span / points`` made round, and at least ``shortest``."""
    exact = span / max(points, 1)
    rounded = next((value for limit, value in _ROUND if exact < limit), 31_536_000)
    return float(max(rounded, shortest, 1))


def own(span: float, between: float, scrape_interval: float = SCRAPE_INTERVAL) -> dict[str, str]:
    """Grafana's own variables.

    Args:
        span: seconds of the time range.
        between: seconds between two points.
        scrape_interval: seconds between two scrapes.
    """
    whole = math.ceil(span)
    return {
        "__range": f"{whole}s",
        "__range_s": str(whole),
        "__range_ms": str(whole * 1000),
        "__interval": f"{between:g}s",
        "__interval_ms": f"{between * 1000:g}",
        "__rate_interval": f"{max(between + scrape_interval, 4 * scrape_interval):g}s",
    }
