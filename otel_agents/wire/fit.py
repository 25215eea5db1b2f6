"""Messages made to fit the limit of one attribute and still be valid messages.

The middle of a conversation goes before its ends, and long texts are cut before whole messages are.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents.wire import tolerant

#: A text is never cut below this many characters.
_SHORTEST: Final = 64


def to_json(items: list[Any], limit: int) -> tuple[str, bool]:
    """``items`` as a JSON list of at most ``limit`` characters, and whether something was left out."""
    encoded = tolerant.encode(items)
    if len(encoded) <= limit:
        return encoded, False
    if limit < 2 * _SHORTEST:
        return "[]", True
    room = limit // 2
    while room >= _SHORTEST:
        cut = [_cut(item, room) for item in items]
        encoded = tolerant.encode(cut)
        if len(encoded) <= limit:
            return encoded, True
        room //= 4
    return _ends(cut, limit), True


def _ends(items: list[Any], limit: int) -> str:
    """As many items from both ends as fit, with a note between them."""
    sizes = [len(tolerant.encode(item)) + 1 for item in items]
    room = limit - 128  # brackets and the note
    head, tail = 0, 0
    while head + tail < len(items):
        # From the end first: the last messages are what the call was about.
        take_tail = tail <= head
        size = sizes[len(items) - 1 - tail] if take_tail else sizes[head]
        if size > room:
            break
        room -= size
        head, tail = (head, tail + 1) if take_tail else (head + 1, tail)
    left_out = len(items) - head - tail
    kept = items[:head] + [_note(items, left_out)] + (items[len(items) - tail :] if tail else [])
    encoded = tolerant.encode(kept)
    return encoded if len(encoded) <= limit else "[]"


def _note(items: list[Any], left_out: int) -> dict[str, Any]:
    text = f"[{left_out} left out]"
    part = {"type": "text", "content": text}
    if items and isinstance(items[0], dict) and "role" in items[0]:
        return {"role": "system", "parts": [part]}
    return part


def _cut(value: Any, room: int) -> Any:
    """``value`` with every text in it cut at ``room`` characters; data that is useless in part goes whole."""
    if isinstance(value, str):
        return value if len(value) <= room else f"{value[:room]}… [{len(value) - room} more characters]"
    if isinstance(value, list):
        return [_cut(item, room) for item in value]
    if isinstance(value, dict):
        content = value.get("content")
        if value.get("type") == "blob" and isinstance(content, str) and len(content) > room:
            return {**value, "content": "", "byte_size": len(content) * 3 // 4}
        return {name: _cut(item, room) for name, item in value.items()}
    return value
