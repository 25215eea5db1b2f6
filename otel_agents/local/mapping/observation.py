"""Reads one received span into the observation that Langfuse stores for it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.local import times
from otel_agents.local.findings import Notes
from otel_agents.local.mapping import content, cost, kinds, status, trace, usage
from otel_agents.local.otlp import ReceivedSpan
from otel_agents.local.rows import Finding, Observation, SpanEvent
from otel_agents.local.values import is_structured, langfuse_value, plain

#: Longest text of a metadata value in `Observation.meta` (filters look at that much).
META_CHARS: Final = 200

_COMPLETION_START: Final = "langfuse.observation.completion_start_time"
_PRICED: Final = frozenset({"GENERATION", "EMBEDDING"})
_DIGITS: Final = re.compile(r"\s*[+-]?\d+")


def read(span: ReceivedSpan, received_ns: int, strict: bool = True) -> tuple[Observation, list[Finding]]:
    """The observation of a span, and what was lost or counted wrongly on the way.

    Args:
        span: as decoded.
        received_ns: time of arrival; stands in for missing times.
        strict: with the traps of Langfuse 4.16 and with findings; else without both.
    """
    notes = Notes(span.trace_id, span.span_id, span.name, received_ns)
    attributes = {key: langfuse_value(value, strict) for key, value in span.attributes.items()}
    resource = {key: langfuse_value(value, strict) for key, value in span.scope.resource.items()}
    _note_values(span, notes)

    start_ns, end_ns = _times(span, received_ns)
    kind = kinds.observation_type(attributes, notes)
    name = kinds.observation_name(attributes, span.name, kind, notes)
    level = status.level(attributes, span.status_code, notes)
    message = status.status_message(attributes, span.status_message)
    everything, own = trace.metadata(
        attributes, resource, span.scope, filter(content.is_content, attributes), notes
    )
    status.note_events(span.events, message, own, attributes, notes)
    sent, answered = content.content(attributes, span.events, strict, notes)
    app_root = trace.is_app_root(attributes)

    found = Observation(
        trace_id=span.trace_id,
        id=span.span_id,
        parent_id=span.parent_id,
        type=kind,
        name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        level=level,
        environment=trace.environment(attributes, resource, notes),
        is_app_root=app_root,
        is_root=app_root or not span.parent_id,
        public=trace.public(attributes),
        version=trace.version(attributes, resource),
        release=trace.release(attributes, resource),
        user_id=trace.user_id(attributes),
        session_id=trace.session_id(attributes),
        trace_name=trace.trace_name(attributes),
        completion_start_ns=_completion_start(attributes, start_ns, kind, notes),
        received_ns=received_ns,
        scope_name=span.scope.name or None,
        scope_version=span.scope.version or None,
        service_name=_text_or_none(resource.get("service.name")),
        tags=trace.tags(attributes),
        meta={key: _shortened(value) for key, value in own.items()},
        model_parameters=kinds.model_parameters(attributes),
        status_message=message,
        input=sent,
        output=answered,
        metadata=everything,
        events=[
            SpanEvent(
                event.name, event.time_ns, {key: plain(value) for key, value in event.attributes.items()}
            )
            for event in span.events
        ],
    )
    _prompt_link(found, attributes, notes)
    _money(found, attributes, strict, notes)
    return found, notes.found if strict else []


def _money(found: Observation, attributes: Mapping[str, Any], strict: bool, notes: Notes) -> None:
    """Model, usage and cost; an agent's own are dropped."""
    model = kinds.model_name(attributes)
    if attributes.get("gen_ai.operation.name") in kinds.AGENT_OPERATIONS:
        carried = [key for key in attributes if key.startswith("gen_ai.usage.")]
        carried += [key for key in (usage.EXPLICIT, cost.EXPLICIT) if key in attributes]
        if carried:
            notes.add("usage_on_agent_dropped", attributes=carried)
        return
    found.model = model
    found.usage = usage.usage_details(attributes, strict, notes)
    found.input_tokens = int(usage.sum_of(found.usage, "input"))
    found.output_tokens = int(usage.sum_of(found.usage, "output"))
    found.total_tokens = found.usage.get("total")
    found.cost = cost.given_cost(attributes, notes)
    if not found.cost:
        provider = attributes.get("gen_ai.provider.name")
        found.cost = cost.computed_cost(
            model, provider if isinstance(provider, str) else None, found.usage, strict, notes
        )
    if found.cost:
        # A missing or unreadable total reads as 0, whatever the other keys say.
        found.total_cost = cost.total_of(found.cost) or 0.0
        found.input_cost = _sum(found.cost, "input")
        found.output_cost = _sum(found.cost, "output")
    elif found.type in _PRICED and found.level != "ERROR":
        reason = "no usage" if not found.usage else ("no model" if not model else "no price")
        notes.add("generation_unpriced", model=model, reason=reason)


def _sum(details: Mapping[str, Any], part: str) -> float | None:
    values = [cost.number_of(value) for key, value in details.items() if part in key]
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _prompt_link(found: Observation, attributes: Mapping[str, Any], notes: Notes) -> None:
    name = attributes.get("langfuse.observation.prompt.name") or attributes.get("langfuse.prompt.name")
    version = attributes.get("langfuse.observation.prompt.version")
    if version is None:
        version = attributes.get("langfuse.prompt.version")
    number = _integer(version)
    if found.type == "GENERATION" and name and number is not None:
        found.prompt_name, found.prompt_version = kinds.text(name), number
    elif found.type == "GENERATION" and (name or attributes.get("gen_ai.prompt.name")):
        notes.add("prompt_link_lost", prompt=name or attributes.get("gen_ai.prompt.name"), version=version)


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    match = _DIGITS.match(value) if isinstance(value, str) else None
    return int(match.group()) if match else None


def _times(span: ReceivedSpan, received_ns: int) -> tuple[int, int]:
    start = span.start_ns or span.end_ns or received_ns
    return start, span.end_ns or start


def _completion_start(attributes: Mapping[str, Any], start_ns: int, kind: str, notes: Notes) -> int | None:
    given = attributes.get(_COMPLETION_START)
    if isinstance(given, str):
        return times.parse(given.strip('"'))
    for key in ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"):
        value = attributes.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return start_ns + int(value * 1e6)
    if "gen_ai.response.time_to_first_chunk" in attributes and kind == "GENERATION":
        notes.add("first_token_time_lost")
    return None


def _note_values(span: ReceivedSpan, notes: Notes) -> None:
    empty = [key for key, value in span.attributes.items() if value == []]
    if empty:
        notes.add("empty_list", attributes=empty)
    structured = [key for key, value in span.attributes.items() if is_structured(value)]
    if structured:
        notes.add("structured_value", attributes=structured)
    ignored = [
        key
        for key in ("session.id", "user.id", "langfuse.session.id", "langfuse.user.id", "langfuse.trace.tags")
        if key in span.scope.resource and key not in span.attributes
    ]
    if ignored:
        notes.add("resource_context_ignored", attributes=ignored)


def _shortened(value: Any) -> Any:
    return value[:META_CHARS] if isinstance(value, str) else value


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
