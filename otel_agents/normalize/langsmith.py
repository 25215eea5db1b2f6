"""LangSmith's OpenTelemetry export of LangChain and LangGraph: ``langsmith.*``, contents as one text.

Read from spans recorded with langsmith of langchain 1.4.7 (``LANGSMITH_OTEL_ENABLED=true``), and from
langsmith/_internal/otel/_otel_exporter.py.
"""

from __future__ import annotations

from typing import Any, Final

from otel_agents import semconv as sc
from otel_agents.normalize.chat_messages import from_choices, from_generations, from_langchain
from otel_agents.normalize.conditions import Not, either, has
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.indexed import Tools
from otel_agents.normalize.providers import PROVIDERS
from otel_agents.normalize.record import Record
from otel_agents.normalize.rules import Copy, Fields, Make, Rule, Said, Spend, parsed

_PACKAGE: Final = "langsmith 0.4 and later, langsmith/_internal/otel/_otel_exporter.py"
_KIND: Final = "langsmith.span.kind"
_CALL = either(_KIND, "llm", "embedding")
_LLM = either(_KIND, "llm")
_TOOL = either(_KIND, "tool")
_OTHER = Not(either(_KIND, "tool", "retriever"))
_PROMPT: Final = "gen_ai.prompt"
_COMPLETION: Final = "gen_ai.completion"


def _input(record: Record) -> Any:
    return from_langchain(parsed(record.attributes.get(_PROMPT)))


def _output(record: Record) -> Any:
    answer = parsed(record.attributes.get(_COMPLETION))
    return from_generations(answer) or from_choices(answer)


_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (_KIND,),
        _PACKAGE,
        values={
            "llm": sc.OP_CHAT,
            "embedding": sc.OP_EMBEDDINGS,
            "retriever": sc.OP_RETRIEVAL,
            "tool": sc.OP_EXECUTE_TOOL,
            "chain": sc.OP_INVOKE_WORKFLOW,
            "prompt": sc.OP_INVOKE_WORKFLOW,
            "parser": sc.OP_INVOKE_WORKFLOW,
        },
        only=True,
        replaces=True,
    ),
    Copy(sc.PROVIDER_NAME, ("langsmith.metadata.ls_provider",), _PACKAGE, values=PROVIDERS),
    # LangChain is nobody's provider.
    Spend(("gen_ai.system",), _PACKAGE, when=either("gen_ai.system", "langchain"), always=True),
    # What chains sum up was counted below them.
    Spend(("gen_ai.usage.",), _PACKAGE, when=Not(_CALL), always=True),
    Copy(sc.REQUEST_MODEL, ("langsmith.metadata.ls_model_name",), _PACKAGE, when=_CALL),
    Fields(
        "langsmith.metadata.usage_metadata",
        (
            (sc.USAGE_CACHE_READ, ("input_token_details", "cache_read"), "integer"),
            (sc.USAGE_CACHE_WRITE, ("input_token_details", "cache_creation"), "integer"),
            (sc.USAGE_REASONING, ("output_token_details", "reasoning"), "integer"),
        ),
        _PACKAGE,
        when=_CALL,
    ),
    Fields(
        "gen_ai.usage.input_token_details",
        (
            (sc.USAGE_CACHE_READ, ("cache_read",), "integer"),
            (sc.USAGE_CACHE_WRITE, ("cache_creation",), "integer"),
        ),
        _PACKAGE,
        when=_CALL,
    ),
    Fields(
        "gen_ai.usage.output_token_details",
        ((sc.USAGE_REASONING, ("reasoning",), "integer"),),
        _PACKAGE,
        when=_CALL,
    ),
    Copy(sc.TOOL_CALL_ARGUMENTS, (_PROMPT,), _PACKAGE, kind="text", when=_TOOL, spends=True),
    Copy(sc.TOOL_CALL_RESULT, (_COMPLETION,), _PACKAGE, kind="text", when=_TOOL, spends=True),
    Copy(sc.RETRIEVAL_QUERY, (_PROMPT,), _PACKAGE, kind="text", when=either(_KIND, "retriever"), spends=True),
    Copy(
        sc.RETRIEVAL_DOCUMENTS,
        (_COMPLETION,),
        _PACKAGE,
        kind="text",
        when=either(_KIND, "retriever"),
        spends=True,
    ),
    Tools(sc.TOOL_DEFINITIONS, _PACKAGE),
    Make(sc.INPUT_MESSAGES, _input, _PACKAGE, when=_LLM, spends=(_PROMPT,)),
    Make(sc.OUTPUT_MESSAGES, _output, _PACKAGE, when=_LLM, spends=(_COMPLETION,)),
    Said(sc.INPUT_MESSAGES, (_PROMPT,), "user", _PACKAGE, when=_OTHER),
    Said(sc.OUTPUT_MESSAGES, (_COMPLETION,), "assistant", _PACKAGE, when=_OTHER),
    Copy(
        sc.SESSION_ID,
        (
            "langsmith.metadata.session_id",
            "langsmith.metadata.thread_id",
            "langsmith.metadata.conversation_id",
        ),
        _PACKAGE,
        kind="text",
    ),
    Copy(sc.USER_ID, ("langsmith.metadata.user_id",), _PACKAGE, kind="text"),
)

LANGSMITH: Final = Dialect(
    name="langsmith",
    title="LangSmith's OpenTelemetry export (langsmith 0.4 and later)",
    marks=has(_KIND),
    rules=_RULES,
)
