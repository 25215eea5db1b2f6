"""Azure AI Inference and Azure AI Agents (Python, .NET, JavaScript, Java).

Inference follows the conventions of 1.28, with each message as JSON in one attribute of its event, which
:mod:`otel_agents.normalize.older` reads. A run of a hosted agent says its tokens on the span that waits for
it: its model calls happen elsewhere, so it stands for them.
Read from azure-ai-inference 1.0 (``tracing.py``) and azure-ai-agents 1.1 (``telemetry``).
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import any_of, either, has
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy

_AGENTS: Final = "azure-ai-agents 1.1, azure/ai/agents/telemetry/_ai_agents_instrumentor.py"

AZURE_AI: Final = Dialect(
    name="azure_ai",
    title="Azure AI Inference 1 and Azure AI Agents 1",
    marks=any_of(
        either("gen_ai.system", "az.ai.inference", "az.ai.agents"),
        either(sc.PROVIDER_NAME, "azure.ai.agents"),
    ),
    rules=(
        Copy(
            sc.PROVIDER_NAME,
            ("gen_ai.system",),
            _AGENTS,
            values={"az.ai.agents": "azure.ai.agents"},
            only=True,
        ),
        Copy(
            sc.OPERATION_NAME,
            (sc.OPERATION_NAME,),
            _AGENTS,
            values={"process_thread_run": sc.OP_CHAT, "start_thread_run": sc.OP_CHAT},
            only=True,
            replaces=True,
            when=has(sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS),
        ),
    ),
)
