"""What a rule is, for both runners, and what rules share: conversions, and groups of OTTL statements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from otel_agents.normalize.record import Record, integer, number

Kind = Literal["same", "integer", "number", "text", "list", "seconds", "head"]
#: Where a rule runs.
Where = Literal["both", "python", "ottl"]

#: In generated statements, for the setting: ``on`` removes originals, ``keep`` leaves them.
MODE: Final = "@MODE@"
REMOVES: Final = f'"{MODE}" == "on"'
_MILLISECONDS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Group:
    """Statements of one OTTL context that share conditions (all have to hold)."""

    statements: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    context: Literal["span", "spanevent"] = "span"


class Rule(Protocol):
    """One line of a table."""

    @property
    def where(self) -> Where: ...

    @property
    def source(self) -> str: ...

    def apply(self, record: Record) -> None:
        """Changes ``record``."""

    def groups(self, number: int) -> Iterator[Group]:
        """The same in OTTL; ``number`` is unique in the table and keeps names in ``cache`` apart."""


def converted(value: Any, kind: Kind) -> Any:
    """``value`` as ``kind``; None when it cannot be."""
    if value is None:
        return None
    match kind:
        case "integer":
            return integer(value)
        case "number":
            return number(value)
        case "text":
            return as_text(value)
        case "list":
            if not isinstance(value, str):
                return value
            if not value.startswith("["):
                return [value]
            many = parsed(value)
            return many if isinstance(many, list) else None
        case "head":
            return value.split(".", 1)[0] if isinstance(value, str) else None
        case "seconds":
            found = number(value)
            return None if found is None else found / _MILLISECONDS
    return value


def ottl_converted(path: str, kind: Kind) -> str:
    """The same as an OTTL expression; a list needs more than that."""
    return {
        "integer": f"Int({path})",
        "number": f"Double({path})",
        "text": f"String({path})",
        "head": f'Split({path}, ".")[0]',
        "seconds": f"Double({path}) / {_MILLISECONDS}",
    }.get(kind, path)


def parsed(value: Any) -> Any:
    """What JSON text says; every other value as it is, None for text that is no JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def as_text(value: Any) -> str:
    """Text as it is, everything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """Compact JSON; what JSON does not know becomes its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
