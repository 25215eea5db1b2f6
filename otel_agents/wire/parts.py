"""Message parts in the conventions' schema, and JSON read piece by piece.

Pieces stay undecoded (:class:`msgspec.Raw`, a view) until their kind is known, so that megabytes
of base64 are never copied when they are over the limit.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from otel_agents.wire import tolerant

Part = dict[str, Any]

_DATA_URL: Final = re.compile(rb'^"data:([^;,"]*)')
_MODALITIES: Final = ("image", "video", "audio")

_raw_list: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


class _Kind(msgspec.Struct):
    type: Any = None


_kind: msgspec.json.Decoder[_Kind] = msgspec.json.Decoder(_Kind)


def text(content: str) -> Part:
    """A text part."""
    return {"type": "text", "content": content}


def reasoning(content: str) -> Part:
    """What the model thought before it answered."""
    return {"type": "reasoning", "content": content}


def tool_call(call_id: object, name: object, arguments: object) -> Part:
    """A call that the model asks for; ``arguments`` decoded where they are JSON."""
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def tool_response(call_id: object, response: object) -> Part:
    """What a tool answered."""
    return {"type": "tool_call_response", "id": call_id, "response": response}


def arguments(source: str) -> object:
    """Tool arguments as the model wrote them: decoded when they are JSON, else the text itself."""
    if not source:
        return {}
    try:
        return tolerant.decode_any(source.encode("utf-8", "replace"))
    except ValueError:
        return source


def modality(mime_type: str | None) -> str:
    """``image``, ``video``, ``audio``, else ``document``."""
    kind = (mime_type or "").partition("/")[0]
    return kind if kind in _MODALITIES else "document"


def items(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """The items of a JSON array, undecoded; None when it is no array."""
    if tolerant.opens(raw) != b"[":
        return None
    return tolerant.decode(_raw_list, raw)


def kind(raw: msgspec.Raw) -> str:
    """The ``type`` of a JSON object; empty when it has none."""
    return tolerant.text(tolerant.decode(_kind, raw).type) or ""


def string(raw: msgspec.Raw, limit: int) -> str | None:
    """A JSON string of at most ``limit`` bytes; None when it is longer or no string."""
    if tolerant.size(raw) > limit + 2:
        return None
    value = tolerant.decode_any(raw)
    return value if isinstance(value, str) else None


def cut_string(raw: msgspec.Raw, limit: int) -> str:
    """A JSON string, cut after ``limit`` characters with a note of the rest; empty for anything else."""
    if tolerant.opens(raw) != b'"':
        return ""
    value = tolerant.decode_any(raw)
    if not isinstance(value, str):
        return ""
    return value if len(value) <= limit else f"{value[:limit]}… [{len(value) - limit} more characters]"


def anything(raw: msgspec.Raw, limit: int) -> Any:
    """A decoded value, or a note of its size when it is over ``limit`` bytes."""
    size = tolerant.size(raw)
    return tolerant.decode_any(raw) if size <= limit else {"omitted_bytes": size}


def generic(raw: msgspec.Raw, limit: int) -> Part:
    """A part of a kind that the schema has no name for: as it came, when it is not too big."""
    value = anything(raw, limit)
    if isinstance(value, dict) and "omitted_bytes" not in value:
        return value if isinstance(value.get("type"), str) else {"type": "generic", **value}
    return {"type": kind(raw) or "generic", "omitted_bytes": tolerant.size(raw)}


def blob(mime_type: str | None, raw: msgspec.Raw, limit: int) -> Part:
    """Base64 ``raw`` (a JSON string) as a blob part; over the limit only its size in bytes is kept."""
    content = string(raw, limit)
    part: Part = {"type": "blob", "mime_type": mime_type, "modality": modality(mime_type)}
    if content is None:
        return {**part, "content": "", "byte_size": (tolerant.size(raw) - 2) * 3 // 4}
    return {**part, "content": content}


def link(raw: msgspec.Raw, limit: int, kind: str) -> Part:
    """A URL (a JSON string): a blob part when it carries the data itself, else a uri part."""
    head = bytes(memoryview(raw)[:200])
    data_url = _DATA_URL.match(head)
    if data_url is None:
        return {"type": "uri", "modality": kind, "uri": string(raw, limit) or ""}
    mime_type = data_url.group(1).decode("ascii", "replace") or None
    content = string(raw, limit)
    part: Part = {"type": "blob", "mime_type": mime_type, "modality": kind}
    if content is None:
        return {
            **part,
            "content": "",
            "byte_size": (tolerant.size(raw) - len(data_url.group(0)) - 9) * 3 // 4,
        }
    header, _, data = content.partition(",")
    return {**part, "content": data if header.endswith(";base64") else content}
