"""The settings' thresholds as a Prometheus rules file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_agents import metrics, semconv
from otel_agents.export.prometheus_names import label_name, metric_name
from otel_agents.metrics import Definition
from otel_agents.promql import grown

if TYPE_CHECKING:
    from otel_agents.config import Settings

_WINDOW: Final = "1d"
_RUNBOOKS: Final = "docs/runbooks.md"
#: A share or a mean of fewer tasks than this tells nothing.
_FEWEST: Final = 5
_HEAD: Final = """\
# Prometheus rules from the settings of otel-agents: written by `otel-agents alerts rules`.
# Another threshold: set the variable that the rule names, and write the file again.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule: while ``expression`` gives something, ``summary`` is true."""

    name: str
    expression: str
    summary: str
    setting: str


def rules(settings: Settings) -> list[Rule]:
    """One rule for each threshold that is set."""
    made = []
    if settings.alert_daily_cost:
        made.append(
            Rule(
                "AgentsCostPerDay",
                f"{_counted(metrics.COST)} > {settings.alert_daily_cost!r}",
                'Model calls of the last 24 hours cost {{ $value | printf "%.2f" }} USD, '
                f"more than {settings.alert_daily_cost:g}",
                "OTEL_AGENTS_ALERT_DAILY_COST",
            )
        )
    if settings.alert_quality is not None:
        quality = f'{label_name(semconv.EVALUATION_NAME)}="quality"'
        total, count = (_counted(metrics.SCORE, suffix, quality) for suffix in ("_sum", "_count"))
        made.append(
            Rule(
                "AgentsQualityLow",
                f"{total} / ({count} >= {_FEWEST}) < {settings.alert_quality!r}",
                'The mean quality of the last 24 hours is {{ $value | printf "%.2f" }}, '
                f"below {settings.alert_quality:g}",
                "OTEL_AGENTS_ALERT_QUALITY",
            )
        )
    if settings.alert_error_share is not None:
        failed, tasks = _counted(metrics.TASK_COUNT, where='status="error"'), _counted(metrics.TASK_COUNT)
        made.append(
            Rule(
                "AgentsErrorShare",
                f"{failed} / ({tasks} >= {_FEWEST}) > {settings.alert_error_share!r}",
                "{{ $value | humanizePercentage }} of the last 24 hours' tasks failed, "
                f"more than {settings.alert_error_share:.0%}",
                "OTEL_AGENTS_ALERT_ERROR_SHARE",
            )
        )
    return made


def rules_file(settings: Settings) -> str:
    """The rules as YAML, for ``rule_files`` of Prometheus."""
    made = rules(settings)
    if not made:
        return f"{_HEAD}groups: []\n"
    lines = ["groups:", "  - name: otel-agents-thresholds", "    rules:"]
    for rule in made:
        lines += [
            f"      # {rule.setting}",
            f"      - alert: {rule.name}",
            "        expr: |-",
            f"          {rule.expression}",
            "        labels:",
            "          severity: ticket",
            "        annotations:",
            f"          summary: {json.dumps(rule.summary, ensure_ascii=False)}",
            f"          runbook_url: {json.dumps(f'{_RUNBOOKS}#{rule.name.lower()}')}",
        ]
    return _HEAD + "\n".join(lines) + "\n"


def _counted(definition: Definition, suffix: str = "", where: str = "") -> str:
    """How much a counter grew in the window, a series that is new in it counted from zero."""
    name = metric_name(definition.name, definition.unit, definition.kind) + suffix
    series = f"{name}{{{where}}}" if where else name
    return f"sum({grown(series, _WINDOW)})"
