"""What a coding agent exported, in the conventions' words: its model calls, tools and sub-agents.

Each agent tells its story in another way. Claude Code has the usage on its spans and the cost in its log
records; Gemini CLI the calls on spans and the usage in log records that name no span; Copilot everything
on spans; Codex the usage on one span in fifty, and the model on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_agents import semconv
from otel_agents.accounting import Usage
from otel_agents.cli_agents.reading import count, number, text_of, truth
from otel_agents.normalize import engine
from otel_agents.normalize.otlp_json import decoded
from otel_agents.normalize.record import Record

_HEX: Final = re.compile("[0-9a-f]{16}")
_MODEL_CALLS: Final = semconv.INFERENCE_OPERATIONS
#: Spans of one run that are read, and that go on.
_MAX_SPANS: Final = 100_000
MAX_KEPT: Final = 2000
#: Nanoseconds by which clocks of spans and log records may differ.
_SLACK: Final = 2_000_000_000


@dataclass(slots=True)
class Foreign:
    """One span of an agent. Times are nanoseconds since the epoch; ``cost`` is US dollars."""

    name: str
    id: str
    parent: str
    trace: str
    start: int
    end: int
    kind: int
    scope: str
    version: str
    attributes: dict[str, Any]
    raw: Mapping[str, Any]
    error: str | None
    usage: Usage | None = None
    cost: float | None = None

    @property
    def operation(self) -> str:
        """By the conventions; empty for what is no operation."""
        return text_of(self.attributes.get(semconv.OPERATION_NAME))


@dataclass(slots=True)
class Log:
    """One log record."""

    name: str
    time: int
    attributes: dict[str, Any]


@dataclass(slots=True)
class Story:
    """What arrived so far."""

    spans: dict[str, Foreign] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)

    def take(self, request: Mapping[str, Any]) -> None:
        """Takes an OTLP request in."""
        for scope, version, span in _inside(request, "resourceSpans", "scopeSpans", "spans"):
            if len(self.spans) >= _MAX_SPANS:
                break
            found = _span(scope, version, span)
            if found is not None:
                self.spans[found.id] = found
        for _, _, log in _inside(request, "resourceLogs", "scopeLogs", "logRecords"):
            if len(self.logs) < _MAX_SPANS:
                attributes = decoded(log.get("attributes"))
                name = text_of(attributes.get("event.name")) or text_of(log.get("eventName"))
                time = count(log.get("timeUnixNano")) or count(log.get("observedTimeUnixNano"))
                self.logs.append(Log(name, _nanoseconds(log, time), attributes))

    def useful(self, dialect: str) -> list[Foreign]:
        """Model calls with their usage, tools and agents, by their starts."""
        if dialect == "codex":
            self._codex()
        elif dialect == "gemini_cli":
            self._gemini()
        elif dialect == "claude_code":
            self._claude()
        wanted = {*_MODEL_CALLS, semconv.OP_INVOKE_AGENT, semconv.OP_EXECUTE_TOOL}
        found = [one for one in self.spans.values() if one.operation in wanted]
        for one in found:
            if one.operation in _MODEL_CALLS and one.usage is None:
                one.usage = _usage(one.attributes)
        return sorted(found, key=lambda one: one.start)[:MAX_KEPT]

    def session(self) -> str | None:
        """The agent's own id of the conversation."""
        names = (semconv.CONVERSATION_ID, semconv.SESSION_ID, "conversation.id")
        found = [one.attributes for one in self.spans.values()] + [one.attributes for one in self.logs]
        return next((said for one in found for name in names if (said := text_of(one.get(name)))), None)

    def above(self, one: Foreign) -> Iterator[Foreign]:
        """The spans around it, from the inside out."""
        seen = {one.id}
        parent = self.spans.get(one.parent)
        while parent is not None and parent.id not in seen:
            seen.add(parent.id)
            yield parent
            parent = self.spans.get(parent.parent)

    def _claude(self) -> None:
        costs = {
            text_of(log.attributes.get("request_id")): number(log.attributes.get("cost_usd"))
            for log in self.logs
            if log.name.endswith("api_request") and log.attributes.get("request_id")
        }
        for one in self.spans.values():
            if one.operation in _MODEL_CALLS:
                one.cost = costs.get(text_of(one.attributes.get(semconv.RESPONSE_ID)))
                failed = "success" in one.attributes and not truth(one.attributes["success"])
                if failed and one.error is None:
                    said = one.attributes.get("error") or one.attributes.get(semconv.ERROR_TYPE)
                    one.error = text_of(said) or "failed"

    def _codex(self) -> None:
        """A call is what was tried; its usage is on the span at its end, far below."""
        for one in list(self.spans.values()):
            if one.operation not in _MODEL_CALLS:
                continue
            for around in self.above(one):
                if around.operation == semconv.OP_EXECUTE_TOOL:
                    break
                if around.name == "try_run_sampling_request":
                    one.start = min(one.start, around.start)
                if model := text_of(around.attributes.get("model")):
                    one.attributes.setdefault(semconv.REQUEST_MODEL, model)
                if around.name in ("run_sampling_request", "session_task.turn"):
                    break
            one.name = f"chat {one.attributes.get(semconv.REQUEST_MODEL, '')}".rstrip()

    def _gemini(self) -> None:
        """Usage by time: a call's log record is written when its span is about to end.

        Spans have some of it, but neither what was cached nor what was thought.
        """
        open_calls = [one for one in self.spans.values() if one.operation in _MODEL_CALLS]
        records = [log for log in self.logs if log.name == "gemini_cli.api_response"]
        for number_of, log in enumerate(sorted(records, key=lambda one: one.time)):
            told = log.attributes
            fits = [one for one in open_calls if one.start - _SLACK <= log.time <= one.end + _SLACK]
            if fits:
                model = text_of(told.get("model"))  # calls side by side are often of different ones
                span = min(
                    fits,
                    key=lambda one: (
                        one.attributes.get(semconv.REQUEST_MODEL) != model,
                        abs(one.end - log.time),
                    ),
                )
                open_calls.remove(span)
            else:
                span = _call_of_log(log, number_of)
                self.spans[span.id] = span
            by_tools, thought = count(told.get("tool_token_count")), count(told.get("thoughts_token_count"))
            cached = count(told.get("cached_content_token_count"))
            span.usage = Usage(
                input=max(count(told.get("input_token_count")), cached) + by_tools,
                output=count(told.get("output_token_count")) + thought,
                cache_read=cached,
                reasoning=thought,
            )
            if model := text_of(told.get("model")):
                span.attributes.setdefault(semconv.REQUEST_MODEL, model)
                span.attributes[semconv.RESPONSE_MODEL] = model


def _call_of_log(log: Log, number_of: int) -> Foreign:
    """A call of which no span arrived."""
    duration = int((number(log.attributes.get("duration_ms")) or 0) * 1e6)
    attributes = {
        semconv.OPERATION_NAME: semconv.OP_GENERATE_CONTENT,
        semconv.PROVIDER_NAME: "gcp.gemini",
    }
    return Foreign(
        "generate_content", format((log.time + number_of) & (2**64 - 1) or 1, "016x"), "", "",
        log.time - duration, log.time, 3, "gemini-cli", "", attributes, {}, None,
    )  # fmt: skip


def _usage(attributes: Mapping[str, Any]) -> Usage | None:
    if semconv.USAGE_INPUT_TOKENS not in attributes and semconv.USAGE_OUTPUT_TOKENS not in attributes:
        return None
    return Usage(
        input=count(attributes.get(semconv.USAGE_INPUT_TOKENS)),
        output=count(attributes.get(semconv.USAGE_OUTPUT_TOKENS)),
        cache_read=count(attributes.get(semconv.USAGE_CACHE_READ)),
        cache_write=count(attributes.get(semconv.USAGE_CACHE_WRITE)),
        reasoning=count(attributes.get(semconv.USAGE_REASONING)),
    )


def _span(scope: str, version: str, span: Mapping[str, Any]) -> Foreign | None:
    id = text_of(span.get("spanId")).lower()
    if not _HEX.fullmatch(id) or id == "0" * 16:
        return None
    raw = decoded(span.get("attributes"))
    name = text_of(span.get("name"))
    parent = text_of(span.get("parentSpanId")).lower()
    record = Record(scope, name, dict(raw), ids=(id, parent))
    engine.normalize(record)
    status = span.get("status")
    status = status if isinstance(status, dict) else {}
    failed = status.get("code") in (2, "2", "STATUS_CODE_ERROR")
    start = _nanoseconds(span, count(span.get("startTimeUnixNano")), "startTimeUnixNano")
    end = _nanoseconds(span, count(span.get("endTimeUnixNano")), "endTimeUnixNano")
    return Foreign(
        name=name,
        id=id,
        parent=parent,
        trace=text_of(span.get("traceId")).lower(),
        start=start,
        end=max(start, end),
        kind=count(span.get("kind")),
        scope=scope,
        version=version,
        attributes=record.attributes,
        raw=raw,
        error=(text_of(status.get("message")) or "failed") if failed else None,
    )


def _nanoseconds(holder: Mapping[str, Any], rounded: int, key: str = "timeUnixNano") -> int:
    """Exact: as a double, a time of today is off by hundreds of nanoseconds."""
    try:
        return int(holder.get(key) or 0)
    except (TypeError, ValueError):
        return rounded


def _inside(
    request: Mapping[str, Any], resources: str, scopes: str, items: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for resource in _dicts(request.get(resources)):
        for scoped in _dicts(resource.get(scopes)):
            scope = scoped.get("scope")
            scope = scope if isinstance(scope, dict) else {}
            for one in _dicts(scoped.get(items)):
                yield text_of(scope.get("name")), text_of(scope.get("version")), one


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
