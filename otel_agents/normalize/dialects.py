"""All dialects. The first whose marks a span has is the one that it is in; ``everywhere`` ones come last.

A new one is a file with a table and a line here; ``python collector/normalize.py`` then writes it into
the Collector's configuration, and docs/dialects.md says how tables are written.
"""

from __future__ import annotations

from typing import Final

from otel_agents.normalize.azure_ai import AZURE_AI
from otel_agents.normalize.claude_code import CLAUDE_CODE
from otel_agents.normalize.codex import CODEX
from otel_agents.normalize.copilot import COPILOT
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.gemini_cli import GEMINI_CLI
from otel_agents.normalize.inclusive import INCLUSIVE
from otel_agents.normalize.langsmith import LANGSMITH
from otel_agents.normalize.logfire import LOGFIRE
from otel_agents.normalize.native import ANTHROPIC
from otel_agents.normalize.older import OLDER
from otel_agents.normalize.openinference import OPENINFERENCE
from otel_agents.normalize.openlit import OPENLIT
from otel_agents.normalize.openllmetry import OPENLLMETRY
from otel_agents.normalize.semantic_kernel import SEMANTIC_KERNEL
from otel_agents.normalize.spring_ai import SPRING_AI
from otel_agents.normalize.vercel import VERCEL

DIALECTS: Final[tuple[Dialect, ...]] = (
    OPENINFERENCE,
    VERCEL,
    LANGSMITH,
    LOGFIRE,
    OPENLIT,
    ANTHROPIC,
    OPENLLMETRY,
    SEMANTIC_KERNEL,
    SPRING_AI,
    AZURE_AI,
    CLAUDE_CODE,
    COPILOT,
    GEMINI_CLI,
    CODEX,
    OLDER,
    INCLUSIVE,
)
