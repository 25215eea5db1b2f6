"""Type, name, model and parameters of an observation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from otel_agents.local.codec import dump
from otel_agents.local.findings import Notes

#: Values of `langfuse.observation.type`; only these, only in lower case.
TYPES: Final = frozenset(
    {
        "span",
        "generation",
        "event",
        "embedding",
        "agent",
        "tool",
        "chain",
        "retriever",
        "guardrail",
        "evaluator",
    }
)
_OPENINFERENCE: Final = {"LLM": "GENERATION", **{name.upper(): name.upper() for name in TYPES}}
_OPERATIONS: Final = {
    "chat": "GENERATION",
    "completion": "GENERATION",
    "text_completion": "GENERATION",
    "generate_content": "GENERATION",
    "generate": "GENERATION",
    "embeddings": "EMBEDDING",
    "invoke_agent": "AGENT",
    "create_agent": "AGENT",
    "execute_tool": "TOOL",
}
_MODEL_KEYS: Final = (
    "langfuse.observation.model.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "model",
)
_MODEL_ORDER: Final = (
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "ai.model.id",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.model_name",
    "model",
)
_NAME_ORDER: Final = ("gen_ai.tool.name", "genkit:name", "logfire.msg", "ai.toolCall.name", "ai.operationId")

#: Operations whose model, usage and cost are dropped. `create_agent` is not one of them.
AGENT_OPERATIONS: Final = ("invoke_agent", "agent_step")


def observation_type(attributes: Mapping[str, Any], notes: Notes) -> str:
    """The type; the first rule that knows one wins."""
    given = attributes.get("langfuse.observation.type")
    if isinstance(given, str) and given in TYPES:
        return given.upper()
    if given is not None:
        notes.add("type_unknown", value=given)
    kind = attributes.get("openinference.span.kind")
    if isinstance(kind, str) and kind in _OPENINFERENCE:
        return _OPENINFERENCE[kind]
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation:
        if operation in _OPERATIONS:
            return _OPERATIONS[operation]
        notes.add("type_not_derived", operation=operation)
    if attributes.get("gen_ai.tool.name") or attributes.get("gen_ai.tool.call.id"):
        return "TOOL"
    if any(attributes.get(key) for key in _MODEL_KEYS):
        return "GENERATION"
    return "SPAN"


def observation_name(attributes: Mapping[str, Any], span_name: str, kind: str, notes: Notes) -> str:
    """The name: a tool's name goes before everything, on any span."""
    for key in _NAME_ORDER:
        if value := attributes.get(key):
            if key == "gen_ai.tool.name" and kind != "TOOL":
                notes.add("name_from_tool", span_name=span_name)
            return text(value)
    return span_name


def model_name(attributes: Mapping[str, Any]) -> str | None:
    """The model, before it is dropped for agents."""
    for key in _MODEL_ORDER:
        if value := attributes.get(key):
            return text(value)
    return None


def model_parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Request parameters: one given JSON object, else every `gen_ai.request.*` but the model."""
    for key in ("langfuse.observation.model.parameters", "llm.invocation_parameters", "model_config"):
        given = json_object(attributes.get(key))
        if given is not None:
            return {name: _parameter(value) for name, value in given.items()}
    found = {}
    for key, value in attributes.items():
        for prefix in ("gen_ai.request.", "llm.invocation_parameters."):
            if key.startswith(prefix) and key != "gen_ai.request.model":
                found[key.removeprefix(prefix)] = _parameter(value)
    return found


def _parameter(value: Any) -> str | int | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return dump(value)


def text(value: Any) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else dump(value)


def json_object(value: Any) -> dict[str, Any] | None:
    """The object in a JSON string; None when it is something else."""
    if not isinstance(value, str):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
