"""What distinguishes the spans of agents, workflows, tools and retrievals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanKind

from otel_agents import semconv, values
from otel_agents.tracing import messages
from otel_agents.values.attributes import attributes_of

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_agents.runtime import Runtime

Content = Callable[[object, int], tuple[str, bool]]


@dataclass(frozen=True, slots=True, eq=False)
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
    """What all runs of one decorated function have in common; made once, redacted once.

    Attributes:
        name: redacted, since it also becomes a metric label.
    """

    __slots__ = (
        "_attributes",
        "_made",
        "_name",
        "capture_input",
        "capture_output",
        "kind",
        "name",
        "tool_type",
    )

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
        self.name = self._name = name
        self.capture_input = capture_input
        self.capture_output = capture_output
        self._attributes = attributes
        self._made: tuple[object, str, dict[str, AttributeValue]] | None = None

    def span(self, current: Runtime) -> tuple[str, dict[str, AttributeValue]]:
        """Name and first attributes of the span, under the redaction policy in force."""
        made = self._made
        redactor = current.redactor
        if made is None or made[0] is not redactor:
            made = self._made = (redactor, *self._make(current))
        return made[1], made[2]

    def _make(self, current: Runtime) -> tuple[str, dict[str, AttributeValue]]:
        kind = self.kind
        attributes: dict[str, AttributeValue] = {semconv.OPERATION_NAME: kind.operation}
        if self._name:
            attributes.update(dict.fromkeys(kind.name_attributes, self._name))
        if self.tool_type:
            attributes[semconv.TOOL_TYPE] = self.tool_type
        attributes.update(attributes_of(self._attributes, current.settings.max_value_chars))
        attributes = current.redactor.attributes(attributes)
        self.name = current.redactor.text(self._name)
        return f"{kind.operation} {self.name}".rstrip(), attributes


@lru_cache(maxsize=1024)
def plain_blueprint(kind: Kind, name: str, tool_type: str | None) -> Blueprint:
    """A blueprint of nothing but a name, kept for the next block of that name."""
    return Blueprint(kind, name, {}, tool_type=tool_type)
