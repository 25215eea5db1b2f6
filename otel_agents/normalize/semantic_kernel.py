"""Semantic Kernel and Microsoft.Extensions.AI (.NET, Python): operations and counts under early names.

Read from semantic-kernel's ``dotnet/src/InternalUtilities/src/Diagnostics/ModelDiagnostics.cs`` (1.15 to
1.60), ``python/semantic_kernel/utils/telemetry`` (1.30) and Microsoft.Extensions.AI 9.0.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy, Rule

_CODE: Final = "semantic-kernel, ModelDiagnostics.cs and model_diagnostics/gen_ai_attributes.py"
_EXTENSIONS: Final = "Microsoft.Extensions.AI 9.0 (OpenTelemetryConsts.cs)"

_RULES: Final[tuple[Rule, ...]] = (
    Copy(
        sc.OPERATION_NAME,
        (sc.OPERATION_NAME,),
        _CODE,
        values={
            "chat.completions": sc.OP_CHAT,
            "chat.streaming_completions": sc.OP_CHAT,
            "text.completions": sc.OP_TEXT_COMPLETION,
            "text.streaming_completions": sc.OP_TEXT_COMPLETION,
        },
        only=True,
        replaces=True,
    ),
    Copy(
        sc.USAGE_INPUT_TOKENS,
        ("gen_ai.response.prompt_tokens", "gen_ai.response.input_tokens"),
        f"{_CODE}; {_EXTENSIONS}",
        kind="integer",
        spends=True,
    ),
    Copy(
        sc.USAGE_OUTPUT_TOKENS,
        ("gen_ai.response.completion_tokens", "gen_ai.response.output_tokens"),
        f"{_CODE}; {_EXTENSIONS}",
        kind="integer",
        spends=True,
    ),
    Copy(sc.RESPONSE_FINISH_REASONS, ("gen_ai.response.finish_reason",), _CODE, kind="list", spends=True),
)

SEMANTIC_KERNEL: Final = Dialect(
    name="semantic_kernel",
    title="Semantic Kernel 1 and Microsoft.Extensions.AI 9",
    marks=scope("Microsoft.SemanticKernel*", "semantic_kernel*", "*Microsoft.Extensions.AI"),
    rules=_RULES,
)
