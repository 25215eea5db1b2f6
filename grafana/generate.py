"""Writes the dashboards, the catalogue of metrics and its document: ``python grafana/generate.py``.

``--check`` writes nothing and fails when a file is not what would be written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from generator import agents, coding_agents, documents, models, overview, pipeline, quality, rules
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

HERE = Path(__file__).parent
#: Grafana 11.0's. Later ones bring older dashboards up to date; a newer number is an error to older ones.
SCHEMA_VERSION = 39
DASHBOARDS = {
    "overview": overview.build,
    "models": models.build,
    "agents": agents.build,
    "coding_agents": coding_agents.build,
    "quality": quality.build,
    "pipeline": pipeline.build,
}


def files() -> dict[Path, str]:
    """Every generated file and what belongs into it."""
    made = {HERE / "dashboards" / f"{name}.json": encoded(build()) for name, build in DASHBOARDS.items()}
    made[HERE / "catalogue.json"] = documents.catalogue()
    made[HERE.parent / "docs" / "metrics.md"] = documents.page()
    made[HERE / "rules" / "recording.yaml"] = rules.recording()
    made[HERE / "rules" / "alerts.yaml"] = rules.alerts()
    made[HERE / "rules" / "pipeline.yaml"] = rules.pipeline()
    made[HERE / "rules" / "thresholds.yaml"] = rules.thresholds()
    return made


def encoded(dashboard: Dashboard) -> str:
    """The dashboard as JSON, with a number of its own for every panel."""
    plain = json.loads(JSONEncoder(sort_keys=True).encode(dashboard.build()))
    plain["schemaVersion"] = SCHEMA_VERSION
    for link in plain["links"]:
        # The SDK always says "in the controls menu", where Grafana 12.3 hides links, and drops lists of them.
        link.pop("placement", None)
    for number, panel in enumerate(plain["panels"], start=1):
        panel["id"] = number
    return json.dumps(plain, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Writes or checks; the exit status says whether anything was out of date."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(HERE.parent)} is out of date; run python grafana/generate.py")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files()[path])
            print(f"wrote {path.relative_to(HERE.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
