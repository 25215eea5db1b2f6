"""A recorded conversation as the request of a model API: OpenAI's two, and Anthropic's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_agents.langfuse.conversation import Conversation, Message, Part
from otel_agents.replay.errors import ReplayError

#: Parameters by the conventions' name (after ``gen_ai.request.``) and the API's.
_OPENAI_CHAT: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
}
_OPENAI_RESPONSES: Final = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
}
_ANTHROPIC: Final = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop_sequences",
}
#: Anthropic wants a bound.
_ANTHROPIC_MAX_TOKENS: Final = 4096
_SYSTEM: Final = ("system", "developer")


def openai_chat(
    model: str, said: Conversation, parameters: Mapping[str, Any], *, newest: bool = True
) -> dict[str, Any]:
    """Arguments of ``client.chat.completions.create``.

    Args:
        newest: OpenAI itself, where ``max_completion_tokens`` is the name that all models take; servers
            that speak its API know ``max_tokens``.
    """
    limit = "max_completion_tokens" if newest else "max_tokens"
    request: dict[str, Any] = {
        "model": model,
        "messages": [one for message in said.messages for one in _openai_messages(message)],
        **_parameters({**_OPENAI_CHAT, "max_tokens": limit}, parameters),
    }
    if said.tools:
        request["tools"] = [{"type": "function", "function": _function(tool)} for tool in said.tools]
    return request


def openai_responses(model: str, said: Conversation, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``client.responses.create``; nothing is stored there."""
    request: dict[str, Any] = {
        "model": model,
        "input": [one for message in said.messages for one in _response_items(message)],
        "store": False,
        **_parameters(_OPENAI_RESPONSES, parameters),
    }
    if said.tools:
        request["tools"] = [{"type": "function", **_function(tool), "strict": False} for tool in said.tools]
    return request


def anthropic(model: str, said: Conversation, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``client.messages.create``."""
    system = "\n\n".join(one.text for one in said.messages if one.role in _SYSTEM)
    request: dict[str, Any] = {
        "model": model,
        "messages": [_anthropic_message(one) for one in said.messages if one.role not in _SYSTEM],
        "max_tokens": _ANTHROPIC_MAX_TOKENS,
        **_parameters(_ANTHROPIC, parameters),
    }
    if system:
        request["system"] = system
    if said.tools:
        request["tools"] = [_anthropic_tool(tool) for tool in said.tools]
    return request


def _openai_messages(message: Message) -> Iterable[dict[str, Any]]:
    for part in message.parts:
        if part.get("type") == "tool_call_response":
            yield {"role": "tool", "tool_call_id": part.get("id"), "content": _as_text(part.get("response"))}
    content = [_openai_content(part) for part in message.parts if _is_said(part)]
    calls = [
        {
            "id": part.get("id"),
            "type": "function",
            "function": {"name": part.get("name"), "arguments": _as_text(part.get("arguments"))},
        }
        for part in message.parts
        if part.get("type") == "tool_call"
    ]
    if not content and not calls:
        return
    only_text = all(part["type"] == "text" for part in content)
    shown: Any = "\n".join(part["text"] for part in content) if only_text else content
    made = {"role": message.role, "content": shown or None}
    yield {**made, "tool_calls": calls} if calls else made


def _openai_content(part: Part) -> dict[str, Any]:
    if part.get("type") == "uri" and part.get("modality") == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    return {"type": "text", "text": _text_of(part)}


def _response_items(message: Message) -> Iterable[dict[str, Any]]:
    said = [part for part in message.parts if _is_said(part)]
    if said:
        yield {"role": message.role, "content": "\n".join(_text_of(part) for part in said)}
    for part in message.parts:
        if part.get("type") == "tool_call":
            arguments = _as_text(part.get("arguments"))
            yield {
                "type": "function_call",
                "call_id": part.get("id"),
                "name": part.get("name"),
                "arguments": arguments,
            }
        elif part.get("type") == "tool_call_response":
            output = _as_text(part.get("response"))
            yield {"type": "function_call_output", "call_id": part.get("id"), "output": output}


def _anthropic_message(message: Message) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        kind = part.get("type")
        if kind == "tool_call":
            given = part.get("arguments")
            arguments = given if isinstance(given, dict) else {}
            blocks.append(
                {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": arguments}
            )
        elif kind == "tool_call_response":
            content = _as_text(part.get("response"))
            blocks.append({"type": "tool_result", "tool_use_id": part.get("id"), "content": content})
        elif kind == "uri" and part.get("modality") == "image":
            blocks.append({"type": "image", "source": {"type": "url", "url": part.get("uri")}})
        elif _is_said(part):
            blocks.append({"type": "text", "text": _text_of(part)})
    return {"role": "assistant" if message.role == "assistant" else "user", "content": blocks}


def _is_said(part: Part) -> bool:
    """Whether the part is text or a picture: reasoning is not sent back, tool calls have their own place."""
    return part.get("type") not in ("reasoning", "tool_call", "tool_call_response")


def _text_of(part: Part) -> str:
    if part.get("type") in ("text", "refusal"):
        return str(part.get("content") or "")
    kind = part.get("modality") or part.get("type")
    raise ReplayError(
        f"the recorded input has a part that is not text ({kind}), whose content was not recorded; only "
        "text can be replayed"
    )


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Name, description and parameters, from the conventions' form or a provider's."""
    inner = tool.get("function")
    found: Mapping[str, Any] = inner if isinstance(inner, dict) else tool
    schema = found.get("parameters") or found.get("input_schema")
    made = {"name": found.get("name"), "description": found.get("description"), "parameters": schema}
    return {key: value for key, value in made.items() if value is not None}


def _anthropic_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    found = _function(tool)
    schema = found.pop("parameters", {"type": "object"})
    return {**found, "input_schema": schema}


def _parameters(names: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded parameters that the API has a word for. Langfuse keeps lists as JSON text."""
    return {names[key]: _unpacked(value) for key, value in given.items() if key in names}


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
