"""OpenInference (Arize): ``openinference.span.kind``, ``llm.*``, ``input.value``.

Read from its specification and from spans recorded with openinference-instrumentation-openai 0.1.66,
-llama-index 4.6.1 and -smolagents 0.1.43.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import Not, Number, all_of, either, has, lacks, named, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.indexed import CUT, Items, Messages
from otel_agents.normalize.providers import PROVIDERS
from otel_agents.normalize.rules import Copy, Fields, Rule, Said, Say, Spend

KIND: Final = "openinference.span.kind"
_SPEC: Final = "https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md"
_TOOLS: Final = "https://github.com/Arize-ai/openinference/blob/main/spec/tool_calling.md"
_LLAMA: Final = "openinference-instrumentation-llama-index 4.6.1, spans of one query and one agent run"

#: Kind → operation.
_KINDS: Final = {
    "LLM": sc.OP_CHAT,
    "EMBEDDING": sc.OP_EMBEDDINGS,
    "RETRIEVER": sc.OP_RETRIEVAL,
    "RERANKER": sc.OP_RETRIEVAL,
    "TOOL": sc.OP_EXECUTE_TOOL,
    "AGENT": sc.OP_INVOKE_AGENT,
    "CHAIN": sc.OP_INVOKE_WORKFLOW,
    "PROMPT": sc.OP_INVOKE_WORKFLOW,
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
}

_CALL = either(KIND, "LLM", "EMBEDDING")
_LLM = either(KIND, "LLM")
_LLAMA_INDEX = scope("openinference.instrumentation.llama_index")

#: Methods that only prepare or wrap a call, which has a span of its own below.
_AROUND = all_of(
    _LLAMA_INDEX,
    _CALL,
    named(
        "*.predict",
        "*.apredict",
        "*.stream",
        "*.astream",
        "*.structured_predict",
        "*.astructured_predict",
        "*._prepare_chat_with_tools",
        "*.predict_and_call",
        "*.apredict_and_call",
        "*.chat_with_tools",
        "*.achat_with_tools",
        "*.stream_chat_with_tools",
        "*.astream_chat_with_tools",
        "*._get_query_embedding",
        "*._aget_query_embedding",
        "*._get_text_embedding",
        "*._aget_text_embedding",
        "*._get_text_embeddings",
        "*._aget_text_embeddings",
    ),
)

_MESSAGE: Final = {
    "role": ".message.role",
    "content": ".message.content",
    "call_id": ".message.tool_call_id",
    "parts": (
        ".message.contents", ".message_content.type", ".message_content.text",
        ".message_content.image.image.url",
    ),
    "calls": (
        ".message.tool_calls", ".tool_call.id", ".tool_call.function.name",
        ".tool_call.function.arguments",
    ),
}  # fmt: skip
_DOCUMENT: Final = (
    ("id", ".document.id"),
    ("score", ".document.score"),
    ("content", ".document.content"),
    ("metadata", ".document.metadata"),
)

_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        KIND,
        (KIND,),
        "openinference-semantic-conventions-js of 2024 (kinds in small letters)",
        values={kind.lower(): kind for kind in _KINDS},
        only=True,
        replaces=True,
    ),
    Say(sc.OPERATION_NAME, sc.OP_INVOKE_WORKFLOW, _AROUND, _LLAMA),
    Say(KIND, "CHAIN", _AROUND, _LLAMA, replaces=True),
    Copy(
        sc.OPERATION_NAME,
        (KIND,),
        _SPEC,
        values=_KINDS,
        only=True,
    ),
    # Model calls.
    Copy(sc.PROVIDER_NAME, ("llm.provider", "llm.system"), _SPEC, values=PROVIDERS, when=_CALL),
    Fields(
        "llm.invocation_parameters",
        (
            (sc.REQUEST_MODEL, ("model",), "same"),
            ("gen_ai.request.temperature", ("temperature",), "number"),
            ("gen_ai.request.top_p", ("top_p",), "number"),
            ("gen_ai.request.max_tokens", ("max_tokens",), "integer"),
            ("gen_ai.request.max_tokens", ("max_completion_tokens",), "integer"),
            ("gen_ai.request.max_tokens", ("max_output_tokens",), "integer"),
            ("gen_ai.request.frequency_penalty", ("frequency_penalty",), "number"),
            ("gen_ai.request.presence_penalty", ("presence_penalty",), "number"),
            ("gen_ai.request.seed", ("seed",), "integer"),
        ),
        _SPEC,
        when=_LLM,
    ),
    Copy(sc.REQUEST_MODEL, ("llm.model_name", "embedding.model_name"), _SPEC, when=_CALL),
    Copy(sc.REQUEST_MODEL, ("reranker.model_name",), _SPEC, when=either(KIND, "RERANKER")),
    Copy(sc.RESPONSE_MODEL, ("llm.model_name", "embedding.model_name"), _SPEC, when=_CALL),
    Copy(sc.USAGE_INPUT_TOKENS, ("llm.token_count.prompt",), _SPEC, kind="integer", when=_CALL),
    Copy(sc.USAGE_OUTPUT_TOKENS, ("llm.token_count.completion",), _SPEC, kind="integer", when=_CALL),
    # Where nobody says how it splits.
    Copy(
        sc.USAGE_TOTAL_TOKENS,
        ("llm.token_count.total",),
        _SPEC,
        kind="integer",
        when=all_of(_CALL, lacks("llm.token_count.prompt", "llm.token_count.completion")),
        spends=True,
    ),
    Copy(
        sc.USAGE_CACHE_READ, ("llm.token_count.prompt_details.cache_read",), _SPEC, kind="integer", when=_CALL
    ),
    Copy(
        sc.USAGE_CACHE_WRITE,
        ("llm.token_count.prompt_details.cache_write",),
        _SPEC,
        kind="integer",
        when=_CALL,
    ),
    Copy(
        sc.USAGE_REASONING,
        ("llm.token_count.completion_details.reasoning",),
        _SPEC,
        kind="integer",
        when=_CALL,
    ),
    Copy(sc.USAGE_COST, ("llm.cost.total",), _SPEC, kind="number", when=_CALL),
    # What agents and chains sum up was counted below them.
    Spend(("llm.token_count.", "llm.cost."), _SPEC, when=Not(_CALL), always=True),
    Copy(
        "gen_ai.usage.audio.input_tokens",
        ("llm.token_count.prompt_details.audio",),
        _SPEC,
        kind="integer",
        when=all_of(_CALL, Not(Number("llm.token_count.prompt_details.audio", 0))),
    ),
    Copy(
        "gen_ai.usage.audio.output_tokens",
        ("llm.token_count.completion_details.audio",),
        _SPEC,
        kind="integer",
        when=all_of(_CALL, Not(Number("llm.token_count.completion_details.audio", 0))),
    ),
    Spend(("llm.token_count.",), _SPEC, needs=sc.USAGE_INPUT_TOKENS, when=_CALL),
    Spend(("llm.cost.",), _SPEC, needs=sc.USAGE_COST, when=_CALL),
    Copy(sc.RESPONSE_FINISH_REASONS, ("llm.finish_reason",), _SPEC, kind="list", when=_LLM),
    Messages(sc.INPUT_MESSAGES, "llm.input_messages", _TOOLS, when=_LLM, **_MESSAGE),  # type: ignore[arg-type]
    Messages(
        sc.OUTPUT_MESSAGES,
        "llm.output_messages",
        _TOOLS,
        default="assistant",
        when=_LLM,
        cap=2,
        cap_calls=4,
        **_MESSAGE,  # type: ignore[arg-type]
    ),
    # Completions without roles.
    Messages(sc.INPUT_MESSAGES, "llm.prompts", _SPEC, content=".prompt.text", when=_LLM, cap=2),
    Messages(
        sc.OUTPUT_MESSAGES,
        "llm.choices",
        _SPEC,
        default="assistant",
        content=".completion.text",
        when=_LLM,
        cap=2,
    ),
    Items(
        sc.TOOL_DEFINITIONS,
        "llm.tools",
        _TOOLS,
        probe=".tool.json_schema",
        raw=".tool.json_schema",
        when=_LLM,
    ),
    Messages(
        sc.INPUT_MESSAGES,
        "embedding.embeddings",
        _SPEC,
        content=".embedding.text",
        when=either(KIND, "EMBEDDING"),
        cap=10,
    ),
    # Where they stand already, as on spans that were completed.
    Spend(("llm.input_messages.", "embedding.embeddings."), _SPEC, needs=sc.INPUT_MESSAGES, when=lacks(CUT)),
    Spend(("llm.output_messages.",), _SPEC, needs=sc.OUTPUT_MESSAGES, when=lacks(CUT)),
    # Tools.
    Copy(sc.TOOL_NAME, ("tool.name",), _SPEC, when=either(KIND, "TOOL"), spends=True),
    Copy(sc.TOOL_DESCRIPTION, ("tool.description",), _SPEC, when=either(KIND, "TOOL"), spends=True),
    Copy(sc.TOOL_CALL_ID, ("tool.id", "tool_call.id"), _SPEC, when=either(KIND, "TOOL"), spends=True),
    Copy(
        sc.TOOL_CALL_ARGUMENTS,
        ("input.value", "tool_call.function.arguments"),
        _SPEC,
        kind="text",
        when=either(KIND, "TOOL"),
        spends=True,
    ),
    Copy(sc.TOOL_CALL_RESULT, ("output.value",), _SPEC, kind="text", when=either(KIND, "TOOL"), spends=True),
    # Retrievals.
    Copy(
        sc.RETRIEVAL_QUERY,
        ("reranker.query", "input.value"),
        _SPEC,
        kind="text",
        when=either(KIND, "RETRIEVER", "RERANKER"),
        spends=True,
    ),
    Copy(sc.RETRIEVAL_TOP_K, ("reranker.top_k",), _SPEC, kind="integer"),
    Items(
        sc.RETRIEVAL_DOCUMENTS,
        "retrieval.documents",
        _SPEC,
        probe=".document.content",
        fields=_DOCUMENT,
        structured=("metadata",),
        when=either(KIND, "RETRIEVER"),
    ),
    Items(
        sc.RETRIEVAL_DOCUMENTS,
        "reranker.output_documents",
        _SPEC,
        probe=".document.content",
        fields=_DOCUMENT,
        structured=("metadata",),
        when=either(KIND, "RERANKER"),
    ),
    # Everything else says what went in and came out as text.
    Copy(sc.AGENT_NAME, ("agent.name",), _SPEC),
    Said(
        sc.INPUT_MESSAGES,
        ("input.value",),
        "user",
        _SPEC,
        when=Not(either(KIND, "TOOL", "RETRIEVER", "RERANKER", "EMBEDDING")),
    ),
    Said(
        sc.OUTPUT_MESSAGES,
        ("output.value",),
        "assistant",
        _SPEC,
        when=Not(either(KIND, "TOOL", "RETRIEVER", "RERANKER", "EMBEDDING")),
    ),
    Spend(("input.value", "input.mime_type"), _SPEC, needs=sc.INPUT_MESSAGES),
    Spend(("output.value", "output.mime_type"), _SPEC, needs=sc.OUTPUT_MESSAGES),
    Spend(("output.value", "output.mime_type"), _SPEC, needs=sc.RETRIEVAL_DOCUMENTS),
    # A list of every vector, once more.
    Spend(("output.value", "output.mime_type"), _SPEC, when=either(KIND, "EMBEDDING")),
    Spend(("input.mime_type", "output.mime_type"), _SPEC, when=either(KIND, "TOOL", "RETRIEVER", "RERANKER")),
    Copy(sc.CONVERSATION_ID, ("session.id",), _SPEC),
    Copy(sc.TAGS, ("tag.tags",), _SPEC, spends=True),
)

OPENINFERENCE: Final = Dialect(
    name="openinference",
    title="OpenInference (openinference-instrumentation-* of 2026)",
    marks=all_of(has(KIND)),
    rules=_RULES,
)
