"""One execution of a task by an agent: what ``trace_agent_execution`` gives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from otel_agents import metrics, runtime, semconv, values
from otel_agents.budgets.errors import Refused
from otel_agents.export.ids import starting, trace_id_of
from otel_agents.observer import registry
from otel_agents.observer.complaints import complain
from otel_agents.observer.given import About, context_of, described, first_attributes, merged
from otel_agents.observer.state import breaker_state, enabled
from otel_agents.observer.totals import Totals, settle
from otel_agents.tracing import contexts, events, spans
from otel_agents.tracing.kinds import AGENT, Blueprint
from otel_agents.tracing.runs import UNSET, Run

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class Execution:
    """A task that an agent works on, as ``with`` and ``async with`` give it.

    No method raises, but that entering it raises ``BudgetExceeded`` where a budget is told to block.

    Attributes:
        task_id: the task's id as text; None when it has none.
        agent: who works on it.
        outer: the execution that this one is a step of.
        attempts: what was told of attempts while it ran.
    """

    __slots__ = (
        "_about",
        "_failure",
        "_given",
        "_metadata",
        "_run",
        "_started",
        "_switches",
        "_token",
        "_totals",
        "agent",
        "attempts",
        "outer",
        "task_id",
    )

    def __init__(
        self,
        task_id: object = None,
        agent: object = None,
        prompt: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        *,
        session: object = None,
        user: object = None,
        tags: object = None,
        experiment: object = None,
        variant: object = None,
    ) -> None:
        self.task_id = contexts.short_name(task_id) or None
        self.agent = contexts.short_name(agent) or None
        self.outer: Execution | None = None
        self.attempts: list[dict[str, Any]] = []
        self._given: dict[str, object] = {"input": prompt}
        self._metadata: dict[str, Any] = {}
        self._about = About(session, user, tags, experiment, variant)
        self._failure: str | None = None
        self._run: Run | None = None
        self._started = 0
        self._switches = 0
        self._token: object = None
        self._totals = Totals()
        self._merge(metadata)

    # --- for users -----------------------------------------------------------------------------

    @property
    def span(self) -> Span:
        """Its OpenTelemetry span; the invalid one while it does not run, or when nothing is recorded."""
        return self._run.span if self._run is not None else trace.INVALID_SPAN

    @property
    def trace_id(self) -> str:
        """32 hex digits; zeros when nothing is recorded."""
        return format(self.span.get_span_context().trace_id, "032x")

    @property
    def observation_id(self) -> str:
        """16 hex digits, Langfuse's id of the execution; zeros when nothing is recorded."""
        return format(self.span.get_span_context().span_id, "016x")

    def update(
        self,
        *,
        output: object = UNSET,
        tokens: object = None,
        cost: object = None,
        metadata: Mapping[str, object] | None = None,
        input: object = UNSET,
        error: object = None,
        **more: object,
    ) -> Execution:
        """Puts on record what is known by now; as often as there is something new, later words win.

        Before ``with`` is entered it is kept until then. After its end, tokens and cost are still
        counted; all else becomes an event ``task_update``, because an ended span cannot be changed.

        Args:
            output: the answer; anything.
            tokens: a number, the total of input and output; or a mapping such as ``{"input": 450,
                "output": 1073, "cache_read": 200}``; or the ``usage`` of an OpenAI or Anthropic
                response, or a Gemini one's ``usage_metadata``. Model calls that were seen win over it.
            cost: US dollars. Wins over the price table; calls that were seen win over it.
            metadata: anything; what is no scalar becomes JSON. ``model`` and ``provider`` also say whose
                the tokens are when no call was seen.
            input: replaces the prompt.
            error: marks the execution as failed without an exception: an exception, or a text.
            more: further metadata.
        """
        try:
            self._totals.take(tokens, cost)
            given = {"input": input, "output": output}
            self._given.update({name: value for name, value in given.items() if value is not UNSET})
            found = self._merge(metadata, more)
            run = self._run
            if run is None:
                if error is not None:
                    self.set_error(error)
            elif self._over:
                self._update_late({**found, **{k: v for k, v in given.items() if v is not UNSET}})
            else:
                run.update(input=input, output=output, metadata=found)
                self._join_session(found)
                if error is not None:
                    self.set_error(error)
        except Exception:
            spans.note("update an execution")
        return self

    def set_error(self, error: object, error_type: str | None = None) -> Execution:
        """Marks the execution as failed without an exception leaving the block.

        Args:
            error: what went wrong: an exception or a text.
            error_type: a name from a small set, for metrics.
        """
        try:
            if self._run is None:
                self._given["error"] = error
            elif not self._over:
                said = error if isinstance(error, BaseException) else values.to_text(error, 4096)
                self._run.set_error(said, error_type)
                self._failure = said if isinstance(said, str) else type(said).__name__
                spans.set_attributes(self.span, spans.metadata(described(said)))
        except Exception:
            spans.note("record an error")
        return self

    def __enter__(self) -> Execution:
        try:
            if self._run is not None:
                complain("trace_agent_execution gives one execution: enter what it returns only once")
            elif enabled():
                self._start()
        except Refused:
            raise
        except Exception:
            spans.note("start an execution")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        run, token = self._run, self._token
        if run is None or token is None:
            return
        self._token = None
        try:
            if run.passed_on:  # suspended: who resumes it ends it, and counts the task
                registry.ended(self.task_id or "", self)
            else:
                self._finish(run, exc)
        except Exception:
            spans.note("end an execution")
        finally:
            if exc is None:
                run.end()
            else:
                run.fail(exc)
            contexts.detach(token)
        try:
            self._count()
        except Exception:
            spans.note("count an execution")

    async def __aenter__(self) -> Execution:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    # --- for the observer, and for what goes on with a suspended execution ------------------------

    @property
    def told(self) -> Totals:
        """What the app has said of tokens and cost so far."""
        return self._totals

    def take_up(self, run: Run, started: int, told: Totals) -> None:
        """Goes on as the execution whose run another process has begun; to be ended by :meth:`wind_up`.

        Args:
            run: which has started again, in the current context.
            started: when it began at first, nanoseconds since the epoch.
            told: what the app has said of tokens and cost so far.
        """
        self._run, self._started, self._totals = run, started, told
        self._token = otel_context.attach(otel_context.set_value(registry.EXECUTION, self))
        if self.task_id:
            registry.begun(self.task_id, self)

    def wind_up(self, exc: BaseException | None) -> None:
        """What is to be done just before the run of an execution ends that was taken up."""
        run, token = self._run, self._token
        self._token = None
        try:
            if run is not None and run.passed_on:
                registry.ended(self.task_id or "", self)
            elif run is not None:
                self._finish(run, exc)
        except Exception:
            spans.note("end an execution")
        contexts.detach(token)

    def note(self, metadata: Mapping[str, object]) -> None:
        """Puts metadata on the execution's span while it runs."""
        if self._run is not None and not self._over:
            self._metadata.update(metadata)
            self._run.update(metadata=metadata)

    def switched(self, to_agent: str | None) -> None:
        """Notes that the task was handed to another agent."""
        self._switches += 1
        self.note({"agent_switched": "true", "agent_switches": self._switches, "switched_to": to_agent})

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self._run is not None and self._token is None

    def _merge(self, *given: object) -> dict[str, Any]:
        """Takes metadata down, and answers what was new."""
        found = merged(*given)
        self._metadata.update(found)
        self._totals.named(found.get("model"), found.get("provider"))
        return found

    def _start(self) -> None:
        outer_context = otel_context.get_current()
        self.outer = registry.current(outer_context)
        inside = context_of(self.task_id, self._metadata, self._about).within(outer_context)
        inside = otel_context.set_value(registry.EXECUTION, self, inside)
        fresh = not trace.get_current_span(outer_context).get_span_context().is_valid
        seed = trace_id_of(self.task_id) if self.task_id and fresh and registry.derived() else 0
        links = [registry.link_to(self.task_id)] if self.task_id and fresh and not seed else []
        attributes = first_attributes(self.task_id, self._metadata)
        run = self._run = Run(Blueprint(AGENT, self.agent or "", attributes), links=links)
        self._token = otel_context.attach(inside)
        with starting(seed):
            self._start_run(run)
        self._started = getattr(run.span, "start_time", None) or time.time_ns()
        if self.task_id:
            registry.begun(self.task_id, self)
        run.update(input=self._given["input"], output=self._given.get("output", UNSET))
        if (error := self._given.get("error")) is not None:
            self.set_error(error)

    def _start_run(self, run: Run) -> None:
        try:
            run.start()
            if run.agent_run is not None:
                run.agent_run.holds_a_task()
        except Refused:  # a budget that the app has told to block
            token, self._token, self._run = self._token, None, None
            contexts.detach(token)
            raise

    def _join_session(self, found: Mapping[str, object]) -> None:
        """A session that is only known once the agent has answered is that of the execution's span."""
        session = contexts.short_name(found.get("session_id"))
        if session and semconv.SESSION_ID not in contexts.attributes():
            names = (semconv.SESSION_ID, semconv.CONVERSATION_ID)
            spans.set_attributes(self.span, dict.fromkeys(names, session))

    def _finish(self, run: Run, exc: BaseException | None) -> None:
        """What the span must have before it ends, and the child that carries the totals."""
        failed = exc is not None and spans.is_failure(exc)
        found: dict[str, object] = {}
        if failed and exc is not None:
            spans.set_attributes(run.span, spans.metadata(described(exc)))
            self._failure = spans.error_type(exc)
        known = registry.known(self.task_id)
        before = known.attempts if known is not None else self.attempts
        if self._failure is not None:
            if before:
                found["previous_attempts"] = before
            if (state := breaker_state(self.agent)) is not None:
                found["circuit_breaker"] = state
        if before:  # told one by one while it ran, or else this is one more
            told = known.told if known is not None else len(self.attempts)
            found["attempts"] = told if self.attempts else told + 1
        found["status"] = self.status
        run.update(metadata=found)
        spans.set_attributes(run.span, self._totals.attributes())
        if known is not None and self.task_id and known.running is self:
            if self._failure is not None and not self.attempts:
                known.failed(self.agent, self._failure, self.observation_id)
            registry.ended(self.task_id, self)
        self._settle()

    @property
    def status(self) -> str:
        """``error`` once it has failed, else ``success``."""
        return "success" if self._failure is None else "error"

    def _settle(self) -> None:
        run = self._run
        if run is not None and run.context is not None and run.agent_run is not None:
            settle(
                self._totals, run.agent_run.name or None, self._started, run.context, run.agent_run.counted
            )

    def _update_late(self, found: Mapping[str, object]) -> None:
        run = self._run
        if run is None or run.context is None:
            return
        self._settle()
        if found:
            attributes: dict[str, object] = {semconv.AGENT_NAME: self.agent}
            events.happened("task_update", found, attributes, run.context)

    def _count(self) -> None:
        """Counts the task, unless this is a step of one."""
        run = self._run
        if run is None or run.context is None or run.passed_on or self.outer is not None:
            return
        instruments = runtime.current().instruments
        labels: dict[str, str | None] = {
            **contexts.labels(run.context),
            semconv.AGENT_NAME: runtime.current().redactor.text(self.agent) if self.agent else None,
            "status": self.status,
        }
        instruments.count(metrics.TASK_COUNT, 1, labels, run.context)
        seconds = max(time.time_ns() - self._started, 0) / 1e9
        instruments.count(metrics.TASK_DURATION, seconds, labels, run.context)
        if not self.attempts:
            instruments.count(metrics.TASK_ATTEMPTS, 1, labels, run.context)
