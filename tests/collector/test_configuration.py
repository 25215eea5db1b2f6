"""otel-collector.yaml as a file: it loads, says truly what can be set, and carries the policy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from collector_rig import Collector
from parts import require

from otel_agents.privacy.policy import KEY_PATTERNS, VALUE_PATTERNS
from otel_agents.stack.collector import COLLECTOR_VERSION, config_path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "otel-collector.yaml").read_text(encoding="utf-8")
CONFIGURATION: dict[str, Any] = yaml.safe_load(TEXT)
#: Component types by the module that a manifest names, where the two differ.
MODULES = {
    "otlp": "otlpreceiver",
    "host_metrics": "hostmetricsreceiver",
    "memory_limiter": "memorylimiterprocessor",
    "delta_to_cumulative": "deltatocumulativeprocessor",
    "filter": "filterprocessor",
    "transform": "transformprocessor",
    "otlp_http": "otlphttpexporter",
    "prometheus": "prometheusexporter",
    "health_check": "healthcheckextension",
    "basicauth": "basicauthextension",
    "file_storage": "filestorage",
}


def settings_used() -> dict[str, set[str | None]]:
    """Every variable of the configuration with the defaults it is given there."""
    used: dict[str, set[str | None]] = {}
    body = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    for name, _, default in re.findall(r"\$\{env:(\w+)(:-([^}]*))?\}", body):
        used.setdefault(name, set()).add(default)
    return used


def settings_documented() -> dict[str, str]:
    """The table at the top of the file: name and default."""
    found = re.findall(r"^#   (LANGFUSE_\w+|OTEL\w+) +(\S+)", TEXT, re.MULTILINE)
    return {name: "" if default == "(empty)" else default for name, default in found}


def test_every_setting_is_documented_with_its_default() -> None:
    used = settings_used()
    documented = settings_documented()
    keys = {"LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"}
    assert keys <= used.keys()
    assert {name: {default} for name, default in documented.items() if name not in keys} == {
        name: defaults for name, defaults in used.items() if name not in keys
    }


def test_no_host_port_path_or_limit_is_fixed() -> None:
    body = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    names = r"endpoint|(?<!create_)directory|host|port|timeout|interval|queue_size|max_\w+|min_size"
    fixed = re.compile(rf"(?:{names}): (?!\$\{{)\S")
    assert [line.split(" #")[0].strip() for line in body if fixed.search(line)] == [
        "max_elapsed_time: 0s",  # giving up is not a choice
        "check_interval: 1s",
    ]


@pytest.mark.collector
def test_collector_validates_it_without_any_setting(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [require("collector"), "validate", "--config", config_path()]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.collector
def test_collector_runs_it_without_a_warning(collector: Collector) -> None:
    lines = collector.log.read_text().splitlines()
    assert lines
    # In a container it says that it measures the container; that is what was asked for.
    own = [line for line in lines if "No `root_path` config set" not in line]
    assert [line for line in own if re.search(r"\t(warn|error)\t|[Dd]eprecat|alias", line)] == []


def test_every_component_is_in_the_small_build() -> None:
    manifest = (ROOT / "collector" / "builder.yaml").read_text()
    for kind in ("receivers", "processors", "exporters", "extensions"):
        for name in CONFIGURATION[kind]:
            assert MODULES[name.split("/")[0]] in manifest, name


def test_every_component_is_used() -> None:
    pipelines = CONFIGURATION["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines for name in pipeline[kind]}
        assert used == CONFIGURATION[kind].keys()
    assert set(CONFIGURATION["service"]["extensions"]) == CONFIGURATION["extensions"].keys()


def test_nothing_answers_before_data_is_on_disk() -> None:
    for pipeline in CONFIGURATION["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert not [name for name in pipeline["processors"] if name.startswith(("batch", "tail_sampling"))]
    for name, exporter in CONFIGURATION["exporters"].items():
        if name.startswith("otlp_http"):
            assert exporter["sending_queue"]["storage"] == "file_storage/queues"
            assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


def test_manifests_name_one_release() -> None:
    for name in ("builder.yaml", "builder-full.yaml"):
        manifest = yaml.safe_load((ROOT / "collector" / name).read_text())
        assert manifest["dist"]["version"] == COLLECTOR_VERSION
        for kind in ("receivers", "processors", "exporters", "connectors", "extensions"):
            for one in manifest[kind]:
                assert one["gomod"].endswith(f" v{COLLECTOR_VERSION}")


def test_full_manifest_has_everything_of_the_small_one_and_the_gateways_parts() -> None:
    small, full = (
        {
            one["gomod"]
            for kind, entries in yaml.safe_load((ROOT / "collector" / name).read_text()).items()
            if kind != "dist"
            for one in entries
        }
        for name in ("builder.yaml", "builder-full.yaml")
    )
    assert small < full
    assert {one.split("/")[-1].split()[0] for one in full - small} == {
        "prometheusreceiver",
        "kafkareceiver",
        "kafkaexporter",
        "loadbalancingexporter",
        "resourcedetectionprocessor",
    }


def test_a_wheel_carries_the_files_that_are_read() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["otel-collector.yaml"] == "otel_agents/stack/data/otel-collector.yaml"
    assert included["collector/builder.yaml"] == "otel_agents/stack/data/builder.yaml"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("collector_redaction", ROOT / "collector" / "redaction.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_redaction_is_the_policy_of_the_sdk(generator: ModuleType) -> None:
    assert generator.written(TEXT) == TEXT, "run: python collector/redaction.py"


def test_redaction_covers_every_pattern_everywhere() -> None:
    secrets = CONFIGURATION["processors"]["transform/secrets"]
    contexts = {
        "trace_statements": ["resource", "span", "spanevent"],
        "log_statements": ["resource", "log"],
        "metric_statements": ["resource"],
    }
    assert {name: [one["context"] for one in secrets[name]] for name in contexts} == contexts
    groups = [group for name in contexts for group in secrets[name]]
    for group in groups:
        statements = "\n".join(group["statements"]).replace("$$", "$")
        for pattern in VALUE_PATTERNS:
            assert pattern.regex.replace("\\", "\\\\").replace('"', '\\"') in statements, pattern.name
        for regex in KEY_PATTERNS:
            assert regex.replace("\\", "\\\\") in statements


def test_redaction_stands_before_what_copies_content() -> None:
    pipelines = CONFIGURATION["service"]["pipelines"]
    order = pipelines["traces/langfuse"]["processors"]
    assert (
        order.index("transform/plain_values")
        < order.index("transform/secrets")
        < order.index("transform/langfuse")
    )
    assert "transform/secrets" in pipelines["logs/evaluations"]["processors"]
