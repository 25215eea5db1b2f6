"""Prometheus for the local stack: found, configured, started by ``services``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from otel_agents.config import Settings
from otel_agents.stack.errors import StackError
from otel_agents.stack.ports import LOOPBACK, Ports


def find(settings: Settings) -> Path | None:
    """Prometheus' binary: ``$PROMETHEUS_BIN``, then PATH.

    Raises:
        StackError: ``PROMETHEUS_BIN`` names something that cannot be run.
    """
    if wanted := settings.prometheus_bin:
        found = shutil.which(wanted)
        if found is None:
            raise StackError(f"PROMETHEUS_BIN={wanted} is not an executable file; correct it or unset it")
        return Path(found)
    found = shutil.which("prometheus")
    return Path(found) if found else None


def how_to_get() -> str:
    """One line for a machine without Prometheus."""
    if sys.platform == "darwin":
        way = "`brew install prometheus`"
    elif shutil.which("apt-get"):
        way = "`sudo apt-get install prometheus`"
    else:
        way = "install it with your package manager"
    return f"no Prometheus on this machine, going on without: {way}, or set PROMETHEUS_BIN"


def rule_files(settings: Settings, folder: Path, with_collector: bool) -> list[Path]:
    """The rules that Prometheus loads: recorded ones, alerts, and thresholds as they are set.

    Args:
        folder: where the thresholds are written.
        with_collector: without one, nothing is missing when it does not answer.

    Raises:
        StackError: the installation is incomplete.
    """
    from otel_agents.alerts.rules import rules_file

    package = Path(__file__).resolve().parent
    places = (package / "data" / "rules", package.parent.parent / "grafana" / "rules")
    rules = next((place for place in places if place.is_dir()), None)
    if rules is None:
        raise StackError("the Prometheus rules are missing from this installation of otel-agents")
    thresholds = folder / "thresholds.yaml"
    thresholds.write_text(rules_file(settings))
    files = [rules / "recording.yaml", thresholds, rules / "alerts.yaml"]
    return [*files, rules / "pipeline.yaml"] if with_collector else files


def configuration(
    ports: Ports,
    scrape_interval: float,
    with_collector: bool,
    metrics_port: int,
    rules: Sequence[Path] = (),
    alertmanager_port: int | None = None,
) -> str:
    """The text of prometheus.yml (JSON, which is YAML too).

    Args:
        scrape_interval: seconds.
        metrics_port: where the apps' metrics are: the Collector's exporter, or an app's own /metrics.
        rules: files of recording rules and alerts.
        alertmanager_port: who is told of alerts; None for nobody.

    ``honor_labels`` keeps the ``job`` and ``instance`` that the apps' processes carry: each is its own
    series, or counters of different processes would be taken for one that keeps resetting.
    """
    jobs = [("agents", metrics_port, True)]
    if with_collector:
        jobs += [("collector", ports.collector_self_port, False), ("bridge", ports.bridge_port, True)]
    interval = f"{int(scrape_interval * 1000)}ms"
    alertmanagers = (
        [{"static_configs": [{"targets": [f"{LOOPBACK}:{alertmanager_port}"]}]}] if alertmanager_port else []
    )
    return json.dumps(
        {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": "15s"},
            "rule_files": [str(path) for path in rules],
            "alerting": {"alertmanagers": alertmanagers},
            "scrape_configs": [
                {
                    "job_name": name,
                    "honor_labels": honor,
                    "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}],
                }
                for name, port, honor in jobs
            ],
        },
        indent=2,
    )


def command(binary: Path, config: Path, data: Path, port: int) -> Sequence[str | Path]:
    """How Prometheus is started; exemplars (they carry trace ids) need a feature flag to be kept."""
    return [
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
