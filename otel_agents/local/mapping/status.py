"""Level and status message, and what happens to span events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_agents.local.findings import Notes
from otel_agents.local.mapping.kinds import text
from otel_agents.local.rows import SpanEvent

_LEVELS: Final = {
    "debug": "DEBUG",
    "trace": "DEBUG",
    "verbose": "DEBUG",
    "info": "DEFAULT",
    "log": "DEFAULT",
    "notice": "DEFAULT",
    "ok": "DEFAULT",
    "success": "DEFAULT",
    "default": "DEFAULT",
    "warn": "WARNING",
    "warning": "WARNING",
    "error": "ERROR",
    "fatal": "ERROR",
    "critical": "ERROR",
}
#: Span events that content is read from.
CONTENT_EVENTS: Final = frozenset(
    {
        "gen_ai.client.inference.operation.details",
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
    }
)


def level(attributes: Mapping[str, Any], status_code: Any, notes: Notes) -> str:
    """A known level that was given wins over the status; a status counts only as the number 2."""
    given = attributes.get("langfuse.observation.level")
    if given is not None:
        if isinstance(given, str) and given.lower() in _LEVELS:
            return _LEVELS[given.lower()]
        notes.add("level_unknown", value=given)
    if status_code == 2 and not isinstance(status_code, bool | str):
        return "ERROR"
    if "error.type" in attributes or status_code == "STATUS_CODE_ERROR":
        notes.add("error_not_marked", error_type=attributes.get("error.type"))
    return "DEFAULT"


def status_message(attributes: Mapping[str, Any], span_message: str) -> str | None:
    """The given message, else that of the span's status."""
    given = attributes.get("langfuse.observation.status_message")
    if given is not None:
        return text(given) or None
    return span_message or None


def note_events(
    events: Sequence[SpanEvent],
    message: str | None,
    metadata: Mapping[str, Any],
    attributes: Mapping[str, Any],
    notes: Notes,
) -> None:
    """Notes the span events whose content is in no other place: Langfuse drops all of them."""
    for event in events:
        if event.name in CONTENT_EVENTS:
            continue
        if event.name == "exception":
            if not _kept(event, message, metadata):
                notes.add("exception_lost", exception=event.attributes.get("exception.type"))
        elif event.name.startswith("gen_ai.evaluation"):
            notes.add("evaluation_lost", evaluation=event.attributes.get("gen_ai.evaluation.name"))
        elif event.name not in attributes:  # an attribute of that name tells it too
            notes.add("span_event_lost", event=event.name)


def _kept(event: SpanEvent, message: str | None, metadata: Mapping[str, Any]) -> bool:
    lost = event.attributes.get("exception.message") or event.attributes.get("exception.type") or ""
    places = [message or "", *(value for value in metadata.values() if isinstance(value, str))]
    return any(str(lost) in place for place in places)
