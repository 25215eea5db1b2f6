"""Ended spans as trees, totals and snapshots: what tests compare. Imports nothing until it is used."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_VOLATILE: Final = {
    "gen_ai.response.time_to_first_chunk": "<seconds>",
    "exception.stacktrace": "<stacktrace>",
    "server.port": "<port>",
}


@dataclass(slots=True)
class Node:
    """A span with its children, in the order in which they started."""

    span: ReadableSpan
    children: list[Node] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The span's name, with the error type in brackets if it failed."""
        error = (self.span.attributes or {}).get("error.type")
        if self.span.status.status_code.name == "ERROR":
            return f"{self.span.name} [{error or 'error'}]"
        return self.span.name


def nodes(spans: Iterable[ReadableSpan]) -> list[Node]:
    """The roots of the spans' trees. A span whose parent is not among them is a root."""
    ordered = sorted(spans, key=lambda span: span.start_time or 0)
    by_id = {_ids(span): Node(span) for span in ordered}
    roots: list[Node] = []
    for span in ordered:
        node = by_id[_ids(span)]
        parent = span.parent
        above = by_id.get((parent.trace_id, parent.span_id)) if parent is not None else None
        (roots if above is None else above.children).append(node)
    return roots


def tree(spans: Iterable[ReadableSpan]) -> str:
    """The spans as text: one name a line, children indented by two blanks, errors in brackets."""
    lines: list[str] = []

    def add(node: Node, depth: int) -> None:
        lines.append("  " * depth + node.line)
        for child in node.children:
            add(child, depth + 1)

    for root in nodes(spans):
        add(root, 0)
    return "\n".join(lines)


def assert_tree(spans: Iterable[ReadableSpan], expected: str) -> None:
    """Compares :func:`tree` with ``expected``, which may be indented as a whole.

    Raises:
        AssertionError: with the difference.
    """
    wanted = textwrap.dedent(expected).strip("\n").rstrip()
    found = tree(spans)
    if found != wanted:
        difference = difflib.unified_diff(
            wanted.splitlines(), found.splitlines(), "expected", "recorded", lineterm=""
        )
        raise AssertionError("another tree was recorded:\n" + "\n".join(difference))


def assert_no_orphans(spans: Iterable[ReadableSpan]) -> None:
    """Every parent is there (or in another process), and so is every span that a parent hint names.

    Raises:
        AssertionError: naming the orphans.
    """
    found = list(spans)
    known = {_ids(span) for span in found}
    orphans = []
    for span in found:
        trace_id, _ = _ids(span)
        parent = span.parent
        if parent is not None and not parent.is_remote and (parent.trace_id, parent.span_id) not in known:
            orphans.append(f"{span.name}: its parent did not end")
        hint = (span.attributes or {}).get("otel_agents.parent")
        if isinstance(hint, str) and (trace_id, int(hint, 16)) not in known:
            orphans.append(f"{span.name}: otel_agents.parent names no span")
    assert not orphans, "\n".join([*orphans, tree(found)])


def usage(spans: Iterable[ReadableSpan]) -> dict[str, float]:
    """Totals over all model calls: calls, input, output, cache_read, cache_write, reasoning, cost (USD)."""
    from otel_agents import semconv

    names = {
        "input": semconv.USAGE_INPUT_TOKENS,
        "output": semconv.USAGE_OUTPUT_TOKENS,
        "cache_read": semconv.USAGE_CACHE_READ,
        "cache_write": semconv.USAGE_CACHE_WRITE,
        "reasoning": semconv.USAGE_REASONING,
        "cost": semconv.USAGE_COST,
    }
    totals: dict[str, float] = dict.fromkeys(("calls", *names), 0)
    for span in spans:
        attributes: Mapping[str, Any] = span.attributes or {}
        if attributes.get(semconv.OPERATION_NAME) in semconv.INFERENCE_OPERATIONS:
            totals["calls"] += 1
            for key, name in names.items():
                totals[key] += attributes.get(name, 0)
    return totals


def snapshot(spans: Iterable[ReadableSpan]) -> list[dict[str, Any]]:
    """The spans as plain data that is the same in every run, in the order in which they started.

    Ids are numbered, times are left out, durations, ports and stack traces are replaced, and content
    is decoded from JSON.
    """
    ordered = sorted(spans, key=lambda span: span.start_time or 0)
    numbers: dict[str, int] = {}
    for index, span in enumerate(ordered, start=1):
        numbers[format(_ids(span)[1], "016x")] = index
    traces: dict[int, int] = {}
    return [_plain(span, numbers, traces) for span in ordered]


def _plain(span: ReadableSpan, numbers: dict[str, int], traces: dict[int, int]) -> dict[str, Any]:
    trace_id, span_id = _ids(span)
    parent = format(span.parent.span_id, "016x") if span.parent is not None else None
    made: dict[str, Any] = {
        "name": span.name,
        "trace": traces.setdefault(trace_id, len(traces) + 1),
        "id": numbers[format(span_id, "016x")],
        "parent": numbers.get(parent, "elsewhere") if parent is not None else None,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "attributes": _plain_attributes(span.attributes, numbers),
    }
    if span.status.description:
        made["description"] = span.status.description
    if span.events:
        made["events"] = [
            {"name": event.name, "attributes": _plain_attributes(event.attributes, numbers)}
            for event in span.events
        ]
    return made


def _plain_attributes(attributes: Mapping[str, Any] | None, numbers: dict[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in sorted((attributes or {}).items()):
        if name in _VOLATILE:
            made[name] = _VOLATILE[name]
        elif name == "otel_agents.parent":
            made[name] = numbers.get(value, "elsewhere")
        elif isinstance(value, tuple):
            made[name] = list(value)
        else:
            made[name] = _decoded(value)
    return made


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return (context.trace_id, context.span_id) if context is not None else (0, 0)
