"""What of a run becomes spans and metrics: its tools, its progress, and the totals of its models."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from otel_agents import accounting, runtime, semconv, values
from otel_agents.cli_agents.result import ModelTotals
from otel_agents.tracing import spans
from otel_agents.tracing.events import happened
from otel_agents.tracing.scopes import count_call, scope

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from otel_agents.accounting import Usage
    from otel_agents.cli_agents.reading import Reading
    from otel_agents.cli_agents.result import AgentResult, ToolCall
    from otel_agents.tracing.runs import Run

#: Spans of tools and of progress that one run may have; what is beyond is counted on the run's span.
MAX_TOOLS: Final = 200
MAX_EVENTS: Final = 100
#: What could not be understood of the output, ``name`` or ``name x3``.
SKIPPED: Final = "otel_agents.cli_agents.skipped"
#: Metadata of runs of this package's, so that a replay knows how to repeat them.
CLI_AGENT: Final = "cli_agent"
_LEFT_OUT: Final = "otel_agents.cli_agents.left_out"


class Recorder:
    """Puts on record what an agent's output tells while it runs. Never raises.

    Args:
        run: of the agent.
        live: tools get their spans as they end; else :meth:`tools` is called when all is known.
    """

    __slots__ = ("_begun", "_context", "_events", "_live", "_run", "_timed", "_tools", "left_out")

    def __init__(self, run: Run, live: bool) -> None:
        self._run = run
        self._context = run.context
        self._live = live
        self._begun: dict[int, int] = {}
        self._timed: list[tuple[ToolCall, int, int]] = []
        self._events = 0
        self._tools = 0
        self.left_out = 0

    def watch(self, reading: Reading) -> None:
        """Has ``reading`` tell of what it finds."""
        reading.started, reading.ended, reading.noted = self._started, self._ended, self._noted

    def tools(self, reading: Reading, told: frozenset[str]) -> None:
        """Spans of the tools that have none yet, but of those whose ids are ``told`` elsewhere."""
        now = time.time_ns()
        for call in reading.tool_calls:
            if id(call) in self._begun and not call.finished:
                self._timed.append((call, self._begun[id(call)], now))
        timed, self._timed = self._timed, []
        for call, begun, ended in timed:
            if call.id not in told:
                self._tool(call, begun, ended)

    def _started(self, call: ToolCall) -> None:
        if len(self._begun) < 10_000:
            self._begun[id(call)] = time.time_ns()
        if not self._live:
            self._noted("tool_started", {"tool": call.name, "id": call.id})

    def _ended(self, call: ToolCall) -> None:
        now = time.time_ns()
        begun = (
            now - int(call.duration * 1e9) if call.duration is not None else self._begun.get(id(call), now)
        )
        begun = max(begun, getattr(self._run.span, "start_time", None) or 0)  # some only say how long it took
        if self._live:
            self._begun.pop(id(call), None)
            self._tool(call, begun, now)
        elif len(self._timed) < MAX_TOOLS:
            self._timed.append((call, begun, now))
        else:
            self.left_out += 1

    def _tool(self, call: ToolCall, begun: int, ended: int) -> None:
        if self._tools >= MAX_TOOLS or self._context is None:
            self.left_out += 1
            return
        self._tools += 1
        try:
            record_tool(call, begun, ended, self._context)
        except Exception:
            spans.note("record an agent's tool")

    def _noted(self, name: str, body: object) -> None:
        if self._events >= MAX_EVENTS:
            self.left_out += 1
            return
        self._events += 1
        try:
            happened(name, body, context=self._context)
        except Exception:
            spans.note("record an agent's progress")

    def finish(self, result: AgentResult) -> None:
        """Everything about the whole run onto its span."""
        attributes: dict[str, object] = {}
        if result.skipped:
            said = [f"{name} x{times}" if times > 1 else name for name, times in result.skipped.items()]
            attributes[SKIPPED] = sorted(said)[:20]
        if self.left_out:
            attributes[_LEFT_OUT] = self.left_out
        if result.session_id and semconv.CONVERSATION_ID not in scope(self._context).attributes:
            attributes[semconv.CONVERSATION_ID] = result.session_id
        metadata: dict[str, object] = {
            CLI_AGENT: True,
            "agent_session": result.session_id,
            "turns": result.turns,
            "exit_code": result.exit_code,
            "premium_requests": result.premium_requests,
            "lines_added": result.lines_added,
            "lines_removed": result.lines_removed,
            "files_changed": len(result.files_changed) or None,
        }
        given = {key: value for key, value in metadata.items() if value is not None}
        self._run.update(metadata=given, attributes=attributes)
        if result.output:
            self._run.update(output=result.output)
        if result.error is not None:
            self._run.set_error(result.error, result.error_type)


def record_tool(call: ToolCall, begun: int, ended: int, context: Context) -> None:
    """A span ``execute_tool {name}`` of the past, and the metric. Times are nanoseconds. May raise."""
    current = runtime.current()
    redact = current.redactor.text
    name = redact(call.name)
    attributes: dict[str, AttributeValue] = {
        semconv.OPERATION_NAME: semconv.OP_EXECUTE_TOOL,
        semconv.TOOL_NAME: name,
        semconv.TOOL_TYPE: "function",
    }
    if call.id:
        attributes[semconv.TOOL_CALL_ID] = redact(call.id)
    span = spans.start_span(
        f"{semconv.OP_EXECUTE_TOOL} {name}", attributes=attributes, context=context, start_time=begun
    )
    if spans.captures_explicit():
        for attribute, content in (
            (semconv.TOOL_CALL_ARGUMENTS, call.arguments),
            (semconv.TOOL_CALL_RESULT, call.output),
        ):
            if content is not None:
                spans.set_content(span, attribute, *values.bounded_json(content, spans.content_limit()))
    error = spans.set_error(span, call.error, None) if call.error else None
    spans.end_span(span, ended)
    run = scope(context).run
    if run is not None:
        run.tool_calls += 1
    inside = trace.set_span_in_context(span, context)
    current.instruments.record_tool(
        name,
        run.name if run is not None else None,
        "function",
        (ended - begun) / 1e9,
        error,
        scope(context).labels,
        inside,
    )


def record_totals(
    reading: Reading, provider: str, model: str | None, started: int, context: Context
) -> tuple[float | None, bool]:
    """A child ``chat`` span with usage and cost for each model, because Langfuse drops both on agents.

    Args:
        provider: whose models these are, as the conventions name it.
        model: that was asked for, where the agent does not say which one answered.
        started: the run, in nanoseconds.
        context: inside the run.

    Returns:
        The cost in US dollars (None: nobody knows), and whether it is by the price table.
    """
    models = dict(reading.models)
    if not models and (reading.usage is not None or reading.cost is not None):
        models = {reading.model or model or "": ModelTotals(reading.usage, reading.cost)}
    elif reading.cost is not None and all(one.cost is None for one in models.values()):
        # Only the sum is known: it stands with the model that did most of the work.
        main = reading.model if reading.model in models else next(iter(models))
        for name, one in models.items():
            one.cost = reading.cost if name == main else 0.0
    costs: list[float | None] = []
    run = scope(context).run
    for name, one in models.items():
        if one.usage is None and one.cost is None:
            continue
        costs.append(_total(name, one.usage, one.cost, provider, started, context))
        if run is not None:
            run.inference_calls += one.calls or 0
    if reading.cost is not None:
        return reading.cost, False
    known = [cost for cost in costs if cost is not None]
    return (sum(known), True) if known and len(known) == len(costs) else (None, False)


def _total(
    model: str, usage: Usage | None, cost: float | None, provider: str, started: int, context: Context
) -> float | None:
    current = runtime.current()
    run = scope(context).run
    named = current.redactor.text(model) if model and model != "unknown" else None
    record = accounting.CallRecord(
        operation=semconv.OP_CHAT,
        provider=provider,
        request_model=named,
        usage=usage,
        agent_name=run.name if run is not None else None,
        labels=scope(context).labels,
        cost=cost,
        reported=True,
    )
    accounting.price(record)
    attributes: dict[str, AttributeValue] = {
        semconv.OPERATION_NAME: record.operation,
        semconv.PROVIDER_NAME: provider,
        **accounting.span_attributes(record),
    }
    if named:
        attributes[semconv.REQUEST_MODEL] = named
    span = spans.start_span(
        f"{record.operation} {named}" if named else record.operation,
        kind=SpanKind.CLIENT,
        attributes=current.redactor.attributes(attributes),
        context=context,
        start_time=started,
    )
    record.context = trace.set_span_in_context(span, context)
    spans.end_span(span)
    # The record is not counted as a call of the run; that its usage is known has to be said here, or
    # whoever wraps the run would tell the same totals once more.
    count_call(run, usage.total if usage is not None else None, record.cost)
    current.accountant.submit(record)
    return record.cost
