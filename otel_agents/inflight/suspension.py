"""``suspend()`` and ``resume(token)``: one run, begun in one process and ended in another."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace

from otel_agents import runtime, semconv
from otel_agents.export import roots
from otel_agents.export.ids import going_on
from otel_agents.inflight import tokens
from otel_agents.inflight.tokens import BadToken, Part, Suspended
from otel_agents.tracing import spans
from otel_agents.tracing.kinds import AGENT, WORKFLOW, Blueprint
from otel_agents.tracing.runs import Run
from otel_agents.tracing.scopes import SCOPE_KEY, AgentRun, Scope, agent_run, detach, inside_run, scope

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.observer.executions import Execution

logger = logging.getLogger(__name__)


def suspend() -> str:
    """Has the agents and workflows that run here ended by another process, which gets the token.

    Their blocks are to be left soon, in whatever way: no span of them is exported and nothing is counted
    here, also when an exception leaves them. What they did so far (model calls, tools, agents that
    have ended) is exported as always. They are seen once somebody calls :func:`resume` with the token and
    leaves that block; until then their children wait for their parent.

    Returns:
        The token: text of some hundred characters, more with captured content. Empty outside of a run.
    """
    try:
        runs = _running()
        if not runs:
            logger.warning("otel-agents: suspend() was called outside of an agent or workflow")
            return ""
        around = runs[0].outer
        parts = [_part(run) for run in runs]
        for part in parts:
            if _TASK_ID in part.attributes:
                part.is_task = True  # an execution of the observer's, which would have counted itself
                part.told = _told(part.span)
                break
        inside = {key: value for key, value in around.attributes.items() if key != semconv.AGENT_NAME}
        trace_id = runs[0].span.get_span_context().trace_id
        return tokens.written(Suspended(trace_id, time.time_ns(), inside, dict(around.labels), parts))
    except Exception:
        logger.warning("otel-agents: a run could not be suspended", exc_info=True)
        return ""


class resume:
    """Goes on with what :func:`suspend` gave the token for: a block around the rest of the run.

    The run's span has the ids and the start that it had, and ends with the block, so it is one span from
    the first start to the last end; ``otel_agents.suspended.seconds`` says for how much of that it was
    suspended. The metric of its duration counts the time that it worked. A token is for one resumption; a
    run that is suspended again gives another one. With a bad token the block runs without a span.

    Gives the innermost run, as ``with agent(...) as run`` does; if that is a task's, what
    ``trace_agent_execution`` gives. Works with ``async with`` too.
    """

    def __init__(self, token: str) -> None:
        self._runs: list[Run] = []
        self._execution: tuple[Run, Execution] | None = None
        self._token: Any = None
        self._suspended: Suspended | None = None
        try:
            self._suspended = tokens.read(token)
        except BadToken as error:
            logger.warning("otel-agents: nothing is resumed: %s", error)

    def __enter__(self) -> Run | Execution:
        found = self._suspended
        if found is None:
            return Run(Blueprint(AGENT, "", {}))
        try:
            around = otel_context.get_current()
            inside = Scope(found.attributes, found.labels, None)
            here = trace.set_span_in_context(trace.INVALID_SPAN, around)
            self._token = otel_context.attach(otel_context.set_value(SCOPE_KEY, inside, here))
            for part in found.parts:
                run = _Resumed(part, found)
                run.start()
                self._runs.append(run)
                if run.task_id:
                    self._execution = run, _taken_up(run)
        except Exception:
            spans.note("resume a run")
        if self._runs and self._execution is not None and self._execution[0] is self._runs[-1]:
            return self._execution[1]
        return self._runs[-1] if self._runs else Run(Blueprint(AGENT, "", {}))

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runs, self._runs = self._runs, []
        execution, self._execution = self._execution, None
        for run in reversed(runs):
            if execution is not None and execution[0] is run:
                execution[1].wind_up(exc)
            if exc is None:
                run.end()
            else:
                run.fail(exc)
        token, self._token = self._token, None
        if token is not None:
            detach(token)

    async def __aenter__(self) -> Run | Execution:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)


def _running() -> list[Run]:
    """Agents and workflows that run in the current context, the outermost first."""
    found: list[Run] = []
    account = agent_run()
    while account is not None:
        if account.owner is not None:
            found.insert(0, account.owner)
        account = account.parent
    return found


def _part(run: Run) -> Part:
    """Takes a run out of this process's hands."""
    span, account = run.span, run.agent_run
    active = run.pass_on()
    identity = span.get_span_context().span_id
    attributes: dict[str, Any] = dict(getattr(span, "attributes", None) or {})
    pipeline = runtime.current().pipeline
    if pipeline is not None:
        attributes.update(pipeline.deferred(identity))
        pipeline.withhold(identity)
    paused = attributes.pop(semconv.SUSPENDED_SECONDS, 0.0)
    parent = getattr(span, "parent", None)
    if span.is_recording():
        span.set_attribute(semconv.SUSPENDED, True)
    return Part(
        operation=run.blueprint.kind.operation,
        name=run.blueprint.name,
        span_name=getattr(span, "name", ""),
        span=identity,
        parent=parent.span_id if parent is not None else 0,
        start=getattr(span, "start_time", None) or time.time_ns(),
        active=active,
        paused=float(paused),
        attributes=attributes,
        calls=(account.inference_calls, account.tool_calls) if account is not None else (0, 0),
        is_task=account is not None and account.is_task,
        counted={name: getattr(account.counted, name) for name in _COUNTED} if account is not None else {},
    )


_TASK_ID: Final = semconv.METADATA_PREFIX + "task_id"
_COUNTED: Final = ("used", "tokens", "priced", "cost", "unpriced")


class _Resumed(Run):
    """A run whose span goes on."""

    __slots__ = ("_part", "_suspended")

    def __init__(self, part: Part, suspended: Suspended) -> None:
        kind = WORKFLOW if part.operation == WORKFLOW.operation else AGENT
        super().__init__(Blueprint(kind, part.name, {}))
        self._part = part
        self._suspended = suspended

    def start(self) -> None:
        part, found = self._part, self._suspended
        around = otel_context.get_current()
        outer = self._outer = scope(around)
        paused = part.paused + max(time.time_ns() - found.at, 0) / 1e9
        attributes: Mapping[str, Any] = {**part.attributes, semconv.SUSPENDED_SECONDS: round(paused, 3)}
        with going_on(found.trace, part.span):
            self.span = spans.start_span(
                part.span_name,
                kind=self._blueprint.kind.span_kind,
                attributes=attributes,
                context=_below(around, found.trace, part.parent),
                start_time=part.start,
            )
        pipeline = runtime.current().pipeline
        if pipeline is not None:
            pipeline.take_up(self.span.get_span_context().span_id)
        account = self._agent_run = AgentRun(part.name, outer.run)
        account.owner = self
        account.is_task = part.is_task
        account.inference_calls, account.tool_calls = part.calls
        for name in _COUNTED:
            setattr(account.counted, name, part.counted.get(name, 0))
        inside = trace.set_span_in_context(self.span, around)
        self._context = otel_context.set_value(SCOPE_KEY, inside_run(outer, account), inside)
        self._started = time.perf_counter() - part.active
        self._token = otel_context.attach(self._context)

    @property
    def task_id(self) -> str:
        """Of the execution that it is; empty for others."""
        return str(self._part.attributes.get(_TASK_ID, "")) if self._part.is_task else ""

    @property
    def part(self) -> Part:
        """What it goes on from."""
        return self._part


def _told(identity: int) -> Mapping[str, Any]:
    """What the app has said that the execution used whose span this is."""
    from otel_agents.observer import registry

    execution = registry.current()
    while execution is not None and execution.span.get_span_context().span_id != identity:
        execution = execution.outer
    return asdict(execution.told) if execution is not None else {}


def _taken_up(run: _Resumed) -> Execution:
    """The execution whose run this is."""
    from otel_agents.accounting import Usage
    from otel_agents.observer.executions import Execution
    from otel_agents.observer.totals import Totals

    told = Totals(**run.part.told)
    if isinstance(told.usage, Mapping):
        told.usage = Usage(**told.usage)
    execution = Execution(run.task_id, run.part.name)
    execution.take_up(run, run.part.start, told)
    return execution


def _below(around: Context, trace_id: int, parent: int) -> Context:
    """The context that the span had its parent in, or one that says the same of a parent elsewhere."""
    if trace.get_current_span(around).get_span_context().span_id == parent:
        return around
    if not parent:
        return trace.set_span_in_context(trace.INVALID_SPAN, around)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    elsewhere = trace.SpanContext(trace_id, parent, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(roots.stand_in(elsewhere), around)
