"""What the store keeps and answers: typed rows, filters and pages.

Times are integer nanoseconds since the epoch, money is USD, token counts are integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

Item = TypeVar("Item")

TraceOrder = Literal["start", "cost", "quality", "duration", "tokens"]
GroupColumn = Literal[
    "task_type", "agent", "status", "environment", "user_id", "session_id", "project", "name"
]
FacetColumn = Literal[
    "agent", "task_type", "status", "environment", "project", "user_id", "session_id", "name", "tags"
]


@dataclass(slots=True)
class SpanEvent:
    """A span event as it was received. Langfuse drops these; the web UI shows them."""

    name: str
    time_ns: int
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Observation:
    """One span, read as Langfuse 4.16 reads it.

    ``total_cost`` is None when there is no cost, and 0 when the given costs have no ``total``.
    ``parent_id`` is empty for a root. ``meta`` holds the user's own metadata keys, the part that filters
    can reach; ``metadata`` everything, as the API gives it. ``input``, ``output``, ``metadata`` and
    ``events`` are empty when a row was read without its payload.
    """

    trace_id: str
    id: str
    parent_id: str
    type: str  # SPAN, GENERATION, AGENT, TOOL, CHAIN, RETRIEVER, EMBEDDING, EVENT, EVALUATOR, GUARDRAIL
    name: str
    start_ns: int
    end_ns: int
    level: str = "DEFAULT"  # DEBUG, DEFAULT, WARNING, ERROR
    environment: str = "default"
    is_app_root: bool = False
    is_root: bool = False
    public: bool = False
    version: str | None = None
    release: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    trace_name: str | None = None
    model: str | None = None
    prompt_name: str | None = None
    prompt_version: int | None = None
    completion_start_ns: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int | None = None
    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None
    received_ns: int = 0
    scope_name: str | None = None
    scope_version: str | None = None
    service_name: str | None = None
    tags: list[str] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    model_parameters: dict[str, Any] = field(default_factory=dict)
    status_message: str | None = None
    input: str | None = None
    output: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """One score. ``value`` is the number (0 or 1 for BOOLEAN), ``string_value`` the label or text."""

    id: str
    name: str
    data_type: str  # NUMERIC, BOOLEAN, CATEGORICAL, TEXT, CORRECTION
    timestamp_ns: int
    value: float | None = None
    string_value: str | None = None
    source: str = "API"
    environment: str = "default"
    trace_id: str | None = None
    observation_id: str | None = None
    session_id: str | None = None
    experiment_id: str | None = None
    comment: str | None = None
    metadata: Any = None
    config_id: str | None = None
    queue_id: str | None = None
    author_user_id: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


@dataclass(slots=True)
class TraceRow:
    """Summary of one trace.

    ``status`` is ``error`` when the root failed (without a root: when anything failed), ``open`` while
    no root has arrived, else ``ok``; ``n_errors`` counts the failed observations. ``agent`` is the
    metadata key ``agent``, else the name of the topmost AGENT observation. ``quality`` is the metadata
    key ``quality_score``, else the mean of the numeric scores named ``quality``. ``preview`` is the
    beginning of the root's input.
    """

    trace_id: str
    name: str
    root_id: str | None
    start_ns: int
    end_ns: int
    duration_ns: int
    status: str
    agent: str | None
    task_type: str | None
    project: str | None
    agent_switched: bool | None
    session_id: str | None
    user_id: str | None
    environment: str
    version: str | None
    release: str | None
    total_cost: float
    input_tokens: int
    output_tokens: int
    total_tokens: int
    quality: float | None
    n_observations: int
    n_generations: int
    n_errors: int
    tags: list[str]
    received_ns: int
    preview: str | None


@dataclass(slots=True)
class Trace:
    """A whole trace: its summary, observations by start time, scores by time.

    ``truncated`` is true when there are more observations than were asked for.
    """

    row: TraceRow
    observations: list[Observation]
    scores: list[Score]
    truncated: bool = False


@dataclass(slots=True)
class SessionRow:
    """Summary of one session."""

    session_id: str
    start_ns: int
    end_ns: int
    n_traces: int
    n_errors: int
    total_cost: float
    total_tokens: int
    user_id: str | None
    environment: str


@dataclass(slots=True)
class Session:
    """A session with its traces (newest first) and the scores given to the session itself."""

    row: SessionRow
    traces: list[TraceRow]
    scores: list[Score]
    truncated: bool = False


@dataclass(slots=True)
class Group:
    """Traces that share one value; ``value`` is None for those without one."""

    value: str | None
    n_traces: int
    total_cost: float
    total_tokens: int
    quality: float | None
    n_errors: int
    mean_duration_ns: float
    last_start_ns: int


@dataclass(slots=True)
class Totals:
    """Sums over a time range."""

    n_traces: int
    n_errors: int
    n_observations: int
    total_cost: float
    input_tokens: int
    output_tokens: int
    total_tokens: int
    quality: float | None


@dataclass(slots=True)
class Finding:
    """Something a real Langfuse would lose or count wrongly, found while receiving a span.

    ``severity`` is ``error`` when numbers or content are wrong or lost, else ``warning``.
    """

    kind: str
    severity: str
    trace_id: str
    observation_id: str
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    received_ns: int = 0


@dataclass(slots=True)
class FindingCount:
    """How often one kind of finding came up, also beyond those that are kept one by one."""

    kind: str
    severity: str
    count: int


@dataclass(slots=True)
class Facet:
    """One value of a column and how many traces have it."""

    value: str
    count: int


@dataclass(slots=True)
class Page(Generic[Item]):
    """Some rows and the cursor of the next page, None at the end."""

    items: list[Item]
    cursor: str | None = None


@dataclass(slots=True)
class TraceFilter:
    """Which traces to list; what is None (or empty) is not looked at. All conditions must hold.

    ``text`` is looked for, without regard to case, in the name, the ids, session, user, agent, task type
    and the beginning of the root's input. ``tags`` must all be there. ``from_ns`` is inclusive, ``to_ns``
    exclusive; both look at the start of the trace.
    """

    agent: str | None = None
    task_type: str | None = None
    status: str | None = None
    agent_switched: bool | None = None
    environment: str | None = None
    project: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    min_cost: float | None = None
    max_cost: float | None = None
    min_quality: float | None = None
    max_quality: float | None = None
    min_duration_ns: int | None = None
    text: str | None = None
    tags: tuple[str, ...] = ()
    from_ns: int | None = None
    to_ns: int | None = None
