"""The catalogue of metrics for people (``docs/metrics.md``) and for machines (``grafana/catalogue.json``)."""

from __future__ import annotations

import json

from generator import queries
from otel_agents.metrics import CATALOGUE, Definition

_TABLE = "| Prometheus | OpenTelemetry | kind, unit | labels | |\n|---|---|---|---|---|\n"
_HEAD = """# Metrics

Written by `python grafana/generate.py` from the catalogue in `otel_agents/metrics.py`, the only place
where a metric is defined. Prometheus names are those of the Collector's exporter with
`UnderscoreEscapingWithSuffixes`; `/metrics` of an app without a Collector has the same. Beside its own
labels every series has `job` (the service), `instance` (one process, never reused) and, where an
environment is set, `deployment_environment_name`. Every label takes at most `OTEL_AGENTS_LABEL_LIMIT`
values; later ones are counted as `other`.

Labels that a task or an experiment gives to everything inside of it: `experiment`, `variant`, `task_type`,
`prompt_version`.

"""


def catalogue() -> str:
    """Every metric with its names, unit, labels and source, as JSON."""
    return json.dumps([_entry(one) for one in CATALOGUE], indent=2) + "\n"


def _entry(one: Definition) -> dict[str, object]:
    return {
        "name": one.name,
        "prometheus": queries.name(one),
        "kind": one.kind,
        "unit": one.unit,
        "description": one.description,
        "labels": list(queries.labels(one)),
        "buckets": list(one.buckets),
        "source": one.source,
    }


def page() -> str:
    """The same as a document."""
    lines = [_HEAD]
    for source in dict.fromkeys(one.source for one in CATALOGUE):
        lines.append(f"## {source}\n\n{_TABLE}")
        for one in CATALOGUE:
            if one.source == source:
                own = [label for label in queries.labels(one) if label not in queries.SCRAPE_LABELS]
                shown = ", ".join(f"`{label}`" for label in own)
                lines.append(
                    f"| `{queries.name(one)}` | `{one.name}` | {one.kind}, `{one.unit}` "
                    f"| {shown} | {one.description} |\n"
                )
        lines.append("\n")
    return "".join(lines).rstrip() + "\n"
