"""What a real Langfuse would lose or count wrongly, named while a span is read.

Each kind has one severity and one sentence that says what happens there and what to do. ``error`` means
that numbers or content are wrong or gone, ``warning`` that something shows less well than it could.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents.local.rows import Finding

ERROR: Final = "error"
WARNING: Final = "warning"

#: kind → (severity, what happens and what to do). ``duplicate_span`` and ``orphan`` come from the store.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "duplicate_span": (
        ERROR,
        "the span was exported more than once: Langfuse counts every copy until it merges them",
    ),
    "orphan": (
        ERROR,
        "the parent never arrived and the span is not marked as an app root: the trace has no root",
    ),
    "usage_double_counted": (
        ERROR,
        "tokens are in more than one usage bucket, so that the sums are too high: send disjoint buckets",
    ),
    "usage_total_too_low": (
        ERROR,
        "the usage total is less than the sum of the other buckets: the buckets overlap",
    ),
    "usage_reads_zero": (
        ERROR,
        "no usage key contains 'input' or 'output', so that input and output tokens read as 0",
    ),
    "usage_value_dropped": (
        ERROR,
        "usage values have to be integers of 0 or more; others are dropped silently",
    ),
    "usage_details_invalid": (
        ERROR,
        "langfuse.observation.usage_details has to be a JSON object in a string attribute",
    ),
    "usage_on_agent_dropped": (
        WARNING,
        "usage and cost of an invoke_agent span are dropped: fine when they repeat those of its model"
        " calls, else put them on a child chat span",
    ),
    "cost_without_total": (
        ERROR,
        "the given cost has no 'total', so that the total cost reads as 0",
    ),
    "cost_not_a_number": (
        ERROR,
        "cost values are stored as they are sent: strings and negative numbers give wrong sums",
    ),
    "cost_details_invalid": (
        ERROR,
        "langfuse.observation.cost_details has to be a JSON object in a string attribute",
    ),
    "generation_unpriced": (
        WARNING,
        "no cost was sent and none can be computed: send cost_details with a total",
    ),
    "tokens_unpriced": (
        WARNING,
        "some usage buckets have no price of their own, so that the computed cost is too low",
    ),
    "input_lost_to_prompt_attributes": (
        ERROR,
        "gen_ai.prompt.* is read as the input, the messages are lost: send langfuse.observation.input",
    ),
    "system_instructions_lost": (
        WARNING,
        "gen_ai.system_instructions without input messages is lost",
    ),
    "io_side_lost": (
        WARNING,
        "only one of langfuse.observation.input and .output was sent, the other side's gen_ai messages"
        " are ignored",
    ),
    "exception_lost": (
        WARNING,
        "span events are dropped, and the exception's text is in no other place: put it into the status"
        " message",
    ),
    "evaluation_lost": (
        ERROR,
        "evaluation events are dropped: send them to the scores endpoint",
    ),
    "span_event_lost": (
        WARNING,
        "span events are dropped: send a child span of type event instead",
    ),
    "empty_list": (
        WARNING,
        'an empty list attribute becomes the text {"arrayValue":{}}: leave it out',
    ),
    "structured_value": (
        WARNING,
        "a map or a list of maps becomes the text of its OTLP JSON: send a JSON string",
    ),
    "environment_invalid": (
        ERROR,
        "the environment has characters other than a-z 0-9 - _ and became 'default'",
    ),
    "type_unknown": (
        WARNING,
        "langfuse.observation.type is not one of the known types (in lower case) and was ignored",
    ),
    "type_not_derived": (
        WARNING,
        "this operation is not known, so that the span got a type by its other attributes: send"
        " langfuse.observation.type",
    ),
    "name_from_tool": (
        WARNING,
        "gen_ai.tool.name on a span that is not a tool call renames it",
    ),
    "first_token_time_lost": (
        WARNING,
        "gen_ai.response.time_to_first_chunk is not read: send langfuse.observation.completion_start_time",
    ),
    "prompt_link_lost": (
        WARNING,
        "a prompt is linked only to a generation, by langfuse.observation.prompt.name and an integer"
        " langfuse.observation.prompt.version together",
    ),
    "metadata_quoted": (
        WARNING,
        "a metadata value is a JSON string with its quotes: filters on the plain value miss it",
    ),
    "metadata_invalid": (
        WARNING,
        "metadata under the bare key has to be a JSON object; it was dropped",
    ),
    "resource_context_ignored": (
        WARNING,
        "session, user and tags are read from spans, not from the resource",
    ),
    "level_unknown": (
        WARNING,
        "langfuse.observation.level is not a known level and was ignored",
    ),
    "error_not_marked": (
        WARNING,
        "the span has error.type, but neither the status code 2 nor the level ERROR: it shows as fine",
    ),
    "span_unreadable": (
        ERROR,
        "the local backend could not read the span and left it out; this is a mistake of its own",
    ),
    "public_key_mismatch": (
        WARNING,
        "the secret key is right, but the public key is not the project's",
    ),
    "score_dropped": (
        ERROR,
        "the score was accepted and then dropped: its value does not fit its type or its config",
    ),
    "score_id_reused": (
        WARNING,
        "the same score id came with another name or day: Langfuse keeps both",
    ),
}


class Notes:
    """Collects the findings of one span."""

    __slots__ = ("_name", "_received_ns", "_span_id", "_trace_id", "found")

    def __init__(self, trace_id: str, span_id: str, name: str, received_ns: int) -> None:
        self._trace_id = trace_id
        self._span_id = span_id
        self._name = name
        self._received_ns = received_ns
        self.found: list[Finding] = []

    def add(self, kind: str, **detail: Any) -> None:
        """Records a finding of a kind in `KINDS`; a kind is recorded once a span."""
        if any(known.kind == kind for known in self.found):
            return
        self.found.append(
            finding(kind, self._trace_id, self._span_id, self._received_ns, name=self._name, **detail)
        )


def finding(kind: str, trace_id: str, span_id: str, received_ns: int, **detail: Any) -> Finding:
    """A finding with the severity and the sentence of its kind."""
    severity, message = KINDS[kind]
    return Finding(kind, severity, trace_id, span_id, message, detail, received_ns)
