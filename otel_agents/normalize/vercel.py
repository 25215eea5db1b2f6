"""Vercel AI SDK (JavaScript): ``ai.*``.

Read from spans recorded with ai 6.0.326 and @ai-sdk/openai, and from packages/ai/src/generate-text of
versions 4 and 5.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import all_of, attribute, either, has, lacks
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.indexed import Tools
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import (
    Copy,
    Fields,
    Group,
    Make,
    Prefixed,
    Rewritten,
    Rule,
    Said,
    Say,
    Spend,
    Sum,
    parsed,
)

_V6: Final = "ai 6.0.326, spans of generateText, streamText, embed and a tool"
_V5: Final = "ai 5 and @ai-sdk/anthropic 2, convert-to-language-model usage: inputTokens without the cache"
_V4: Final = "ai 4.3, packages/ai/core/generate-text/generate-text.ts"
_ID: Final = "ai.operationId"
_META: Final = "ai.telemetry.metadata."
_STRING: Final = r'"(?:[^"\\]|\\.)*"'

_CALL = either(sc.OPERATION_NAME, sc.OP_CHAT, sc.OP_EMBEDDINGS)
_OUTER = either(_ID, "ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject")
_TOOL = either(_ID, "ai.toolCall")

#: Part of the conventions ← part of the SDK's, in JSON text.
_PARTS: Final = (
    # Images and files: version 4, then 5 and later.
    (
        r'\{"type":"image","image":"data:([^;,"]+);base64,([^"]*)"',
        '{"type":"blob","modality":"image","mime_type":"$1","content":"$2"',
    ),
    (rf'\{{"type":"image","image":({_STRING})', '{"type":"uri","modality":"image","uri":$1'),
    (
        r'\{"type":"file","mediaType":"(image|audio|video)(/[^"]*)","data":"(https?:[^"]*)"',
        '{"type":"uri","modality":"$1","mime_type":"$1$2","uri":"$3"',
    ),
    (
        r'\{"type":"file","mediaType":"(image|audio|video)(/[^"]*)","data":"([^"]*)"',
        '{"type":"blob","modality":"$1","mime_type":"$1$2","content":"$3"',
    ),
    (rf'"role":"([a-z]+)","content":({_STRING})', '"role":"$1","parts":[{"type":"text","content":$2}]'),
    (r'"role":"([a-z]+)","content":\[', '"role":"$1","parts":['),
    (rf'\{{"type":"(text|reasoning)","text":({_STRING})', '{"type":"$1","content":$2'),
    (
        rf'\{{"type":"tool-call","toolCallId":({_STRING}),"toolName":({_STRING}),"(?:input|args)":',
        '{"type":"tool_call","id":$1,"name":$2,"arguments":',
    ),
    (
        rf'\{{"type":"tool-result","toolCallId":({_STRING}),"toolName":{_STRING},'
        rf'"output":\{{"type":"text","value":({_STRING})\}}',
        '{"type":"tool_call_response","id":$1,"response":$2',
    ),
    (
        rf'\{{"type":"tool-result","toolCallId":({_STRING}),"toolName":{_STRING},"(?:output|result)":',
        '{"type":"tool_call_response","id":$1,"response":',
    ),
)

#: What the outer spans say: ``{"system": ..., "prompt": ...}`` or ``{"system": ..., "messages": [...]}``.
_WHOLE_GUARD: Final = r'^\{"(?:system|prompt|messages)":'
_WHOLE: Final = (
    (rf'^\{{"prompt":({_STRING})\}}$', r'[{"role":"user","content":$1}]'),
    (
        rf'^\{{"system":({_STRING}),"prompt":({_STRING})\}}$',
        r'[{"role":"system","content":$1},{"role":"user","content":$2}]',
    ),
    (r'^\{"(?:prompt|messages)":\[(?s:(.*))\]\}$', "[$1]"),
    (
        rf'^\{{"system":({_STRING}),"(?:prompt|messages)":\[(?s:(.*))\]\}}$',
        r'[{"role":"system","content":$1},$2]',
    ),
)


def _answer(record: Record) -> Any:
    """Text, reasoning, object and tool calls of an answer, as one message."""
    given = record.attributes
    parts: list[dict[str, Any]] = []
    if isinstance(reasoning := given.get("ai.response.reasoning"), str) and reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    text = given.get("ai.response.text", given.get("ai.response.object"))
    if isinstance(text, str) and text:
        parts.append({"type": "text", "content": text})
    calls = parsed(given.get("ai.response.toolCalls"))
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict) and call.get("toolName"):
            arguments = call.get("input", call.get("args"))
            structure = parsed(arguments)
            parts.append(
                {
                    "type": "tool_call",
                    "id": call.get("toolCallId"),
                    "name": call["toolName"],
                    "arguments": structure if isinstance(structure, (dict, list)) else arguments,
                }
            )
    return [{"role": "assistant", "parts": parts}] if parts else None


def _ottl_answer() -> tuple[Group, ...]:
    """The same for as many tool calls as are written out."""
    target, parts = attribute(sc.OUTPUT_MESSAGES), 'cache["parts"]'
    sources = (
        ("reasoning", "ai.response.reasoning"),
        ("text", "ai.response.text"),
        ("text", "ai.response.object"),
    )
    statements = []
    for number, (kind, key) in enumerate(sources):
        one, given = f'cache["said{number}"]', attribute(key)
        fits = f'{target} == nil and IsString({given}) and {given} != ""'
        if key == "ai.response.object":
            fits += f" and {attribute('ai.response.text')} == nil"
        statements.append(f'set({one}, {{"type": "{kind}", "content": {given}}}) where {fits}')
        statements += _append(parts, one)
    given = attribute("ai.response.toolCalls")
    statements.append(f'set(cache["calls"], ParseJSON({given})) where {target} == nil and IsString({given})')
    statements.append('set(cache["count"], Len(cache["calls"])) where cache["calls"] != nil')
    for at in range(4):
        call, one, there = f'cache["calls"][{at}]', f'cache["call{at}"]', f'cache["count"] > {at}'
        statements.append(
            f'set({one}, {{"type": "tool_call", "id": {call}["toolCallId"], "name": {call}["toolName"]}}) '
            f"where {there}"
        )
        for name in ("args", "input"):
            said = f'{there} and {call}["{name}"] != nil'
            statements.append(f'set({one}["arguments"], {call}["{name}"]) where {said}')
            statements.append(f'set({one}["arguments"], ParseJSON({call}["{name}"])) where {said}')
        statements += _append(parts, one)
    made = f'Concat(["[{{\\"role\\":\\"assistant\\",\\"parts\\":[", {parts}, "]}}]"], "")'
    statements.append(f"set({target}, {made}) where {parts} != nil")
    return (Group(tuple(statements)),)


def _append(whole: str, one: str) -> list[str]:
    return [
        f'set({whole}, Concat([{whole}, String({one})], ",")) where {one} != nil and {whole} != nil',
        f"set({whole}, String({one})) where {one} != nil and {whole} == nil",
    ]


_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (_ID,),
        _V6,
        values={
            "ai.generateText.doGenerate": sc.OP_CHAT,
            "ai.streamText.doStream": sc.OP_CHAT,
            "ai.generateObject.doGenerate": sc.OP_CHAT,
            "ai.streamObject.doStream": sc.OP_CHAT,
            "ai.embed.doEmbed": sc.OP_EMBEDDINGS,
            "ai.embedMany.doEmbed": sc.OP_EMBEDDINGS,
            "ai.toolCall": sc.OP_EXECUTE_TOOL,
            "ai.rerank.doRerank": sc.OP_RETRIEVAL,
            # A loop of calls and tools that the model steers.
            "ai.generateText": sc.OP_INVOKE_AGENT,
            "ai.streamText": sc.OP_INVOKE_AGENT,
            "ai.generateObject": sc.OP_INVOKE_AGENT,
            "ai.streamObject": sc.OP_INVOKE_AGENT,
            "ai.embed": sc.OP_INVOKE_WORKFLOW,
            "ai.embedMany": sc.OP_INVOKE_WORKFLOW,
            "ai.rerank": sc.OP_INVOKE_WORKFLOW,
        },
        only=True,
    ),
    Copy(sc.AGENT_NAME, ("ai.telemetry.functionId",), _V6, when=_OUTER),
    # openai.chat, anthropic.messages, google.generative-ai ...
    Copy(
        sc.PROVIDER_NAME,
        ("gen_ai.system", "ai.model.provider"),
        _V6,
        when=_CALL,
        only=True,
        values={
            "google.generative-ai": "gcp.gemini",
            "google.vertex.chat": "gcp.vertex_ai",
            "google.vertex.embedding": "gcp.vertex_ai",
            "amazon-bedrock": "aws.bedrock",
            "azure-openai.chat": "azure.ai.openai",
            "azure-openai.responses": "azure.ai.openai",
            "azure.chat": "azure.ai.openai",
            "azure.responses": "azure.ai.openai",
            "azure.completion": "azure.ai.openai",
            "azure.embeddings": "azure.ai.openai",
            "mistral.chat": "mistral_ai",
            "mistral.embedding": "mistral_ai",
            "xai.chat": "x_ai",
            "xai.responses": "x_ai",
        },
    ),
    Copy(sc.PROVIDER_NAME, ("gen_ai.system", "ai.model.provider"), _V6, when=_CALL, kind="head"),
    Copy(sc.REQUEST_MODEL, ("ai.model.id",), _V6, when=_CALL),
    Copy(sc.RESPONSE_MODEL, ("ai.response.model",), _V6, when=_CALL),
    Copy(
        sc.USAGE_INPUT_TOKENS,
        ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
        _V4,
        kind="integer",
        when=_CALL,
    ),
    Copy(
        sc.USAGE_OUTPUT_TOKENS,
        ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        _V4,
        kind="integer",
        when=_CALL,
    ),
    Copy(
        sc.USAGE_CACHE_READ,
        ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
        _V6,
        kind="integer",
        when=_CALL,
    ),
    Copy(
        sc.USAGE_CACHE_WRITE,
        ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        _V6,
        kind="integer",
        when=_CALL,
    ),
    Fields(
        "ai.response.providerMetadata",
        (
            (sc.USAGE_CACHE_READ, ("anthropic", "cacheReadInputTokens"), "integer"),
            (sc.USAGE_CACHE_WRITE, ("anthropic", "cacheCreationInputTokens"), "integer"),
            (sc.USAGE_CACHE_READ, ("bedrock", "usage", "cacheReadInputTokens"), "integer"),
            (sc.USAGE_CACHE_WRITE, ("bedrock", "usage", "cacheWriteInputTokens"), "integer"),
        ),
        f"{_V4}; @ai-sdk/anthropic 1 and 2, @ai-sdk/amazon-bedrock 2 and 3",
        when=_CALL,
    ),
    Sum(
        sc.USAGE_INPUT_TOKENS,
        (sc.USAGE_INPUT_TOKENS, sc.USAGE_CACHE_READ, sc.USAGE_CACHE_WRITE),
        (sc.USAGE_INPUT_TOKENS,),
        _V5,
        when=all_of(
            _CALL,
            either(sc.PROVIDER_NAME, "anthropic", "aws.bedrock"),
            lacks("ai.usage.inputTokenDetails.noCacheTokens"),
        ),
        replaces=True,
    ),
    Copy(
        sc.USAGE_REASONING,
        ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
        _V6,
        kind="integer",
        when=_CALL,
    ),
    # Gemini's output leaves out what it thought.
    Sum(
        sc.USAGE_OUTPUT_TOKENS,
        (sc.USAGE_OUTPUT_TOKENS, sc.USAGE_REASONING),
        (sc.USAGE_OUTPUT_TOKENS, sc.USAGE_REASONING),
        "@ai-sdk/google 1 and 2: outputTokens is candidatesTokenCount",
        when=all_of(
            _CALL,
            either(sc.PROVIDER_NAME, "gcp.gemini", "gcp.vertex_ai"),
            lacks("ai.usage.outputTokenDetails.textTokens"),
        ),
        replaces=True,
    ),
    Say(sc.REQUEST_STREAM, True, either(_ID, "ai.streamText.doStream", "ai.streamObject.doStream"), _V6),
    Copy(sc.RESPONSE_TIME_TO_FIRST_CHUNK, ("ai.response.msToFirstChunk",), _V6, kind="seconds"),
    Copy(sc.RESPONSE_FINISH_REASONS, ("ai.response.finishReason",), _V6, kind="list", when=_CALL),
    Rewritten(sc.INPUT_MESSAGES, "ai.prompt.messages", _PARTS, _V6, spends=True),
    Make(sc.OUTPUT_MESSAGES, _answer, _V6, ottl=_ottl_answer()),
    Tools("ai.prompt.tools", _V6),
    Rewritten(sc.INPUT_MESSAGES, "ai.prompt", (*_WHOLE, *_PARTS), _V6, guard=_WHOLE_GUARD, spends=True),
    Said(sc.INPUT_MESSAGES, ("ai.prompt",), "user", _V6),
    Said(sc.INPUT_MESSAGES, ("ai.value",), "user", _V6),
    Spend(("ai.prompt", "ai.prompt.format"), _V6, needs=sc.INPUT_MESSAGES),
    Spend(
        ("ai.response.text", "ai.response.object", "ai.response.reasoning", "ai.response.toolCalls"),
        _V6,
        needs=sc.OUTPUT_MESSAGES,
    ),
    # Vectors, as text.
    Spend(("ai.embedding", "ai.embeddings"), _V6),
    Copy(sc.TOOL_NAME, ("ai.toolCall.name",), _V6, when=_TOOL),
    Copy(sc.TOOL_CALL_ID, ("ai.toolCall.id",), _V6, when=_TOOL),
    Copy(
        sc.TOOL_CALL_ARGUMENTS,
        ("ai.toolCall.args", "ai.toolCall.input"),
        _V6,
        kind="text",
        when=_TOOL,
        spends=True,
    ),
    Copy(
        sc.TOOL_CALL_RESULT,
        ("ai.toolCall.result", "ai.toolCall.output"),
        _V6,
        kind="text",
        when=_TOOL,
        spends=True,
    ),
    Copy(sc.USER_ID, (f"{_META}userId", f"{_META}user_id"), _V6, kind="text"),
    Copy(sc.SESSION_ID, (f"{_META}sessionId", f"{_META}session_id"), _V6, kind="text"),
    Copy(sc.TAGS, (f"{_META}tags",), _V6, spends=True),
    Prefixed(_META, sc.METADATA_PREFIX, _V6, but=(f"{_META}userId", f"{_META}sessionId", f"{_META}tags")),
)

VERCEL: Final = Dialect(
    name="vercel",
    title="Vercel AI SDK 4 to 6",
    marks=has(_ID),
    rules=_RULES,
)
