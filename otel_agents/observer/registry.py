"""Which tasks this process knows, and where in which trace what is said about a task belongs."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, TraceFlags

from otel_agents import runtime
from otel_agents.export import roots
from otel_agents.export.ids import follows_tasks, starting, trace_id_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_agents.observer.executions import Execution

#: Context key of the execution that runs.
EXECUTION: Final = otel_context.create_key("otel-agents-execution")

#: Tasks that are remembered, so that what comes after their end finds them.
_LIMIT: Final = 10_000
_ATTEMPTS: Final = 20


@dataclass(slots=True)
class Known:
    """A task that ran, or runs, in this process.

    Attributes:
        at: stands for the span of its latest execution.
        running: that execution, until it ends.
        attempts: what came of earlier ones, and what was told of attempts; the latest 20.
        told: how many attempts there were.
        unexplained: the last of them is an execution that has failed, of which nothing more was told yet.
    """

    at: Span
    running: Execution | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    told: int = 0
    unexplained: bool = False

    def failed(self, agent: str | None, error: str, observation_id: str) -> None:
        """Remembers an execution that failed, which is an attempt of its own."""
        self._add({"agent": agent, "status": "error", "error": error, "observation_id": observation_id})
        self.unexplained = True

    def add_attempt(self, attempt: dict[str, Any]) -> bool:
        """Remembers what is told of an attempt; False when it is the execution that has just failed."""
        if self.unexplained and self.running is None:
            self.unexplained = False
            self.attempts = [*self.attempts[:-1], {**self.attempts[-1], **attempt}]
            return False
        self._add(attempt)
        return True

    def _add(self, attempt: dict[str, Any]) -> None:
        self.told += 1
        self.attempts = [*self.attempts, attempt][-_ATTEMPTS:]


_known: OrderedDict[str, Known] = OrderedDict()
#: Attempts told of tasks of which no execution has begun in this process.
_early: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
_lock = threading.Lock()


def current(context: Context | None = None) -> Execution | None:
    """The innermost execution that runs in a context (None: the current one)."""
    return (otel_context.get_current() if context is None else context).get(EXECUTION)  # type: ignore[return-value]


def known(task_id: str | None) -> Known | None:
    """What this process knows of a task."""
    return _known.get(task_id) if task_id else None


def begun(task_id: str, execution: Execution) -> Known:
    """Notes that an execution of a task has started. Executions inside of one are steps of it."""
    at = roots.stand_in(execution.span.get_span_context())
    with _lock:
        found = _known.get(task_id)
        if found is None:
            early = _early.pop(task_id, [])
            found = _known[task_id] = Known(at, execution, early, len(early))
            while len(_known) > _LIMIT:
                _known.popitem(last=False)
        elif found.running is None or execution.outer is None:
            found.at, found.running = at, execution
            _known.move_to_end(task_id)
    return found


def ended(task_id: str, execution: Execution) -> None:
    """Notes that an execution has ended."""
    found = _known.get(task_id)
    if found is not None and found.running is execution:
        found.running = None


def early_attempts(task_id: str | None) -> int:
    """How many attempts at a task were told before an execution of it began here; the latest 20 count."""
    return len(_early.get(task_id, ())) if task_id else 0


def add_early_attempt(task_id: str, attempt: dict[str, Any]) -> None:
    """Remembers an attempt at a task that this process may yet execute."""
    with _lock:
        _early[task_id] = [*_early.get(task_id, ()), attempt][-_ATTEMPTS:]
        _early.move_to_end(task_id)
        while len(_early) > _LIMIT:
            _early.popitem(last=False)


def concerned(task_id: str | None) -> Execution | None:
    """The running execution that something said about a task is about.

    That of the task; without a task id, or when the task is not known here, the current one if it is
    not plainly another task's.
    """
    found = known(task_id)
    if found is not None and found.running is not None:
        return found.running
    around = current()
    if around is None or (task_id and around.task_id not in (None, task_id)):
        return None
    return around


@contextlib.contextmanager
def placed(task_id: str | None) -> Iterator[Context]:
    """The context in which something about a task is to be told.

    The current span's trace; else below the task's latest execution, if that was in this process; else
    the trace that follows from the task's id; without a task id, a trace of its own.
    """
    now = otel_context.get_current()
    if trace.get_current_span(now).get_span_context().is_valid or not task_id:
        yield now
        return
    found = known(task_id)
    if found is not None:
        yield trace.set_span_in_context(found.at, now)
        return
    with starting(trace_id_of(task_id)):
        yield now


def derived() -> bool:
    """Whether a trace that is started now for a task gets the trace id that follows from the task's id."""
    return follows_tasks(runtime.current().tracer())


def link_to(task_id: str) -> Link:
    """Links to the trace that a task would have under our ids; for providers that have their own."""
    trace_id = trace_id_of(task_id)
    made = SpanContext(
        trace_id, trace_id & (1 << 64) - 1 or 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.DEFAULT)
    )
    return Link(made, {"otel_agents.task_id": task_id})


def scored(task_id: str | None, told: Span) -> tuple[SpanContext, bool] | None:
    """What a score of a task is about: a span, and whether its whole trace is meant.

    The task's execution where it is known; else the execution that runs; else, for a task that is known
    elsewhere, the trace that follows from its id; else what is current.

    Args:
        told: the event that tells of the score.
    """
    if (execution := concerned(task_id)) is not None:
        return execution.span.get_span_context(), False
    found = known(task_id)
    if found is not None:
        return found.at.get_span_context(), False
    told_at = told.get_span_context()
    if task_id and follows_tasks(runtime.current().tracer()):
        trace_id = trace_id_of(task_id)
        flags = told_at.trace_flags if told_at.trace_id == trace_id else TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(trace_id, told_at.span_id, is_remote=True, trace_flags=flags), True
    now = trace.get_current_span().get_span_context()
    if now.is_valid:
        return now, False
    return (told_at, True) if told_at.is_valid else None


def forget() -> None:
    """Forgets every task; for tests."""
    with _lock:
        _known.clear()
        _early.clear()
