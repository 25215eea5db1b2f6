"""One observation for the details pane: what its sections show, in the words of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_agents.local.rows import Finding, Observation, Score
from otel_agents.local.ui import content, jsontext
from otel_agents.local.ui.blocks import Content
from otel_agents.local.ui.clean import clip

#: Characters of one metadata or attribute value; the rest is behind the raw text.
VALUE = 2_000
#: Entries of one table.
ENTRIES = 300

_BUCKETS = {
    "input": "input",
    "input_cached_tokens": "cache read",
    "input_cache_creation": "cache write",
    "output": "output",
    "output_reasoning_tokens": "reasoning",
    "total": "total",
}
_STACKS = ("exception.stacktrace", "stacktrace", "stack_trace", "traceback")


@dataclass(slots=True)
class Pair:
    """A line of a two-column table; ``hidden`` characters were cut."""

    key: str
    text: str
    hidden: int = 0
    is_json: bool = False


@dataclass(slots=True)
class Usage:
    """A usage bucket with its cost. ``share`` of the sum of all buckets, for the bar."""

    name: str
    key: str
    tokens: float | None
    cost: float | None
    share: float = 0.0
    at: float = 0.0
    total: bool = False


@dataclass(slots=True)
class Event:
    """A span event."""

    name: str
    offset: float  # seconds after the observation's start
    pairs: list[Pair]
    stack: str = ""


@dataclass(slots=True)
class Details:
    """Everything the pane shows."""

    row: Observation
    input: Content
    output: Content
    duration: float
    time_to_first_token: float | None
    tokens_per_second: float | None
    usage: list[Usage]
    parameters: list[Pair]
    metadata: list[Pair]
    attributes: list[Pair]
    resource: list[Pair]
    events: list[Event]
    stack: str
    error_type: str
    scores: list[Score] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def describe(row: Observation, scores: list[Score], findings: list[Finding]) -> Details:
    """Arranges an observation that was read with its payload."""
    duration = (row.end_ns - row.start_ns) / 1e9
    first = None
    if row.completion_start_ns is not None and row.start_ns <= row.completion_start_ns <= row.end_ns:
        first = (row.completion_start_ns - row.start_ns) / 1e9
    writing = duration - (first or 0.0)
    attributes = _mapping(row.metadata.get("attributes"))
    events = [
        Event(
            event.name,
            (event.time_ns - row.start_ns) / 1e9,
            pairs({key: value for key, value in event.attributes.items() if key not in _STACKS}),
            _stack(event.attributes),
        )
        for event in row.events[:ENTRIES]
    ]
    stack = next((event.stack for event in events if event.stack), "")
    return Details(
        row=row,
        input=content.read(row.input),
        output=content.read(row.output),
        duration=duration,
        time_to_first_token=first,
        tokens_per_second=row.output_tokens / writing if row.output_tokens and writing > 0.001 else None,
        usage=usage(row),
        parameters=pairs(row.model_parameters),
        metadata=pairs(row.meta),
        attributes=pairs(attributes),
        resource=pairs({**_mapping(row.metadata.get("resourceAttributes")), **_scope(row)}),
        events=events,
        stack=stack or _stack(row.meta) or _stack(attributes),
        error_type=str(row.meta.get("error_type") or attributes.get("error.type") or ""),
        scores=[score for score in scores if score.observation_id == row.id],
        findings=[finding for finding in findings if finding.observation_id == row.id],
    )


def usage(row: Observation) -> list[Usage]:
    """The disjoint buckets in a fixed order, unknown ones after the known, the total last."""
    keys = [key for key in _BUCKETS if key in row.usage or key in row.cost]
    keys += [key for key in (*row.usage, *row.cost) if key not in keys]
    if "total" in keys:
        keys.append(keys.pop(keys.index("total")))
    lines: list[Usage] = []
    for key in keys:
        tokens, cost = _number(row.usage.get(key)), _number(row.cost.get(key))
        lines.append(Usage(_BUCKETS.get(key, key), key, tokens, cost, total=key == "total"))
    parts = [line for line in lines if not line.total]
    whole, at = sum(line.tokens or 0 for line in parts), 0.0
    for line in parts:
        line.share = (line.tokens or 0) * 100 / whole if whole > 0 else 0.0
        line.at, at = at, at + line.share
    return lines


def pairs(values: Mapping[str, Any]) -> list[Pair]:
    """A mapping as lines of bounded text, sorted by key."""
    lines: list[Pair] = []
    for key in sorted(values, key=str)[:ENTRIES]:
        value = values[key]
        is_json = isinstance(value, dict | list)
        if isinstance(value, str):
            inner = jsontext.parse(value) if len(value) <= VALUE else jsontext.NOT_JSON
            if isinstance(inner, dict | list):
                value, is_json = inner, True
        text = jsontext.pretty(value) if is_json else _text(value)
        shown, hidden = clip(text, VALUE)
        lines.append(Pair(clip(str(key), 300)[0], shown, hidden, is_json))
    return lines


def _scope(row: Observation) -> dict[str, Any]:
    scope = {"scope.name": row.scope_name, "scope.version": row.scope_version}
    return {key: value for key, value in scope.items() if value}


def _stack(values: Mapping[str, Any]) -> str:
    for key in _STACKS:
        if isinstance(values.get(key), str) and values[key].strip():
            # The end names the error and the line that raised it.
            text: str = values[key]
            return text if len(text) <= 20_000 else "\u2026\n" + text[-20_000:]
    return ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value
