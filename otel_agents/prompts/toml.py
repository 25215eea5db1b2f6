"""Just enough TOML writing for prompt files; Python reads TOML but does not write it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
#: Control characters that must be escaped even between triple quotes.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class NotToml(ValueError):
    """A value that TOML has no word for; the message says which."""


def lines(table: Mapping[str, Any]) -> list[str]:
    """``key = value`` for every item of a table, nested tables written inline.

    Raises:
        NotToml: a null, or something that is not JSON.
    """
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def block(text: str) -> str:
    """A string that may have many lines, between triple quotes."""
    escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\n{escaped}"""'


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return block(value) if "\n" in value else _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(str(key))} = {_inline(item)}" for key, item in value.items())
        return "{ " + inside + " }" if inside else "{}"
    raise NotToml(f"TOML cannot hold {value!r}")


def _inline(value: object) -> str:
    return _string(value) if isinstance(value, str) else _value(value)
