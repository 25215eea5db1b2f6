"""GitHub Copilot CLI: the newest conventions as they are, with totals on the run beside those of the calls.

Read from the telemetry of copilot-cli 1.0.102 and ``copilot help monitoring``.
"""

from __future__ import annotations

from typing import Final

from otel_agents import semconv as sc
from otel_agents.normalize.conditions import either, scope
from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.rules import Rule, Say, Spend

_SEEN: Final = "copilot-cli 1.0.102"
_RUN: Final = either(sc.OPERATION_NAME, sc.OP_INVOKE_AGENT)

_RULES: Final[tuple[Rule, ...]] = (
    Say(sc.AGENT_NAME, "copilot", _RUN, _SEEN),
    # The same tokens once more; who sums up would count them twice.
    Spend(("gen_ai.usage.",), _SEEN, when=_RUN, always=True),
)

COPILOT: Final = Dialect(
    name="copilot",
    title="GitHub Copilot CLI 1.0",
    marks=scope("github.copilot"),
    rules=_RULES,
)
