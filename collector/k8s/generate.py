"""Writes prometheusrule.yaml, the rules of grafana/rules for the Prometheus operator.

``python collector/k8s/generate.py``; with ``--check`` it writes nothing and fails when the file is old.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "grafana" / "rules"
TARGET = HERE / "prometheusrule.yaml"
_HEAD = """\
# Written by collector/k8s/generate.py from grafana/rules; change those instead.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: otel-agents
  namespace: observability
  labels: {app.kubernetes.io/part-of: otel-agents}
spec:
  groups:
"""


def written() -> str:
    """The file: the groups of every rules file, as they are there.

    Raises:
        ValueError: a rules file does not begin with its groups, so it cannot be taken over line by line.
    """
    text = _HEAD
    for path in sorted(RULES.glob("*.yaml")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
        if lines[0] == "groups: []":
            continue
        if lines[0] != "groups:":
            raise ValueError(f"{path} does not begin with its groups")
        text += "".join(f"  {line}\n" if line else "\n" for line in lines[1:])
    return text


def main(check: bool) -> int:
    """Writes or checks; the exit status says whether the file was out of date."""
    text = written()
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"{TARGET} is out of date; run python collector/k8s/generate.py")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
