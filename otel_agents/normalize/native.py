"""Provider SDKs that trace themselves: the conventions nearly to the letter.

Read from spans recorded with anthropic 2.12.0. mistralai 3.7.0 needs nothing; of mcp 2.3.0 the server's span
of a tool has its operation, and the client's is only the way there, so neither is touched.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Copy

_PACKAGE: Final = (
    "anthropic 2.12.0, spans of messages.create with ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"
)

ANTHROPIC: Final = Dialect(
    name="anthropic",
    title="Anthropic's Python SDK 2, tracing itself",
    marks=scope("com.anthropic.sdk.python"),
    rules=(Copy(sc.RESPONSE_FINISH_REASONS, ("anthropic.message.stop_reason",), _PACKAGE, kind="list"),),
)
