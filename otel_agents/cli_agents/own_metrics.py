"""What coding agents count of themselves, as it is in Prometheus behind ``otel-collector.yaml``.

The Collector makes totals of what Claude Code and Codex send as differences, and leaves these labels of
all that they say. Sources: Claude Code's page "Monitoring" (2.1), gemini-cli's ``docs/cli/telemetry.md``
(0.61), ``copilot help monitoring`` (1.0), codex's ``codex-rs/otel/src/metrics/names.rs`` (0.169).
"""

from __future__ import annotations

from typing import Final

from otel_agents.metrics import Definition

CLAUDE_SESSIONS: Final = Definition(
    "claude_code.session.count", "counter", "", "Sessions that were started.", ("start_type",)
)
CLAUDE_COST: Final = Definition(
    "claude_code.cost.usage",
    "counter",
    "USD",
    "Cost by Claude Code's own account.",
    ("model", "query_source"),
)
CLAUDE_TOKENS: Final = Definition(
    "claude_code.token.usage", "counter", "tokens",
    "Tokens; input without what was read from and written to the cache.",
    ("type", "model", "query_source"),
)  # fmt: skip
CLAUDE_LINES: Final = Definition(
    "claude_code.lines_of_code.count", "counter", "", "Lines of code added and removed.", ("type", "model")
)
CLAUDE_DECISIONS: Final = Definition(
    "claude_code.code_edit_tool.decision", "counter", "", "Edits that people or their rules decided on.",
    ("tool_name", "decision", "source", "language"),
)  # fmt: skip
GEMINI_SESSIONS: Final = Definition("gemini_cli.session.count", "counter", "", "Sessions that were started.")
GEMINI_TOKENS: Final = Definition(
    "gemini_cli.token.usage", "counter", "", "Tokens; input includes the cache.", ("type", "model")
)
GEMINI_TOOLS: Final = Definition(
    "gemini_cli.tool.call.count", "counter", "", "Tool calls, and what was decided on them.",
    ("function_name", "success", "decision"),
)  # fmt: skip
GEMINI_LINES: Final = Definition(
    "gemini_cli.lines.changed", "counter", "", "Lines of code added and removed.", ("type", "function_name")
)
COPILOT_TOOLS: Final = Definition(
    "github.copilot.tool.call.count", "counter", "{call}", "Tool calls.", ("gen_ai.tool.name", "success")
)
CODEX_SESSIONS: Final = Definition("codex.thread.started", "counter", "", "Sessions that were started.")
CODEX_TOOLS: Final = Definition("codex.tool.call", "counter", "", "Tool calls.", ("tool", "success"))

DEFINITIONS: Final = (
    CLAUDE_SESSIONS, CLAUDE_COST, CLAUDE_TOKENS, CLAUDE_LINES, CLAUDE_DECISIONS, GEMINI_SESSIONS,
    GEMINI_TOKENS, GEMINI_TOOLS, GEMINI_LINES, COPILOT_TOOLS, CODEX_SESSIONS, CODEX_TOOLS,
)  # fmt: skip
