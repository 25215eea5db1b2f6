"""Content that nobody has asked for, taken out of the spans of frameworks that trace themselves.

Some have no switch for it (Strands, AutoGen, Google's ADK, Mistral's SDK), and some instrumentors that we
enable show texts in spite of theirs. What is known to be no content is kept, everything else goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_agents.export.copies import changed

if TYPE_CHECKING:
    from collections.abc import Container

    from opentelemetry.sdk.trace import ReadableSpan

#: Starts of the scopes of libraries that trace themselves, contents included, without a switch.
_WITHOUT_SWITCH: Final = ("autogen-core", "autogen_", "gcp.vertex.agent", "mistralai_sdk_tracer", "strands.")

#: Starts of the names of texts that are no content.
_KEPT: Final = (
    "agent.name", "code.", "error.", "event.loop.", "event_loop.", "exception.type", "gen_ai.agent.id",
    "gen_ai.agent.name", "gen_ai.agent.version", "gen_ai.conversation.id", "gen_ai.data_source.id",
    "gen_ai.operation.name", "gen_ai.output.type", "gen_ai.prompt.name", "gen_ai.prompt.version",
    "gen_ai.provider.name", "gen_ai.request.", "gen_ai.response.", "gen_ai.system", "gen_ai.tool.call.id",
    "gen_ai.tool.name", "gen_ai.tool.status", "gen_ai.tool.type", "gen_ai.usage.", "gen_ai.workflow.name",
    "graph.node.", "http.", "llm.model_name", "llm.provider", "llm.system", "mcp.", "messaging.",
    "openinference.span.kind", "otel_agents.", "server.", "service.", "session.id", "tool.name", "user.id",
)  # fmt: skip
#: Among those: what the model was told to be.
_DROPPED: Final = ("gen_ai.system_instructions",)


def without_content(span: ReadableSpan, enabled: Container[str]) -> ReadableSpan:
    """The span, or a copy without content when it is one of those.

    Args:
        enabled: scopes of the instrumentors that we have enabled.
    """
    scope = span.instrumentation_scope
    if scope is None or not (scope.name in enabled or scope.name.startswith(_WITHOUT_SWITCH)):
        return span
    kept = {
        name: value
        for name, value in (span.attributes or {}).items()
        if isinstance(value, (bool, int, float)) or _is_kept(name)
    }
    events = [one for one in span.events if one.name == "exception"]
    if len(kept) == len(span.attributes or {}) and len(events) == len(span.events):
        return span
    return changed(span, attributes=kept, events=events)


def _is_kept(name: str) -> bool:
    return name.startswith(_KEPT) and not name.startswith(_DROPPED)
