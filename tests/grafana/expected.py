"""What every panel has to show, added up from the ledger.

One entry for each target of each panel: dashboard, title, letter. An entry is a function of a
:class:`View` (the ledger at one moment, with the dashboard's variables) and answers labels and values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from grafana_queries import names_of  # the catalogue: labels that a metric can have
from workload import Increment, Ledger

from otel_agents import metrics
from otel_agents.cli_agents import own_metrics
from otel_agents.export.prometheus_names import metric_name
from otel_agents.metrics import Definition

Key = frozenset[tuple[str, str]]
Values = dict[Key, float]
NOTHING: Final[Key] = frozenset()
HOUR, DAY = 3600.0, 86400.0
SET = object()


@dataclass(frozen=True, slots=True)
class View:
    """The ledger at one moment.

    Attributes:
        at: seconds from the start of the workload.
        range, step: what ``$__range`` and ``$__interval`` stand for, in seconds.
        variables: label and its only value, where a variable is not All.
    """

    ledger: Ledger
    at: float
    range: float
    step: float
    variables: Mapping[str, str]

    def of(self, definition: Definition, window: float, **where: object) -> list[Increment]:
        """The increments that fell into the window."""
        name = metric_name(definition.name, definition.unit, definition.kind)
        narrowed = {label: value for label, value in self.variables.items() if label in names_of(definition)}
        return [
            one
            for one in self.ledger.increments
            if one.name == name
            and self.at - window < one.at <= self.at
            and all(one.labels.get(label, "") == value for label, value in narrowed.items())
            and all(
                bool(one.labels.get(label)) if value is SET else one.labels.get(label, "") == value
                for label, value in where.items()
            )
        ]

    def grouped(
        self, definition: Definition, window: float, by: tuple[str, ...], **where: object
    ) -> dict[Key, list[float]]:
        groups: dict[Key, list[float]] = {}
        for one in self.of(definition, window, **where):
            key = frozenset((label, one.labels[label]) for label in by if one.labels.get(label))
            groups.setdefault(key, []).append(one.value)
        return groups


Expected = Callable[[View], Values]


def _window(view: View, window: float | str) -> float:
    if isinstance(window, str):
        return float(getattr(view, window))
    return window


def total(definition: Definition, window: float | str = "range", *by: str, **where: object) -> Expected:
    """The sum of what was counted."""
    return lambda view: {
        key: math.fsum(values)
        for key, values in view.grouped(definition, _window(view, window), by, **where).items()
    }


def times(definition: Definition, window: float | str = "range", *by: str, **where: object) -> Expected:
    """How often something was recorded in a histogram."""
    return lambda view: {
        key: float(len(values))
        for key, values in view.grouped(definition, _window(view, window), by, **where).items()
    }


def mean(definition: Definition, window: float | str = "range", *by: str, **where: object) -> Expected:
    return over(total(definition, window, *by, **where), times(definition, window, *by, **where))


def quantile(share: float, definition: Definition, window: float | str, *by: str) -> Expected:
    """As Prometheus works it out: linear inside of the bucket that the rank falls into."""

    def expected(view: View) -> Values:
        groups = view.grouped(definition, _window(view, window), by)
        return {key: _quantile(share, values, definition.buckets) for key, values in groups.items()}

    return expected


def _quantile(share: float, values: list[float], bounds: tuple[float, ...]) -> float:
    rank = share * len(values)
    below = 0
    for at, bound in enumerate(bounds):
        until = sum(value <= bound for value in values)
        if until >= rank:
            lower = bounds[at - 1] if at else 0.0
            if at == 0 and bound <= 0:
                return bound
            return lower + (bound - lower) * (rank - below) / (until - below)
        below = until
    return bounds[-1]


def over(part: Expected, whole: Expected) -> Expected:
    """A share: nothing without a whole, 0 without a part."""

    def expected(view: View) -> Values:
        parts, wholes = part(view), whole(view)
        return {key: parts.get(key, 0.0) / value for key, value in wholes.items() if value}

    return expected


def less(one: Expected, other: Expected) -> Expected:
    def expected(view: View) -> Values:
        taken = other(view)
        return {key: value - taken.get(key, 0.0) for key, value in one(view).items()}

    return expected


def plus(one: Expected, other: Expected) -> Expected:
    def expected(view: View) -> Values:
        first, second = one(view), other(view)
        return {key: first[key] + second[key] for key in first.keys() & second.keys()}

    return expected


def changed(one: Expected, change: Callable[[float], float]) -> Expected:
    return lambda view: {key: change(value) for key, value in one(view).items()}


def always(value: float, **labels: str) -> Expected:
    """What the machine, the Collector and the bridge of the workload always show."""
    return lambda _: {frozenset(labels.items()): value}


def both(*parts: Expected) -> Expected:
    return lambda view: {key: value for part in parts for key, value in part(view).items()}


def how_many(one: Expected) -> Expected:
    return lambda view: {NOTHING: float(sum(value > 0 for value in one(view).values()))}


def _share_of_all(view: View) -> Values:
    chosen = total(metrics.SELECTIONS, "range", A)(view)
    everything = sum(chosen.values())
    return {key: value / everything for key, value in chosen.items()}


A, M, P, T = "gen_ai_agent_name", "gen_ai_request_model", "gen_ai_provider_name", "gen_ai_tool_name"
_breakers = both(always(2, **{A: "gemini"}), always(0, **{A: "claude"}), always(0, **{A: "c++ (fast)|.*"}))
_rate = always


def _per_step(a_second: float, **labels: str) -> Expected:
    """How much a counter that grows all the time grew in a step."""
    return lambda view: always(a_second * view.step, **labels)(view)


_langfuse = {"exporter": "otlp_http/langfuse"}
_host = {"job": "agents", "instance": "127.0.0.1:8889"}

OVERVIEW: dict[tuple[str, str], Expected] = {
    ("Tasks", "A"): total(metrics.TASK_COUNT),
    ("Tasks per hour", "A"): total(metrics.TASK_COUNT, HOUR),
    ("Success rate", "A"): changed(
        over(total(metrics.TASK_COUNT, status="error"), total(metrics.TASK_COUNT)), lambda share: 1 - share
    ),
    ("Cost", "A"): total(metrics.COST),
    ("Cost per hour", "A"): total(metrics.COST, HOUR),
    ("Quality", "A"): mean(metrics.SCORE, "range", gen_ai_evaluation_name="quality"),
    ("Active agents", "A"): how_many(times(metrics.AGENT_DURATION, "range", A)),
    ("Spent of the budget", "A"): always(0.8),
    ("Unpriced calls", "A"): total(metrics.UNPRICED_CALLS),
    ("Agent switches", "A"): total(metrics.SWITCHES),
    ("Open circuit breakers", "A"): lambda view: {
        NOTHING: float(any(one.labels[A] == "gemini" for one in view.of(metrics.BREAKER_STATE, DAY)))
    },
    ("p95 of a run", "A"): quantile(0.95, metrics.AGENT_DURATION, "range"),
    ("Tasks per hour by agent", "A"): total(metrics.TASK_COUNT, HOUR, A),
    ("Cost per hour by agent", "A"): total(metrics.COST, HOUR, A),
    ("Quality by agent", "A"): mean(metrics.SCORE, HOUR, A, gen_ai_evaluation_name="quality"),
    ("Duration of runs by agent", "A"): quantile(0.95, metrics.AGENT_DURATION, HOUR, A),
    ("Processor", "A"): always(0.5, instance=_host["instance"]),
    ("Processor", "B"): always(0.25, job="orchestrator"),
    ("Memory", "A"): always(2.1e9, instance=_host["instance"]),
    ("Memory", "B"): always(3e8, job="orchestrator"),
    ("Memory", "C"): always(4e8, job="orchestrator"),
    ("API latency", "A"): always(0.75, job="orchestrator"),
    ("API latency", "B"): always(0.75, job="orchestrator"),
}
MODELS: dict[tuple[str, str], Expected] = {
    ("Requests", "A"): times(metrics.CALL_DURATION),
    ("Errors", "A"): over(times(metrics.CALL_DURATION, error_type=SET), times(metrics.CALL_DURATION)),
    ("Cost", "A"): total(metrics.COST),
    ("Projection", "A"): lambda view: {
        key: value / view.range * 30 * DAY for key, value in total(metrics.COST)(view).items()
    },
    ("Cache hits", "A"): over(total(metrics.CACHE_READ_TOKENS), total(metrics.INPUT_TOKENS)),
    ("Unpriced calls", "A"): total(metrics.UNPRICED_CALLS),
    ("Cost per hour by model", "A"): total(metrics.COST, HOUR, M),
    ("Models", "A"): times(metrics.CALL_DURATION, "range", M, P),
    ("Models", "B"): total(metrics.INPUT_TOKENS, "range", M, P),
    ("Models", "C"): total(metrics.OUTPUT_TOKENS, "range", M, P),
    ("Models", "D"): total(metrics.COST, "range", M, P),
    ("Cost by agent", "A"): total(metrics.COST, "range", A),
    ("Cost by task type", "A"): total(metrics.COST, "range", "task_type"),
    ("Unpriced calls by reason", "A"): total(metrics.UNPRICED_CALLS, "range", M, "reason"),
    ("Plans beside metered cost", "A"): always(10, plan="copilot"),
    ("Plans beside metered cost", "B"): changed(total(metrics.COST, DAY), lambda cost: cost * 30),
    ("Tokens by kind", "A"): less(
        total(metrics.INPUT_TOKENS, "step"), total(metrics.CACHE_READ_TOKENS, "step")
    ),
    ("Tokens by kind", "B"): total(metrics.CACHE_READ_TOKENS, "step"),
    ("Tokens by kind", "C"): less(
        total(metrics.OUTPUT_TOKENS, "step"), total(metrics.REASONING_TOKENS, "step")
    ),
    ("Tokens by kind", "D"): total(metrics.REASONING_TOKENS, "step"),
    ("Cache hits by model", "A"): over(
        total(metrics.CACHE_READ_TOKENS, HOUR, M), total(metrics.INPUT_TOKENS, HOUR, M)
    ),
    ("Duration of a call", "A"): quantile(0.5, metrics.CALL_DURATION, HOUR),
    ("Duration of a call", "B"): quantile(0.95, metrics.CALL_DURATION, HOUR),
    ("Duration of a call", "C"): quantile(0.99, metrics.CALL_DURATION, HOUR),
    ("Duration by model", "A"): quantile(0.95, metrics.CALL_DURATION, HOUR, M),
    ("Time to first chunk by model", "A"): quantile(0.95, metrics.CALL_FIRST_CHUNK, HOUR, M),
    ("Output tokens per second by model", "A"): over(
        total(metrics.CALL_OUTPUT, HOUR, M), total(metrics.CALL_DURATION, HOUR, M)
    ),
    ("Errors by type", "A"): times(metrics.CALL_DURATION, "step", "error_type", error_type=SET),
}
AGENTS: dict[tuple[str, str], Expected] = {
    ("Agents", "A"): times(metrics.AGENT_DURATION, "range", A),
    ("Agents", "B"): over(
        times(metrics.AGENT_DURATION, "range", A, error_type=SET), times(metrics.AGENT_DURATION, "range", A)
    ),
    ("Agents", "C"): mean(metrics.AGENT_DURATION, "range", A),
    ("Agents", "D"): mean(metrics.AGENT_CALLS, "range", A),
    ("Agents", "E"): mean(metrics.AGENT_TOOLS, "range", A),
    ("Runs by agent", "A"): times(metrics.AGENT_DURATION, "step", A),
    ("Duration of a run", "A"): quantile(0.95, metrics.AGENT_DURATION, HOUR, A),
    ("Model calls a run", "A"): mean(metrics.AGENT_CALLS, HOUR, A),
    ("Tools", "A"): times(metrics.TOOL_DURATION, "range", T),
    ("Tools", "B"): over(
        times(metrics.TOOL_DURATION, "range", T, error_type=SET), times(metrics.TOOL_DURATION, "range", T)
    ),
    ("Tools", "C"): quantile(0.95, metrics.TOOL_DURATION, "range", T),
    ("Tool errors", "A"): times(metrics.TOOL_DURATION, "step", T, "error_type", error_type=SET),
    ("Selections", "A"): _share_of_all,
    ("Switches", "A"): total(metrics.SWITCHES, "range", "from_agent", "to_agent"),
    ("Switches", "B"): less(
        mean(metrics.QUALITY_AFTER, "range", "from_agent", "to_agent"),
        mean(metrics.QUALITY_BEFORE, "range", "from_agent", "to_agent"),
    ),
    ("Circuit breakers", "A"): lambda view: {
        key: value
        for key, value in _breakers(view).items()
        if view.variables.get(A, dict(key)[A]) == dict(key)[A]
    },
    ("Loops stopped", "A"): total(metrics.LOOPS_STOPPED),
    ("Changes of circuit breakers", "A"): total(metrics.BREAKER_CHANGES, "range", state="open"),
    ("Mismatched reports", "A"): total(metrics.REPORTED_MISMATCH),
}
_S, _E = "gen_ai_evaluation_name", ("experiment", "variant")
QUALITY: dict[tuple[str, str], Expected] = {
    ("Scores", "A"): times(metrics.SCORE, "range", _S, A),
    ("Scores", "B"): mean(metrics.SCORE, "range", _S, A),
    ("Scores", "C"): quantile(0.1, metrics.SCORE, "range", _S, A),
    ("Quality by agent", "A"): mean(metrics.SCORE, HOUR, A, gen_ai_evaluation_name="quality"),
    ("Variants", "A"): total(metrics.TASK_COUNT, "range", *_E, experiment=SET),
    ("Variants", "B"): mean(metrics.SCORE, "range", *_E, gen_ai_evaluation_name="quality", experiment=SET),
    ("Variants", "C"): total(metrics.COST, "range", *_E, experiment=SET),
    ("Prompt versions", "A"): times(metrics.CALL_DURATION, "range", "prompt_version", prompt_version=SET),
    ("Prompt versions", "B"): mean(
        metrics.SCORE, "range", "prompt_version", gen_ai_evaluation_name="quality", prompt_version=SET
    ),
    ("Prompt versions", "C"): total(metrics.COST, "range", "prompt_version", prompt_version=SET),
    ("Compression", "A"): over(total(metrics.ORIGINAL_TOKENS), total(metrics.ACTUAL_TOKENS)),
    ("Tokens saved", "A"): changed(
        over(total(metrics.ACTUAL_TOKENS), total(metrics.ORIGINAL_TOKENS)), lambda share: 1 - share
    ),
    ("Tokens per successful task", "A"): over(
        plus(total(metrics.CALL_INPUT, HOUR, A), total(metrics.CALL_OUTPUT, HOUR, A)),
        total(metrics.TASK_COUNT, HOUR, A, status="success"),
    ),
}


def _in_every_process(definition: Definition, value: float) -> Expected:
    """A gauge that every process sets to the same; one is gone before anybody looks."""

    def expected(view: View) -> Values:
        processes = {one.labels.get("instance") for one in view.of(definition, DAY)}
        return {NOTHING: value * len(processes - {"brief"})}

    return expected


PIPELINE: dict[tuple[str, str], Expected] = {
    ("Spans that wait", "A"): _in_every_process(metrics.EXPORT_QUEUE, 3),
    ("Spans that wait", "B"): _in_every_process(metrics.SPOOL_SPANS, 2),
    ("Spans lost", "A"): total(metrics.EXPORT_SPANS, "range", outcome="dropped"),
    ("Spans delivered", "A"): total(metrics.EXPORT_SPANS, "range", outcome="delivered"),
    ("Label values beyond the limit", "A"): total(metrics.LABEL_OVERFLOW),
    ("Spans by outcome", "A"): total(metrics.EXPORT_SPANS, "step", "outcome", "reason"),
    ("Spans through the Collector", "A"): _rate(4),
    ("Spans through the Collector", "B"): _rate(3, **_langfuse),
    ("Spans that the Collector lost or refused", "A"): _per_step(0.2, **_langfuse),
    ("Spans that the Collector lost or refused", "B"): _per_step(0.1, **_langfuse),
    ("Spans that the Collector lost or refused", "C"): _per_step(0.5),
    ("Queues", "A"): always(0.3, **_langfuse),
    ("Collector memory", "A"): always(1.2e8, instance="127.0.0.1:8888"),
    ("Collector processor", "A"): _rate(0.07, instance="127.0.0.1:8888"),
    ("Scrapes", "A"): both(
        always(1, **_host),
        always(1, job="collector", instance="127.0.0.1:8888"),
        always(1, job="bridge", instance="127.0.0.1:4319"),
    ),
    ("Scores through the bridge", "A"): _per_step(0.4),
    ("Scores through the bridge", "B"): _per_step(0.3),
    ("Scores through the bridge", "C"): _per_step(0.05, reason="refused"),
    ("Trace requests through the bridge", "A"): both(
        _per_step(0.6, outcome="delivered"), _per_step(0.02, outcome="retry")
    ),
}
CODING_AGENTS: dict[tuple[str, str], Expected] = {
    ("Runs by agent", "A"): times(metrics.AGENT_DURATION, "range", A),
    ("Runs by agent", "B"): total(metrics.COST, "range", A),
    ("Runs by agent", "C"): total(metrics.INPUT_TOKENS, "range", A),
    ("Runs by agent", "D"): total(metrics.OUTPUT_TOKENS, "range", A),
    ("Runs by agent", "E"): total(metrics.AGENT_TOOLS, "range", A),
    ("Sessions", "A"): total(own_metrics.CLAUDE_SESSIONS, "step", "job"),
    ("Sessions", "B"): total(own_metrics.GEMINI_SESSIONS, "step", "job"),
    ("Sessions", "C"): total(own_metrics.CODEX_SESSIONS, "step", "job"),
    ("Cost of Claude Code", "A"): total(own_metrics.CLAUDE_COST, "step", "model"),
    ("Tokens of the agents", "A"): total(own_metrics.CLAUDE_TOKENS, "step", "type"),
    ("Tokens of the agents", "B"): total(own_metrics.GEMINI_TOKENS, "step", "type"),
    ("Tools of the agents", "A"): total(own_metrics.GEMINI_TOOLS, "step", "function_name"),
    ("Tools of the agents", "B"): total(own_metrics.COPILOT_TOOLS, "step", T),
    ("Tools of the agents", "C"): total(own_metrics.CODEX_TOOLS, "step", "tool"),
    ("Lines of code", "A"): total(own_metrics.CLAUDE_LINES, "step", "type"),
    ("Lines of code", "B"): total(own_metrics.GEMINI_LINES, "step", "type"),
    ("Decisions", "A"): total(own_metrics.CLAUDE_DECISIONS, "range", "tool_name", "decision"),
}
EXPECTED: dict[str, dict[tuple[str, str], Expected]] = {
    "overview": OVERVIEW,
    "models": MODELS,
    "agents": AGENTS,
    "coding_agents": CODING_AGENTS,
    "quality": QUALITY,
    "pipeline": PIPELINE,
}
