"""The agent's own OpenTelemetry, joined to our trace and counted once.

The agent exports to a receiver of this run (:mod:`otel_agents.cli_agents.receiver`), so whatever arrives
there belongs to it: Claude Code and Codex take our trace from ``TRACEPARENT`` besides, Gemini CLI says its
session, Copilot nothing; the traces of these two are linked. When the run is over, the agent's model calls
and tools go on under our run, if they account for all that the agent says it used. Otherwise its totals
are counted, and none of its calls.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_agents import accounting, runtime, semconv
from otel_agents.cli_agents.arrived import Foreign, Story
from otel_agents.cli_agents.environment import CAPTURE
from otel_agents.cli_agents.receiver import Receiver
from otel_agents.privacy import captures
from otel_agents.tracing import spans
from otel_agents.tracing.scopes import attributes as inherited
from otel_agents.tracing.scopes import scope

if TYPE_CHECKING:
    from otel_agents.accounting import Usage
    from otel_agents.cli_agents.definitions import Definition
    from otel_agents.cli_agents.reading import Reading
    from otel_agents.tracing.runs import Run

#: Of an agent's attributes, those that say something about the operation and not about its program.
_KEPT: Final = (
    "gen_ai.", "error.", "server.", "session.id", "otel_agents.", "github.copilot.", "process.exit.code",
    "process.executable.name", "query_source", "speed", "attempt", "agent_id",
)  # fmt: skip
_CONTENT: Final = (
    semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS,
    semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT, semconv.TOOL_DESCRIPTION,
)  # fmt: skip
_USAGE: Final = "gen_ai.usage."
#: Seconds for the metrics of an agent to be passed on to the Collector.
_FORWARD_TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was taken over.

    Attributes:
        calls: model calls that were counted; 0 leaves it to the totals.
        tools: ids of tool calls that have a span.
        usage: of the calls.
        cost: US dollars, of the calls; None when one has no price.
        model: of most calls.
        session: the agent's own id of the conversation.
    """

    calls: int = 0
    tools: frozenset[str] = frozenset()
    usage: Usage | None = None
    cost: float | None = None
    model: str | None = None
    session: str | None = None


class Joined:
    """The receiver of one run, and what becomes of what it gets."""

    __slots__ = ("_definition", "_lock", "_receiver", "_run", "_story")

    def __init__(self, definition: Definition, run: Run) -> None:
        self._definition = definition
        self._run = run
        self._story = Story()
        self._lock = threading.Lock()
        self._receiver = Receiver(self._take)

    @classmethod
    def begin(cls, definition: Definition, run: Run) -> Joined | None:
        """Starts to listen; None where nothing could be done with what arrives.

        Raises:
            OSError: there is no port to be had.
        """
        tracer = runtime.current().tracer()
        return cls(definition, run) if getattr(tracer, "span_processor", None) is not None else None

    def env(self) -> dict[str, str]:
        """Variables that have the agent export to the receiver."""
        url, content = self._receiver.url, captures(runtime.current().settings, "explicit")
        match self._definition.dialect:
            case "claude_code":
                made = {
                    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
                    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
                    "OTEL_TRACES_EXPORTER": "otlp",
                    "OTEL_LOGS_EXPORTER": "otlp",
                    "OTEL_METRICS_EXPORTER": "otlp",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                    "OTEL_TRACES_EXPORT_INTERVAL": "1000",
                    "OTEL_LOGS_EXPORT_INTERVAL": "1000",
                    "OTEL_METRIC_EXPORT_INTERVAL": "10000",
                }
                if content:
                    made |= {"OTEL_LOG_USER_PROMPTS": "1", "OTEL_LOG_TOOL_DETAILS": "1"}
                return made
            case "gemini_cli":
                return {
                    "GEMINI_TELEMETRY_ENABLED": "true",
                    "GEMINI_TELEMETRY_TRACES_ENABLED": "true",
                    "GEMINI_TELEMETRY_TARGET": "local",
                    "GEMINI_TELEMETRY_USE_COLLECTOR": "true",
                    "GEMINI_TELEMETRY_OTLP_ENDPOINT": url,
                    "GEMINI_TELEMETRY_OTLP_PROTOCOL": "http",
                    "GEMINI_TELEMETRY_LOG_PROMPTS": "true" if content else "false",
                }
            case "copilot":
                made = {
                    "COPILOT_OTEL_ENABLED": "true",
                    "COPILOT_OTEL_EXPORTER_TYPE": "otlp-http",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                }
                return {**made, CAPTURE: "true"} if content else made
        return {}

    def words(self) -> list[str]:
        """Options that have the agent export to the receiver; Codex reads no variables for that."""
        if self._definition.dialect != "codex":
            return []
        made: list[str] = []
        names = (("exporter", "logs"), ("trace_exporter", "traces"), ("metrics_exporter", "metrics"))
        for key, signal in names:
            endpoint = f'{{endpoint="{self._receiver.url}/v1/{signal}",protocol="json"}}'
            made += ["-c", f"otel.{key}={{otlp-http={endpoint}}}"]
        content = captures(runtime.current().settings, "explicit")
        return [*made, "-c", f"otel.log_user_prompt={'true' if content else 'false'}"]

    def close(self) -> None:
        """Stops listening."""
        self._receiver.close(patience=0.0)

    def finish(self, reading: Reading) -> Arrived:
        """Stops listening, decides what counts, and passes on what is useful. May raise."""
        self._receiver.close()
        found = self._story.useful(self._definition.dialect or "")
        calls = [one for one in found if one.operation in semconv.INFERENCE_OPERATIONS]
        counted = [one.usage for one in calls if one.usage is not None]
        usage = sum(counted[1:], counted[0]) if counted else None
        complete = usage is not None and (reading.usage is None or usage.total >= reading.usage.total)
        if not complete:  # an export was lost, or says no usage: the totals are right, so no call counts
            found = [one for one in found if one.operation not in semconv.INFERENCE_OPERATIONS]
            calls = []
        for name, told in reading.models.items():
            of_model = [one for one in calls if one.attributes.get(semconv.REQUEST_MODEL) == name]
            _share_cost(of_model, told.cost)
        _share_cost(calls, reading.cost)
        return self._pass_on(found, calls, usage if complete else None, reading)

    def _take(self, request: Mapping[str, Any]) -> None:
        with self._lock:
            self._story.take(request)
        if "resourceMetrics" in request:
            forward(request, format(self._run.span.get_span_context().span_id, "016x"))

    def _pass_on(
        self, found: list[Foreign], calls: list[Foreign], usage: Usage | None, reading: Reading
    ) -> Arrived:
        top = {one.id for one in found if one.operation == semconv.OP_INVOKE_AGENT and not self._inside(one)}
        kept = {one.id: one for one in found if one.id not in top}
        self._link(found)
        costs: list[float | None] = []
        for one in kept.values():
            parent = next((above.id for above in self._story.above(one) if above.id in kept), None)
            if one in calls:
                costs.append(self._call(one, parent))
            else:
                self._other(one, parent)
        known = [cost for cost in costs if cost is not None]
        models = [str(one.attributes.get(semconv.REQUEST_MODEL) or "") for one in calls]
        tools = [one for one in kept.values() if one.operation == semconv.OP_EXECUTE_TOOL]
        ids = {str(one.attributes.get(semconv.TOOL_CALL_ID) or "") for one in tools}
        if len(tools) >= len(reading.tool_calls):  # some outputs have no ids
            ids |= {call.id for call in reading.tool_calls}
        return Arrived(
            calls=len(calls),
            tools=frozenset(ids),
            usage=usage,
            cost=sum(known) if known and len(known) == len(costs) else None,
            model=max(models, key=models.count, default="") or None,
            session=self._story.session(),
        )

    def _inside(self, one: Foreign) -> bool:
        """Whether an agent is a sub-agent: another one, or a tool, is around it."""
        around = (semconv.OP_INVOKE_AGENT, semconv.OP_EXECUTE_TOOL)
        return any(above.operation in around for above in self._story.above(one))

    def _link(self, found: list[Foreign]) -> None:
        """Links to traces that the agent began by itself, for whoever has them from elsewhere."""
        ours = self._run.span.get_span_context()
        seen: set[str] = {format(ours.trace_id, "032x")}
        for one in found:
            if one.trace not in seen and len(one.trace) == 32 and len(seen) <= 20:
                seen.add(one.trace)
                with contextlib.suppress(ValueError):
                    context = SpanContext(int(one.trace, 16), int(one.id, 16), True, TraceFlags(1))
                    self._run.span.add_link(context, {"otel_agents.link": "agent_trace"})

    def _call(self, one: Foreign, parent: str | None) -> float | None:
        given = one.attributes
        run = scope(self._run.context).run
        model, answered = given.get(semconv.REQUEST_MODEL), given.get(semconv.RESPONSE_MODEL)
        record = accounting.CallRecord(
            operation=one.operation,
            provider=str(given.get(semconv.PROVIDER_NAME) or self._definition.provider),
            request_model=str(model) if model else None,
            response_model=str(answered) if answered else None,
            usage=one.usage,
            error_type=str(given.get(semconv.ERROR_TYPE) or "_OTHER") if one.error else None,
            duration=(one.end - one.start) / 1e9,
            agent_name=run.name if run is not None else None,
            labels=scope(self._run.context).labels,
            cost=one.cost,
        )
        first = given.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK)
        if isinstance(first, (int, float)):
            record.time_to_first_chunk, record.stream = float(first), True
        accounting.price(record)
        attributes = {key: value for key, value in given.items() if not key.startswith(_USAGE)}
        attributes |= {semconv.PROVIDER_NAME: record.provider, **accounting.span_attributes(record)}
        context = self._emit(one, parent, attributes, SpanKind.CLIENT)
        record.context = trace.set_span_in_context(trace.NonRecordingSpan(context), self._run.context)
        if run is not None:
            run.inference_calls += 1
        runtime.current().accountant.submit(record)
        return record.cost

    def _other(self, one: Foreign, parent: str | None) -> None:
        context = self._emit(one, parent, one.attributes, SpanKind.INTERNAL)
        run = scope(self._run.context).run
        if one.operation != semconv.OP_EXECUTE_TOOL:
            return
        if run is not None:
            run.tool_calls += 1
        redact = runtime.current().redactor.text
        runtime.current().instruments.record_tool(
            redact(str(one.attributes.get(semconv.TOOL_NAME) or one.name)),
            run.name if run is not None else None,
            "function",
            (one.end - one.start) / 1e9,
            str(one.attributes.get(semconv.ERROR_TYPE) or "_OTHER") if one.error else None,
            scope(self._run.context).labels,
            trace.set_span_in_context(trace.NonRecordingSpan(context), self._run.context),
        )

    def _emit(
        self, one: Foreign, parent: str | None, given: Mapping[str, Any], kind: SpanKind
    ) -> SpanContext:
        """A copy of the agent's span in our trace, under its own id, through whatever exports ours."""
        current = runtime.current()
        ours = self._run.span.get_span_context()
        context = SpanContext(ours.trace_id, int(one.id, 16), False, ours.trace_flags)
        above = SpanContext(ours.trace_id, int(parent, 16), False, ours.trace_flags) if parent else ours
        content = captures(current.settings, "explicit")
        attributes = {
            key: value
            for key, value in given.items()
            if key.startswith(_KEPT) and (content or key not in _CONTENT)
        }
        around = dict(inherited(self._run.context))
        if one.operation == semconv.OP_INVOKE_AGENT:  # a sub-agent has its own name
            around.pop(semconv.AGENT_NAME, None)
        attributes = current.redactor.attributes({**attributes, **around})
        tracer: Any = current.tracer()
        span = ReadableSpan(
            name=_name(one, attributes),
            context=context,
            parent=above,
            resource=tracer.resource,
            attributes=attributes,
            kind=kind,
            status=Status(StatusCode.ERROR, current.redactor.text(one.error)) if one.error else Status(),
            start_time=one.start,
            end_time=one.end,
            instrumentation_scope=InstrumentationScope(one.scope, one.version or None),
        )
        if ours.trace_flags.sampled:
            tracer.span_processor.on_end(span)
        return context


def _name(one: Foreign, attributes: Mapping[str, Any]) -> str:
    what = {
        semconv.OP_EXECUTE_TOOL: semconv.TOOL_NAME,
        semconv.OP_INVOKE_AGENT: semconv.AGENT_NAME,
    }.get(one.operation, semconv.REQUEST_MODEL)
    return f"{one.operation} {attributes.get(what) or ''}".rstrip()


def _share_cost(calls: list[Foreign], total: float | None) -> None:
    """Gives calls without a cost what is left of a total that the agent says, by their tokens."""
    bare = [one for one in calls if one.cost is None and one.usage is not None]
    if total is None or not bare:
        return
    left = max(total - sum(one.cost for one in calls if one.cost is not None), 0.0)
    tokens = sum(one.usage.total for one in bare if one.usage is not None)
    for one in bare:
        part = one.usage.total / tokens if one.usage is not None and tokens else 1 / len(bare)
        one.cost = left * part


def forward(request: Mapping[str, Any], instance: str) -> None:
    """Passes an agent's metrics on to the Collector, which normalises them. Never raises.

    Args:
        instance: of the agent's process, where it does not say one itself.
    """
    try:
        settings = runtime.current().settings
        otlp = settings.otlp("metrics") if settings.mode == "collector" else None
        if otlp is None or otlp.protocol == "grpc" or settings.metrics_exporter != "otlp":
            return
        body = json.dumps(own_metrics(request, instance)).encode()
        headers = {"Content-Type": "application/json", **otlp.headers}
        sent = urllib.request.Request(otlp.endpoint, data=body, headers=headers)
        with urllib.request.urlopen(sent, timeout=_FORWARD_TIMEOUT):
            pass
    except Exception:
        spans.note("pass an agent's metrics on")


def own_metrics(request: Mapping[str, Any], instance: str) -> dict[str, Any]:
    """The request without metrics of the GenAI conventions, since its calls are counted by us.

    Processes that send what was added, and do not say which one they are, would be taken for one.
    """
    resources = []
    for resource in request.get("resourceMetrics", ()):
        scopes = []
        for scoped in resource.get("scopeMetrics", ()):
            metrics = [
                one for one in scoped.get("metrics", ()) if not str(one.get("name")).startswith("gen_ai.")
            ]
            if metrics:
                scopes.append({**scoped, "metrics": metrics})
        if scopes:
            said = resource.get("resource") or {}
            given = list(said.get("attributes") or ())
            if not any(one.get("key") in (semconv.SERVICE_INSTANCE_ID, semconv.SESSION_ID) for one in given):
                given.append({"key": semconv.SERVICE_INSTANCE_ID, "value": {"stringValue": instance}})
            resources.append({**resource, "resource": {**said, "attributes": given}, "scopeMetrics": scopes})
    return {"resourceMetrics": resources}
