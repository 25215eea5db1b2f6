"""Spans as Langfuse lays them out: those that reach it, below the one that they say or have above them."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent

from telemetry import Span


def missing_parents(found: list[Span]) -> list[str]:
    """Names of spans whose parent did not arrive, or is of another trace."""
    known = {(one.trace, one.id) for one in found}
    return [one.name for one in found if one.parent and (one.trace, one.parent) not in known]


def shown(found: list[Span]) -> Counter[str]:
    """One outline for each topmost span, children in the order of their outlines."""
    there = {one.id: one for one in found if "gen_ai.operation.name" in one.attributes}
    below: dict[str, list[Span]] = {}
    for one in there.values():
        above = str(one.attributes.get("otel_agents.parent", one.parent))
        if one.attributes.get("otel_agents.app_root"):
            above = ""
        elif above:
            assert above in there, f"{one.name} would be an orphan in Langfuse"
            assert there[above].trace == one.trace
        below.setdefault(above, []).append(one)

    def outline(one: Span, depth: int) -> str:
        children = sorted(outline(child, depth + 1) for child in below.get(one.id, ()))
        return "\n".join(["  " * depth + one.name, *children])

    return Counter(outline(one, 0) for one in below.get("", ()))


def outlines(text: str) -> Counter[str]:
    """What :func:`shown` answers, written down: outlines with an empty line between them."""
    return Counter(part.strip() for part in dedent(text).strip().split("\n\n"))
