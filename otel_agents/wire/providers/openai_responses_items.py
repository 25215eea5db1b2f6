"""One item of the Responses API, sent or produced, as a role and message parts.

Three kinds of tools: functions, which the app runs; tools of the provider's design that the app runs
too (a shell, a computer, patches), which are calls and answers all the same; and tools that the
provider runs, whose call and result come in one item.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from otel_agents.wire import parts, tolerant
from otel_agents.wire.parts import Part

_EMPTY: Final = msgspec.Raw(b"")

#: Tools that the provider runs → the fields of the item that are the result.
_SERVER_TOOLS: Final = {
    "code_interpreter_call": ("outputs",),
    "file_search_call": ("results",),
    "image_generation_call": ("result",),
    "mcp_call": ("output", "error"),
    "mcp_list_tools": ("tools", "error"),
    "tool_search_call": (),
    "tool_search_output": ("tools",),
    "web_search_call": ("results",),
}
#: Fields of an item that are no arguments of its call.
_FRAME: Final = ("id", "call_id", "type", "name", "status", "server_label")
_CALLS_OF_THE_APP: Final = ("apply_patch_call", "computer_call", "local_shell_call", "shell_call")


class _Item(msgspec.Struct):
    type: Any = None
    id: Any = None
    call_id: Any = None
    role: Any = None
    name: Any = None
    content: msgspec.Raw = _EMPTY
    summary: msgspec.Raw = _EMPTY
    arguments: Any = None
    input: Any = None
    output: msgspec.Raw = _EMPTY
    result: msgspec.Raw = _EMPTY


class _Part(msgspec.Struct):
    type: Any = None
    text: msgspec.Raw = _EMPTY
    refusal: msgspec.Raw = _EMPTY
    image_url: msgspec.Raw = _EMPTY
    file_id: Any = None
    file_data: msgspec.Raw = _EMPTY
    file_url: msgspec.Raw = _EMPTY
    input_audio: msgspec.Raw = _EMPTY


class _Audio(msgspec.Struct):
    data: msgspec.Raw = _EMPTY
    format: Any = None


_item = msgspec.json.Decoder(_Item)
_part = msgspec.json.Decoder(_Part)
_audio = msgspec.json.Decoder(_Audio)


class Read(NamedTuple):
    """What an item says, and who says it."""

    role: str
    parts: list[Part]


def read(raw: msgspec.Raw, limit: int) -> Read:
    """An item of ``input`` or ``output``; values beyond ``limit`` characters are cut."""
    if tolerant.opens(raw) != b"{":
        return Read("user", [{"type": "generic"}])
    item = tolerant.decode(_item, raw)
    kind = tolerant.text(item.type) or "message"
    if kind == "message":
        return Read(tolerant.text(item.role) or "assistant", _content(item.content, limit))
    if kind == "reasoning":
        return Read("assistant", _thoughts(item, limit))
    if kind == "function_call":
        arguments = item.arguments
        decoded = parts.arguments(arguments) if isinstance(arguments, str) else arguments
        return Read("assistant", [parts.tool_call(item.call_id or item.id, item.name, decoded)])
    if kind == "custom_tool_call":
        return Read("assistant", [parts.tool_call(item.call_id or item.id, item.name, item.input)])
    if kind in _SERVER_TOOLS:
        return Read("assistant", _server_tool(kind, item, raw, limit))
    if kind in _CALLS_OF_THE_APP:
        name = kind.removesuffix("_call")
        call = parts.tool_call(item.call_id or item.id, name, _fields(raw, limit, ()))
        return Read("assistant", [call])
    if kind.endswith("_call_output"):
        return Read("tool", [parts.tool_response(item.call_id or item.id, _output(item.output, limit))])
    if kind == "compaction":
        return Read("assistant", [{"type": "compaction", "id": item.id}])
    return Read("assistant", [parts.generic(raw, limit)])


def tool(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    """A tool's definition: a function as the conventions have it, others as they came, with a name."""
    found = parts.anything(raw, limit)
    if not isinstance(found, dict):
        return {"type": "generic"}
    if found.get("type") != "function":
        name = found.get("name") or found.get("server_label") or found.get("type")
        return {key: value for key, value in {**found, "name": name}.items() if key not in _SECRETS}
    wanted = ("name", "description", "parameters")
    return {"type": "function", **{name: found[name] for name in wanted if name in found}}


#: Fields of an MCP tool that hold the keys of its server.
_SECRETS: Final = ("authorization", "headers")


def _content(raw: msgspec.Raw, limit: int) -> list[Part]:
    if tolerant.opens(raw) == b'"':
        return [parts.text(parts.cut_string(raw, limit))]
    return [_read_part(part, limit) for part in parts.items(raw) or ()]


def _read_part(raw: msgspec.Raw, limit: int) -> Part:
    if tolerant.opens(raw) != b"{":
        return {"type": "generic"}
    part = tolerant.decode(_part, raw)
    if part.type in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        return parts.text(parts.cut_string(part.text, limit))
    if part.type == "refusal":
        return {"type": "refusal", "content": parts.cut_string(part.refusal, limit)}
    if part.type in ("input_image", "input_file", "computer_screenshot"):
        modality = "document" if part.type == "input_file" else "image"
        if isinstance(part.file_id, str):
            return {"type": "file", "modality": modality, "file_id": part.file_id}
        for source in (part.image_url, part.file_data, part.file_url):
            if tolerant.opens(source) == b'"':
                return parts.link(source, limit, modality)
    if part.type == "input_audio" and tolerant.opens(part.input_audio) == b"{":
        audio = tolerant.decode(_audio, part.input_audio)
        return parts.blob(f"audio/{tolerant.text(audio.format) or '*'}", audio.data, limit)
    return parts.generic(raw, limit)


def _thoughts(item: _Item, limit: int) -> list[Part]:
    """Summaries and, from open models, the thoughts themselves; encrypted ones say nothing."""
    found = _content(item.summary, limit) + _content(item.content, limit)
    return [parts.reasoning(part["content"]) for part in found if part.get("content")]


def _server_tool(kind: str, item: _Item, raw: msgspec.Raw, limit: int) -> list[Part]:
    results = _SERVER_TOOLS[kind]
    name = kind.removesuffix("_call")
    call: Part = {
        "type": "server_tool_call",
        "id": item.id,
        "name": tolerant.text(item.name) or name,
        "server_tool_call": {"type": name, **_fields(raw, limit, results)},
    }
    if kind == "image_generation_call" and tolerant.opens(item.result) == b'"':
        return [call, parts.blob("image/*", item.result, limit)]
    found = {key: value for key, value in _values(raw, limit).items() if key in results and value is not None}
    if not found:
        return [call]
    response = {"type": name, **found}
    return [
        call,
        {"type": "server_tool_call_response", "id": item.id, "server_tool_call_response": response},
    ]


def _fields(raw: msgspec.Raw, limit: int, results: tuple[str, ...]) -> dict[str, Any]:
    """What a call was made with: all fields but its frame and its results; arguments decoded."""
    found = {
        name: value
        for name, value in _values(raw, limit).items()
        if name not in _FRAME and name not in results and value is not None
    }
    if isinstance(found.get("arguments"), str):
        found["arguments"] = parts.arguments(found["arguments"])
    return found


_object: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _values(raw: msgspec.Raw, limit: int) -> dict[str, Any]:
    return {name: parts.anything(value, limit) for name, value in tolerant.decode(_object, raw).items()}


def _output(raw: msgspec.Raw, limit: int) -> Any:
    """What a tool of the app answered: its text, else parts, else the value itself."""
    if tolerant.opens(raw) == b'"':
        return parts.cut_string(raw, limit)
    found = parts.items(raw)
    if found is None:
        return parts.anything(raw, limit) if tolerant.size(raw) else None
    read = [
        _read_part(part, limit) if tolerant.opens(part) == b"{" else {"type": "generic"} for part in found
    ]
    if read and all(part["type"] == "text" for part in read):
        return "\n".join(part["content"] for part in read)
    return read
