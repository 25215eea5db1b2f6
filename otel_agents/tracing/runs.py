"""One run of an agent, workflow, tool or retrieval: its span, from the first step to the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span

from otel_agents import metrics, runtime, semconv
from otel_agents.budgets import gate
from otel_agents.export import roots
from otel_agents.tracing import spans
from otel_agents.tracing.kinds import TOOL, Blueprint, Content
from otel_agents.tracing.scopes import NO_SCOPE, SCOPE_KEY, AgentRun, Scope, detach, inside_run, scope
from otel_agents.tracing.yielded import Collected
from otel_agents.values.attributes import attributes_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

#: Says "not given" where None is a value.
UNSET: Final[Any] = object()


class Run:
    """A running operation, as ``with agent("name") as run`` gives it.

    Attributes:
        span: its OpenTelemetry span.
    """

    __slots__ = (
        "_agent_run",
        "_arguments",
        "_blueprint",
        "_context",
        "_ended",
        "_error_type",
        "_links",
        "_outer",
        "_output",
        "_passed_on",
        "_started",
        "_token",
        "span",
    )

    def __init__(
        self,
        blueprint: Blueprint,
        arguments: Callable[[], object] | None = None,
        links: Sequence[Link] = (),
    ) -> None:
        self._blueprint = blueprint
        self._arguments = arguments
        self._links = links
        self._agent_run: AgentRun | None = None
        self._context: Context | None = None
        self._ended = False
        self._error_type: str | None = None
        self._outer = NO_SCOPE
        self._output: Collected | None = None
        self._passed_on = False
        self._started = 0.0
        self._token: object = None
        self.span: Span = trace.INVALID_SPAN

    # --- for users -----------------------------------------------------------------------------

    def update(
        self,
        *,
        input: object = UNSET,
        output: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> Run:
        """Puts what the operation was given and what it made of it on its span. Never raises.

        Args:
            input: the task, the tool's arguments, the query. Exported unless capture is ``none``.
            output: the answer, the tool's result, the documents. Likewise.
            metadata: shown with the span; anything that is no scalar becomes JSON.
            attributes: further span attributes by their full names.
        """
        try:
            if not self.span.is_recording():
                return self
            if spans.captures_explicit():
                if input is not UNSET:
                    self._set(self._blueprint.kind.input, input)
                if output is not UNSET:
                    self._set(self._blueprint.kind.output, output)
            if metadata:
                spans.set_attributes(self.span, spans.metadata(metadata))
            if attributes:
                given = attributes_of(attributes, spans.content_limit())
                spans.set_attributes(self.span, given)
        except Exception:
            spans.note("update a span")
        return self

    def set_error(self, error: BaseException | str, error_type: str | None = None) -> Run:
        """Marks the operation as failed without an exception leaving the block.

        Args:
            error: what went wrong.
            error_type: a name from a small set, for metrics; by default the exception's type, else
                ``_OTHER``.
        """
        try:
            self._error_type = spans.set_error(self.span, error, error_type)
        except Exception:
            spans.note("record an error")
        return self

    # --- for whoever runs it (see wrapping.Watcher) ----------------------------------------------

    def start(self) -> None:
        """Starts the span and makes it current. Raises what budgets and guards raise, and nothing else."""
        if gate.armed:
            self._come_by()
        try:
            blueprint = self._blueprint
            kind = blueprint.kind
            parent = otel_context.get_current()
            outer = self._outer = scope(parent)
            name, attributes = blueprint.span(runtime.current())
            self.span = spans.start_span(
                name, kind=kind.span_kind, attributes=attributes, context=parent, links=self._links
            )
            inside = trace.set_span_in_context(self.span, parent)
            if kind.is_agent:
                self._agent_run = AgentRun(blueprint.name, outer.run)
                self._agent_run.owner = self
                self._agent_run.is_task = outer.run is None and not roots.known_upstream(parent)
                inside = otel_context.set_value(SCOPE_KEY, inside_run(outer, self._agent_run), inside)
                if gate.armed:
                    inside = gate.guarded(inside, self._agent_run)
            elif kind is TOOL and outer.run is not None:
                outer.run.tool_calls += 1
            self._context = inside
            self._started = time.perf_counter()
            self._token = otel_context.attach(inside)
            arguments, self._arguments = self._arguments, None
            if arguments is not None and spans.captures_arguments(blueprint.capture_input):
                self._set(kind.input, arguments())
        except Exception:
            spans.note("start a run")

    def suspend(self) -> None:
        """Makes the outer context current again, for now."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)

    def resume(self) -> None:
        """Makes the span current again."""
        if self._context is not None and self._token is None and not self._ended:
            self._token = otel_context.attach(self._context)

    def is_current(self) -> bool:
        """Whether this run's context is the current one."""
        return otel_context.get_current() is self._context

    def yielded(self, item: object) -> None:
        """Notes what a generator yielded."""
        try:
            if self._output is None:
                wanted = spans.captures_arguments(self._blueprint.capture_output)
                self._output = Collected(spans.content_limit() if wanted and self.span.is_recording() else 0)
            if self._output.limit:
                self._output.add(item)
        except Exception:
            spans.note("capture a yielded value")

    def finish(self, result: object = None) -> None:
        """Ends the run with what it returned."""
        try:
            if not self._ended:
                self._capture_result(result)
        except Exception:
            spans.note("capture a result")
        self.end()

    def fail(self, error: BaseException) -> None:
        """Ends the run with the exception that left it."""
        try:
            if not self._ended:
                if spans.is_failure(error) and not self._passed_on:
                    self._error_type = spans.record_error(self.span, error)
                if self._output is not None:
                    self._capture_result(None)
        except Exception:
            spans.note("end a failed run")
        self.end()

    def end(self) -> None:
        """Ends the span and counts the run. Calling it again changes nothing."""
        if self._ended:
            return
        self._ended = True
        if self._agent_run is not None:
            self._agent_run.owner = None
        try:
            self.suspend()
        finally:
            spans.end_span(self.span)
        if self._context is not None and not self._passed_on:
            try:
                self._count(time.perf_counter() - self._started)
            except Exception:
                spans.note("count a run")

    def pass_on(self) -> float:
        """Another process ends the run: here it neither fails nor is counted. Answers its seconds so far."""
        self._passed_on = True
        return time.perf_counter() - self._started

    @property
    def passed_on(self) -> bool:
        """Whether another process ends the run."""
        return self._passed_on

    @property
    def blueprint(self) -> Blueprint:
        """What the run has in common with others of its kind."""
        return self._blueprint

    @property
    def outer(self) -> Scope:
        """What was in force around the run when it started."""
        return self._outer

    @property
    def context(self) -> Context | None:
        """The context inside the run; None before it has started."""
        return self._context

    @property
    def agent_run(self) -> AgentRun | None:
        """What agents and workflows count; None for others, and before the start."""
        return self._agent_run

    # --- inside --------------------------------------------------------------------------------

    def _come_by(self) -> None:
        kind, name = self._blueprint.kind, self._blueprint.name
        if kind.is_agent:
            gate.before_run(name)
        elif kind is TOOL:
            gate.before_tool(name, self._arguments)

    def _set(self, content: tuple[str, Content], value: object) -> None:
        if self.span.is_recording():
            name, form = content
            spans.set_content(self.span, name, *form(value, spans.content_limit()))

    def _capture_result(self, result: object) -> None:
        collected = self._output
        if collected is None:
            if spans.captures_arguments(self._blueprint.capture_output):
                self._set(self._blueprint.kind.output, result)
        elif collected.limit:
            self._set(self._blueprint.kind.output, collected.value())
            if collected.cut:
                self.span.set_attribute(semconv.CAPTURE_TRUNCATED, True)

    def _count(self, duration: float) -> None:
        kind, outer = self._blueprint.kind, self._outer
        instruments = runtime.current().instruments
        if self._agent_run is not None:
            instruments.record_agent(
                self._blueprint.name,
                kind.operation,
                duration,
                self._agent_run.inference_calls,
                self._agent_run.tool_calls,
                self._error_type,
                outer.labels,
                self._context,
            )
            if self._agent_run.is_task:
                self._count_task(duration)
        elif kind is TOOL:
            instruments.record_tool(
                self._blueprint.name,
                outer.run.name if outer.run is not None else None,
                self._blueprint.tool_type,
                duration,
                self._error_type,
                outer.labels,
                self._context,
            )

    def _count_task(self, duration: float) -> None:
        """Counts the topmost run as a task, as reports from Langfuse do."""
        instruments = runtime.current().instruments
        labels: dict[str, str | None] = {
            **self._outer.labels,
            semconv.AGENT_NAME: self._blueprint.name,
            "status": "success" if self._error_type is None else "error",
        }
        instruments.count(metrics.TASK_COUNT, 1, labels, self._context)
        instruments.count(metrics.TASK_DURATION, duration, labels, self._context)
        instruments.count(metrics.TASK_ATTEMPTS, 1, labels, self._context)
