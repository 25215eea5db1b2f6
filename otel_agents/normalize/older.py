"""Older GenAI conventions: names that were renamed, before v0.1.0 of the conventions' own repository.

Repeatable, so they are applied to every span, ours and those of other dialects included.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents import semconv as sc
from otel_agents.normalize.chat_messages import from_events
from otel_agents.normalize.conditions import all_of, any_of, attribute, has, lacks
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.providers import PROVIDERS
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import Copy, Group, Make, Rule, Say

_REGISTRY: Final = "https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/ (deprecated)"
_V1_41: Final = (
    "open-telemetry/semantic-conventions v1.41.0, docs/gen-ai; renamed in semantic-conventions-genai"
)

#: The renames that concern what Langfuse is told; direct mode's mapping applies them by itself, too.
RENAMED: Final[tuple[Copy, ...]] = (
    Copy(sc.PROVIDER_NAME, ("gen_ai.system",), _REGISTRY, values=PROVIDERS),
    Copy(sc.USAGE_INPUT_TOKENS, ("gen_ai.usage.prompt_tokens",), _REGISTRY),
    Copy(sc.USAGE_OUTPUT_TOKENS, ("gen_ai.usage.completion_tokens",), _REGISTRY),
    Copy(
        sc.USAGE_CACHE_READ,
        (
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
        ),
        "opentelemetry-instrumentation-anthropic 0.62 (OpenLLMetry); pydantic-ai 0.x (usage details)",
    ),
    Copy(
        sc.USAGE_CACHE_WRITE,
        (
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
        ),
        _V1_41,
    ),
    Copy(
        sc.USAGE_REASONING,
        ("gen_ai.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens"),
        "opentelemetry-instrumentation-openai 0.62 (OpenLLMetry); pydantic-ai (usage details)",
    ),
)

_EVENTS: Final = (
    "semantic conventions 1.28 to 1.36, docs/gen-ai/gen-ai-events.md; 1.26 (gen_ai.content.prompt)"
)


def _given(record: Record) -> Any:
    return from_events(record.events)[0]


def _produced(record: Record) -> Any:
    return from_events(record.events)[1]


_GROWING: Final = "otel_agents.normalize.growing"


def _from_events(target: str, kind: str) -> tuple[Group, ...]:
    """Texts of events, each added to a list that grows with every event, in their order."""
    growing = attribute(f"{_GROWING}.{kind}")
    part, message = 'cache["part"]', 'cache["message"]'
    content = 'cache["content"]'
    told = 'spanevent.attributes["gen_ai.event.content"]'
    statements: list[str] = [
        f'set({content}, spanevent.attributes["content"])',
        f'set(cache["fields"], ParseJSON({told})) where IsString({told})',  # Azure's SDKs
        f'set({content}, cache["fields"]["content"]) where cache["fields"] != nil',
    ]
    if kind == "in":
        prompt = 'spanevent.name == "gen_ai.content.prompt"'
        statements.append(f'set(cache["role"], "user") where {prompt}')
        statements.append(f'set({content}, spanevent.attributes["gen_ai.prompt"]) where {prompt}')
        for role in ("system", "user", "assistant"):
            statements.append(f'set(cache["role"], "{role}") where spanevent.name == "gen_ai.{role}.message"')
        statements.append(
            f'set({part}, {{"type": "text", "content": {content}}}) where cache["role"] != nil and '
            f'IsString({content}) and {content} != ""'
        )
    else:
        choice = 'spanevent.name == "gen_ai.choice"'
        told = 'spanevent.attributes["message"]'
        completion = 'spanevent.name == "gen_ai.content.completion"'
        statements += [
            f'set(cache["role"], "assistant") where {completion}',
            f'set(cache["said"], spanevent.attributes["gen_ai.completion"]) where {completion}',
            f'set(cache["role"], "assistant") where {choice}',
            f'set(cache["said"], {content}) where {choice}',
            f'set(cache["told"], ParseJSON({told})) where {choice} and IsString({told})',
            f'set(cache["told"], {told}) where {choice} and IsMap({told})',
            f'set(cache["told"], cache["fields"]["message"]) where {choice} and cache["fields"] != nil',
            'set(cache["said"], cache["told"]["content"]) where cache["told"] != nil',
            f'set({part}, {{"type": "text", "content": cache["said"]}}) where IsString(cache["said"]) and '
            'cache["said"] != ""',
        ]
    made = f'Format("{{\\"role\\":\\"%s\\",\\"parts\\":[%s]}}", [cache["role"], String({part})])'
    missing = f"{attribute(target)} == nil"
    return (
        Group(
            (
                *statements,
                f"set({message}, {made}) where {part} != nil",
                f'set({message}, Concat([{growing}, {message}], ",")) '
                f"where {growing} != nil and {message} != nil",
                f"set({growing}, {message}) where {message} != nil",
            ),
            (missing,),
            "spanevent",
        ),
        Group(
            (
                f'set({attribute(target)}, Concat(["[", {growing}, "]"], ""))',
                f'delete_key(span.attributes, "{_GROWING}.{kind}")',
            ),
            (missing, f"{growing} != nil"),
        ),
    )


_RULES: Final[tuple[Rule, ...]] = (
    *RENAMED,
    # Behind a Collector, the texts only: tool calls are nested deeper.
    Make(sc.INPUT_MESSAGES, _given, _EVENTS, ottl=_from_events(sc.INPUT_MESSAGES, "in")),
    Make(sc.OUTPUT_MESSAGES, _produced, _EVENTS, ottl=_from_events(sc.OUTPUT_MESSAGES, "out")),
    Copy("gen_ai.request.seed", ("gen_ai.openai.request.seed",), _REGISTRY),
    Copy(
        "gen_ai.output.type",
        ("gen_ai.openai.request.response_format",),
        _REGISTRY,
        values={"json_object": "json", "json_schema": "json"},
    ),
    Copy("openai.request.service_tier", ("gen_ai.openai.request.service_tier",), _REGISTRY),
    Copy("openai.response.service_tier", ("gen_ai.openai.response.service_tier",), _REGISTRY),
    Copy("openai.response.system_fingerprint", ("gen_ai.openai.response.system_fingerprint",), _REGISTRY),
    # Before v1.27 the operation was not said; what names a provider and a model, and used tokens, is a call.
    Say(
        sc.OPERATION_NAME,
        sc.OP_CHAT,
        all_of(
            has("gen_ai.system"),
            has(sc.REQUEST_MODEL, sc.RESPONSE_MODEL),
            has("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
            lacks(sc.TOOL_NAME, sc.AGENT_NAME, "traceloop.span.kind", "otel_agents.duplicate_of"),
        ),
        "open-telemetry/semantic-conventions v1.26.0, docs/gen-ai/gen-ai-spans.md",
    ),
)

OLDER: Final = Dialect(
    name="older",
    title="GenAI conventions before v0.1.0 of their own repository (semconv 1.26 to 1.41)",
    marks=any_of(
        has(
            "gen_ai.system",
            "gen_ai.usage.prompt_tokens",
            "gen_ai.usage.completion_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
            "gen_ai.usage.details.reasoning_tokens",
        ),
    ),
    rules=_RULES,
    everywhere=True,
)
