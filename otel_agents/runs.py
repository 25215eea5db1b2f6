"""One run of an agent, workflow, tool or retrieval: its span, from the first step to the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from otel_agents import messages, runtime, semconv, spans, values
from otel_agents.context import MAX_NAME, NO_SCOPE, SCOPE_KEY, AgentRun, detach, inside_run, scope

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

#: Says "not given" where None is a value.
UNSET: Final[Any] = object()

Content = Callable[[object, int], tuple[str, bool]]

_MAX_YIELDED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What distinguishes agents, workflows, tools and retrievals.

    ``input`` and ``output`` are the attribute and the form of what goes in and comes out.
    """

    operation: str
    span_kind: SpanKind
    name_attributes: tuple[str, ...]
    input: tuple[str, Content]
    output: tuple[str, Content]
    is_agent: bool = False


def _user_message(value: object, limit: int) -> tuple[str, bool]:
    return messages.messages_json(value, "user", limit)


def _assistant_message(value: object, limit: int) -> tuple[str, bool]:
    return messages.messages_json(value, "assistant", limit)


AGENT: Final = Kind(
    operation=semconv.OP_INVOKE_AGENT,
    span_kind=SpanKind.INTERNAL,
    name_attributes=(semconv.AGENT_NAME,),
    input=(semconv.INPUT_MESSAGES, _user_message),
    output=(semconv.OUTPUT_MESSAGES, _assistant_message),
    is_agent=True,
)
WORKFLOW: Final = Kind(
    operation=semconv.OP_INVOKE_WORKFLOW,
    span_kind=SpanKind.INTERNAL,
    # Conventions 0.1.0 name workflows in gen_ai.agent.name; readers of earlier ones look at the other.
    name_attributes=(semconv.AGENT_NAME, semconv.WORKFLOW_NAME),
    input=(semconv.INPUT_MESSAGES, _user_message),
    output=(semconv.OUTPUT_MESSAGES, _assistant_message),
    is_agent=True,
)
TOOL: Final = Kind(
    operation=semconv.OP_EXECUTE_TOOL,
    span_kind=SpanKind.INTERNAL,
    name_attributes=(semconv.TOOL_NAME,),
    input=(semconv.TOOL_CALL_ARGUMENTS, values.bounded_json),
    output=(semconv.TOOL_CALL_RESULT, values.bounded_json),
)
RETRIEVAL: Final = Kind(
    operation=semconv.OP_RETRIEVAL,
    span_kind=SpanKind.CLIENT,
    name_attributes=(semconv.DATA_SOURCE_ID,),
    input=(semconv.RETRIEVAL_QUERY, values.bounded_text),
    output=(semconv.RETRIEVAL_DOCUMENTS, messages.documents_json),
)


class Blueprint:
    """What all runs of one decorated function have in common; made once, redacted once."""

    __slots__ = ("_given", "_made", "capture_input", "capture_output", "kind", "name", "tool_type")

    def __init__(
        self,
        kind: Kind,
        name: str,
        attributes: Mapping[str, object],
        capture_input: bool | None = None,
        capture_output: bool | None = None,
        tool_type: str | None = None,
    ) -> None:
        self.kind = kind
        self.tool_type = tool_type
        self.name = name
        self.capture_input = capture_input
        self.capture_output = capture_output
        self._given = attributes
        self._made: tuple[object, str, dict[str, AttributeValue]] | None = None

    def span(self, current: runtime.Runtime) -> tuple[str, dict[str, AttributeValue]]:
        """Name and first attributes of the span, under the redaction policy in force."""
        made = self._made
        redactor = current.redactor
        if made is None or made[0] is not redactor:
            made = self._made = (redactor, *self._make(current))
        return made[1], made[2]

    def _make(self, current: runtime.Runtime) -> tuple[str, dict[str, AttributeValue]]:
        kind = self.kind
        attributes: dict[str, AttributeValue] = {semconv.OPERATION_NAME: kind.operation}
        if self.name:
            attributes.update(dict.fromkeys(kind.name_attributes, self.name))
        if self.tool_type:
            attributes[semconv.TOOL_TYPE] = self.tool_type
        attributes.update(values.attributes_of(self._given, current.settings.max_value_chars))
        attributes = current.redactor.attributes(attributes)
        self.name = current.redactor.text(self.name)
        return f"{kind.operation} {self.name}".rstrip(), attributes


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
        "_outer",
        "_output",
        "_started",
        "_token",
        "span",
    )

    def __init__(self, blueprint: Blueprint, arguments: Callable[[], object] | None = None) -> None:
        self._blueprint = blueprint
        self._arguments = arguments
        self._agent_run: AgentRun | None = None
        self._context: Context | None = None
        self._ended = False
        self._error_type: str | None = None
        self._outer = NO_SCOPE
        self._output: Collected | None = None
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
                given = values.attributes_of(attributes, spans.content_limit())
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
            if isinstance(error, BaseException):
                self._error_type = spans.record_error(self.span, error)
            else:
                self._error_type = "_OTHER"
                redacted = runtime.current().redactor.text(values.to_text(error, 4096))
                self.span.set_status(Status(StatusCode.ERROR, redacted))
            if error_type:
                self._error_type = values.to_text(error_type, MAX_NAME)
            self.span.set_attribute(semconv.ERROR_TYPE, self._error_type)
        except Exception:
            spans.note("record an error")
        return self

    # --- for whoever runs it (see wrapping.Watcher) ----------------------------------------------

    def start(self) -> None:
        """Starts the span and makes it current."""
        try:
            blueprint = self._blueprint
            kind = blueprint.kind
            parent = otel_context.get_current()
            outer = self._outer = scope(parent)
            name, attributes = blueprint.span(runtime.current())
            self.span = spans.start_span(name, kind=kind.span_kind, attributes=attributes, context=parent)
            inside = trace.set_span_in_context(self.span, parent)
            if kind.is_agent:
                self._agent_run = AgentRun(blueprint.name, outer.run)
                inside = otel_context.set_value(SCOPE_KEY, inside_run(outer, self._agent_run), inside)
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
                if spans.is_failure(error):
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
        try:
            self.suspend()
        finally:
            spans.end_span(self.span)
        if self._context is not None:
            try:
                self._count(time.perf_counter() - self._started)
            except Exception:
                spans.note("count a run")

    # --- inside --------------------------------------------------------------------------------

    def _set(self, content: tuple[str, Content], value: object) -> None:
        if not self.span.is_recording():
            return
        name, form = content
        text, truncated = form(value, spans.content_limit())
        spans.set_attributes(self.span, {name: text})
        if truncated:
            self.span.set_attribute(semconv.CAPTURE_TRUNCATED, True)

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


class Collected:
    """What a generator has yielded, at most ``limit`` characters of it: text joined, anything else a list."""

    __slots__ = ("_room", "_texts", "_yielded", "cut", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cut = False
        self._room = limit
        self._texts = True
        self._yielded: list[str] = []  # text, or JSON once something else than text has come

    def add(self, item: object) -> None:
        """Keeps ``item`` as it is now; it may change later."""
        if self._room <= 0 or len(self._yielded) >= _MAX_YIELDED:
            self.cut = True
            return
        if type(item) is str and self._texts:
            self.cut = len(item) > self._room
            part = item[: self._room]
        else:
            if self._texts:
                self._texts = False
                self._yielded = [values.to_json(one, len(one)) for one in self._yielded]
            part, self.cut = values.bounded_json(item, self._room)
        self._yielded.append(part)
        self._room -= len(part)

    def value(self) -> object:
        """The text, or the list of values."""
        if self._texts:
            return "".join(self._yielded)
        return [msgspec.json.decode(part) for part in self._yielded]
