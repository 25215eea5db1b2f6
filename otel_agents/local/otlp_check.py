"""What makes Langfuse refuse an export: ids that are missing, fields that are not arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otel_agents.local.values import any_value_of_json


class Rejected(Exception):
    """The request is answered with ``status`` and the JSON object ``body``."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Problems:
    """Collects what is wrong with an export, for one answer about all of it."""

    __slots__ = ("bad", "fields", "reasons", "scopes", "total")

    def __init__(self) -> None:
        self.total = 0
        self.bad = 0
        self.fields = 0
        self.reasons: list[str] = []
        self.scopes: list[str] = []

    def scope(self, name: str) -> None:
        """Notes a scope name for the message."""
        if name and name not in self.scopes:
            self.scopes.append(name)

    def span(self, reasons: list[str]) -> None:
        """Counts one span and what is wrong with it."""
        self.total += 1
        if reasons:
            self.bad += 1
            self._note(reasons)

    def array(self, holder: dict[str, Any], name: str) -> list[Any]:
        """The list at ``name``; something else there is a problem, nothing is not."""
        value = holder.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.fields += 1
        self._note([f"{name}:not_an_array"])
        return []

    def attributes(self, holder: dict[str, Any], reason: str) -> dict[str, Any]:
        """Attributes of a resource or a scope."""
        reasons: list[str] = []
        found = json_attributes(holder, reason, reasons)
        if reasons:
            self.fields += 1
            self._note(reasons)
        return found

    def _note(self, reasons: list[str]) -> None:
        self.reasons += [reason for reason in reasons if reason not in self.reasons]

    def check(self) -> None:
        """Raises `Rejected` when there was any problem."""
        if not self.bad and not self.fields:
            return
        text = f"Invalid OTLP trace export: {self.bad} of {self.total} span(s) cannot be processed"
        if self.fields:
            text += f"; {self.fields} resource- or scope-level field(s) are present but not arrays"
        text += f" ({', '.join(self.reasons)})."
        text += " Every span needs a traceId and a spanId."
        text += " The entire export was rejected and no spans were ingested."
        if self.scopes:
            text += f" Instrumentation scopes: {', '.join(self.scopes)}."
        text += (
            " This endpoint accepts OpenTelemetry traces only — if you are exporting OpenTelemetry logs,"
            " point your log exporter elsewhere."
        )
        raise Rejected(400, {"error": text})


def json_attributes(holder: dict[str, Any], reason: str, reasons: list[str]) -> dict[str, Any]:
    """Attributes of an OTLP/JSON object; a reason is added when they are not an array."""
    pairs = holder.get("attributes")
    if pairs is not None and not isinstance(pairs, list):
        reasons.append(f"{reason}:not_an_array")
        return {}
    return _pairs(pairs or [])


def _pairs(pairs: list[Any]) -> dict[str, Any]:
    found = {}
    for pair in dicts(pairs):
        value = any_value_of_json(pair.get("value"))
        if value is not None:
            found[as_text(pair.get("key"))] = value
    return found


def dicts(items: list[Any]) -> Iterator[dict[str, Any]]:
    """The items that are objects."""
    return (item for item in items if isinstance(item, dict))


def as_dict(value: object) -> dict[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
