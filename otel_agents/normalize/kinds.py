"""What a span is, by the conventions that other instrumentations follow: its operation.

Langfuse is sent spans with ``gen_ai.operation.name`` only, and whoever looks for the model call's span
needs to know one. OpenInference says it by ``openinference.span.kind``, mostly when a span starts; its
LlamaIndex instrumentor says it when the span ends, which is too late for both. So it is said here in
the conventions' words, early where the span's name tells, and set right at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_agents import semconv
from otel_agents.normalize.dialect import COUNTED

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

_KIND: Final = "openinference.span.kind"

#: Dialect → the attribute that says what a span is, and which of its values are model calls.
_MODEL_CALLS: Final[Mapping[str, Mapping[str, str]]] = {
    _KIND: {"LLM": semconv.OP_CHAT, "EMBEDDING": semconv.OP_EMBEDDINGS},
    "langfuse.observation.type": {"generation": semconv.OP_CHAT, "embedding": semconv.OP_EMBEDDINGS},
    "llm.request.type": {
        "chat": semconv.OP_CHAT, "completion": semconv.OP_CHAT, "embedding": semconv.OP_EMBEDDINGS,
    },
}  # fmt: skip

#: Operations of model calls under names that were given up → operation.
_EARLY_NAMES: Final[Mapping[str, str]] = {
    "chat.completions": semconv.OP_CHAT,
    "chat.streaming_completions": semconv.OP_CHAT,
    "text.completions": semconv.OP_TEXT_COMPLETION,
    "text.streaming_completions": semconv.OP_TEXT_COMPLETION,
}

#: Kinds of OpenInference that are not model calls → operation.
_STRUCTURE: Final[Mapping[str, str]] = {
    "AGENT": semconv.OP_INVOKE_AGENT,
    "CHAIN": semconv.OP_INVOKE_WORKFLOW,
    "RETRIEVER": semconv.OP_RETRIEVAL,
    "TOOL": semconv.OP_EXECUTE_TOOL,
}
#: What OpenLLMetry's decorators say of their spans, once those have started → operation.
_TRACELOOP: Final[Mapping[str, str]] = {
    "workflow": semconv.OP_INVOKE_WORKFLOW,
    "task": semconv.OP_INVOKE_WORKFLOW,
    "agent": semconv.OP_INVOKE_AGENT,
    "tool": semconv.OP_EXECUTE_TOOL,
}
#: Operation → attributes with the name of what is run, ours first.
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    semconv.OP_INVOKE_AGENT: (semconv.AGENT_NAME, "agent.name"),
    semconv.OP_EXECUTE_TOOL: (semconv.TOOL_NAME, "tool.name"),
}

#: Starts of scopes whose input tokens leave out the cache, which the normaliser adds.
_EXCLUSIVE: Final = ("openlit.",)

_PYDANTIC_AI: Final = "pydantic-ai"
#: Its spans are named after a class and a method, and all of them say their kind when they end.
_LLAMA_INDEX: Final = "openinference.instrumentation.llama_index"
#: Methods of LlamaIndex's models that send requests → kind.
_LLAMA_INDEX_CALLS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("chat", "complete", "stream_chat", "stream_complete", "achat", "acomplete", "astream_chat",
         "astream_complete"),
        "LLM",
    ),
    **dict.fromkeys(
        ("get_query_embedding", "get_text_embedding", "get_text_embedding_batch", "aget_query_embedding",
         "aget_text_embedding", "aget_text_embedding_batch"),
        "EMBEDDING",
    ),
}  # fmt: skip
#: Ends of names of LlamaIndex's classes that have such methods too and are no models.
_LLAMA_INDEX_OTHERS: Final = ("Agent", "AgentWorker", "ChatEngine", "Engine", "Runner", "Workflow")


def model_call(attributes: Mapping[str, Any]) -> str | None:
    """The operation of a span that is one model call, in any dialect; None for all other spans."""
    name = attributes.get(semconv.OPERATION_NAME)
    if name is not None:
        name = _EARLY_NAMES.get(str(name), name)
        return name if name in semconv.INFERENCE_OPERATIONS else None
    for attribute, kinds in _MODEL_CALLS.items():
        kind = attributes.get(attribute)
        if kind is not None:
            return kinds.get(str(kind)) or kinds.get(str(kind).upper())
    # Logfire before it said operations.
    return semconv.OP_CHAT if "request_data" in attributes and semconv.REQUEST_MODEL in attributes else None


def at_start(span: SdkSpan) -> None:
    """Gives a starting span its operation where its dialect says it otherwise, or late.

    Model calls are left as they are: those are found.
    """
    attributes = span.attributes
    if attributes is not None and semconv.OPERATION_NAME in attributes:
        return
    if (scope := span.instrumentation_scope) is not None and scope.name == _PYDANTIC_AI:
        operation = _of_pydantic_ai(span.name, attributes or {})
        if operation is not None:
            span.set_attribute(semconv.OPERATION_NAME, operation)
        return
    kind = (attributes or {}).get(_KIND)
    if kind is None and _is_llama_index(span) and _call_by_name(span.name) is None:
        owner, _, method = span.name.rpartition(".")
        agent = method == "run" and owner.endswith(("Agent", "AgentWorkflow"))
        kind = "AGENT" if agent else "CHAIN"  # whatever it will say, it is something that Langfuse shows
        if agent:
            span.set_attribute(semconv.AGENT_NAME, owner)
    operation = _STRUCTURE.get(str(kind))
    if operation is not None:
        span.set_attribute(semconv.OPERATION_NAME, operation)


def at_call(span: SdkSpan) -> bool:
    """Tells of LlamaIndex's span of a model what it is, when a request is sent in it.

    Returns:
        Whether it is one; the span around it may be one of the same call then.
    """
    if not _is_llama_index(span) or (kind := _call_by_name(span.name)) is None:
        return False
    attributes = span.attributes or {}
    if _KIND not in attributes and semconv.OPERATION_NAME not in attributes:
        span.set_attribute(_KIND, kind)
    return True


def at_claim(span: Span) -> None:
    """Says of a span that a call completes that its counts are the call's, where its own would be changed."""
    scope = getattr(span, "instrumentation_scope", None)
    if scope is not None and scope.name.startswith(_EXCLUSIVE):
        span.set_attribute(COUNTED, True)


def at_end(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """What an ended span of OpenInference or OpenLLMetry lacks or has wrong, for its exported copy."""
    kind = attributes.get(_KIND)
    if kind is None:
        told = _TRACELOOP.get(str(attributes.get("traceloop.span.kind")))
        return {} if told is None or semconv.OPERATION_NAME in attributes else {semconv.OPERATION_NAME: told}
    found: dict[str, AttributeValue] = {}
    said = attributes.get(semconv.OPERATION_NAME)
    operation = _STRUCTURE.get(str(kind))
    if operation is None:
        if said == semconv.OP_INVOKE_WORKFLOW:  # around a model's calls, and none itself
            found[_KIND] = "CHAIN"
        return found
    if said is None or said == semconv.OP_INVOKE_WORKFLOW != operation:
        found[semconv.OPERATION_NAME] = operation
    ours, theirs = _NAMES.get(operation, ("", ""))
    if ours and ours not in attributes and (name := attributes.get(theirs)) is not None:
        found[ours] = name
    return found


def _of_pydantic_ai(name: str, attributes: Mapping[str, Any]) -> str | None:
    """What its instrumentation versions 1 and 2 do not say."""
    if "agent_name" in attributes:
        return semconv.OP_INVOKE_AGENT
    if semconv.TOOL_NAME in attributes:
        return semconv.OP_EXECUTE_TOOL
    return semconv.OP_INVOKE_WORKFLOW if name.startswith("running") else None


def _is_llama_index(span: object) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and scope.name == _LLAMA_INDEX


def _call_by_name(name: str) -> str | None:
    owner, _, method = name.rpartition(".")
    return None if owner.endswith(_LLAMA_INDEX_OTHERS) else _LLAMA_INDEX_CALLS.get(method.lstrip("_"))
