"""Carries a plan out: a task of its own in a trace of its own, linked to the one that it repeats."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_agents.budgets.errors import BudgetExceeded
from otel_agents.replay import command, model_api, runners
from otel_agents.replay.errors import ReplayError
from otel_agents.replay.scoring import Grade, Scorer, grade

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_agents.replay.planning import Plan
    from otel_agents.tracing.scopes import Counted

#: Metadata that a replay has in common with what it repeats; the id of the task is its own.
_SAME_METADATA: Final = ("task_type", "project_id")
_TAG: Final = "replay"


@dataclass(slots=True)
class Outcome:
    """What a replay came to. Cost is US dollars, latency seconds; None where it is not known.

    Attributes:
        trace_id: of the new trace.
        span_id: of the run in it.
        output: the answer; empty when it failed.
        error: what went wrong.
        grade: the scorer's.
    """

    trace_id: str
    span_id: str
    output: str = ""
    model: str | None = None
    latency: float = 0.0
    tokens: int | None = None
    cost: float | None = None
    error: str | None = None
    grade: Grade | None = None


def check(plan: Plan) -> None:
    """Whether what is to carry ``plan`` out is there: without it nothing runs, and nothing is put on record.

    Raises:
        ReplayError: a program or a key is missing.
    """
    if plan.command is not None:
        command.check(plan.command)
    elif plan.run is not None:
        runners.check(plan.run)
    elif plan.api is not None:
        model_api.check(plan.api)


def run(plan: Plan, timeout: float = 600.0) -> Outcome:
    """Carries ``plan`` out under the telemetry that is configured. What it raises is in the outcome.

    Args:
        timeout: seconds that it may take.

    Raises:
        ReplayError: a budget does not let it begin.
    """
    try:
        return _carried_out(plan, timeout)
    except BudgetExceeded as refusal:
        raise ReplayError(f"{refusal}; set OTEL_AGENTS_BUDGET higher, or wait for the next period") from None


def _carried_out(plan: Plan, timeout: float) -> Outcome:
    from otel_agents.tracing.contexts import agent_run, context
    from otel_agents.tracing.decorators import agent

    metadata = _metadata(plan)
    around = context(
        metadata=metadata,
        tags=[_TAG],
        task_type=metadata.get("task_type"),
        prompt_name=plan.source.prompt_name,
        prompt_version=plan.source.prompt_version,
    )
    with around, agent(plan.agent) as running:
        ids = running.span.get_span_context()
        outcome = Outcome(format(ids.trace_id, "032x"), format(ids.span_id, "016x"))
        _link(running.span, plan)
        running.update(input=plan.prompt)
        mine = agent_run()
        counted = mine.counted if mine is not None else None
        started = time.perf_counter()
        try:
            result = _result(plan, timeout)
        except Exception as error:
            outcome.latency = time.perf_counter() - started
            outcome.error = _said(error, timeout)
            running.set_error(error)
            running.update(metadata={"status": "error"})
        else:
            outcome.latency = time.perf_counter() - started if result.latency is None else result.latency
            outcome.output, outcome.model = result.output, result.model or plan.model
            running.update(output=result.output, metadata={"status": "success"})
            _account(plan, result, counted)
    if counted is not None:
        outcome.tokens = counted.tokens if counted.used else None
        outcome.cost = counted.cost if counted.priced else None
    return outcome


def judge(plan: Plan, outcome: Outcome, scorer: Scorer) -> None:
    """Has the answer scored and puts that on record as the replay's ``quality``.

    Outside of the run, because a scorer may ask a model, too, which is no part of what the replay cost.

    Raises:
        ReplayError: the scorer failed.
    """
    from otel_agents.tracing.events import score

    outcome.grade = grade(scorer, plan.prompt, outcome.output)
    score(
        "quality",
        outcome.grade.value,
        comment=outcome.grade.reason,
        trace_id=outcome.trace_id,
        observation_id=outcome.span_id,
        agent=plan.agent,
    )


def _metadata(plan: Plan) -> dict[str, object]:
    recorded = plan.recorded
    made: dict[str, object] = {"replay_of": recorded.trace_id, "replay_of_observation": plan.source.id}
    around = [plan.source, *recorded.above(plan.source)]
    for key in ("task_id", *_SAME_METADATA):
        found = next((value for one in around if (value := one.own(key)) is not None), None)
        if found is not None:
            made["replay_of_task" if key == "task_id" else key] = found
    return made


def _link(span: Span, plan: Plan) -> None:
    """A link to the recorded span, for backends that show links; Langfuse has the metadata."""
    from opentelemetry.trace import SpanContext, TraceFlags

    try:
        trace_id, span_id = int(plan.recorded.trace_id, 16), int(plan.source.id, 16)
    except ValueError:  # ids of another make than OpenTelemetry's
        return
    recorded = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    if recorded.is_valid:
        span.add_link(recorded, {"otel_agents.link": "replay_of"})


def _result(plan: Plan, timeout: float) -> runners.Result:
    if plan.run is None:
        assert plan.api is not None
        return model_api.send(plan.api, plan.request, timeout)
    runner = plan.run
    options = {"model": plan.model} if plan.model is not None else {}

    async def go() -> object:
        return await asyncio.wait_for(runner(plan.prompt, **options), timeout)

    return runners.result_of(asyncio.run(go()))


def _account(plan: Plan, result: runners.Result, counted: Counted | None) -> None:
    """Puts a runner's own figures on record, as a call, unless its calls were seen themselves."""
    if plan.how == "model" or (result.tokens is None and result.cost is None):
        return
    if counted is not None and (counted.used or counted.priced):
        return
    from otel_agents.tracing.inferences import inference

    with inference(plan.provider or plan.agent, result.model or plan.model) as call:
        call.record(usage=result.tokens, cost=result.cost)


def _said(error: BaseException, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout:g} s"
    if isinstance(error, ReplayError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())
