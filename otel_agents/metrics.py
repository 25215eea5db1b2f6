"""The only place where a metric is defined: its name, unit, buckets, labels, and where that comes from.

Names, units and buckets: OpenTelemetry GenAI conventions v0.1.0; ours live under ``otel_agents.``. What is
recorded on them is in ``instruments.py``; docs and dashboards are made from the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from otel_agents import semconv

#: Seconds, for single calls: 10 ms to 82 s.
DURATION_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
#: Seconds, for agent runs: the conventions' buckets, widened to two hours.
AGENT_BUCKETS: Final = (
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 900.0, 1800.0, 3600.0, 7200.0,
)  # fmt: skip
TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))
CALL_BUCKETS: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
SCORE_BUCKETS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 2.0, 5.0, 10.0, 100.0)
RATIO_BUCKETS: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0)

Kind = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True, eq=False)  # compared, and looked up, by identity
class Definition:
    """One metric.

    Attributes:
        name: OpenTelemetry's name of it.
        kind: ``counter`` (only grows), ``histogram`` or ``gauge`` (the last value counts).
        unit: in UCUM, as OpenTelemetry writes it.
        description: one line.
        labels: every label that it can have; each is bounded.
        buckets: upper bounds, of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def source(self) -> str:
        """Who named it: the GenAI conventions, or this package."""
        if self.name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
            return "semantic conventions 1.41"
        return "otel-agents" if self.name.startswith("otel_agents.") else "GenAI conventions v0.1.0"


#: Labels that a task or an experiment gives to everything measured inside of it.
USER_LABELS: Final = ("experiment", "variant", "task_type", "prompt_version")
_CALL: Final = (
    semconv.OPERATION_NAME,
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.AGENT_NAME,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    *USER_LABELS,
)
_TIMED_CALL: Final = (*_CALL, semconv.ERROR_TYPE)
_TOKENS: Final = (*_CALL, semconv.TOKEN_MODALITY)
_AGENT: Final = (semconv.OPERATION_NAME, semconv.AGENT_NAME, *USER_LABELS)
_TASK: Final = (semconv.AGENT_NAME, "status", *USER_LABELS)

_INFERENCE: Final = "gen_ai.client.inference"
_EMBEDDINGS: Final = "gen_ai.client.embeddings"

CALL_DURATION: Final = Definition(
    f"{_INFERENCE}.duration", "histogram", "s", "Model call", _TIMED_CALL, DURATION_BUCKETS
)
CALL_FIRST_CHUNK: Final = Definition(
    f"{_INFERENCE}.time_to_first_chunk",
    "histogram",
    "s",
    "Time until the first chunk of a stream",
    _CALL,
    DURATION_BUCKETS,
)
CALL_PER_CHUNK: Final = Definition(
    f"{_INFERENCE}.time_per_output_chunk",
    "histogram",
    "s",
    "Time between later chunks of a stream",
    _CALL,
    DURATION_BUCKETS,
)
INPUT_TOKENS: Final = Definition(
    f"{_INFERENCE}.usage.input_tokens", "counter", "{token}", "Input tokens, cache included", _TOKENS
)
OUTPUT_TOKENS: Final = Definition(
    f"{_INFERENCE}.usage.output_tokens", "counter", "{token}", "Output tokens, reasoning included", _TOKENS
)
CACHE_READ_TOKENS: Final = Definition(
    f"{_INFERENCE}.usage.cache_read.input_tokens",
    "counter",
    "{token}",
    "Input tokens read from cache",
    _TOKENS,
)
CACHE_WRITE_TOKENS: Final = Definition(
    f"{_INFERENCE}.usage.cache_write.input_tokens",
    "counter",
    "{token}",
    "Input tokens written to cache",
    _TOKENS,
)
REASONING_TOKENS: Final = Definition(
    f"{_INFERENCE}.usage.reasoning.output_tokens",
    "counter",
    "{token}",
    "Output tokens spent on reasoning",
    _TOKENS,
)
UNSPLIT_TOKENS: Final = Definition(
    "otel_agents.unsplit_tokens",
    "counter",
    "{token}",
    "Tokens of which only the total of input and output is known",
    _CALL,
)
CALL_INPUT: Final = Definition(
    f"{_INFERENCE}.operation.input_tokens",
    "histogram",
    "{token}",
    "Input tokens of a call",
    _CALL,
    TOKEN_BUCKETS,
)
CALL_OUTPUT: Final = Definition(
    f"{_INFERENCE}.operation.output_tokens",
    "histogram",
    "{token}",
    "Output tokens of a call",
    _CALL,
    TOKEN_BUCKETS,
)
EMBEDDINGS_DURATION: Final = Definition(
    f"{_EMBEDDINGS}.duration",
    "histogram",
    "s",
    "Duration of an embeddings call",
    _TIMED_CALL,
    DURATION_BUCKETS,
)
EMBEDDINGS_INPUT: Final = Definition(
    f"{_EMBEDDINGS}.operation.input_tokens",
    "histogram",
    "{token}",
    "Input tokens of an embeddings call",
    _CALL,
    TOKEN_BUCKETS,
)
AGENT_DURATION: Final = Definition(
    "gen_ai.invoke_agent.duration",
    "histogram",
    "s",
    "Duration of an agent or workflow run",
    (*_AGENT, semconv.ERROR_TYPE),
    AGENT_BUCKETS,
)
AGENT_CALLS: Final = Definition(
    "gen_ai.invoke_agent.inference_calls",
    "histogram",
    "{inference_call}",
    "Model calls of an agent run",
    _AGENT,
    CALL_BUCKETS,
)
AGENT_TOOLS: Final = Definition(
    "gen_ai.invoke_agent.tool_calls",
    "histogram",
    "{tool_call}",
    "Tool calls of an agent run",
    _AGENT,
    CALL_BUCKETS,
)
TOOL_DURATION: Final = Definition(
    "gen_ai.execute_tool.duration",
    "histogram",
    "s",
    "Duration of a tool call",
    (semconv.TOOL_NAME, semconv.AGENT_NAME, semconv.TOOL_TYPE, semconv.ERROR_TYPE, *USER_LABELS),
    DURATION_BUCKETS,
)
COST: Final = Definition("otel_agents.cost", "counter", "{USD}", "Cost of model calls in US dollars", _CALL)
UNPRICED_CALLS: Final = Definition(
    "otel_agents.unpriced_calls",
    "counter",
    "{call}",
    "Model calls without a cost, by reason",
    (*_CALL, "reason"),
)
TASK_COUNT: Final = Definition(
    "otel_agents.task.count", "counter", "{task}", "Finished tasks, by status", _TASK
)
TASK_DURATION: Final = Definition(
    "otel_agents.task.duration", "histogram", "s", "Duration of a task", _TASK, AGENT_BUCKETS
)
TASK_ATTEMPTS: Final = Definition(
    "otel_agents.task.attempts", "counter", "{attempt}", "Attempts at tasks, by status", _TASK
)
SCORE: Final = Definition(
    "otel_agents.evaluation.score",
    "histogram",
    "1",
    "Scores given to agents' work",
    (semconv.EVALUATION_NAME, semconv.AGENT_NAME, *USER_LABELS),
    SCORE_BUCKETS,
)
TOKEN_REDUCTION: Final = Definition(
    "otel_agents.token_reduction",
    "histogram",
    "1",
    "Tokens before compression for each token after it, by task",
    (semconv.AGENT_NAME, *USER_LABELS),
    RATIO_BUCKETS,
)
ORIGINAL_TOKENS: Final = Definition(
    "otel_agents.token_reduction.original_tokens",
    "counter",
    "{token}",
    "Tokens before compression",
    (semconv.AGENT_NAME, *USER_LABELS),
)
ACTUAL_TOKENS: Final = Definition(
    "otel_agents.token_reduction.actual_tokens",
    "counter",
    "{token}",
    "Tokens after compression",
    (semconv.AGENT_NAME, *USER_LABELS),
)
LOOPS_STOPPED: Final = Definition(
    "otel_agents.loops_stopped",
    "counter",
    "{run}",
    "Runs that a guard stopped, by reason",
    (semconv.AGENT_NAME, "reason"),
)
REPORTED_MISMATCH: Final = Definition(
    "otel_agents.reported_mismatch",
    "counter",
    "{task}",
    "Tasks whose reported usage differs by more than 5 % from what was counted on the wire",
    (semconv.AGENT_NAME, "quantity"),
)
SELECTIONS: Final = Definition(
    "otel_agents.agent.selections",
    "counter",
    "{selection}",
    "Times that an agent was selected for a task",
    (semconv.AGENT_NAME, "task_type"),
)
SWITCHES: Final = Definition(
    "otel_agents.agent.switches",
    "counter",
    "{switch}",
    "Switches from one agent to another",
    ("from_agent", "to_agent", "task_type"),
)
# Two, because a histogram takes no negative values, and what a switch gains can be one.
QUALITY_BEFORE: Final = Definition(
    "otel_agents.agent.switch.quality_before",
    "histogram",
    "1",
    "Quality of the work before a switch to another agent",
    ("from_agent", "to_agent", "task_type"),
    SCORE_BUCKETS,
)
QUALITY_AFTER: Final = Definition(
    "otel_agents.agent.switch.quality_after",
    "histogram",
    "1",
    "Quality of the work after a switch to another agent",
    ("from_agent", "to_agent", "task_type"),
    SCORE_BUCKETS,
)
BREAKER_STATE: Final = Definition(
    "otel_agents.circuit_breaker.state",
    "gauge",
    "{state}",
    "State of an agent's circuit breaker: 0 closed, 1 half open, 2 open",
    (semconv.AGENT_NAME,),
)
BREAKER_CHANGES: Final = Definition(
    "otel_agents.circuit_breaker.changes",
    "counter",
    "{change}",
    "Changes of circuit breakers, by the state they came to",
    (semconv.AGENT_NAME, "state"),
)
BUDGET_LIMIT: Final = Definition(
    "otel_agents.budget.limit", "gauge", "{USD}", "Limit of a budget", ("budget", "period")
)
BUDGET_SPENT: Final = Definition(
    "otel_agents.budget.spent",
    "gauge",
    "{USD}",
    "Spent of a budget in its present period, on this host",
    ("budget", "period"),
)
BUDGET_ENDS: Final = Definition(
    "otel_agents.budget.period_end",
    "gauge",
    "s",
    "When the period that a budget's spent belongs to ends, in seconds since 1970",
    ("budget", "period"),
)
BUDGET_ALERTS: Final = Definition(
    "otel_agents.budget.alerts",
    "counter",
    "{alert}",
    "Thresholds of budgets that were passed",
    ("budget", "period", "threshold"),
)
PLAN_FEE: Final = Definition(
    "otel_agents.plan.fee", "gauge", "{USD}", "Flat fee of a plan for a month", ("plan",)
)
BUDGET_BLOCKED: Final = Definition(
    "otel_agents.budget.blocked",
    "counter",
    "{call}",
    "Calls and runs that a used-up budget did not let through",
    ("budget", "period"),
)
BUDGET_STORE_ERRORS: Final = Definition(
    "otel_agents.budget.store_errors",
    "counter",
    "{error}",
    "Times that the file which processes share budgets by could not be used, by reason",
    ("reason",),
)
PROMPT_FALLBACKS: Final = Definition(
    "otel_agents.prompt.fallbacks",
    "counter",
    "{prompt}",
    "Prompts for which the fallback was used",
    ("prompt", "reason"),
)
EXPORT_SPANS: Final = Definition(
    "otel_agents.export.spans", "counter", "{span}", "Spans by what became of them", ("outcome", "reason")
)
#: Collectors serve what a process said last for hours; by this one tells a process that is gone.
COLLECTED: Final = Definition(
    "otel_agents.collection.timestamp",
    "gauge",
    "s",
    "When this process collected its metrics last, in seconds since 1970, to 15 s",
)
EXPORT_QUEUE: Final = Definition(
    "otel_agents.export.queue", "gauge", "{span}", "Spans in memory that wait to be sent"
)
SPOOL_SPANS: Final = Definition(
    "otel_agents.export.spool", "gauge", "{span}", "Spans of this process that wait on disk"
)
SPOOL_BYTES: Final = Definition(
    "otel_agents.export.spool.size", "gauge", "By", "Bytes of the spans of this process that wait on disk"
)
OLDER_DURATION: Final = Definition(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "Model call, by its name until semantic conventions 1.41; only with OTEL_AGENTS_OLDER_METRICS",
    _TIMED_CALL,
    DURATION_BUCKETS,
)
OLDER_TOKENS: Final = Definition(
    "gen_ai.client.token.usage",
    "histogram",
    "{token}",
    "Tokens of a call, by their name until semantic conventions 1.41; only with OTEL_AGENTS_OLDER_METRICS",
    (*_CALL, semconv.TOKEN_TYPE),
    TOKEN_BUCKETS,
)
LABEL_OVERFLOW: Final = Definition(
    "otel_agents.label_overflow",
    "counter",
    "{value}",
    "Values that a label took beyond its limit, and combinations of labels beyond theirs; they are counted "
    "under `other`",
    ("label",),
)

#: Every metric of this package.
CATALOGUE: Final[tuple[Definition, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Definition)
)
