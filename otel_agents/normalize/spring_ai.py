"""Spring AI: Micrometer's observations, whose values are all text.

Read from Spring AI 1.0, ``ChatModelObservationDocumentation``, ``ChatClientObservationDocumentation``,
``ToolCallingObservationDocumentation`` and ``VectorStoreObservationDocumentation``.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import all_of, any_of, either, has, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy, Rule, Said, Say, Spend

_DOCS: Final = "https://docs.spring.io/spring-ai/reference/observability/index.html, 1.0"
_KIND: Final = "spring.ai.kind"
_TOOL: Final = either(_KIND, "tool_call")
_SEARCH: Final = all_of(either(_KIND, "vector_store"), either("db.operation.name", "query"))


def _number(key: str, kind: str) -> Copy:
    return Copy(key, (key,), _DOCS, kind=kind, replaces=True)  # type: ignore[arg-type]


_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (_KIND,),
        _DOCS,
        values={
            "chat_client": sc.OP_INVOKE_WORKFLOW,
            "advisor": sc.OP_INVOKE_WORKFLOW,
            "tool_call": sc.OP_EXECUTE_TOOL,
        },
        only=True,
        replaces=True,
    ),
    Say(sc.OPERATION_NAME, sc.OP_RETRIEVAL, _SEARCH, _DOCS),
    Copy(
        sc.OPERATION_NAME,
        (sc.OPERATION_NAME,),
        _DOCS,
        values={"embedding": sc.OP_EMBEDDINGS},
        only=True,
        replaces=True,
    ),
    # The framework is nobody's provider.
    Spend(("gen_ai.system",), _DOCS, when=either("gen_ai.system", "spring_ai"), always=True),
    *(
        _number(key, "integer")
        for key in (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS, sc.USAGE_TOTAL_TOKENS)
    ),
    _number("gen_ai.request.max_tokens", "integer"),
    _number("gen_ai.request.temperature", "number"),
    _number("gen_ai.request.top_p", "number"),
    Copy(sc.RESPONSE_FINISH_REASONS, (sc.RESPONSE_FINISH_REASONS,), _DOCS, kind="list", replaces=True),
    Copy(sc.TOOL_NAME, ("spring.ai.tool.definition.name",), _DOCS, when=_TOOL, spends=True),
    Copy(sc.TOOL_DESCRIPTION, ("spring.ai.tool.definition.description",), _DOCS, when=_TOOL, spends=True),
    Copy(sc.TOOL_CALL_ARGUMENTS, ("spring.ai.tool.call.arguments",), _DOCS, when=_TOOL, spends=True),
    Copy(sc.TOOL_CALL_RESULT, ("spring.ai.tool.call.result",), _DOCS, when=_TOOL, spends=True),
    Copy(sc.RETRIEVAL_QUERY, ("db.vector.query.content",), _DOCS, when=_SEARCH, spends=True),
    Copy(sc.RETRIEVAL_TOP_K, ("db.vector.query.top_k",), _DOCS, kind="integer", when=_SEARCH, spends=True),
    Said(sc.INPUT_MESSAGES, ("gen_ai.prompt", "spring.ai.chat.client.user.text"), "user", _DOCS),
    Said(sc.OUTPUT_MESSAGES, ("gen_ai.completion",), "assistant", _DOCS),
    Copy(sc.CONVERSATION_ID, ("spring.ai.chat.client.conversation.id",), _DOCS),
)

SPRING_AI: Final = Dialect(
    name="spring_ai",
    title="Spring AI 1",
    marks=any_of(has(_KIND), all_of(scope("org.springframework*"), has("gen_ai.system", sc.PROVIDER_NAME))),
    rules=_RULES,
)
