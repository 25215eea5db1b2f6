"""OpenLIT: GenAI conventions with attributes that mean something else to their readers.

Read from openlit 1.45.0 (``openlit/semcov``, ``openlit/instrumentation/anthropic/utils.py``) and from spans
recorded with it.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import Number, all_of, any_of, either, lacks, scope
from otel_agents.normalize.dialect import COUNTED, Dialect
from otel_agents.normalize.rules import Copy, Rule, Spend, Sum

_PACKAGE: Final = "openlit 1.45.0"
_CALL = either(sc.OPERATION_NAME, *sorted(sc.INFERENCE_OPERATIONS))

_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (sc.OPERATION_NAME,),
        f"{_PACKAGE}, openlit/semcov/__init__.py",
        values={
            "agent": sc.OP_INVOKE_AGENT,
            "execute_task": sc.OP_INVOKE_WORKFLOW,
            "task": sc.OP_INVOKE_WORKFLOW,
            "execution": sc.OP_INVOKE_WORKFLOW,
            "tool_coordination": sc.OP_INVOKE_WORKFLOW,
            "user_prompt_processing": sc.OP_INVOKE_WORKFLOW,
            "vectordb": sc.OP_RETRIEVAL,
        },
        only=True,
        replaces=True,
    ),
    # Anthropic's count excludes the cache, and is written as it came.
    Sum(
        sc.USAGE_INPUT_TOKENS,
        (
            sc.USAGE_INPUT_TOKENS,
            sc.USAGE_CACHE_READ,
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        (sc.USAGE_INPUT_TOKENS,),
        f"{_PACKAGE}, openlit/instrumentation/anthropic/utils.py",
        when=all_of(
            any_of(either(sc.PROVIDER_NAME, "anthropic"), either("gen_ai.system", "anthropic")),
            _CALL,
            lacks(COUNTED),
        ),
        replaces=True,
    ),
    # 0 where it has no price; that would be taken for the cost.
    Spend(
        (sc.USAGE_COST,),
        f"{_PACKAGE}, a model that is not in its price list",
        when=Number(sc.USAGE_COST, 0),
        always=True,
    ),
    # On calls: the tool that the model asks for. Langfuse would name the call after it.
    Spend(
        ("gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.args"),
        f"{_PACKAGE}, a call with tools",
        when=_CALL,
        always=True,
    ),
    Copy(
        sc.RESPONSE_TIME_TO_FIRST_CHUNK,
        ("gen_ai.server.time_to_first_token",),
        _PACKAGE,
        kind="number",
        when=either(sc.REQUEST_STREAM, True),
    ),
    Copy(sc.TOOL_CALL_ARGUMENTS, ("gen_ai.tool.args",), _PACKAGE, kind="text"),
    # What it says when nobody has said anything.
    Spend(
        ("deployment.environment",), _PACKAGE, when=either("deployment.environment", "default"), always=True
    ),
    Spend(
        ("gen_ai.request.max_tokens",), _PACKAGE, when=Number("gen_ai.request.max_tokens", -1), always=True
    ),
)

OPENLIT: Final = Dialect(
    name="openlit",
    title="OpenLIT 1.45",
    marks=any_of(either("telemetry.sdk.name", "openlit"), scope("openlit*")),
    rules=_RULES,
)
