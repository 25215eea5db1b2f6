"""JSON out of recorded text and back, without an exception for anything a span may hold."""

from __future__ import annotations

import json
from typing import Any, Final

#: What :func:`parse` answers for text that is not JSON (``None`` is the value of ``null``).
NOT_JSON: Final[Any] = object()
#: Text beyond this many characters is not parsed: it is shown cut, with a way to the raw text.
PARSE_LIMIT = 8_000_000
#: Values nested deeper than this are printed on one line.
_DEEPEST = 60


def parse(text: str) -> Any:
    """The value of a JSON object, list or string; :data:`NOT_JSON` for everything else.

    A bare number or ``true`` counts as text: it is shown the same, with its spelling kept.
    """
    head = text.lstrip()[:1]
    if not head or head not in '[{"' or len(text) > PARSE_LIMIT:
        return NOT_JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NOT_JSON


def pretty(value: Any) -> str:
    """``value`` printed with two spaces of indentation."""
    try:
        indent = 2 if _depth(value) <= _DEEPEST else None
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    except (ValueError, TypeError, RecursionError):
        return f"(a {type(value).__name__} nested too deep to print)"


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _DEEPEST:
        deepest += 1
        children: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list):
                children.extend(item)
        level = [child for child in children if isinstance(child, dict | list)]
    return deepest
